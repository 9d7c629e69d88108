"""Whom a district tells: chains, quiet hours, acknowledged and silenced alerts, a day's budget."""

from itertools import permutations
from typing import Any

import pytest

from schemas.alerts import AlertTransition
from streams.core.district import DistrictState
from tests.core.test_alerting import feed, restarted, said, state_of
from tests.golden import History, at, district, ms

REPLY = {"promise": "reply", "clock": "first_reply", "target": "4h"}
NIGHT = {"promise": "night", "clock": "first_reply", "target": "4h", "hours": "calendar"}
CHAINS: list[dict[str, Any]] = [
    {"chain": "team", "units": ["a1"], "at_risk": ["desk"], "breached": ["desk", "lead", "desk"]},
    {"chain": "department", "units": ["a"], "at_risk": ["front"], "breached": ["front"], "escalated_50": ["head"]},
]


def opened(promise: dict[str, Any] = REPLY, when: str = "2026-10-06 10:00", **more: Any) -> History:
    """One conversation in a district with these alerts; `more` is of the inquiry but for `alerts`."""
    history = History()
    history.configured(district(promises=[promise], alerts=more.pop("alerts", {})))
    history.add("inquiry", when, **more)
    return history


def told(state: DistrictState, until: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.transition, each.recipients) for each in state.alerts.advance(ms(until))]


def heard(made: list[AlertTransition]) -> list[tuple[str, int, str]]:
    return [(each.transition, each.notify, each.muted) for each in made]


def stepwise(state: DistrictState, until: str) -> list[AlertTransition]:
    """Everything up to an instant, each at its own time, as a live worker says it."""
    made: list[AlertTransition] = []
    while (due := state.alerts.next_ms) is not None and due <= ms(until):
        made.extend(state.alerts.advance(due))
    return [*made, *state.alerts.advance(ms(until))]


def test_each_step_goes_to_whom_the_chain_names_and_the_end_to_all_who_heard() -> None:
    history = opened(unit="a1", alerts={"chains": CHAINS})
    state = state_of(history)
    assert told(state, "2026-10-06 14:01") == [("at_risk", ("desk",)), ("breached", ("desk", "lead"))]
    # The chain of the team names nobody for this step.
    (made,) = state.alerts.advance(ms("2026-10-06 16:01"))
    assert (made.transition, made.recipients, made.notify, made.muted) == ("escalated_50", (), 0, "")
    history.add("reply", "2026-10-07 08:00")
    feed(state, history)
    assert told(state, "2026-10-07 08:00") == [("met_late", ("desk", "lead"))]


def test_the_first_chain_that_covers_who_has_it_now_applies_and_without_one_everybody_is_told() -> None:
    chains = {"chains": CHAINS}
    assert told(state_of(opened(alerts=chains)), "2026-10-06 13:01") == [("at_risk", ("front",))]
    assert told(state_of(opened(unit="b", alerts=chains)), "2026-10-06 13:01") == [("at_risk", ("everybody",))]
    moved = opened(unit="b", alerts=chains)
    moved.add("transfer", "2026-10-06 12:00", unit="a1")
    (made,) = state_of(moved).alerts.advance(ms("2026-10-06 13:01"))
    assert (made.unit, made.owner, made.recipients) == ("b", "a1", ("desk",))


def test_what_breaks_while_the_unit_is_closed_is_told_when_it_opens() -> None:
    made = stepwise(state_of(opened(NIGHT, "2026-10-06 15:00")), "2026-10-07 12:00")
    assert heard(made) == [
        ("at_risk", 0, "quiet"),
        ("breached", 0, "quiet"),
        ("escalated_50", 0, "quiet"),
        ("escalated_100", 0, "quiet"),
        ("escalated_100_released", 1, ""),
    ]
    assert (made[-1].at, made[-1].recipients) == (ms("2026-10-07 07:30"), ("everybody",))
    assert len({each.idempotency_key for each in made}) == len(made)


