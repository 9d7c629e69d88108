"""After a recovery everything is folded in slices: what has a promise first, and in the end as if it had never left."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import AlertTransition
from schemas.events import Event
from schemas.facts import Row
from schemas.topics import partition_of
from sinks.memory import MemorySink
from streams.core.district import DistrictState
from streams.cuts import Delivery, landing_of
from streams.partition import Partition
from streams.recovery import recover
from tests.core.test_departed import assert_as_if_it_had_stayed
from tests.core.test_properties import START, erased_histories, histories
from tests.golden import History, district, ms

PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]
NOW_MS = int((START + timedelta(days=7)).timestamp() * 1000)
LANDED = 30
NUMBER = partition_of("demo", 16)


class Recovered:
    """A state that was read back, as a worker does it, from where a partition landed these events; it goes on."""

    def __init__(self, events: Sequence[Event]) -> None:
        partition, sink = Partition(NUMBER, 16, "cx.events"), MemorySink()
        for offset, event in enumerate(events):
            partition.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
        cut = partition.cut()
        assert {letter.reason for letter in cut.dead_letters} <= {"erased"}
        sink.land(landing_of([cut], 1))
        found = recover([NUMBER], 16, sink, NOW_MS)
        assert found.repaired == 0
        self.state = found.states[NUMBER].get("demo", DistrictState("demo"))
        self.rows: dict[str, Row] = {row[1]: row for row in cut.conversations}

    def take(self, rows: Sequence[Row]) -> None:
        self.rows |= {row[1]: row for row in rows}


@settings(max_examples=400, deadline=None)
@given(events=st.one_of(histories(), erased_histories()), data=st.data())
def test_whatever_comes_between_the_slices_it_ends_as_if_it_had_never_left(
    events: list[Event], data: st.DataObject
) -> None:
    some = data.draw(st.integers(0, len(events)))
    recovered = Recovered(events[:some])
    state = recovered.state
    for event in [*events[some:], *events[:1]]:
        for step in data.draw(st.lists(st.sampled_from(["settle", "refold", "tick"]), max_size=3)):
            if step == "tick":
                state.alerts.advance(NOW_MS)
            else:
                recovered.take((state.settle(0) if step == "settle" else state.refold(1)).rows)
        state.apply(event)
    while state.changed:
        recovered.take(state.refold(1).rows)
        recovered.take(state.settle(0).rows)
    stayed = assert_as_if_it_had_stayed(events, recovered.rows)
    assert state.rolling.rows(NOW_MS, state.configuration) == stayed.rolling.rows(NOW_MS, stayed.configuration)
    for each in (state, stayed):
        each.alerts.advance(NOW_MS)
    assert state.alerts.next_ms == stayed.alerts.next_ms
    names = state.conversations
    assert [state.alerts.is_running(each) for each in names] == [stayed.alerts.is_running(each) for each in names]


def lived() -> tuple[History, DistrictState]:
    """Answered conversations, and two (`y`, `z`, last in order) that wait; `z` breaks first. Nothing is folded yet."""
    history = History()
    history.configured(district(promises=PROMISES))
    for number in range(LANDED):
        history.add("inquiry", "2026-10-05 09:00", f"c{number:02d}")
        history.add("reply", "2026-10-05 10:00", f"c{number:02d}")
    history.add("inquiry", "2026-10-06 11:00", "y")
    history.add("inquiry", "2026-10-06 10:00", "z")
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    state.clean()
    return history, state


def test_what_has_landed_is_folded_and_does_not_land_again() -> None:
    _, state = lived()
    state.refill(["z", "y"])
    assert (state.stale, state.has_stale_clocks, state.has_soonest) == (LANDED + 2, False, True)
    assert state.refold(1).rows == []
    assert (state.alerts.is_running("z"), state.alerts.is_running("y")) == (True, False)
    state.refold(1)
    assert (state.alerts.is_running("y"), state.has_soonest) == (True, False)
    assert state.settle().rows == []
    assert (state.stale, state.changed) == (0, 0)


def test_what_is_behind_lands_after_what_has_a_promise_and_before_the_rest() -> None:
    _, state = lived()
    state.refill(["z"], behind=["y", f"c{LANDED - 1:02d}", "z"])
    assert [[row[1] for row in state.refold(1).rows] for _ in range(4)] == [["z"], ["y"], [f"c{LANDED - 1:02d}"], []]


def test_an_event_has_its_own_conversation_folded_at_once() -> None:
    history, state = lived()
    state.refill()
    state.apply(history.add("reply", "2026-10-06 10:10", "z"))
    assert [row[1] for row in state.settle(0).rows] == ["z"]
    assert state.stale == LANDED + 1


def test_a_closure_meanwhile_has_everything_land_and_what_has_a_promise_still_comes_first() -> None:
    history, state = lived()
    state.refill(["z", "y"])
    state.refold(1)
    state.apply(history.configured(district(promises=PROMISES, revision=2), "2026-10-06 11:00"))
    assert [[row[1] for row in state.refold(1).rows] for _ in range(2)] == [["z"], ["y"]]
    assert len(state.settle().rows) == LANDED


def test_what_quiet_hours_muted_is_told_by_what_is_folded() -> None:
    """It was muted at night; the answer had landed, and what it corrects was not said before the end."""
    history = History()
    history.configured(district(promises=[PROMISES[0] | {"hours": "calendar"}], alerts={"quiet_hours": True}))
    history.add("inquiry", "2026-10-06 19:00")
    before = DistrictState("demo")
    for event in history.events:
        before.apply(event)
    before.settle()
    said = before.alerts.advance(ms("2026-10-07 00:00"))
    assert {each.muted for each in said} == {"quiet"}
    history.add("reply", "2026-10-06 19:30")
    partition = Partition(0, 1, "events")
    state = partition.state("demo")
    for event in history.events:
        state.apply(event)
    state.clean()
    state.alerts.known(said)
    state.refill()
    assert state.has_stale_clocks
    morning = ms("2026-10-07 12:00")
    assert partition.cut(morning, live=True).alerts == []
    partition.refold(lambda: False)
    assert {each.transition for each in partition.cut(morning, live=True).alerts} == {"corrected"}


@pytest.mark.parametrize("is_folded", [False, True])
def test_windows_are_not_published_before_all_of_them_is_known(is_folded: bool) -> None:
    _, state = lived()
    partition = Partition(0, 1, "events")
    partition.states["demo"] = state
    state.refill()
    if is_folded:
        partition.refold(lambda: False)
    cut = partition.cut(ms("2026-10-06 12:00"), live=True)
    assert [len(cut.minutes), len(cut.days)] == [int(is_folded)] * 2


def test_a_promise_that_breaks_between_two_slices_is_told_while_the_rest_waits() -> None:
    history, state = lived()
    partition = Partition(0, 1, "events")
    partition.states["demo"] = state
    state.refill(["z", "y"])
    over: Callable[[], bool] = iter([False, True]).__next__
    partition.refold(over)
    assert 0 < state.stale < LANDED + 2
    reply = history.add("reply", "2026-10-06 10:10", "z")
    partition.take(Delivery(0, 0, reply.model_dump_json().encode(), 0))
    alerts = partition.cut(ms("2026-10-07 12:00"), live=True).alerts
    told = [each for each in alerts if isinstance(each, AlertTransition)]
    assert {each.conversation for each in told} == {"y"}
    assert [each.transition for each in told][:2] == ["at_risk", "breached"]
