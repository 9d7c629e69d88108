"""Dated things can be seen in what the simulator gives: incidents, closed days, trainings, the rollout."""

import re
from collections import Counter
from datetime import date
from math import sqrt
from statistics import mean, stdev
from typing import Any

import pytest

from schemas.calendar import Calendar
from schemas.events import EVENT, DistrictConfigured
from schemas.vocabulary import from_ms
from streams.core.business_time import clock_of
from streams.intake.simulator_incidents import Almanac
from streams.intake.simulator_parameters import Burst, Parameters, Silence, SnowDay
from tests.simulated import (
    DECLARED,
    SAMPLE,
    Arrival,
    changed,
    events,
    few,
    local,
    local_ms,
    ms,
    run,
    span,
    without_chance,
)

Event = dict[str, Any]
SIGMAS = 4.5
CAUSED = re.compile(r"breakdown-bus-late-\d+-\d+")


def only(kind: str, parameters: Parameters | None = None) -> Parameters:
    """Few inquiries and one kind of incident."""
    kept = [incident.model_dump() for incident in DECLARED.incidents if incident.kind == kind]
    return changed(parameters or few(150), incidents=kept)


def between(found: list[Event], first: str, last: str) -> list[Event]:
    return [e for e in found if local_ms(first) <= ms(e) < local_ms(last)]


def within_chance(hits: int, of: int, share: float) -> bool:
    """True if this probability gives so many hits, or more or fewer by what chance allows."""
    return abs(hits - of * share) <= SIGMAS * sqrt(of * share * (1 - share)) + 1


def test_a_breakdown_brings_hundreds_of_calls_in_two_hours_and_slows_the_answers() -> None:
    (burst,) = (
        incident for incident in DECLARED.incidents if isinstance(incident, Burst) and incident.kind == "breakdown"
    )
    found = events(span("2026-09-08", "2026-09-17"), only("breakdown"))
    about = [e for e in found if e["kind"] == "inquiry" and e.get("topic") == "bus-late"]
    crisis = [e for e in between(about, "2026-09-15T06:20", "2026-09-15T08:20") if e["event_id"].endswith(".1")]
    before = [e for e in between(about, "2026-09-08T06:20", "2026-09-08T08:20") if e["event_id"].endswith(".1")]
    caused = [e for e in crisis if CAUSED.fullmatch(e["conversation"])]
    # Where staff write first, or on spam, no customer says what it is about.
    habits, written = DECLARED.habits, 1 - burst.channels["phone"] / sum(burst.channels.values())
    heard = 1 - habits.outbound - habits.spam * written
    assert within_chance(len(caused), burst.inquiries, heard)
    assert within_chance(sum(e["channel"] == "phone" for e in caused), len(caused), 1 - written)
    usual = len(crisis) - len(caused)
    assert abs(usual - len(before)) <= SIGMAS * sqrt(usual + len(before)) + 1
    live = [e["contact"] == "answered_live" for e in caused if e.get("unit") == "dispatch" and "contact" in e]
    assert within_chance(sum(live), len(live), habits.answered_live["phone"] / burst.slowdown)


