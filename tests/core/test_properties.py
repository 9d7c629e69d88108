"""Properties: order and repetition do not matter, time adds up, the clock agrees with a minute-by-minute count."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar import WEEKDAYS, Calendar, dates_of, minutes_of
from schemas.events import EVENT, Erased, Event
from schemas.facts import NAMES, Row, as_json
from schemas.vocabulary import to_ms
from streams.audit.comparing import HIDDEN
from streams.core.admission import admit
from streams.core.business_time import BusinessClock
from streams.core.district import DistrictState
from streams.core.erasure import FIELDS, digest_of_key
from tests.golden import OFFICE, History, district, fold_all, ms
from tests.reference.histories import erasure

UNITS = ["a", "a1", "b", "line"]
PROMISES = [
    {"promise": "first", "clock": "first_reply", "target": "2h"},
    {"promise": "next", "clock": "next_reply", "target": "90m", "hours": "calendar"},
    {"promise": "done", "clock": "resolution", "target": "8h"},
    {"promise": "owned", "clock": "ownership", "target": "1h"},
    {"promise": "told", "clock": "periodic_update", "target": "5h"},
]
# Around the spring change of 2026, where mistakes show.
START = datetime(2026, 3, 6, 12, tzinfo=UTC)
FIRST = History().configured(district(promises=PROMISES))


# Strategies and configurations are made once, not for each of thousands of examples.
@cache
def _fields(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    unit = st.sampled_from(UNITS)
    if kind == "inquiry":
        return st.fixed_dictionaries(
            {"unit": unit, "needs_reply": st.sampled_from([True, True, True, False])},
            optional={"contact": st.sampled_from(["missed_call", "answered_live"])},
        )
    if kind == "reply":
        authors = st.sampled_from(["human", "human", "human", "bot"])
        return st.fixed_dictionaries({"author": authors}, optional={"unit": unit, "public": st.booleans()})
    if kind == "transfer":
        return st.fixed_dictionaries({"unit": unit})
    if kind == "rating":
        return st.fixed_dictionaries({"score": st.integers(1, 10)})
    if kind == "status_changed":
        return st.fixed_dictionaries({"status": st.sampled_from(["resolved", "pending", "reopened", "withdrawn"])})
    if kind == "correction":
        wanted = st.sampled_from([None, *(f"e{number:02d}" for number in range(1, 10))])
        return st.fixed_dictionaries({"corrects": wanted, "unit": unit}, optional={"needs_reply": st.booleans()})
    if kind in ("merge", "unmerge"):
        return st.fixed_dictionaries({"into": st.sampled_from(["c1", "c2", "c3"])})
    return st.just({})


KINDS = [
    *["inquiry"] * 4,
    *["reply"] * 4,
    *["transfer", "status_changed", "rating"] * 2,
    *["spam", "not_spam", "correction", "merge", "merge", "unmerge", "deleted"],
]


@cache
def _revised(number: int) -> Event:
    """An edit of the policies, and a closure declared late."""
    calendars = {**district().model_dump(mode="json")["calendars"]}
    calendars["office"] = {**OFFICE, "closed": [*OFFICE["closed"], f"2026-03-{9 + number % 2:02d}"]}
    document = district(promises=PROMISES[(number + 2) % 3 :], calendars=calendars, revision=number + 2)
    return History().configured(document, f"2026-03-{6 + number % 4:02d} 12:00")


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Random histories of up to three conversations, with two contents of one id and new revisions now and then."""
    history = History()
    history.events.append(FIRST)
    for number in range(draw(st.integers(1, 9))):
        if draw(st.integers(0, 9)) == 0:
            history.events.append(_revised(number))
        kind = draw(st.sampled_from(KINDS))
        moment = START + timedelta(minutes=draw(st.integers(0, 6 * 24 * 60)))
        local = moment.astimezone(ZoneInfo("America/Chicago")).strftime("%Y-%m-%d %H:%M")
        source = draw(st.sampled_from(["crm", "phone"]))
        conversation = draw(st.sampled_from(["c1", "c1", "c2", "c3"]))
        made = history.add(kind, local, conversation, source=source, **draw(_fields(kind)))
        if draw(st.integers(0, 9)) == 0:
            history.events.append(made.model_copy(update={"touch_point": "desk"}))
    return history.events


@settings(max_examples=600, deadline=None)
@given(events=histories(), data=st.data())
def test_any_order_and_any_repetition_give_the_same_facts(events: list[Event], data: st.DataObject) -> None:
    repeated = [event for event in events for _ in range(data.draw(st.integers(1, 3)))]
    assert fold_all(data.draw(st.permutations(repeated))) == fold_all(events)


