"""What the simulator declares is what comes out, within what chance allows: mixes, seasons, rates, lengths, scores."""

from collections import Counter
from datetime import date, timedelta
from math import log, sqrt
from statistics import mean, median
from typing import Any

import pytest

from schemas.calendar import WEEKDAYS
from schemas.facts import Row, as_json
from streams.core.business_time import clock_of
from streams.intake.simulator_ratings import bounds
from streams.offline import Remark, fold_events
from tests.simulated import (
    DECLARED,
    SAMPLE,
    changed,
    events,
    few,
    is_open_day,
    is_ordinary,
    local,
    ms,
    openings,
    run,
    span,
    without_chance,
)

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 29)
SIGMAS = 4.5
Event = dict[str, Any]


@pytest.fixture(scope="module")
def month() -> list[Event]:
    return events(span(FIRST.isoformat(), LAST.isoformat()), changed(few(400), incidents=[]))


@pytest.fixture(scope="module")
def opened(month: list[Event]) -> list[Event]:
    return list(openings(month))


def assert_share(hits: int, of: int, share: float) -> None:
    """So many hits are what this probability gives, within what chance allows."""
    assert of > 0
    assert abs(hits - of * share) <= SIGMAS * sqrt(of * share * (1 - share)) + 1, (hits / of, share)


def assert_mix(found: Counter[str], weights: dict[Any, float]) -> None:
    whole, total = sum(found.values()), sum(weights.values())
    assert set(found) <= set(weights)
    for name, weight in weights.items():
        assert_share(found[name], whole, weight / total)


def season(topic: str, day: date) -> float:
    """Declared weight of a topic on a day of autumn."""
    (declared,) = (t for t in DECLARED.topics if t.topic == topic)
    weight = declared.weight
    for part in declared.seasons:
        if part.first <= f"{day:%m-%d}" <= part.last:
            weight *= part.factor
    return weight


def test_channels_come_as_declared_on_open_and_on_closed_days(opened: list[Event]) -> None:
    free = {topic.topic for topic in DECLARED.topics if topic.channels is None}
    for is_open, declared in ((True, DECLARED.channels.open), (False, DECLARED.channels.closed)):
        chosen = [e for e in opened if e.get("topic") in free and is_open_day(local(e).date()) is is_open]
        # Spam bears no topic, and there is none by phone or in person.
        honest = {name: w * (1 if name in ("phone", "in_person") else 0.988) for name, w in declared.items()}
        assert_mix(Counter(e["channel"] for e in chosen), honest)


def test_stakeholders_and_kinds_come_as_declared(opened: list[Event]) -> None:
    found = [e for e in opened if e.get("topic") == "attendance" and e.get("opened_by") is None]
    assert_mix(Counter(e["stakeholder"] for e in found), dict(DECLARED.people.stakeholders))
    assert_mix(Counter(e["inquiry_kind"] for e in found), dict(DECLARED.people.kinds))
    assert_share(sum("generation" in e for e in found), len(found), DECLARED.people.generation_stated)
    staff = [e for e in opened if e.get("topic") == "benefits" and e.get("opened_by") is None]
    assert {e["stakeholder"] for e in staff} == {"staff"}


def test_hours_of_the_day_come_as_declared(opened: list[Event]) -> None:
    hours = DECLARED.volume.hours["phone"]
    found = Counter(str(local(e).hour) for e in opened if e["channel"] == "phone" and e.get("opened_by") is None)
    assert_mix(found, {str(hour): weight for hour, weight in enumerate(hours) if weight})


def test_days_have_the_declared_rate() -> None:
    certain = without_chance(few(300))
    found = Counter(local(e).date() for e in openings(events(span("2026-10-01", "2026-10-29"), certain)))
    usual = sum(topic.weight for topic in DECLARED.topics)
    volume = DECLARED.volume
    day = FIRST
    while day < LAST:
        schools = 1.0 if day != date(2026, 10, 12) and day.weekday() < 5 else volume.schools_closed
        weights = sum(season(t.topic, day) * (schools if t.to == "schools" else 1.0) for t in DECLARED.topics)
        level = volume.closed_day if not is_open_day(day) else volume.out_of_session if schools < 1 else 1.0
        expected = 300 * level * volume.weekdays[WEEKDAYS[day.weekday()]] * weights / usual
        assert abs(found[day] - expected) <= SIGMAS * sqrt(expected), day
        day += timedelta(days=1)


def test_topics_have_their_seasons(opened: list[Event]) -> None:
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days)]
    school_days = [day for day in days if is_open_day(day) and day != date(2026, 10, 12)]
    asked = Counter(local(e).date() for e in opened if e.get("topic") == "report-card")
    before = mean(asked[day] for day in school_days if day < date(2026, 10, 19))
    within = mean(asked[day] for day in school_days if day >= date(2026, 10, 19))
    # A ratio of two counts: its chance is that of both.
    counts = [sum(asked[d] for d in school_days if (d < date(2026, 10, 19)) == early) for early in (True, False)]
    chance = sqrt(sum(1 / count for count in counts))
    assert abs(within / before / 6 - 1) < SIGMAS * chance