@pytest.mark.parametrize(
    ("later", "whom"),
    [({}, ("desk", "lead")), ({"escalated_50": ["head"], "escalated_100": ["lead"]}, ("desk", "lead", "head"))],
)
def test_all_whom_the_night_kept_it_from_are_told_in_the_morning(
    later: dict[str, list[str]], whom: tuple[str, ...]
) -> None:
    """Also where the chain names nobody for the newest step; and all of them are told of its end."""
    chain = {"chain": "team", "at_risk": ["desk"], "breached": ["lead"], **later}
    history = opened(NIGHT, "2026-10-06 15:00", alerts={"chains": [chain]})
    history.add("reply", "2026-10-07 08:00")
    made = stepwise(state_of(history), "2026-10-07 12:00")
    assert [(each.transition, each.at, each.recipients) for each in made if each.notify] == [
        ("escalated_100_released", ms("2026-10-07 07:30"), whom),
        ("met_late", ms("2026-10-07 08:00"), whom),
    ]
    before = [each for each in made if each.at < ms("2026-10-07 07:00")]
    assert said(stepwise(restarted(history, before), "2026-10-07 12:00")) == said(made[len(before) :])


def test_what_was_told_before_a_surge_has_an_end_during_it() -> None:
    history = opened()
    state = state_of(history)
    assert heard(state.alerts.advance(ms("2026-10-06 13:01"))) == [("at_risk", 1, "")]
    state.alerts.telling.inhibits = lambda _conversation: True
    assert heard(state.alerts.advance(ms("2026-10-06 14:01"))) == [("breached", 0, "incident")]
    history.add("reply", "2026-10-06 14:30")
    feed(state, history)
    assert heard(state.alerts.advance(ms("2026-10-06 15:00"))) == [("met_late", 1, "")]


def test_what_is_over_before_the_unit_opens_is_told_to_nobody() -> None:
    history = opened(NIGHT, "2026-10-06 15:00")
    history.add("reply", "2026-10-07 07:00")
    made = stepwise(state_of(history), "2026-10-07 12:00")
    assert [each.transition for each in made][-1] == "met_late"
    assert not any(each.notify for each in made)


def test_the_end_of_what_was_heard_by_day_is_told_in_the_morning() -> None:
    history = opened(when="2026-10-06 10:00")
    history.add("reply", "2026-10-06 20:00")
    made = stepwise(state_of(history), "2026-10-07 12:00")
    assert heard(made)[2:] == [
        *(("escalated_50", 0, "quiet"), ("met_late", 0, "quiet"), ("met_late_released", 1, "")),
    ]


@pytest.mark.parametrize("more", [{"priority": "critical"}, {"critical_category": "safety"}, {"unit": "line"}])
def test_what_is_critical_and_who_never_closes_have_no_quiet_hours(more: dict[str, Any]) -> None:
    made = stepwise(state_of(opened(NIGHT, "2026-10-06 15:00", **more)), "2026-10-07 12:00")
    assert heard(made) == [(step, 1, "") for step in ("at_risk", "breached", "escalated_50", "escalated_100")]


def test_a_district_may_have_no_quiet_hours() -> None:
    made = stepwise(state_of(opened(NIGHT, "2026-10-06 15:00", alerts={"quiet_hours": False})), "2026-10-06 20:00")
    assert heard(made) == [("at_risk", 1, ""), ("breached", 1, "")]


def test_quiet_hours_end_after_a_restart_too_also_of_what_left_memory() -> None:
    history = opened(NIGHT, "2026-10-06 15:00")
    state = state_of(history)
    before = stepwise(state, "2026-10-06 23:30")
    again = stepwise(restarted(history, before), "2026-10-07 12:00")
    assert said(again) == said(stepwise(state, "2026-10-07 12:00"))
    assert [each.transition for each in again] == ["escalated_100_released"]
    elsewhere = DistrictState("demo")
    elsewhere.apply(history.events[0])
    elsewhere.alerts.known(before)
    assert said(stepwise(elsewhere, "2026-10-07 12:00")) == said(again)


def test_a_correction_in_the_night_is_told_in_the_morning_and_is_no_word_on_what_comes_after() -> None:
    history = opened()
    state = state_of(history)
    stepwise(state, "2026-10-06 14:01")
    history.add("spam", "2026-10-06 14:02")
    feed(state, history)
    assert heard(state.alerts.advance(ms("2026-10-06 20:00"))) == [("corrected", 0, "quiet")]
    assert heard(stepwise(state, "2026-10-07 07:30")) == [("corrected_released", 1, "")]
    history.add("not_spam", "2026-10-06 14:03")
    history.add("reply", "2026-10-07 09:00")
    feed(state, history)
    # Of the second revision nobody was told anything yet: what is old is not told, and so neither is its end.
    made = state.alerts.advance(ms("2026-10-07 14:00"))
    assert [each.transition for each in made] == ["at_risk", "breached", "escalated_50", "met_late"]
    assert not any(each.notify for each in made)


