"""Promises at risk, broken, escalated and over: each transition once, at its instant, whatever became known when."""

import json
from typing import Any

import pytest

from schemas.alerts import AlertTransition, as_json, from_json
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.district import DistrictState
from tests.golden import OFFICE, History, district, ms

PROMISES: list[dict[str, Any]] = [
    {"promise": "reply", "clock": "first_reply", "target": "4h"},
    {"promise": "again", "clock": "next_reply", "target": "1h", "hours": "calendar"},
    {"promise": "done", "clock": "resolution", "target": "48h", "hours": "calendar"},
]
LATE = ms("2026-10-20 10:00")


def state_of(history: History) -> DistrictState:
    state = DistrictState("demo")
    feed(state, history)
    return state


def feed(state: DistrictState, history: History) -> None:
    for event in history.events:
        state.apply(event)
    state.settle()


def opened(**more: Any) -> History:
    history = History()
    history.configured(district(promises=PROMISES[:1]))
    history.add("inquiry", "2026-10-06 10:00", **more)
    return history


def said(transitions: list[AlertTransition]) -> list[tuple[str, int, int]]:
    return [(each.transition, each.revision, each.at) for each in transitions]


# When each becomes true of four business hours that began Tuesday 10:00, and by how many ms after that instant.
COURSE = (
    ("at_risk", "2026-10-06 13:00", 0),
    ("breached", "2026-10-06 14:00", 1),
    ("escalated_50", "2026-10-06 16:00", 1),
    ("escalated_100", "2026-10-07 09:30", 1),
)


def test_each_step_comes_at_its_instant_and_once() -> None:
    history = History()
    history.configured(district(promises=PROMISES[:1], alerts={"quiet_hours": False}))
    history.add("inquiry", "2026-10-06 10:00")
    state = state_of(history)
    for transition, instant, after in COURSE:
        at = ms(instant)
        assert state.alerts.advance(at + after - 1) == []
        assert state.alerts.next_ms == at + after
        (made,) = state.alerts.advance(at + after)
        assert (made.transition, made.at, made.unit, made.revision) == (transition, at, "a", 0)
        assert (made.kind, made.opened_by_event, made.promise, made.notify) == ("promise", "e01", "reply", 1)
        assert made.breach_at == ms("2026-10-06 14:00")
    assert state.alerts.advance(LATE) == []
    assert state.alerts.is_running("c1")


@pytest.mark.parametrize(
    ("replied", "expected"),
    [
        ("2026-10-06 13:00", []),
        ("2026-10-06 13:01", ["at_risk", "resolved"]),
        ("2026-10-06 14:00", ["at_risk", "resolved"]),
        ("2026-10-06 14:01", ["at_risk", "breached", "met_late"]),
        ("2026-10-06 16:00", ["at_risk", "breached", "met_late"]),
        ("2026-10-07 07:30", ["at_risk", "breached", "escalated_50", "met_late"]),
        ("2026-10-08 10:00", ["at_risk", "breached", "escalated_50", "escalated_100", "met_late"]),
    ],
)
def test_a_reply_ends_what_it_finds_and_what_came_after_it_is_not_said(replied: str, expected: list[str]) -> None:
    history = opened()
    history.add("reply", replied)
    state = state_of(history)
    made = state.alerts.advance(LATE)
    assert [each.transition for each in made] == expected
    assert [each.at for each in made[-1:]] == [ms(replied)][: len(made)]
    assert len({each.key for each in made}) <= 1
    assert {each.notify for each in made} <= {0}
    assert not state.alerts.is_running("c1")


def test_a_wait_withdrawn_after_its_breach_is_over_but_not_met() -> None:
    history = opened()
    history.add("status_changed", "2026-10-06 15:00", status="withdrawn", by="customer")
    made = state_of(history).alerts.advance(LATE)
    assert [each.transition for each in made] == ["at_risk", "breached", "resolved"]


def test_a_promise_that_stands_still_was_at_risk_and_does_not_break() -> None:
    history = History()
    history.configured(district(promises=[{"promise": "done", "clock": "resolution", "target": "4h"}]))
    history.add("inquiry", "2026-10-06 08:00")
    history.add("status_changed", "2026-10-06 11:30", status="pending")
    (made,) = state_of(history).alerts.advance(LATE)
    assert (made.transition, made.at, made.breach_at) == ("at_risk", ms("2026-10-06 11:00"), None)


