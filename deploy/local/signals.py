"""How a program that runs the stack is told to end: Ctrl-C, SIGTERM and a closed terminal mean the same."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def endings_interrupt() -> Iterator[None]:
    """Inside, each of them raises `KeyboardInterrupt` in the main thread."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def endings_wait() -> Iterator[None]:
    """Inside, all of them are ignored: an orderly stop is under way and must not be cut."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
