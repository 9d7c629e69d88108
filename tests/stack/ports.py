"""Ports for tests."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of the loopback address that something listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that were free, and different, a moment ago."""
    with ExitStack() as held:
        return [held.enter_context(taken_port()) for _ in range(count)]
