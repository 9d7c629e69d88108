"""Broken promises: each transition once, never too early, whatever the order of what is known."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import AlertTransition, as_json, from_json
from streams.core.alerting import NOTIFY_WITHIN_MS, AlertBook
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


def test_nothing_is_broken_before_its_instant_and_once_after_it() -> None:
    state = state_of(opened())
    due = ms("2026-10-06 14:00")
    assert state.alerts.advance(due) == []
    (broken,) = state.alerts.advance(due + 1)
    assert (broken.transition, broken.at, broken.breach_at, broken.unit) == ("breached", due, due, "a")
    assert (broken.opened_by_event, broken.promise, broken.notify) == ("e01", "reply", 1)
    assert state.alerts.advance(LATE) == []


def test_a_reply_in_time_says_nothing_and_a_late_one_ends_the_alert() -> None:
    kept, late = opened(), opened()
    kept.add("reply", "2026-10-06 14:00")
    late.add("reply", "2026-10-06 14:01")
    assert state_of(kept).alerts.advance(LATE) == []
    transitions = state_of(late).alerts.advance(LATE)
    assert said(transitions) == [("breached", 0, ms("2026-10-06 14:00")), ("resolved", 0, ms("2026-10-06 14:01"))]
    assert len({each.key for each in transitions}) == 1
    assert [each.notify for each in transitions] == [0, 0]


def test_what_is_told_can_be_read_back_as_it_was() -> None:
    history = opened()
    history.add("reply", "2026-10-07 16:00")
    transitions = state_of(history).alerts.advance(LATE)
    assert [each.transition for each in transitions] == ["breached", "resolved"]
    assert [from_json(json.loads(json.dumps(as_json(each)))) for each in transitions] == transitions


def test_a_second_breach_in_the_conversation_is_another_alert() -> None:
    history = History()
    history.configured(district(promises=PROMISES))
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 15:30")
    history.add("inquiry", "2026-10-07 10:00")
    transitions = state_of(history).alerts.advance(LATE)
    assert [(each.clock, each.transition, each.opened_by_event) for each in transitions] == [
        ("first_reply", "breached", "e01"),
        ("first_reply", "resolved", "e01"),
        ("next_reply", "breached", "e03"),
        ("resolution", "breached", "e01"),
    ]
    assert len({each.key for each in transitions}) == 3


def test_neither_hand_off_nor_policy_is_part_of_the_identity() -> None:
    plain, moved = opened(), opened(unit="b")
    moved.configured(district(revision=2, promises=[PROMISES[0] | {"promise": "other"}]), "2026-10-06 09:00")
    (one,) = state_of(plain).alerts.advance(LATE)
    (other,) = state_of(moved).alerts.advance(LATE)
    assert one.idempotency_key == other.idempotency_key
    assert (one.unit, other.unit, one.promise, other.promise) == ("a", "b", "reply", "other")


def test_g24_a_breach_that_never_was_is_corrected_and_can_come_again() -> None:
    history = History()
    history.configured(district(promises=PROMISES[:1]))
    history.add("inquiry", "2026-01-20 15:30")
    state = state_of(history)
    assert said(state.alerts.advance(ms("2026-01-21 11:30"))) == [("breached", 0, ms("2026-01-21 11:00"))]
    closed = {"office": OFFICE | {"closed": ["2026-01-21"]}}
    more = History()
    more.configured(district(revision=2, promises=PROMISES[:1], calendars=closed, units=[UNIT]), "2026-01-21 12:00")
    feed(state, more)
    (corrected,) = state.alerts.advance(ms("2026-01-21 12:00"))
    assert (corrected.transition, corrected.revision, corrected.notify) == ("corrected", 0, 1)
    assert state.alerts.advance(ms("2026-01-22 11:00")) == []
    again = state.alerts.advance(ms("2026-01-22 11:01"))
    assert said(again) == [("breached", 1, ms("2026-01-22 11:00"))]
    assert again[0].key == corrected.key


UNIT = {"unit": "a", "level": "department"}


def test_a_late_event_may_correct_what_was_said() -> None:
    history = opened()
    state = state_of(history)
    state.alerts.advance(LATE)
    history.add("reply", "2026-10-06 11:00")
    feed(state, history)
    assert said(state.alerts.advance(LATE)) == [("corrected", 0, LATE)]
    history.add("spam", "2026-10-06 12:00")
    feed(state, history)
    assert state.alerts.advance(LATE) == []


def test_after_a_restart_nothing_is_repeated_and_what_is_left_is_said() -> None:
    history = opened()
    state = state_of(history)
    before = state.alerts.advance(ms("2026-10-06 14:30"))
    restarted = AlertBook("demo")
    restarted.known(before)
    history.add("reply", "2026-10-06 15:00")
    feed(state, history)
    state.touch(["c1"])
    (row,) = state.settle().rows
    restarted.replace("c1", row)
    assert said(restarted.advance(LATE)) == [("resolved", 0, ms("2026-10-06 15:00"))]
    assert restarted.advance(LATE + 1) == []


def test_what_lies_long_before_the_present_notifies_nobody() -> None:
    due = ms("2026-10-06 14:00")
    for present, notify in ((due + NOTIFY_WITHIN_MS, 1), (due + NOTIFY_WITHIN_MS + 1, 0)):
        (broken,) = state_of(opened()).alerts.advance(due + 1, present)
        assert broken.notify == notify


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["c1", "c2"]),
        st.sampled_from(["inquiry", "reply", "status_changed", "transfer"]),
        st.integers(0, 3 * 24 * 4),
    ),
    max_size=14,
)


def drawn(steps: list[tuple[str, str, int]]) -> History:
    history = History()
    history.configured(district(promises=PROMISES))
    for conversation, kind, quarter in steps:
        day, rest = divmod(quarter, 96)
        more = {"status": {"status": "resolved"}, "transfer": {"unit": "b"}}.get(kind.split("_")[0], {})
        history.add(kind, f"2026-10-{6 + day:02} {rest // 4:02}:{rest % 4 * 15:02}", conversation, **more)
    return history


@settings(max_examples=80, deadline=None)
@given(STEPS, st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_events_gives_the_same_transitions(
    steps: list[tuple[str, str, int]], draw: Any
) -> None:
    history = drawn(steps)
    expected = state_of(history).alerts.advance(LATE)
    state = DistrictState("demo")
    shuffled = [*history.events, *draw.choices(history.events, k=3)]
    draw.shuffle(shuffled)
    for event in shuffled:
        state.apply(event)
        if draw.random() < 0.5:
            state.settle()
    state.settle()
    assert sorted(state.alerts.advance(LATE), key=str) == sorted(expected, key=str)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_each_transition_comes_once_and_none_before_its_instant(steps: list[tuple[str, str, int]]) -> None:
    history = drawn(steps)
    state = DistrictState("demo")
    state.apply(history.events[0])
    made: list[AlertTransition] = []
    clock = ms("2026-10-06 00:00")
    for event in history.events[1:]:
        state.apply(event)
        state.settle()
        clock += 6 * 3_600_000
        some = state.alerts.advance(clock)
        assert all(each.breach_at < clock for each in some if each.transition == "breached")
        made.extend(some)
    made.extend(state.alerts.advance(LATE))
    keys = [each.idempotency_key for each in made]
    assert len(keys) == len(set(keys))
    standing = {each.key for each in made if each.transition == "breached"}
    for key in standing:
        own = [each for each in made if each.key == key]
        assert all(a.transition != b.transition for a, b in pairwise(own))
    broken = {each.key for each in state_of(history).alerts.advance(LATE) if each.transition == "breached"}
    last = {each.key: each.transition for each in made}
    assert {key for key, transition in last.items() if transition != "corrected"} == broken