def test_a_source_that_promises_a_time_gone_by_is_broken_at_once() -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00", due_at="2026-10-06T09:00:00-05:00")
    made = state_of(history).alerts.advance(LATE)
    assert [each.transition for each in made] == ["breached", "escalated_50", "escalated_100"]


def test_what_is_told_can_be_read_back_as_it_was() -> None:
    history = opened()
    history.add("reply", "2026-10-07 16:00")
    transitions = state_of(history).alerts.advance(LATE)
    assert [each.transition for each in transitions][-1] == "met_late"
    assert [from_json(json.loads(json.dumps(as_json(each)))) for each in transitions] == transitions


def test_what_an_earlier_release_told_can_be_read_back() -> None:
    (made, *_) = state_of(opened()).alerts.advance(LATE)
    shown = as_json(made)
    del shown["kind"]
    assert from_json(shown) == made


def test_a_second_breach_in_the_conversation_is_another_alert() -> None:
    history = History()
    history.configured(district(promises=PROMISES))
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 15:30")
    history.add("inquiry", "2026-10-07 10:00")
    transitions = state_of(history).alerts.advance(LATE)
    told = [(each.clock, each.transition, each.opened_by_event) for each in transitions]
    assert [one for one in told if one[1] in ("breached", "met_late")] == [
        ("first_reply", "breached", "e01"),
        ("first_reply", "met_late", "e01"),
        ("next_reply", "breached", "e03"),
        ("resolution", "breached", "e01"),
    ]
    assert len({each.key for each in transitions}) == 3
    # Each comes after all that became true before it, also of other clocks.
    instants = [each.at for each in transitions]
    assert instants == sorted(instants)


def test_neither_hand_off_nor_policy_is_part_of_the_identity() -> None:
    plain, moved = opened(), opened(unit="b")
    moved.configured(district(revision=2, promises=[PROMISES[0] | {"promise": "other"}]), "2026-10-06 09:00")
    ones = state_of(plain).alerts.advance(LATE)
    others = state_of(moved).alerts.advance(LATE)
    assert [each.idempotency_key for each in ones] == [each.idempotency_key for each in others]
    assert {(each.unit, each.promise) for each in ones} == {("a", "reply")}
    assert {(each.unit, each.promise) for each in others} == {("b", "other")}


def test_g24_a_breach_that_never_was_is_corrected_and_can_come_again() -> None:
    history = History()
    history.configured(district(promises=PROMISES[:1]))
    history.add("inquiry", "2026-01-20 15:30")
    state = state_of(history)
    first = state.alerts.advance(ms("2026-01-21 11:30"))
    assert said(first) == [("at_risk", 0, ms("2026-01-21 10:00")), ("breached", 0, ms("2026-01-21 11:00"))]
    closed = {"office": OFFICE | {"closed": ["2026-01-21"]}}
    more = History()
    more.configured(district(revision=2, promises=PROMISES[:1], calendars=closed, units=[UNIT]), "2026-01-21 12:00")
    feed(state, more)
    (corrected,) = state.alerts.advance(ms("2026-01-21 12:00"))
    # The day turned out to be closed: whoever was told is told in the morning.
    assert (corrected.transition, corrected.revision, corrected.muted) == ("corrected", 0, "quiet")
    (released,) = state.alerts.advance(ms("2026-01-22 07:30"))
    assert (released.transition, released.notify) == ("corrected_released", 1)
    again = state.alerts.advance(ms("2026-01-22 11:00"))
    assert said(again) == [("at_risk", 1, ms("2026-01-22 10:00"))]
    again += state.alerts.advance(ms("2026-01-22 11:01"))
    assert said(again)[1:] == [("breached", 1, ms("2026-01-22 11:00"))]
    assert {each.key for each in again} == {corrected.key}


