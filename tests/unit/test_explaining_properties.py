"""Random histories: an explanation adds up to the landed row, whatever happened and in whatever order it came."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.facts import as_json
from streams.core.district import DistrictState
from streams.explaining import told
from streams.explaining.explain import explain
from streams.explaining.restated import restated
from tests.core.test_properties import histories


def _rows(events: list[Event]) -> dict[str, dict[str, Any]]:
    state = DistrictState("demo")
    for event in events:
        state.apply(event)
    return {row[1]: as_json(row) for row in state.settle().rows}


def _explained(events: list[Event], conversation: str) -> told.Explanation:
    found = explain("demo", conversation, [(event, None) for event in events])
    assert found is not None
    return found


@settings(max_examples=200, deadline=None)
@given(events=histories())
def test_slices_sum_to_the_row_and_join(events: list[Event]) -> None:
    rows = _rows(events)
    for conversation in {name.split("~")[0] for name in rows}:
        for part in _explained(events, conversation).parts:
            row = rows[part.conversation]
            assert [wait.wait_ms for wait in part.waits] == [wait["wait_ms"] for wait in row["waits"]]
            for wait in part.waits:
                if wait.wait_ms is None:
                    assert wait.slices == []
                    continue
                assert sum(each.length_ms for each in wait.slices) == wait.wait_ms
                assert sum(each.length_ms for each in wait.slices if each.counted) == wait.business_ms
                assert all(before.ended_at == after.started_at for before, after in pairwise(wait.slices))
                assert all(each.counted == (each.why == "") for each in wait.slices)


@settings(max_examples=200, deadline=None)
@given(events=histories(), data=st.data())
def test_every_event_and_verdict_of_the_row_is_explained_in_any_order(events: list[Event], data: st.DataObject) -> None:
    rows = _rows(events)
    shuffled = data.draw(st.permutations(events))
    for conversation in {name.split("~")[0] for name in rows}:
        found = _explained(events, conversation)
        assert _explained(shuffled, conversation).parts == found.parts
        assert told.Explanation.model_validate_json(found.model_dump_json()) == found
        for part in found.parts:
            verdicts = rows[part.conversation]["verdicts"]
            assert [clock.outcome for clock in part.clocks] == [each["outcome"] for each in verdicts]
            for clock in part.clocks:
                assert [policy.revision for policy in clock.policies if policy.decided] == [clock.revision]
            assert all(step.did or step.ignored for step in part.steps)
            ended = {wait.ended_by_event for wait in part.waits} - {""}
            told_ended = {step.event for step in part.steps if any("wait" in each for each in step.did)}
            assert ended <= told_ended


@settings(max_examples=100, deadline=None)
@given(events=histories())
def test_restatements_lead_from_what_was_told_first_to_what_is_told_now(events: list[Event]) -> None:
    for conversation in ("c1", "c2", "c3"):
        last: dict[tuple[str, str], str] = {}
        for each in restated("demo", [(event, None) for event in events], [conversation]):
            assert each.before != each.after
            key = each.conversation, each.number
            assert key not in last or each.number != "counts" or each.before == last[key]
            last[key] = each.after