def test_shares_of_what_happens_are_as_declared(month: list[Event], opened: list[Event]) -> None:
    habits = DECLARED.habits
    written = [e for e in opened if e["channel"] in ("email", "web", "social")]
    spam = {e["conversation"] for e in month if e["kind"] == "spam"}
    assert_share(sum(e["conversation"] in spam for e in written), len(written), habits.spam)
    honest = [e for e in written if e["conversation"] not in spam and e.get("opened_by") is None]
    twins = sum(e["kind"] == "merge" and e["conversation"].count("-") == 2 for e in month)
    assert_share(twins, len(honest), habits.merged)
    web = [e for e in honest if e["channel"] == "web"]
    bots = {e["conversation"] for e in month if e.get("author") == "bot"}
    assert_share(sum(e["conversation"] in bots for e in web), len(web), habits.bot["web"])
    turned = [e for e in opened if e.get("contact") == "turned_away"]
    assert_share(sum(e.get("reachable") is False for e in turned), len(turned), habits.nameless_walk_in)
    edited = Counter(e["conversation"] for e in month if e["kind"] == "rating")
    assert_share(sum(n > 1 for n in edited.values()), len(edited), DECLARED.ratings.edited)


def conversations(month: list[Event], kind: str, **fields: Any) -> set[str]:
    """Conversations with an event of a kind and these fields."""
    found = (e for e in month if e["kind"] == kind and all(e.get(name) == value for name, value in fields.items()))
    return {e["conversation"] for e in found}


def test_what_happens_to_calls_and_written_messages_is_as_declared(month: list[Event], opened: list[Event]) -> None:
    habits = DECLARED.habits
    calls = [e for e in opened if e["channel"] == "phone" and e.get("contact") in ("missed_call", "voicemail")]
    assert_share(sum(e["contact"] == "voicemail" for e in calls), len(calls), habits.voicemail)
    assert_share(sum(e.get("reachable") is False for e in calls), len(calls), habits.withheld_number)
    everyone = [e for e in month if e["event_id"] == f"{e.get('conversation')}.1" and is_ordinary(e["conversation"])]
    assert_share(sum(e.get("opened_by") == "staff" for e in everyone), len(everyone), habits.staff_opened)
    bots, machines = conversations(month, "reply", author="bot"), "automatic_acknowledgement"
    acknowledged = conversations(month, "reply", author=machines)
    for channel, share in habits.acknowledged.items():
        left = [e for e in opened if e["channel"] == channel and e.get("opened_by") is None]
        left = [e for e in left if e["conversation"] not in bots]
        assert_share(sum(e["conversation"] in acknowledged for e in left), len(left), share)


def test_what_becomes_of_conversations_is_as_declared(month: list[Event], opened: list[Event]) -> None:
    habits, ratings = DECLARED.habits, DECLARED.ratings
    spam = conversations(month, "spam")
    # Two weeks are left for what follows; it seldom takes longer.
    early = [e for e in opened if local(e).date() < FIRST + timedelta(days=14) and e["conversation"] not in spam]
    written = {e["conversation"] for e in early if e["channel"] in ("email", "web", "social") and "opened_by" not in e}
    human = {e["conversation"] for e in month if e["kind"] == "reply" and not {"author", "public"} & set(e)}
    assert_share(len(written - human), len(written), habits.never_answered)
    answered = written & human
    resolved = conversations(month, "status_changed", status="resolved") & answered
    assert_share(len(resolved), len(answered), habits.resolved)
    thanked = conversations(month, "inquiry", needs_reply=False) | conversations(month, "correction", needs_reply=False)
    assert_share(len(thanked & answered), len(answered), habits.thanks)
    offered = conversations(month, "survey_offered") & resolved
    rated = conversations(month, "rating")
    assert_share(len(rated & offered), len(offered), ratings.given)


def test_calls_are_taken_live_while_the_unit_is_open(opened: list[Event]) -> None:
    # Bus dispatch is open all day, and so is the service desk at noon.
    calls = [
        e
        for e in opened
        if e["channel"] == "phone"
        and e.get("unit") in ("service-desk", "dispatch")
        and is_open_day(local(e).date())
        and 9 <= local(e).hour < 15
    ]
    live = sum(e.get("contact") == "answered_live" for e in calls)
    assert_share(live, len(calls), DECLARED.habits.answered_live["phone"])
    assert any(e.get("contact") in ("missed_call", "voicemail") for e in calls)