def test_a_post_spreads_under_one_thread() -> None:
    found = events(span("2026-10-08", "2026-10-11"), only("post"))
    threads = Counter(e["thread"] for e in found if "thread" in e and e["event_id"].endswith(".1"))
    assert threads.total() > 200
    (thread,) = threads
    people = {e["person"] for e in found if e.get("thread") == thread and "person" in e}
    assert len(people) > 150
    times = sorted(ms(e) for e in found if e.get("thread") == thread and e["event_id"].endswith(".1"))
    assert times[0] >= local_ms("2026-10-08T18:40")
    assert times[len(times) // 2] - times[0] < 0.6 * (times[-1] - times[0])


def test_a_post_goes_on_though_the_span_begins_after_it() -> None:
    whole, part = (events(span(first, "2026-10-10"), only("post", few(5))) for first in ("2026-10-08", "2026-10-09"))

    def later(found: list[Event]) -> list[str]:
        started = [e for e in found if "thread" in e and e["event_id"].endswith(".1")]
        return sorted(e["event_id"] for e in between(started, "2026-10-09", "2026-10-10"))

    assert len(later(part)) > 50
    assert later(part) == later(whole)


@pytest.fixture(scope="module")
def silent() -> list[Arrival]:
    return run(span("2026-10-19", "2026-10-22"), only("silence", changed(few(150), arrival={"heartbeat_minutes": 30})))


def test_a_feed_falls_silent_and_delivers_late(silent: list[Arrival]) -> None:
    (silence,) = (incident for incident in DECLARED.incidents if isinstance(incident, Silence))
    start = local_ms("2026-10-20T09:30")
    end = start + int(silence.minutes * 60_000)
    mails = [a for a in silent if a.event["source"] == "mailbox"]
    assert [a for a in mails if start <= a.received_ms < end] == []
    beats = [a for a in silent if a.event["kind"] == "heartbeat" and start <= a.received_ms < end]
    assert {a.event["source"] for a in beats} == {
        "phone-system",
        "web-form",
        "social-listening",
        "front-desk",
        "survey-tool",
    }
    held_back = [a for a in mails if start <= ms(a.event) < end]
    assert len(held_back) > 20
    assert all(a.received_ms >= end for a in held_back)


def closures(first: str, last: str) -> list[tuple[str, int, set[str]]]:
    """Receipt, revision and closed single days of each configuration in a span."""
    found = []
    for arrival in run(span(first, last), only("snow_day", few(20))):
        if arrival.event["kind"] == "district_configured":
            event = EVENT.validate_json(arrival.text)
            assert isinstance(event, DistrictConfigured)
            days = event.configuration.calendars["offices"].days
            assert event.configuration.calendars["always"].days == {}
            found.append(
                (event.received_at.isoformat(), event.revision, {day for day, open_ in days.items() if not open_})
            )
    return found


def test_a_snow_day_is_declared_in_the_morning_or_a_day_late() -> None:
    first, morning = closures("2027-01-19", "2027-01-22")
    assert morning[0] == "2027-01-20T11:40:00+00:00"
    assert morning[1] == first[1] + 1
    assert morning[2] - first[2] == {"2027-01-20"}
    before, late = closures("2027-02-08", "2027-02-12")
    assert late[0] == "2027-02-10T18:00:00+00:00"
    assert late[2] - before[2] == {"2027-02-09"}
    assert before[1:] == (morning[1], morning[2])


def test_nobody_works_on_a_snow_day_though_it_is_declared_late() -> None:
    found = events(span("2027-02-08", "2027-02-11"), only("snow_day"))
    office = [e for e in found if e["kind"] == "reply" and e.get("staff") and e.get("unit") == "contact-centre"]
    assert office
    assert between(office, "2027-02-09", "2027-02-10") == []
    asked = [e for e in found if e.get("topic") == "weather" and e["kind"] == "inquiry"]
    assert len(between(asked, "2027-02-10T12:00", "2027-02-10T17:00")) > 120


def test_a_yearly_moment_moves_to_an_open_day() -> None:
    almanac = Almanac(SAMPLE, DECLARED, range(2026, 2031))
    clock = clock_of(Calendar.model_validate(SAMPLE.calendars["offices"].model_dump()).key())
    assert len(almanac.bursts) == 10
    for at_ms, _ in almanac.bursts:
        assert clock.is_school_day(clock.local_date(at_ms)), from_ms(at_ms)
    closed = [day for day in DECLARED.incidents if isinstance(day, SnowDay)]
    assert len(almanac.snow) == 5 * len(closed)


def trained_units(training: str) -> set[str]:
    """Units that answer for those a training is held for."""
    (held,) = (t for t in DECLARED.trainings if t.training == training)
    codes = set(held.units)
    return codes | {team.unit for unit in SAMPLE.units if unit.unit in codes for team in unit.units}


@pytest.fixture(scope="module")
def autumn() -> list[Event]:
    topics = [t.model_dump() for t in DECLARED.topics if t.topic in ("attendance", "benefits", "payroll", "building")]
    for topic in topics:
        topic["weight"] = 3.0 if topic["topic"] == "attendance" else 1.0
    certain = changed(
        without_chance(few(200), resolved=1.0, unit_named=1.0),
        ratings={"offered": 1.0, "given": 1.0, "late": 0.0, "edited": 0.0, "days": 0.3, "per_doubling": 0.0},
        topics=topics,
    )
    return events(span("2026-09-08", "2026-10-17"), certain)


def effect(found: list[Event], units: set[str], others: set[str] | None = None) -> tuple[float, float]:
    """Change of the mean score of these units at the training, and the half-width of its 99.99 % interval."""
    replied = {e["conversation"]: e for e in sorted(found, key=ms) if e["kind"] == "reply" and "staff" in e}
    scores: dict[bool, list[float]] = {False: [], True: []}
    for event in found:
        reply = replied.get(event.get("conversation", ""))
        if event["kind"] == "rating" and reply is not None:
            member = reply["unit"] in units if others is None else reply["unit"] in others
            if member:
                scores[local(reply) >= local({"occurred_at": "2026-09-25T18:00:00Z"})].append(event["score"])
    before, after = scores[False], scores[True]
    assert min(len(before), len(after)) > 100
    width = 4 * sqrt(stdev(before) ** 2 / len(before) + stdev(after) ** 2 / len(after))
    return mean(after) - mean(before), width


def test_the_training_that_works_shows_and_the_other_does_not(autumn: list[Event]) -> None:
    (works,) = (t for t in DECLARED.trainings if t.training == "front-desk-care")
    trained = trained_units("front-desk-care")
    gained, width = effect(autumn, trained)
    assert gained > width
    assert gained == pytest.approx(works.courtesy, abs=width)
    offices = {team.unit for unit in SAMPLE.units if unit.level == "school" for team in unit.units}
    untrained, width = effect(autumn, offices - trained)
    assert abs(untrained) < width
    lectured, width = effect(autumn, trained_units("mission-lecture"))
    assert abs(lectured) < width


def test_a_training_is_told_once_with_its_units(autumn: list[Event]) -> None:
    held = {e["training"]: e for e in autumn if e["kind"] == "training_held"}
    assert set(held) == {"front-desk-care", "mission-lecture"}
    assert held["front-desk-care"]["participants"] == 148
    assert local(held["front-desk-care"]).date() == date(2026, 9, 25)
    assert len(held["front-desk-care"]["units"]) == 35


def test_the_rollout_speeds_up_a_wave_from_its_day_on() -> None:
    topics = [t.model_dump() for t in DECLARED.topics if t.topic == "counseling"]
    quick = changed(
        without_chance(few(200), unit_named=1.0), topics=topics, rollout={"speed": 0.2, "courtesy": 0.0}, trainings=[]
    )
    clock = clock_of(SAMPLE.calendars["offices"].key())
    found = events(span("2026-07-20", "2026-08-15"), quick)
    asked = {e["conversation"]: ms(e) for e in found if e["kind"] == "inquiry"}
    lengths: dict[bool, list[int]] = {False: [], True: []}
    for event in found:
        if event["kind"] == "reply":
            start = asked[event["conversation"]]
            lengths[start >= local_ms("2026-08-03")].append(clock.elapsed(start, ms(event)))
    assert mean(lengths[True]) < 0.4 * mean(lengths[False])
