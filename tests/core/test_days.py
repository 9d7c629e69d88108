"""Cells of local days made with numpy: the same as a slow recount, and what counts in which of them."""

import tracemalloc
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.daily import CELL, DAILY_CELLS
from schemas.events import Event
from schemas.facts import NAMES, Row
from streams.core import days
from streams.core.contributions import Numbers, contributions
from streams.core.days import DayCells
from streams.core.district import DistrictState
from streams.core.histogram import STARTS, bucket_of
from tests.golden import OFFICE, History, at, district
from tests.recount import Cells, Recount, by_cell
from tests.reference.histories import histories

HOUR_MS = 3_600_000
ZONES = {"a": "America/Chicago", "b": "America/New_York", "c": "Australia/Lord_Howe", "d": "Asia/Beirut"}


def folded(events: Iterable[Event]) -> tuple[Sequence[Row], DistrictState]:
    state = DistrictState("demo")
    for event in events:
        state.apply(event)
    return state.settle().rows, state


def cells_of(events: Iterable[Event]) -> Cells:
    """The cells of a history, which are also those of the recount."""
    rows, state = folded(events)
    made = DayCells(state.configuration)
    made.add(rows)
    cells = by_cell(made.cells())
    assert cells == Recount(rows, state.configuration).cells()
    return cells