def first_replies(found: list[Event], unit: str, channel: str) -> list[float]:
    """Business minutes from opening to first reply of one unit's conversations."""
    (calendar,) = (c for name, c in SAMPLE.calendars.items() if name == "offices")
    clock = clock_of(calendar.key())
    asked = {e["conversation"]: ms(e) for e in openings(found) if e["channel"] == channel}
    replied: dict[str, int] = {}
    for event in sorted(found, key=lambda e: str(e["occurred_at"])):
        if event["kind"] == "reply" and event.get("unit") == unit:
            replied.setdefault(event["conversation"], ms(event))
    return [clock.elapsed(at, replied[name]) / 60_000 for name, at in asked.items() if name in replied]


def test_replies_take_as_long_as_declared() -> None:
    (topic,) = (t for t in DECLARED.topics if t.topic == "special-education")
    parameters = changed(
        without_chance(unit_named=1.0), topics=[topic.model_dump()], volume={"inquiries_per_school_day": 120}
    )
    lengths = first_replies(events(span("2026-10-01", "2026-11-01"), parameters), "evaluations", "email")
    assert len(lengths) > 400
    slow = DECLARED.units["special-services"].speed * DECLARED.rollout.speed
    expected = DECLARED.speed.reply_minutes["email"] * slow
    spread = 1.2533 * DECLARED.speed.spread / sqrt(len(lengths))
    assert abs(log(median(lengths) / expected)) <= SIGMAS * spread


@pytest.mark.parametrize("share", [0.1, 0.5, 0.71, 0.95])
@pytest.mark.parametrize("extreme", [0.0, 0.25, 1.0])
def test_scores_have_the_declared_mean_however_extreme(share: float, extreme: float) -> None:
    below = bounds(share, extreme)
    assert len(below) == 9
    assert 1 + sum(1 - bound for bound in below) == pytest.approx(1 + 9 * share)


def rating_parameters(**ratings: float) -> Any:
    certain = {"offered": 1.0, "given": 1.0, "days": 0.5, "late": 0.0, "edited": 0.0}
    same = {"speed": 0.0, "courtesy": 0.0}
    return changed(
        without_chance(resolved=1.0, unit_named=1.0),
        ratings=certain | ratings,
        units={},
        between_units=same,
        between_districts=same,
        rollout={"speed": 1.0, "courtesy": 0.0},
        trainings=[],
        volume={"inquiries_per_school_day": 150},
    )


def test_ratings_have_the_declared_mean() -> None:
    found = events(span("2026-10-05", "2026-10-24"), rating_parameters(per_doubling=0.0))
    scores = [e["score"] for e in found if e["kind"] == "rating"]
    assert len(scores) > 1000
    assert mean(scores) == pytest.approx(DECLARED.ratings.mean, abs=SIGMAS * 2.6 / sqrt(len(scores)))
    with_pillars = [e["pillars"] for e in found if e["kind"] == "rating" and "pillars" in e]
    assert_share(len(with_pillars), len(scores), DECLARED.ratings.pillars_given)
    courtesy, responsiveness = (mean(p[name] for p in with_pillars) for name in ("courtesy", "responsiveness"))
    assert courtesy - responsiveness > 0.4


def test_whoever_waits_longer_rates_lower() -> None:
    found = events(span("2026-10-05", "2026-10-24"), rating_parameters(per_doubling=0.6))
    asked = {e["conversation"]: ms(e) for e in openings(found)}
    replied = {e["conversation"]: ms(e) for e in found if e["kind"] == "reply" and e["conversation"] in asked}
    waits = [
        (replied[e["conversation"]] - asked[e["conversation"]], e["score"])
        for e in found
        if e["kind"] == "rating" and e["conversation"] in replied
    ]
    waits.sort()
    third = len(waits) // 3
    assert mean(score for _, score in waits[:third]) - mean(score for _, score in waits[-third:]) > 0.3


def facts(found: list[str]) -> tuple[list[Row], list[Remark]]:
    remarks: list[Remark] = []
    return list(fold_events((text.encode() for text in found), None, remarks.append)), remarks


def test_a_month_folds_into_plausible_facts() -> None:
    rows, remarks = facts([a.text for a in run(span("2026-10-01", "2026-11-01"), few(60))])
    assert remarks == []
    found = [as_json(row) for row in rows]
    customers = [row for row in found if row["inquiries"] and not row["retracted"]]
    assert 0.85 < len(customers) / len(found) <= 1
    outcomes = Counter(wait["outcome"] for row in customers for wait in row["waits"])
    assert 0.7 < outcomes["answered"] / outcomes.total() < 0.97
    assert {"open", "resolved_no_reply", "unreachable"} <= set(outcomes)
    waited = [row["first_response_ms"] / 3_600_000 for row in customers if row["first_response_ms"] is not None]
    assert 0.2 < median(waited) < 24
    assert 0.03 < mean(row["handoffs"] > 0 for row in customers) < 0.4
    assert any(row["bounces"] for row in customers)
    assert any(row["reopened"] for row in customers)
    assert mean(row["unit"] == "unrouted" for row in customers) == 0
    verdicts = Counter(verdict["outcome"] for row in customers for verdict in row["verdicts"])
    assert verdicts["met"] > verdicts["missed"] > 0