def acknowledged(history: History, key: str, when: str, until: str | None = None) -> None:
    ends = {} if until is None else {"until": at(until).isoformat()}
    history.add("alert_acknowledged", when, "", alert=key, who="lead", why="on-it", **ends)


def taken_on(when: str, until: str | None = None, key: str | None = None) -> tuple[DistrictState, History]:
    """A broken promise that somebody acknowledges."""
    history = opened()
    state = state_of(history)
    (first, *_) = stepwise(state, "2026-10-06 14:30")
    acknowledged(history, key or first.key, when, until)
    feed(state, history)
    return state, history


def test_what_is_acknowledged_escalates_no_further() -> None:
    state, history = taken_on("2026-10-06 14:30")
    assert stepwise(state, "2026-10-20 10:00") == []
    history.add("reply", "2026-10-08 10:00")
    feed(state, history)
    assert [each.transition for each in stepwise(state, "2026-10-20 10:00")] == ["met_late"]


def test_an_acknowledgement_with_a_time_limit_puts_the_escalation_off() -> None:
    state, _ = taken_on("2026-10-06 14:30", "2026-10-07 12:00")
    made = stepwise(state, "2026-10-20 10:00")
    assert said(made) == [(step, 0, ms("2026-10-07 12:00")) for step in ("escalated_50", "escalated_100")]


def test_what_is_over_before_the_acknowledgement_is_never_escalates() -> None:
    state, history = taken_on("2026-10-06 14:30", "2026-10-07 12:00")
    history.add("reply", "2026-10-07 11:00")
    feed(state, history)
    assert [each.transition for each in stepwise(state, "2026-10-20 10:00")] == ["met_late"]


def test_an_acknowledgement_taken_back_lets_it_escalate_at_once() -> None:
    state, history = taken_on("2026-10-06 14:30")
    (key,) = {event.alert for event in history.events if event.kind == "alert_acknowledged"}
    assert stepwise(state, "2026-10-07 08:00") == []
    acknowledged(history, key, "2026-10-07 08:00", "2026-10-07 08:00")
    feed(state, history)
    assert said(state.alerts.advance(ms("2026-10-07 08:00"))) == [("escalated_50", 0, ms("2026-10-07 08:00"))]


def test_to_acknowledge_another_alert_changes_nothing() -> None:
    state, _ = taken_on("2026-10-06 14:30", key="0" * 32)
    assert [each.transition for each in stepwise(state, "2026-10-06 17:00")] == ["escalated_50"]


def test_an_acknowledgement_is_known_after_a_restart() -> None:
    history = opened()
    before = stepwise(state_of(history), "2026-10-06 14:30")
    acknowledged(history, before[0].key, "2026-10-06 14:30", "2026-10-07 12:00")
    made = stepwise(restarted(history, before), "2026-10-20 10:00")
    assert [each.at for each in made] == [ms("2026-10-07 12:00")] * 2


@pytest.mark.parametrize(
    ("scope", "is_muted"),
    [
        ({}, True),
        ({"unit": "a1"}, True),
        ({"unit": "a"}, True),
        ({"unit": "demo"}, True),
        ({"unit": "b"}, False),
        ({"clock": "first_reply"}, True),
        ({"clock": "resolution"}, False),
        ({"unit": "a", "clock": "resolution"}, False),
        ({"alert": "0" * 32}, False),
    ],
)
def test_what_is_silenced_lands_muted_and_is_never_sent(scope: dict[str, str], is_muted: bool) -> None:
    history = opened(unit="a1")
    until = at("2026-10-06 13:30").isoformat()
    history.add("alert_silenced", "2026-10-06 12:00", "", until=until, who="ops", why="planned", **scope)
    made = stepwise(state_of(history), "2026-10-06 15:00")
    assert heard(made) == [("at_risk", int(not is_muted), "silenced" if is_muted else ""), ("breached", 1, "")]