def told(cells: Cells, *names: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Some measures of the cells in which one of them is not zero, by unit and day."""
    found = {(unit, f"{day:%m-%d}"): tuple(cell[name] for name in names) for (unit, _, day), cell in cells.items()}
    return {key: values for key, values in found.items() if any(values)}


def begun(**more: Any) -> History:
    history = History()
    history.configured(district(**more))
    return history


def abroad() -> History:
    """A district whose departments are each in a zone of their own; one beside them is unknown."""
    return begun(
        calendars={"office": OFFICE} | {unit: OFFICE | {"time_zone": zone} for unit, zone in ZONES.items()},
        units=[{"unit": unit, "level": "department", "calendar": unit} for unit in ZONES],
    )


@settings(max_examples=300, deadline=None)
@given(events=histories(), data=st.data())
def test_cells_are_a_recount_however_the_rows_come(events: list[Event], data: st.DataObject) -> None:
    rows, state = folded(events)
    order = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(order)))
    made = DayCells(state.configuration)
    made.add(order[:cut])
    if data.draw(st.booleans()):
        list(made.cells())
    made.add(order[cut:])
    found = list(made.cells())
    assert by_cell(found) == Recount(rows, state.configuration).cells()
    assert [row[1:4] for row in found] == sorted({row[1:4] for row in found})


def test_a_cell_is_a_row_of_plain_values_in_the_order_of_the_table() -> None:
    history = begun()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:05", unit="a")
    history.add("rating", "2026-10-06 12:00", score=9, pillars={"courtesy": 10})
    rows, state = folded(history.events)
    made = DayCells(state.configuration)
    made.add(rows)
    row = next(made.cells())
    assert [column.name for column in DAILY_CELLS] == [*(column.name for column in CELL), "rebuilt_at"]
    assert row[:5] == ("demo", "a", "email", date(2026, 10, 6), 1)
    told_of = dict(zip((column.name for column in CELL), row, strict=True))
    assert told_of["reply_buckets"] == (bucket_of(300_000),)
    assert (told_of["reply_count"], told_of["reply_sum_ms"], told_of["reply_counts"]) == (1, 300_000, (1,))
    assert told_of["ratings"] == (0,) * 8 + (1, 0)
    assert told_of["courtesy"] == (0,) * 9 + (1,)
    for column, value in zip(CELL[4:], row[4:], strict=True):
        assert type(value) is (tuple if column.type.startswith("Array") else int), column.name
        assert all(type(item) is int for item in (value if isinstance(value, tuple) else ())), column.name


def test_without_facts_there_is_no_cell() -> None:
    assert cells_of(begun().events) == {}


def test_a_day_is_the_local_date_of_each_fact_s_own_unit() -> None:
    history = abroad()
    # 23:30 in Chicago is the next day in New York; a unit that nobody knows goes by the district's calendar.
    for number, unit in enumerate(["a", "b", "c", "gone"]):
        history.add("inquiry", "2026-10-06 23:30", f"c{number}", unit=unit)
    opened = {("a", "10-06"), ("b", "10-07"), ("c", "10-07"), ("unrouted", "10-06")}
    assert told(cells_of(history.events), "inquiries") == dict.fromkeys(opened, (1,))


def test_facts_of_a_unit_that_left_the_configuration_go_by_the_district_s_calendar() -> None:
    history = abroad()
    history.add("inquiry", "2026-10-06 23:30", unit="b")
    rows, _ = folded(history.events)
    _, later = folded(begun().events)
    made = DayCells(later.configuration)
    made.add(tuple("left" if value == "b" else value for value in row) for row in rows)
    assert [row[1:4] for row in made.cells() if row[4]] == [("left", "email", date(2026, 10, 6))]


@pytest.mark.parametrize(
    ("unit", "day", "last", "first"),
    [
        # Local midnights in UTC around changes of the clocks, by half an hour and at midnight itself too.
        ("a", "2026-03-08", "2026-03-09T04:59:59.999Z", "2026-03-09T05:00:00.000Z"),
        ("a", "2026-11-01", "2026-11-02T05:59:59.999Z", "2026-11-02T06:00:00.000Z"),
        ("c", "2026-04-05", "2026-04-05T13:29:59.999Z", "2026-04-05T13:30:00.000Z"),
        ("c", "2026-10-04", "2026-10-04T12:59:59.999Z", "2026-10-04T13:00:00.000Z"),
        ("d", "2026-03-28", "2026-03-28T21:59:59.999Z", "2026-03-28T22:00:00.000Z"),
        ("d", "2026-10-24", "2026-10-24T21:59:59.999Z", "2026-10-24T22:00:00.000Z"),
    ],
)
def test_a_day_ends_with_its_last_local_millisecond(unit: str, day: str, last: str, first: str) -> None:
    history = abroad()
    for number, moment in enumerate((last, first)):
        history.add("inquiry", "2026-10-06 10:00", f"c{number}", unit=unit, occurred_at=moment, received_at=moment)
    opened = [when for (_, _, when), cell in cells_of(history.events).items() if cell["inquiries"]]
    assert opened == [date.fromisoformat(day), date.fromisoformat(day) + timedelta(days=1)]


def test_late_ratings_are_left_out() -> None:
    history = begun()
    history.add("inquiry", "2026-09-01 10:00")
    history.add("reply", "2026-09-01 11:00", unit="a")
    history.add("status_changed", "2026-09-01 12:00", status="resolved")
    history.add("rating", "2026-09-02 12:00", score=8, rater="ab" * 8)
    history.add("rating", "2026-10-06 12:00", score=2, rater="cd" * 8, pillars={"courtesy": 3})
    rated = told(cells_of(history.events), "ratings")
    assert {key: scores for key, (scores,) in rated.items() if any(scores)} == {("a", "09-02"): (0,) * 7 + (1, 0, 0)}


def test_what_is_retracted_or_holds_nothing_but_ratings_counts_nothing() -> None:
    history = begun()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 11:00", unit="a")
    history.add("spam", "2026-10-06 12:00")
    history.add("rating", "2026-10-06 12:00", "c2", score=8)
    rows, _ = folded(history.events)
    flags = [(row[NAMES.index("retracted")], row[NAMES.index("linked")]) for row in rows]
    assert sorted(flags) == [(0, 0), (1, 1)]
    assert cells_of(history.events) == {}


def test_a_call_answered_live_is_a_wait_but_no_reply() -> None:
    history = begun()
    history.add("inquiry", "2026-10-06 10:00", unit="line", channel="phone", contact="answered_live")
    cells = cells_of(history.events)
    assert told(cells, "inquiries", "waits_opened", "waits_ended") == {("line", "10-06"): (1, 1, 1)}
    assert told(cells, "first_response_count", "reply_count", "decided", "within") == {}


def test_a_wait_counts_where_it_opened_where_it_ended_and_where_its_school_day_was_over() -> None:
    history = begun()
    history.add("inquiry", "2026-10-05 09:00")
    history.add("reply", "2026-10-07 09:00", unit="b")
    history.add("inquiry", "2026-10-07 09:00", "c2")
    history.add("inquiry", "2026-10-08 07:30", "c3")
    history.add("reply", "2026-10-08 08:30", "c3", unit="a")
    cells = cells_of(history.events)
    names = ("waits_opened", "waits_ended", "decided", "within")
    assert told(cells, *names) == {
        ("a", "10-05"): (1, 0, 0, 0),
        ("a", "10-06"): (0, 0, 1, 0),
        ("a", "10-07"): (1, 1, 0, 0),
        ("a", "10-08"): (1, 1, 2, 1),
    }
    assert told(cells, "reply_count", "reply_sum_ms") == {
        ("a", "10-07"): (1, 48 * HOUR_MS),
        ("a", "10-08"): (1, HOUR_MS),
    }
    assert told(cells, "first_response_count", "first_response_sum_ms") == {
        ("b", "10-07"): (1, 48 * HOUR_MS),
        ("a", "10-08"): (1, HOUR_MS),
    }


def test_promises_count_on_the_day_they_are_due_and_not_without_an_instant() -> None:
    never = {"time_zone": "America/Chicago", "week": {}}
    history = begun(
        calendars={"office": OFFICE, "never": never},
        units=[{"unit": "a", "level": "department"}, {"unit": "b", "level": "department", "calendar": "never"}],
        promises=[{"promise": "first", "clock": "first_reply", "target": "2h"}],
    )
    for number, (unit, replied) in enumerate([("a", "10:30"), ("a", "15:00"), ("a", ""), ("b", "")]):
        history.add("inquiry", "2026-10-06 10:00", f"c{number}", unit=unit)
        if replied:
            history.add("reply", f"2026-10-06 {replied}", f"c{number}", unit=unit)
    rows, _ = folded(history.events)
    assert [row[NAMES.index("verdicts.due_at")] for row in rows].count((None,)) == 1
    promised = told(cells_of(history.events), "promises_met", "promises_missed", "promises_open")
    assert promised == {("a", "10-06"): (1, 1, 1)}


def test_hand_offs_count_by_the_unit_that_got_it_and_bounces_among_them() -> None:
    history = begun()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("transfer", "2026-10-06 11:00", unit="b")
    history.add("transfer", "2026-10-07 11:00", unit="a")
    handed = told(cells_of(history.events), "handoffs", "bounces")
    assert handed == {("b", "10-06"): (1, 0), ("a", "10-07"): (1, 1)}


@pytest.mark.parametrize("length_ms", [0, STARTS[400] - 1, STARTS[400], STARTS[400] + 1])
def test_a_length_is_in_the_bucket_that_begins_with_it(length_ms: int) -> None:
    history = begun()
    history.add("inquiry", "2026-10-06 10:00")
    replied = (at("2026-10-06 10:00") + timedelta(milliseconds=length_ms)).isoformat()
    history.add("reply", "2026-10-06 10:00", unit="a", occurred_at=replied, received_at=replied)
    found = told(cells_of(history.events), "reply_buckets", "reply_counts", "reply_sum_ms")
    assert found["a", "10-06"] == ((bucket_of(length_ms),), (1,), length_ms)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_rows_in_several_portions_give_the_same_as_at_once(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    history = abroad()
    for number, (owner, sender) in enumerate(permutations([*ZONES, "gone"], 2)):
        history.add("inquiry", f"2026-10-{6 + number % 3:02d} {10 + number % 4}:00", f"c{number}", unit=owner)
        history.add("reply", f"2026-10-{9 + number % 2:02d} {10 + number % 5}:00", f"c{number}", unit=sender)
    rows, state = folded(history.events)
    whole = DayCells(state.configuration)
    whole.add(rows)
    monkeypatch.setattr(days, "ROWS_AT_ONCE", at_once)
    parts = DayCells(state.configuration)
    for start in range(0, len(rows), 7):
        parts.add(iter(rows[start : start + 7]))
    assert len(rows) == 20
    assert list(parts.cells()) == list(whole.cells())


def test_no_more_is_held_than_the_cells_are_going_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    history = begun()
    for hour in range(10, 20):
        history.add("inquiry", f"2026-10-06 {hour}:00", f"c{hour}")
    rows, state = folded(history.events)
    monkeypatch.setattr(days, "ROWS_AT_ONCE", len(rows))
    made = DayCells(state.configuration)
    tracemalloc.start()
    try:
        made.add(row for _ in range(1000) for row in rows)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    contributed = 1000 * sum(len(contributions(row, Numbers())) for row in rows)
    assert held < contributed / 2
    assert next(made.cells())[4] == 1000 * len(rows)
