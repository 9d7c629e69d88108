"""Daily cells on the real engine: after whatever changed, each equals a slow recount of the facts that count."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from schemas.daily import DAILY_CELLS
from schemas.events import Event
from schemas.facts import Row
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.daily import OVERLAP_MS, DailyCells
from sinks.landing import Landing
from streams.core.days import DayCells
from streams.core.district import DistrictState
from tests.golden import OFFICE, History, district
from tests.recount import Cells, Recount, by_cell
from tests.reference.histories import histories

Ask = Callable[..., list[tuple[Any, ...]]]
LANDED_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def stored_rows(query: Ask) -> list[Row]:
    """Every cell that stands, in the order of `daily_cells` without `rebuilt_at`, and is not empty."""
    names = ", ".join(column.name for column in DAILY_CELLS[:-1])
    rows = query(f"SELECT {names} FROM daily_cells FINAL ORDER BY unit, channel, day")
    told = [tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in rows]
    return [row for row in told if any(any(v) if isinstance(v, tuple) else v for v in row[4:])]


def stored(query: Ask) -> Cells:
    """The same by unit, channel and day."""
    return by_cell(stored_rows(query))


class Life:
    """A district that lands, and whose cells catch up."""

    def __init__(self, settings: Settings) -> None:
        self.state = DistrictState("demo")
        self.rows: dict[str, Row] = {}
        self.sink = ClickHouseSink(settings)
        self.cells = DailyCells(settings)
        self.at_ms = LANDED_MS

    def land(self, events: Iterable[Event]) -> None:
        self.at_ms += 3 * HOUR_MS
        for event in events:
            self.state.apply(event)
        settled = self.state.settle()
        self.rows |= {row[1]: row for row in settled.rows}
        self.sink.land(Landing(self.at_ms, conversations=settled.rows))

    def catch_up(self) -> int:
        calls = 1
        while not self.cells.catch_up("demo", self.state.configuration, self.at_ms):
            calls += 1
        return calls

    def close(self) -> None:
        self.sink.close()
        self.cells.close()

    def recount(self) -> Cells:
        return Recount(self.rows.values(), self.state.configuration).cells()

    def day_cells(self) -> list[Row]:
        made = DayCells(self.state.configuration)
        made.add(self.rows.values())
        return list(made.cells())


@pytest.fixture
def life(clickhouse: Settings) -> Iterator[Life]:
    with closing(Life(clickhouse)) as made:
        yield made


@tuned(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=histories(), data=st.data())
def test_cells_are_a_recount_whatever_comes_in_whatever_order(
    clickhouse: Settings, query: Ask, events: list[Event], data: st.DataObject
) -> None:
    for table in ("conversations", "conversation_versions", "daily_cells", "daily_marks"):
        query(f"TRUNCATE TABLE {table}")
    order = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(order)))
    with closing(Life(clickhouse)) as life:
        for part in (order[:cut], order[cut:]):
            life.land(part)
            life.catch_up()
            assert stored(query) == life.recount()
        assert stored_rows(query) == life.day_cells()


def told(query: Ask, name: str) -> dict[tuple[str, str, str], int]:
    """A measure of every cell that is not empty, by unit, channel and day."""
    return {(unit, channel, f"{day:%m-%d}"): cell[name] for (unit, channel, day), cell in stored(query).items()}


def test_a_day_is_the_local_date_of_each_fact_s_own_unit(life: Life, query: Ask) -> None:
    history = History()
    document = district().model_dump(mode="json")
    east = {**OFFICE, "time_zone": "America/New_York"}
    units = [{"unit": "a", "level": "department"}, {"unit": "b", "level": "department", "calendar": "east"}]
    history.configured(district(calendars=document["calendars"] | {"east": east}, units=units))
    # 23:30 in Chicago is the next day in New York; the second night is one of 23 hours.
    for number, (unit, when) in enumerate(
        [("a", "2026-03-07 23:30"), ("b", "2026-03-07 23:30"), ("gone", "2026-03-08 00:00"), ("b", "2026-03-08 22:59")]
    ):
        history.add("inquiry", when, f"c{number}", unit=unit)
    life.land(history.events)
    life.catch_up()
    opened = {key: times for key, times in told(query, "inquiries").items() if times}
    assert opened == {("a", "email", "03-07"): 1, ("b", "email", "03-08"): 2, ("unrouted", "email", "03-08"): 1}
    assert stored(query) == life.recount()


def test_what_leaves_a_day_is_written_empty(life: Life, query: Ask) -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    history.add("inquiry", "2026-10-06 10:00", "c2")
    life.land(history.events)
    life.catch_up()
    first = history.events[1]
    moved = history.add("correction", "2026-10-07 09:00", corrects=first.event_id, time="2026-10-05T10:00:00-05:00")
    life.land([moved, history.add("spam", "2026-10-07 10:00", "c2")])
    life.catch_up()
    assert {key: times for key, times in told(query, "inquiries").items() if times} == {("a", "email", "10-05"): 1}
    assert query("SELECT sum(inquiries) FROM daily_cells FINAL WHERE day = '2026-10-06'") == [(0,)]
    assert stored(query) == life.recount()


def test_a_long_history_is_caught_up_in_pieces_the_newest_first(life: Life, query: Ask) -> None:
    history = History()
    history.configured(district())
    for month in range(1, 13):
        history.add("inquiry", f"2026-{month:02d}-06 10:00", f"c{month}")
    life.land(history.events)
    assert not life.cells.catch_up("demo", life.state.configuration, life.at_ms)
    assert 0 < sum(told(query, "inquiries").values()) < len(history.events) - 1
    assert max(day for _, _, day in told(query, "inquiries")) > "12-05"
    assert query("SELECT count() FROM daily_marks") == [(0,)]
    life.catch_up()
    assert stored(query) == life.recount()
    assert query("SELECT toUnixTimestamp64Milli(upto) FROM daily_marks FINAL") == [(life.at_ms,)]


def begun(life: Life) -> History:
    """A district with one inquiry, landed and in its cells."""
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    life.land(history.events)
    life.catch_up()
    return history


def test_who_comes_after_a_crash_begins_at_the_mark(clickhouse: Settings, life: Life, query: Ask) -> None:
    history = begun(life)
    life.land([history.add("inquiry", "2026-10-07 10:00", "c2")])
    # Landed by another one whose clock is behind, within what is looked at twice.
    late, life.at_ms = life.at_ms, life.at_ms - 6 * HOUR_MS - OVERLAP_MS + 1
    life.land([history.add("inquiry", "2026-10-08 10:00", "c3")])
    life.at_ms = late
    life.cells.close()
    life.cells = DailyCells(clickhouse)
    life.catch_up()
    assert stored(query) == life.recount()
    assert sum(told(query, "inquiries").values()) == 3


def test_a_clock_that_was_ahead_leaves_no_day_as_it_was(clickhouse: Settings, life: Life, query: Ask) -> None:
    history = begun(life)
    life.at_ms += 40 * 24 * HOUR_MS
    life.land([history.add("inquiry", "2026-10-07 10:00", "c2")])
    life.catch_up()
    life.at_ms -= 40 * 24 * HOUR_MS
    for when in ("2026-10-06 11:00", "2026-10-07 11:00"):
        life.land([history.add("inquiry", when, f"c{when}".replace(" ", "-"))])
        life.cells.close()
        life.cells = DailyCells(clickhouse)
        life.catch_up()
        assert stored(query) == life.recount()
        assert query("SELECT toUnixTimestamp64Milli(max(upto)) FROM daily_marks") == [(life.at_ms,)]


def test_only_days_that_something_changed_in_are_made_again(life: Life, query: Ask) -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    parts = [history.events[:], [history.add("inquiry", "2026-10-20 10:00", "c2")]]
    parts.append([history.add("reply", "2026-10-20 11:00", "c2")])
    caught_up = []
    for part in parts:
        life.land(part)
        life.catch_up()
        caught_up.append(life.at_ms)
    rebuilt = "SELECT toUnixTimestamp64Milli(rebuilt_at) FROM daily_cells FINAL WHERE inquiries > 0 ORDER BY day"
    # What landed just before the mark is looked at twice, then no more.
    assert query(rebuilt) == [(at_ms,) for at_ms in caught_up[1:]]
