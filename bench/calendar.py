"""Business time: what a question, a year and a snow day cost, and its share of the core. Compare within one run."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from bench.core import DISTRICT, EVENTS_PER_MESSAGE, computed
from bench.workload import messages
from schemas.calendar import Calendar
from schemas.district import District
from schemas.vocabulary import to_ms
from streams.core.business_time import BusinessClock, clock_of, constant_offsets
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.intake.simulator import sample_district

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = to_ms(datetime(2026, 3, 6, 12, tzinfo=UTC))
CALENDARS = 10
CONVERSATIONS = 4_000
EVENTS = CONVERSATIONS * 3
CALLS = 4_000
ROUNDS = 5
METHODS = ("elapsed", "due", "breach", "deadlines")


def _ns(work: Callable[[], object], times: int = CALLS) -> float:
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter_ns()
        for _ in range(times):
            work()
        taken.append((time.perf_counter_ns() - started) / times)
    return median(taken)


def _many_calendars(revision: int) -> District:
    """The sample district with ten calendars; a higher revision closes one more day in one of them."""
    content = sample_district().model_dump(mode="json")
    usual = content["calendars"]["offices"]
    for number in range(CALENDARS - len(content["calendars"])):
        content["calendars"][f"more-{number}"] = usual | {"days": {f"2026-10-{number + 5:02d}": []}}
    names = sorted(content["calendars"])
    for unit, name in zip(content["units"], names * len(content["units"]), strict=False):
        unit["calendar"] = name
    content["calendars"]["offices"] = usual | {"days": {f"2026-11-{day + 2:02d}": [] for day in range(revision % 20)}}
    return District.model_validate(content | {"revision": revision})


def _revision_ms(calendars_changed: bool) -> float:
    """A new revision until every unit's clock has answered, with one changed calendar or none; median of several."""
    district = _many_calendars(1)
    taken = []
    for revision in range(2, 2 + 2 * ROUNDS):
        changed = _many_calendars(revision) if calendars_changed else district
        started = time.perf_counter()
        configuration = Configuration(changed.district, [ConfigurationEvent(revision, 0, "e", changed)])
        for unit in configuration.units():
            configuration.clock(unit).due(START_MS, HOUR_MS)
        taken.append((time.perf_counter() - started) * 1e3)
    return median(taken[1:])


def _calls() -> Counter[str]:
    """How often the core asks the clock for the benchmark's events."""
    counted: Counter[str] = Counter()
    usual: dict[str, Callable[..., Any]] = {name: getattr(BusinessClock, name) for name in METHODS}

    def counting(name: str) -> Callable[..., Any]:
        def count(*arguments: Any) -> Any:
            counted[name] += 1
            return usual[name](*arguments)

        return count

    for name in METHODS:
        setattr(BusinessClock, name, counting(name))
    try:
        computed(messages(DISTRICT, CONVERSATIONS, EVENTS_PER_MESSAGE))
    finally:
        for name in METHODS:
            setattr(BusinessClock, name, usual[name])
    return counted


def _first_year_ms(calendar: Calendar) -> float:
    taken = []
    for _ in range(ROUNDS):
        constant_offsets.cache_clear()
        started = time.perf_counter()
        BusinessClock(calendar).due(START_MS, HOUR_MS)
        taken.append((time.perf_counter() - started) * 1e3)
    return median(taken)


def measure() -> dict[str, float]:
    """Nanoseconds of one question, milliseconds of a year and of a revision, and the clock's share of the core."""
    calendar = sample_district().calendars["offices"]
    clock = clock_of(calendar.key())
    clock.elapsed(START_MS, START_MS + 11 * 366 * DAY_MS)
    cost = {
        "elapsed": _ns(lambda: clock.elapsed(START_MS, START_MS + 3 * DAY_MS)),
        "due": _ns(lambda: clock.due(START_MS, 8 * HOUR_MS)),
        "breach": _ns(lambda: clock.breach(START_MS, 8 * HOUR_MS)),
        "deadlines": _ns(lambda: clock.deadlines(START_MS, 6 * HOUR_MS, 8 * HOUR_MS)),
    }
    batch = messages(DISTRICT, CONVERSATIONS, EVENTS_PER_MESSAGE)
    whole_ns = median(computed(batch) for _ in range(ROUNDS)) * 1e9
    calls = _calls()
    asked_ns = sum(calls[name] * cost[name] for name in METHODS)
    return {
        **{f"{name}_ns": round(each) for name, each in cost.items()},
        "elapsed_ten_years_ns": round(_ns(lambda: clock.elapsed(START_MS, START_MS + 3653 * DAY_MS))),
        "year_ms": round(_ns(lambda: BusinessClock(calendar).due(START_MS, HOUR_MS), 20) / 1e6, 3),
        "first_year_of_a_zone_ms": round(_first_year_ms(calendar), 3),
        "revision_nothing_changed_ms": round(_revision_ms(False), 3),
        "revision_one_calendar_changed_ms": round(_revision_ms(True), 3),
        "calls_per_event": round(sum(calls.values()) / EVENTS, 2),
        "share_of_core": round(asked_ns / whole_ns, 3),
    }
