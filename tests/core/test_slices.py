"""A changed configuration is folded in slices: running clocks first, new events never behind, in the end the same."""

from collections.abc import Callable

import pytest

from schemas.alerts import AlertTransition
from schemas.district import District
from schemas.facts import Row
from streams.core.district import DistrictState
from streams.core.settled import Settled
from streams.cuts import Delivery
from streams.partition import STEP, Partition
from tests.golden import OFFICE, History, district, ms

PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]
CLOSED = 40


def closed_on_wednesday() -> District:
    office = {**OFFICE, "closed": [*OFFICE["closed"], "2026-10-07"]}
    calendars = {"office": office, "always": district().model_dump(mode="json")["calendars"]["always"]}
    return district(promises=PROMISES, calendars=calendars, revision=2)


def lived() -> tuple[History, DistrictState]:
    """Conversations answered long ago, and one (`z`, last in order) that waits over the closed day."""
    history = History()
    history.configured(district(promises=PROMISES))
    for number in range(CLOSED):
        history.add("inquiry", "2026-09-01 09:00", f"c{number:02d}")
        history.add("reply", "2026-09-01 10:00", f"c{number:02d}")
    history.add("inquiry", "2026-10-06 15:30", "z")
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    state.settle()
    state.alerts.advance(ms("2026-10-06 16:00"))
    return history, state


def test_what_still_runs_comes_first_and_the_rest_in_slices() -> None:
    history, state = lived()
    state.apply(history.configured(closed_on_wednesday(), "2026-10-06 16:00"))
    assert (state.changed, state.has_stale_clocks) == (CLOSED + 1, True)
    first = state.settle(10).rows
    assert "z" in {row[1] for row in first}
    assert (len(first), state.stale, state.has_stale_clocks) == (10, CLOSED + 1 - 10, False)
    rest = [row for _ in range(9) for row in state.settle(10).rows]
    assert sorted(row[1] for row in first + rest) == sorted(state.conversations)
    assert state.changed == 0


def test_of_what_runs_what_breaks_next_comes_first() -> None:
    history, state = lived()
    history.add("inquiry", "2026-10-05 09:00", "broken")
    history.add("inquiry", "2026-10-06 12:30", "next")
    history.add("inquiry", "2026-10-06 15:50", "later")
    for event in history.events[-3:]:
        state.apply(event)
    state.settle()
    state.apply(history.configured(closed_on_wednesday(), "2026-10-06 16:00"))
    assert [state.settle(1).rows[0][1] for _ in range(4)] == ["next", "z", "later", "broken"]


def test_new_events_are_folded_at_once_and_only_once() -> None:
    history, state = lived()
    state.apply(history.configured(closed_on_wednesday(), "2026-10-06 16:00"))
    state.apply(history.add("reply", "2026-10-06 16:01", f"c{CLOSED - 1}"))
    rows = state.settle(0).rows
    assert [row[1] for row in rows] == [f"c{CLOSED - 1}"]
    assert state.stale == CLOSED


def test_what_has_new_events_is_left_to_its_own_fold() -> None:
    history, state = lived()
    history.add("merge", "2026-10-06 15:40", "c01", into="c02")
    state.apply(history.events[-1])
    state.settle()
    state.apply(history.configured(closed_on_wednesday(), "2026-10-06 16:00"))
    for conversation in ("c00", "c01"):
        state.apply(history.add("reply", "2026-10-06 16:01", conversation))
    refolded = {row[1] for row in state.refold(CLOSED + 1).rows}
    assert refolded == {"z", *(f"c{number:02d}" for number in range(3, CLOSED))}
    assert (state.stale, state.changed) == (0, 2)
    assert [row[1] for row in state.settle(0).rows] == ["c00", "c01", "c02"]


@pytest.mark.parametrize("slices", [1, 7, 100])
@pytest.mark.parametrize("fold", [DistrictState.settle, DistrictState.refold])
def test_slices_end_in_the_rows_of_a_whole_fold(fold: Callable[[DistrictState, int], Settled], slices: int) -> None:
    history, state = lived()
    changed = history.configured(closed_on_wednesday(), "2026-10-06 16:00")
    state.apply(changed)
    rows: dict[str, Row] = {}
    while state.changed:
        rows |= {row[1]: row for row in fold(state, slices).rows}
    whole = DistrictState("demo")
    for event in history.events:
        whole.apply(event)
    assert sorted(rows.values()) == whole.settle().rows


def test_no_promise_breaks_by_a_configuration_that_is_no_longer_in_force() -> None:
    _, state = lived()
    partition = Partition(0, 1, "events")
    partition.states["demo"] = state
    history = History()
    event = history.configured(closed_on_wednesday(), "2026-10-06 16:00")
    # More clocks than one step takes: one more inquiry each, all due on the closed day.
    many = [history.add("inquiry", "2026-10-06 15:30", f"y{number}") for number in range(STEP + 5)]
    for inquiry in many:
        state.apply(inquiry)
    state.settle()
    partition.take(Delivery(0, 0, event.model_dump_json().encode(), 0))
    late = ms("2026-10-07 15:00")
    steps = 0
    while state.stale:
        assert not partition.cut(late, True).alerts
        left = state.stale
        partition.refold(iter([False, True]).__next__)
        assert state.stale == max(0, left - STEP)
        steps += 1
    assert steps == -(-(CLOSED + STEP + 6) // STEP)
    # So many at once are a surge, and no more than that.
    assert not [each for each in partition.cut(late, True).alerts if isinstance(each, AlertTransition)]
    made = partition.cut(ms("2026-10-08 15:00"), True).alerts
    assert [each.transition for each in made].count("breached") == STEP + 6


def test_what_runs_comes_first_in_all_districts_and_nothing_when_time_is_over() -> None:
    history, state = lived()
    partition = Partition(0, 1, "events")
    partition.states["demo"] = state
    state.apply(history.configured(closed_on_wednesday(), "2026-10-06 16:00"))
    partition.refold(lambda: True)
    assert state.stale == CLOSED + 1
    partition.refold(lambda: False, clocks=True)
    assert (state.stale, state.has_stale_clocks) == (CLOSED + 1 - STEP, False)
    partition.refold(lambda: False)
    assert len(partition.cut().conversations) == CLOSED + 1