def test_a_later_silence_of_the_same_takes_the_earlier_ones_place() -> None:
    history = opened()
    for when, until in (("2026-10-06 12:00", "2026-10-06 18:00"), ("2026-10-06 12:30", "2026-10-06 12:30")):
        history.add("alert_silenced", when, "", until=at(until).isoformat(), unit="a")
    assert heard(stepwise(state_of(history), "2026-10-06 13:30")) == [("at_risk", 1, "")]


def test_of_two_contents_of_one_event_the_same_counts_whichever_came_first() -> None:
    found = []
    for order in permutations((at("2026-10-06 12:30"), at("2026-10-06 13:30"))):
        history = opened()
        for until in order:
            history.add("alert_silenced", "2026-10-06 12:00", "", event_id="same", unit="a", until=until.isoformat())
        found.append(heard(stepwise(state_of(history), "2026-10-06 13:30")))
    assert found[0] == found[1]


def crowded(number: int, **alerts: Any) -> History:
    """So many conversations a minute apart, each at risk within one morning; the last one is critical."""
    history = History()
    history.configured(district(promises=[REPLY | {"target": "1h"}], alerts=alerts))
    for index in range(number):
        history.add("inquiry", f"2026-10-06 08:{index:02}", f"c{index}")
    history.add("inquiry", f"2026-10-06 08:{number:02}", "urgent", priority="critical")
    return history


def test_above_the_days_budget_alerts_are_grouped_and_none_is_dropped() -> None:
    history = crowded(4, daily_budget=3)
    state = state_of(history)
    made = stepwise(state, "2026-10-06 08:55")
    assert [(each.conversation, each.notify, each.grouped) for each in made] == [
        *((f"c{index}", 1, ()) for index in range(3)),
        ("c3", 1, ("everybody",)),
        ("urgent", 1, ()),
    ]
    again = restarted(history, made)
    for index in range(4):
        history.add("reply", "2026-10-06 09:30", f"c{index}")
    feed(state, history)
    feed(again, history)
    later = stepwise(state, "2026-10-06 09:30")
    assert later == stepwise(again, "2026-10-06 09:30")
    ends = [each for each in later if each.conversation != "urgent"]
    assert {each.grouped for each in ends} == {("everybody",)}
    assert all(each.notify for each in later)


def test_a_district_that_says_nothing_tells_one_by_one_what_a_person_can_read_in_a_day() -> None:
    made = stepwise(state_of(crowded(58)), "2026-10-06 12:00")
    assert len(made) > 4 * 50
    one_by_one = [each for each in made if not each.grouped and not each.critical]
    assert len(one_by_one) <= 25


def test_each_recipient_has_a_budget_of_its_own_and_every_day_a_new_one() -> None:
    chains = [{"chain": "all", "at_risk": ["front", "lead"], "breached": ["lead"]}]
    history = crowded(1, daily_budget=2, chains=chains)
    history.add("inquiry", "2026-10-07 08:00", "next")
    made = stepwise(state_of(history), "2026-10-07 08:50")
    grouped = {(each.conversation, each.transition): each.grouped for each in made}
    assert grouped["c0", "at_risk"] == ()
    # The critical one counts, and is never grouped.
    assert grouped["urgent", "at_risk"] == ()
    assert grouped["c0", "breached"] == ("lead",)
    assert grouped["next", "at_risk"] == ()


def test_what_is_old_when_it_is_found_counts_in_no_budget() -> None:
    history = crowded(3, daily_budget=1)
    state = state_of(history)
    assert {each.notify for each in state.alerts.advance(ms("2026-10-19 10:00"))} == {0}
    history.add("inquiry", "2026-10-20 09:00", "next")
    feed(state, history)
    (made,) = state.alerts.advance(ms("2026-10-20 09:45"))
    assert (made.notify, made.grouped) == (1, ())


def test_what_is_told_late_comes_with_others_and_spends_nothing() -> None:
    """After an outage of an hour nobody gets its alerts one by one, but for those that are critical."""
    history = crowded(2, daily_budget=2)
    state = state_of(history)
    outage = state.alerts.advance(ms("2026-10-06 09:02"), ms("2026-10-06 09:02"))
    assert {(each.conversation, each.transition, each.grouped) for each in outage} == {
        ("c0", "at_risk", ("everybody",)),
        ("c0", "breached", ()),
        ("c1", "at_risk", ("everybody",)),
        ("c1", "breached", ("everybody",)),
        ("urgent", "at_risk", ()),
    }
    assert {each.notify for each in outage} == {1}
