"""Running promise clocks: what holding very many costs, and what a look at the clock costs then.

Conversations a minute apart with two clocks each, as a worker folds them. What is due must be found without looking at
what is not: a look with nothing due, one with the next thing due, and everything due, at two sizes.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from statistics import median

from bench.workload import START_MS, configured, open_messages
from schemas.facts import Row
from streams.core.admission import admit
from streams.core.alerting import AlertBook
from streams.core.district import DistrictState

DISTRICT = "bench"
CLOCKS_EACH = 2
SIZES = (20_000, 200_000)
LOOKS = 500
EVENTS_PER_MESSAGE = 500
FOR_EVER_MS = 10 * 365 * 86_400_000


def _rows(conversations: int) -> Iterator[list[Row]]:
    """The facts of open conversations, message by message; nothing else of them is kept."""
    for message in open_messages(DISTRICT, conversations, EVENTS_PER_MESSAGE):
        state = DistrictState(DISTRICT)
        state.apply(configured(DISTRICT))
        for _, event in admit(message).events:
            state.apply(event)
        yield state.settle().rows


def _held(conversations: int) -> tuple[AlertBook, float]:
    """A book of these conversations, and the seconds that it took to take their rows."""
    book, seconds = AlertBook(DISTRICT), 0.0
    for rows in _rows(conversations):
        started = time.perf_counter()
        for row in rows:
            book.replace(row[1], row)
        seconds += time.perf_counter() - started
    return book, seconds


def _bytes_per_clock(conversations: int) -> float:
    book, held = AlertBook(DISTRICT), 0
    for rows in _rows(conversations):
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for row in rows:
            book.replace(row[1], row)
        held += tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    return held / (conversations * CLOCKS_EACH)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """Microseconds and bytes; the two sizes in turn, medians of many looks."""
    figures: dict[str, float] = {}
    for size in SIZES:
        conversations = size // CLOCKS_EACH
        book, taken = _held(conversations)
        gc.collect()
        gc.freeze()
        idle = median(_seconds(lambda: book.advance(START_MS)) for _ in range(LOOKS))  # noqa: B023 -- called at once
        busy = []
        for _ in range(LOOKS):
            due_ms = book.next_ms or 0
            busy.append(_seconds(lambda: book.advance(due_ms)))  # noqa: B023 -- called at once
        started = time.perf_counter()
        made = len(book.advance(START_MS + FOR_EVER_MS))
        figures |= {
            f"take_{size}_us_per_clock": round(taken / size * 1e6, 2),
            f"look_nothing_due_{size}_us": round(idle * 1e6, 2),
            f"look_next_due_{size}_us": round(median(busy) * 1e6, 2),
            f"all_due_{size}_us_per_transition": round((time.perf_counter() - started) / made * 1e6, 2),
        }
        gc.unfreeze()
    figures["bytes_per_clock"] = round(_bytes_per_clock(SIZES[0] // CLOCKS_EACH))
    return figures