@st.composite
def erased_histories(draw: st.DrawFn) -> list[Event]:
    """Histories in which persons are named and erased, at every moment before, between and after what names them."""
    people = ["5f" * 8, "6a" * 8, "7b" * 8]
    named: list[Event] = []
    for event in draw(histories()):
        fields = [name for name in FIELDS if name in type(event).model_fields]
        keys = {name: draw(st.sampled_from([None, *people])) for name in fields}
        received = event.occurred_at + timedelta(minutes=draw(st.integers(0, 3 * 24 * 60)))
        named.append(event.model_copy(update=keys | {"received_at": received}))
    for key in draw(st.lists(st.sampled_from(people), min_size=1, max_size=3, unique=True)):
        moment = START + timedelta(minutes=draw(st.integers(0, 8 * 24 * 60)))
        named.insert(draw(st.integers(0, len(named))), erasure(key, moment))
    return named


@settings(max_examples=600, deadline=None)
@given(events=erased_histories(), data=st.data())
def test_erasures_give_the_same_facts_in_any_order_and_name_nobody(events: list[Event], data: st.DataObject) -> None:
    repeated = [event for event in events for _ in range(data.draw(st.integers(1, 3)))]
    facts = fold_all(events)
    assert fold_all(data.draw(st.permutations(repeated))) == facts
    erased = {event.key_digest for event in events if isinstance(event, Erased)}
    keys = {key for key in ("5f" * 8, "6a" * 8, "7b" * 8) if digest_of_key(key) in erased}
    assert not any(key in str(facts) for key in keys)


@settings(max_examples=400, deadline=None)
@given(events=st.one_of(histories(), erased_histories()))
def test_settling_after_every_event_ends_in_the_same_facts(events: list[Event]) -> None:
    state = DistrictState("demo")
    landed: dict[str, Row] = {}
    for event in events:
        state.apply(event)
        for row in state.settle().rows:
            # A later row of a name replaces the earlier one by its version, as in the table; sealing keeps the version.
            before = landed.get(row[1], row)
            assert before is row or before[2] < row[2] or (before[2] == row[2] and isinstance(event, Erased))
            assert before[2] < row[2] or _unnamed(before) == _unnamed(row)
            landed[row[1]] = row
    whole = {row["conversation"]: row for row in fold_all(events)}
    assert {name: as_json(row) for name, row in landed.items() if name in whole} == whole
    assert all(row[3] for name, row in landed.items() if name not in whole)


def _unnamed(row: Row) -> list[Any]:
    """A row without who is in it."""
    return [value for column, value in zip(NAMES, row, strict=True) if column not in HIDDEN]


@settings(max_examples=400, deadline=None)
@given(events=histories())
def test_segments_sum_to_their_wait_and_business_time_fits_in_it(events: list[Event]) -> None:
    for row in fold_all(events):
        for index, wait in enumerate(row["waits"]):
            parts = [s for s in row["segments"] if s["wait"] == index]
            assert parts
            if wait["wait_ms"] is not None:
                assert sum(s["segment_ms"] for s in parts) == wait["wait_ms"]
                assert sum(s["business_ms"] for s in parts) == wait["business_ms"] <= wait["wait_ms"]


@settings(max_examples=300, deadline=None)
@given(events=histories())
def test_verdicts_agree_with_their_instants(events: list[Event]) -> None:
    for row in fold_all(events):
        for verdict in row["verdicts"]:
            if verdict["outcome"] in ("met", "missed"):
                in_time = verdict["breach_at"] is None or verdict["ended_at"] <= verdict["breach_at"]
                assert (verdict["outcome"] == "met") == in_time
            if verdict["due_at"] is not None and verdict["breach_at"] is not None:
                assert verdict["started_at"] <= verdict["at_risk_at"] <= verdict["due_at"] <= verdict["breach_at"]


def _block() -> st.SearchStrategy[str]:
    def spelled(span: tuple[int, int]) -> str:
        start, end = sorted(span)
        return f"{start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}"

    return st.tuples(st.integers(0, 719), st.integers(720, 1440)).map(spelled)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Random calendars in zones with and without daylight saving, closures and exceptional days."""
    week = draw(st.dictionaries(st.sampled_from(WEEKDAYS), _block().map(lambda block: [block]), max_size=7))
    zones = ["America/Chicago", "America/St_Johns", "Europe/Dublin", "Australia/Lord_Howe", "America/Phoenix"]
    return Calendar(
        time_zone=draw(st.sampled_from(zones)),
        week=week,
        closed=draw(st.sampled_from([[], ["2026-03-06"], ["2026-03-09/2026-03-10"]])),
        days=draw(st.sampled_from([{}, {"2026-03-08": ["01:30-02:30", "03:00-12:00"]}, {"2026-03-09": []}])),
    )


def _minutes_open(calendar: Calendar, start: datetime, minutes: int) -> int:
    """Slow and obvious: look at each minute's local date and time."""
    zone = ZoneInfo(calendar.time_zone)
    count = 0
    for step in range(minutes):
        local = (start + timedelta(minutes=step)).astimezone(zone)
        date = local.date()
        blocks = calendar.days.get(date.isoformat())
        if blocks is None:
            closed = any(first <= date <= last for first, last in map(dates_of, calendar.closed))
            blocks = [] if closed else calendar.week.get(WEEKDAYS[date.weekday()], [])
        minute = local.hour * 60 + local.minute
        count += any(opens <= minute < closes for opens, closes in map(minutes_of, blocks))
    return count