@pytest.mark.parametrize(
    ("replied", "expected"),
    [
        ("2026-10-06 16:05", ["at_risk", "resolved"]),
        ("2026-10-07 07:30", ["at_risk", "resolved"]),
        ("2026-10-07 07:31", ["at_risk", "breached", "met_late"]),
    ],
)
def test_g25_due_at_closing_time_nothing_breaks_before_the_next_opening(replied: str, expected: list[str]) -> None:
    history = History()
    history.configured(district(promises=[PROMISES[0] | {"target": "1h"}]))
    history.add("inquiry", "2026-10-06 15:00")
    state = state_of(history)
    assert [each.transition for each in state.alerts.advance(ms("2026-10-07 07:30"))] == ["at_risk"]
    history.add("reply", replied)
    feed(state, history)
    assert ["at_risk", *(each.transition for each in state.alerts.advance(LATE))] == expected


UNIT = {"unit": "a", "level": "department"}


def test_a_late_event_may_correct_what_was_said_and_what_stands_is_said_anew() -> None:
    history = opened()
    state = state_of(history)
    state.alerts.advance(LATE)
    history.add("reply", "2026-10-06 13:30")
    feed(state, history)
    assert said(state.alerts.advance(LATE)) == [
        ("corrected", 0, LATE),
        ("at_risk", 1, ms("2026-10-06 13:00")),
        ("resolved", 1, ms("2026-10-06 13:30")),
    ]
    history.add("spam", "2026-10-06 12:00")
    feed(state, history)
    assert said(state.alerts.advance(LATE)) == [("corrected", 1, LATE)]
    history.add("not_spam", "2026-10-06 12:30")
    feed(state, history)
    assert [each[:2] for each in said(state.alerts.advance(LATE))] == [("at_risk", 2), ("resolved", 2)]


def test_an_end_that_was_none_is_corrected_and_the_alert_stands_again() -> None:
    history = opened()
    reply = history.add("reply", "2026-10-06 14:30")
    state = state_of(history)
    assert [each.transition for each in state.alerts.advance(ms("2026-10-06 15:00"))][-1] == "met_late"
    history.add("delivery_failed", "2026-10-06 14:40", reply=reply.event_id)
    feed(state, history)
    made = state.alerts.advance(ms("2026-10-06 15:01"))
    assert [each[:2] for each in said(made)] == [("corrected", 0), ("at_risk", 1), ("breached", 1)]


def restarted(history: History, transitions: list[AlertTransition]) -> DistrictState:
    """The state as the next owner of the partition has it."""
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    state.clean()
    state.alerts.known(reversed(transitions))
    state.refill()
    assert state.settle().rows == []
    return state


def test_after_a_restart_nothing_is_repeated_and_what_is_left_is_said() -> None:
    history = opened()
    before = state_of(history).alerts.advance(ms("2026-10-06 14:30"))
    history.add("reply", "2026-10-06 15:00")
    state = restarted(history, before)
    assert said(state.alerts.advance(LATE)) == [("met_late", 0, ms("2026-10-06 15:00"))]
    assert state.alerts.advance(LATE + 1) == []


def test_a_clock_that_starts_over_in_the_past_takes_nothing_back() -> None:
    history = opened()
    before = state_of(history).alerts.advance(ms("2026-10-06 14:30"))
    state = restarted(history, before)
    assert state.alerts.advance(ms("2026-10-06 10:00")) == []
    assert [each.transition for each in state.alerts.advance(LATE)] == ["escalated_50", "escalated_100"]


def test_an_end_told_by_an_earlier_release_is_an_end() -> None:
    history = opened()
    history.add("reply", "2026-10-06 15:00")
    _, breached, late = state_of(history).alerts.advance(LATE)
    state = restarted(history, [breached, late._replace(transition="resolved")])
    assert state.alerts.advance(LATE) == []


def test_alerts_of_other_kinds_are_nothing_to_a_promise() -> None:
    history = opened()
    at_risk, *_ = state_of(history).alerts.advance(LATE)
    state = restarted(history, [at_risk._replace(kind="incident", transition="opened")])
    assert next(each.transition for each in state.alerts.advance(LATE)) == "at_risk"


def test_what_lies_long_before_the_present_notifies_nobody() -> None:
    due = ms("2026-10-06 14:00")
    for present, notify in ((due + NOTIFY_WITHIN_MS, 1), (due + NOTIFY_WITHIN_MS + 1, 0)):
        _, broken = state_of(opened()).alerts.advance(due + 1, present)
        assert (broken.transition, broken.notify) == ("breached", notify)
