"""Conversations that left memory: what comes for them is folded with their whole history, as if they had never left."""

from collections import defaultdict
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.facts import NAMES, Row
from streams.core.departed import Bloom, Departed
from streams.core.district import DistrictState
from tests.core.test_properties import histories
from tests.golden import OFFICE, History, district, ms

LONG_AFTER = ms("2030-01-01 00:00")
FIRST_RESPONSE, FIRST_RESPONSE_BUSINESS = map(NAMES.index, ("first_response_ms", "first_response_business_ms"))


class Life:
    """A district whose conversations are sent away and brought back, with the log that brings them back."""

    def __init__(self) -> None:
        self.state = DistrictState("demo")
        self.log: defaultdict[str, list[tuple[Event, int | None]]] = defaultdict(list)
        self.landed: dict[str, Row] = {}

    def apply(self, event: Event) -> None:
        applied = self.state.apply(event)
        if applied.conversation:
            self.log[applied.conversation].append((event, applied.digest))

    def settle(self) -> list[Row]:
        while names := self.state.returning:
            for name in names:
                self.state.restore(name, self.log.get(name, ()))
        rows = [*self.state.refold(2).rows, *self.state.settle().rows]
        for row in rows:
            assert row[1] not in self.landed or self.landed[row[1]][2] <= row[2]
            self.landed[row[1]] = row
        return rows

    def sweep(self) -> None:
        """As a worker does: rows of an earlier configuration, by name."""
        while (after := self.state.departed.swept_to) is not None:
            low = [n for n, row in sorted(self.landed.items()) if row[2] < self.state.oldest_version and n > after]
            self.state.recall(low[:2], as_stale=True)
            self.state.departed.swept_to = low[1] if len(low) > 1 else None
            self.settle()


def assert_as_if_it_had_stayed(events: list[Event], landed: Mapping[str, Row]) -> DistrictState:
    """Every row is that of a state which never left memory, and what has none there is retracted; that state."""
    stayed = DistrictState("demo")
    for event in events:
        stayed.apply(event)
    whole = {row[1]: row for row in stayed.settle().rows}
    assert {name: row for name, row in landed.items() if name in whole} == whole
    assert all(row[3] for name, row in landed.items() if name not in whole)
    return stayed


@settings(max_examples=300, deadline=None)
@given(events=histories(), data=st.data())
def test_leaving_and_coming_back_changes_no_row(events: list[Event], data: st.DataObject) -> None:
    life = Life()
    for event in events:
        life.apply(event)
        if data.draw(st.booleans()):
            life.settle()
            life.state.evict(LONG_AFTER)
    life.settle()
    life.sweep()
    assert_as_if_it_had_stayed(events, life.landed)


def answered() -> Life:
    life = Life()
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-01-05 10:00")
    history.add("reply", "2026-01-05 10:30")
    history.add("inquiry", "2026-01-05 11:00", "waiting")
    for event in history.events:
        life.apply(event)
    life.settle()
    return life


def test_only_what_nothing_can_happen_to_leaves() -> None:
    life = answered()
    assert life.state.evict(ms("2026-01-05 10:00")) == 0
    assert life.state.evict(LONG_AFTER) == 1
    assert list(life.state.conversations) == ["waiting"]
    assert (len(life.state.departed), "c1" in life.state.departed) == (1, True)


def test_it_is_not_folded_before_its_history_has_come() -> None:
    life = answered()
    life.state.evict(LONG_AFTER)
    late = History()
    for _ in range(9):
        event = late.add("reply", "2026-01-05 10:10")
    life.apply(event)
    assert (life.state.returning, life.state.settle().rows, life.state.changed) == (["c1"], [], 1)
    (row,) = life.settle()
    assert row[FIRST_RESPONSE] == 10 * 60_000


def test_a_closure_reaches_what_left_and_lets_it_leave_again() -> None:
    life = answered()
    life.state.evict(LONG_AFTER)
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-05"]}}
    history = History()
    life.apply(history.configured(district(calendars=calendars, revision=2), "2026-01-06 10:00"))
    life.settle()
    life.sweep()
    assert life.landed["c1"][FIRST_RESPONSE_BUSINESS] == 0
    assert "c1" not in life.state.conversations


def test_a_closure_that_makes_seven_school_days_reach_back_brings_back_what_left() -> None:
    life = Life()
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-08-25 10:00")
    history.add("reply", "2026-08-25 10:30")
    for event in history.events:
        life.apply(event)
    life.settle()
    now_ms = ms("2026-10-06 10:00")
    assert life.state.evict(now_ms) == 1
    closed = {**OFFICE, "closed": ["2026-08-31/2026-10-02"]}
    calendars = {**district().model_dump(mode="json")["calendars"], "office": closed}
    life.apply(history.configured(district(calendars=calendars, revision=2), "2026-10-06 10:00"))
    life.settle()
    seen = [life.state.holds_windows]
    life.sweep()
    seen.append(life.state.holds_windows)
    assert seen == [False, True]
    stayed = DistrictState("demo")
    for event in history.events:
        stayed.apply(event)
    stayed.settle()
    rows = life.state.rolling.rows(now_ms, life.state.configuration)
    assert rows == stayed.rolling.rows(now_ms, stayed.configuration)
    assert [row.inquiries for row in rows if (row.unit, row.channel, row.window) == ("a", "email", "7sd")] == [1]


def test_a_closure_within_the_windows_does_not_stop_them() -> None:
    life = answered()
    life.state.evict(LONG_AFTER)
    history = History()
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2029-12-24"]}}
    life.apply(history.configured(district(calendars=calendars, revision=2), "2030-01-01 10:00"))
    life.settle()
    assert life.state.departed.swept_to == ""
    assert life.state.holds_windows


@settings(max_examples=50, deadline=None)
@given(names=st.sets(st.text(max_size=12), max_size=200))
def test_the_filter_misses_nobody(names: set[str]) -> None:
    held = Bloom(64)
    for name in names:
        held.add(name)
    assert all(name in held for name in names)


def test_the_filter_grows_and_takes_few_strangers_for_known() -> None:
    departed = Departed()
    for number in range(20_000):
        departed.add(f"known-{number}")
    assert all(f"known-{number}" in departed for number in range(20_000))
    strangers = sum(f"strange-{number}" in departed for number in range(20_000))
    assert strangers < 400