@settings(max_examples=200, deadline=None)
@given(
    calendar=calendars(),
    month=st.sampled_from([datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 10, 30, tzinfo=UTC)]),
    offset=st.integers(0, 3000),
    length=st.integers(0, 6000),
)
def test_the_clock_counts_what_a_minute_by_minute_count_counts(
    calendar: Calendar, month: datetime, offset: int, length: int
) -> None:
    start = month + timedelta(minutes=offset)
    start_ms = to_ms(start)
    elapsed = BusinessClock(calendar).elapsed(start_ms, start_ms + length * 60_000)
    assert elapsed == _minutes_open(calendar, start, length) * 60_000


@settings(max_examples=600, deadline=None)
@given(
    calendar=calendars(),
    start=st.integers(ms("2025-11-01 00:00"), ms("2026-12-31 00:00")),
    first=st.integers(0, 10**10),
    second=st.integers(0, 10**10),
)
def test_splitting_an_interval_anywhere_adds_up(calendar: Calendar, start: int, first: int, second: int) -> None:
    clock = BusinessClock(calendar)
    middle, end = start + first, start + first + second
    assert clock.elapsed(start, middle) + clock.elapsed(middle, end) == clock.elapsed(start, end)
    assert 0 <= clock.elapsed(start, end) <= end - start


@settings(max_examples=600, deadline=None)
@given(
    calendar=calendars(),
    start=st.integers(ms("2025-11-01 00:00"), ms("2026-12-31 00:00")),
    target=st.integers(1, 10**9),
)
def test_due_and_elapsed_are_inverse(calendar: Calendar, start: int, target: int) -> None:
    clock = BusinessClock(calendar)
    due, breach = clock.due(start, target), clock.breach(start, target)
    if due is None:
        assert breach is None
        return
    assert clock.elapsed(start, due) == target
    assert clock.elapsed(start, due - 1) == target - 1
    assert breach is not None
    assert clock.elapsed(start, breach) == target
    assert clock.elapsed(start, breach + 1) == target + 1


def test_a_calendar_that_never_opens_is_never_due() -> None:
    assert BusinessClock(Calendar(time_zone="UTC")).due(0, 1) is None


@pytest.mark.parametrize("year", [1950, 2090])
def test_years_far_away_work_the_same(year: int) -> None:
    clock = BusinessClock(Calendar.model_validate(OFFICE))
    start = ms(f"{year}-06-01 00:00")
    assert clock.elapsed(start, start + 28 * 86_400_000) == 20 * int(8.5 * 3_600_000)


@settings(max_examples=400, deadline=None)
@given(payload=st.binary(max_size=200))
def test_no_bytes_make_the_admission_raise(payload: bytes) -> None:
    assert not admit(payload).events


@settings(max_examples=300, deadline=None)
@given(events=histories())
def test_an_event_survives_its_own_json(events: list[Event]) -> None:
    for event in events:
        assert EVENT.validate_json(event.model_dump_json()) == event


@settings(max_examples=600, deadline=None)
@given(
    calendar=calendars(),
    start=st.integers(ms("2025-11-01 00:00"), ms("2026-12-31 00:00")),
    target=st.integers(1, 10**10),
)
def test_deadlines_are_due_and_breach_in_one_look(calendar: Calendar, start: int, target: int) -> None:
    clock = BusinessClock(calendar)
    early = target * 3 // 4
    expected = (clock.due(start, early), clock.due(start, target), clock.breach(start, target))
    assert clock.deadlines(start, early, target) == expected


@pytest.mark.parametrize("hours", [1, 2, 17, 34])
def test_deadlines_at_closing_time(hours: int) -> None:
    clock = BusinessClock(Calendar.model_validate(OFFICE))
    start, target = ms("2026-10-06 15:00"), hours * 3_600_000
    expected = (clock.due(start, target // 2), clock.due(start, target), clock.breach(start, target))
    assert clock.deadlines(start, target // 2, target) == expected
