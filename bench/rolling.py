"""One minute's rolling rows of the sample district of 58,000 students, and what the windows add to an event.

Five weeks of its simulated life are folded as in a worker, up to a school day's noon. Processor time; figures compare
within one run.
"""

import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from bench.section import put
from schemas.facts import Row
from streams.core.admission import admit
from streams.core.district import DistrictState
from streams.core.rolling import Rolling
from streams.intake.simulator import Span, sample_district, simulate
from streams.intake.simulator_parameters import default_parameters

MINUTE_MS = 60_000
DAY_MS = 1_440 * MINUTE_MS
COMMAND = "./cx bench rolling --write docs"
HEADING = "## The windows' cost, measured"
HEAD = f"""{HEADING}

<!-- From here on made by `{COMMAND}`; edit bench/rolling.py. -->

`{COMMAND}` folds five weeks of the sample district, {{events:,}} events and {{conversations:,}} conversations, up to a
school day's noon. Processor time.

| cost | |
| --- | --- |
"""
COSTS = {
    "added_us_per_event": "added to an event by all windows, µs",
    "added_share_of_hot_path": "the same as a share of decoding, applying and folding it",
    "loop_held_ms": "a minute's rows hold the event loop, ms",
    "loop_held_each_hour_ms": "once an hour, ms",
    "rows_ms": "made beside it: the rows of `rolling`, ms",
    "slices_ms": "and of `rolling_slices`, ms",
    "rolling_rows": "rows of `rolling`",
    "slice_rows": "rows of `rolling_slices`",
}
NOON_MS = 1_791_306_000_000
DAYS = 35
ROUNDS = 9


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def _lived() -> tuple[DistrictState, list[Row], int, float]:
    """The district at noon, its rows, how many events it took, and the seconds to decode, apply and fold them."""
    document = sample_district()
    state = DistrictState(document.district)
    span = Span(NOON_MS - DAYS * DAY_MS, NOON_MS)
    messages = [text.encode() for _, text in simulate(document, default_parameters(), span)]
    started = time.process_time()
    for message in messages:
        for _, event in admit(message).events:
            state.apply(event)
    rows = state.settle().rows
    return state, rows, len(messages), time.process_time() - started


def measure() -> dict[str, float]:
    """Milliseconds of a minute's rows, and of what holds the event loop; what filling the windows costs an event."""
    state, rows, events, whole = _lived()
    taken = state.rolling.minute(NOON_MS, state.configuration)

    def fill() -> None:
        again = Rolling(state.district)
        for row in rows:
            again.replace(row[1], row)

    def take(number: int) -> None:
        state.rolling.minute(NOON_MS + number * MINUTE_MS, state.configuration)

    holding = max(_seconds(partial(take, number)) for number in range(ROUNDS))
    pruning = median(_seconds(partial(state.rolling.prune, NOON_MS, state.configuration)) for _ in range(ROUNDS))
    making = median(_seconds(taken.rows) for _ in range(ROUNDS))
    slicing = median(_seconds(taken.slices) for _ in range(ROUNDS))
    filling = median(_seconds(fill) for _ in range(ROUNDS))
    return {
        "events": events,
        "conversations": len(rows),
        "rolling_rows": len(taken.rows()),
        "slice_rows": len(taken.slices()),
        "rows_ms": round(making * 1000, 1),
        "slices_ms": round(slicing * 1000, 1),
        "loop_held_ms": round(holding * 1000, 2),
        "loop_held_each_hour_ms": round(pruning * 1000, 1),
        "added_us_per_event": round(filling / events * 1e6, 2),
        "added_share_of_hot_path": round(filling / whole, 4),
    }


def write(figures: dict[str, float], folder: Path) -> None:
    """Put the figures at the end of architecture.md in a folder."""
    costs = "".join(f"| {said} | {figures[name]:,} |\n" for name, said in COSTS.items())
    put(folder / "architecture.md", HEADING, HEAD.format_map(figures) + costs)
