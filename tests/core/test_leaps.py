"""The clock of a district leaps from a history of years ago to the present: the same is told, at once."""

import time
from collections.abc import Iterable

from schemas.events import EVENTS
from schemas.facts import Row
from schemas.incidents import CLOSED, GROWN, OPENED, IncidentTransition
from schemas.vocabulary import from_ms
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.telling import Telling
from streams.core.watching import Watching
from tests.core.openings_made import CALENDARS, UNITS, history, row, spread
from tests.golden import district, ms

MINUTE_MS, DAY_MS = 60_000, 86_400_000
LAST = ms("2026-10-06 08:30")
BREAKDOWN = [*history("2026-10-06", {8: 3}), *(row(second) for second in spread("2026-10-06 07:00", 90, 300))]
LATER = [row(second, "menu") for second in spread("2026-12-15 09:00", 60, 3)]


def watching(rows: Iterable[Row]) -> Watching:
    """A district in which these came, with a source that beat each half hour up to the last call and never again."""
    document = district(units=UNITS, calendars=CALENDARS)
    telling = Telling("demo")
    telling.configuration = Configuration("demo", [ConfigurationEvent(1, 0, "c", document)])
    found = Watching("demo", telling)
    beats = [
        {
            "kind": "heartbeat",
            "event_id": f"beat-{at_ms}",
            "district": "demo",
            "source": "mailbox",
            "occurred_at": from_ms(at_ms),
            "received_at": from_ms(at_ms),
        }
        for at_ms in range(LAST - 2 * DAY_MS, LAST, 30 * MINUTE_MS)
    ]
    for event in EVENTS.validate_python(beats, strict=False):
        found.hear(event)
    for number, one in enumerate(rows):
        found.replace(f"c{number}", one)
    return found


def said(told: Iterable[IncidentTransition]) -> list[tuple[str, str, str, int, int]]:
    return sorted((one.kind, one.key, one.transition, one.step, one.at) for one in told)


def seconds(days: int) -> float:
    """What it costs, at the least of three, that the clock leaps so many days ahead of a history."""
    least = []
    for _ in range(3):
        district_ = watching(BREAKDOWN)
        district_.advance(LAST, LAST)
        started = time.process_time()
        district_.advance(LAST + days * DAY_MS, LAST + days * DAY_MS)
        least.append(time.process_time() - started)
    return min(least)


def test_a_leap_of_ten_years_costs_no_more_than_one_of_eight_weeks() -> None:
    assert seconds(3_650) < 5 * seconds(56)


def test_a_leap_tells_what_was_told_if_every_hour_had_been_looked_at() -> None:
    present_ms = LAST + 400 * DAY_MS
    at_once, hourly = watching(BREAKDOWN), watching(BREAKDOWN)
    leapt = [*at_once.advance(LAST, present_ms), *at_once.advance(present_ms, present_ms)]
    stepped = [
        one
        for now_ms in (*range(LAST, LAST + 10 * DAY_MS, 60 * MINUTE_MS), present_ms)
        for one in hourly.advance(now_ms, present_ms)
    ]
    assert said(leapt) == said(stepped)
    assert {(one.kind, one.transition) for one in leapt} == {
        ("surge", OPENED),
        ("surge", GROWN),
        ("surge", CLOSED),
        ("silence", OPENED),
    }


def test_what_came_long_before_the_newest_is_told_in_one_portion_too() -> None:
    """Ten weeks without anything lie between them."""
    told = watching(BREAKDOWN)
    surges = [one for one in told.advance(LAST, LAST) if one.kind == "surge"]
    for number, one in enumerate(LATER):
        told.replace(f"later-{number}", one)
    surges += [one for one in told.advance(ms("2027-12-15 10:00"), ms("2027-12-15 10:00")) if one.kind == "surge"]
    assert [one.transition for one in surges] == [OPENED, *[GROWN] * (len(surges) - 2), CLOSED]
    assert surges[-1].ended_at is not None
    assert surges[-1].ended_at < LAST + DAY_MS


def test_what_is_over_is_told_once_however_long_nothing_comes_after_it() -> None:
    quiet = watching(BREAKDOWN)
    looks = range(LAST, LAST + 40 * DAY_MS, 720 * MINUTE_MS)
    told = [one.idempotency_key for now_ms in looks for one in quiet.advance(now_ms, now_ms)]
    assert sorted(told) == sorted(set(told))
    assert len(told) > 3
