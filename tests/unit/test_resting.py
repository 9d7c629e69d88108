"""Simulated staff rest on a day that a press closed, and catch up afterwards: nothing is lost, nothing said twice."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from schemas.calendar import never_closes
from streams.core.admission import admit
from streams.intake.resting import Resting, acts
from streams.intake.simulator import hindsight
from streams.intake.simulator_writing import Arrived
from tests.simulated import DECLARED, SAMPLE, Arrival, changed, local, local_ms, ms, run, span

DAY, NEXT_DAY = "2026-10-06", "2026-10-07"
KNOWN_MS = local_ms(f"{DAY}T10:00")
NEXT_KNOWN_MS = local_ms(f"{NEXT_DAY}T09:00")
WITHIN = span("2026-10-05", "2026-10-10")
FOR_EVER = local_ms("2027-10-01")
DRAWN_FROM = hindsight(SAMPLE, DECLARED, WITHIN)
EVER_OPEN = {unit.unit for unit, _ in SAMPLE.walk() if unit.calendar and never_closes(SAMPLE.calendars[unit.calendar])}


@pytest.fixture(scope="module")
def drawn() -> list[Arrival]:
    """Five days as they are drawn, with many late and repeated deliveries."""
    often = {name: source.model_copy(update={"late": 0.05}) for name, source in DECLARED.arrival.sources.items()}
    arrival = {"duplicated": 0.1, "sources": {name: source.model_dump() for name, source in often.items()}}
    return run(WITHIN, changed(arrival=arrival))


def played(drawn: Iterable[Arrival], resting: Resting, learning: dict[str, int] | None = None) -> list[Arrival]:
    """What is sent of events; days of `learning` become known when their time has come."""
    unknown = dict(learning or {})
    sent: list[Arrived] = []
    for arrival in drawn:
        for day, known_ms in list(unknown.items()):
            if known_ms <= arrival.received_ms:
                sent += resting.due(known_ms)
                resting.learn(day, unknown.pop(day))
        sent += resting.due(arrival.received_ms)
        text = resting.take(arrival.received_ms, arrival.text)
        if text is not None:
            sent.append((arrival.received_ms, text))
    sent += resting.due(FOR_EVER)
    return [Arrival(received, text, json.loads(text)) for received, text in sent]


def at_work(sent: Iterable[Arrival], since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """What staff of offices that close did in a time."""
    found = [each.event for each in sent if acts(each.event) and since_ms <= ms(each.event) < until_ms]
    return [event for event in found if event.get("unit") not in EVER_OPEN]


def contents(sent: Iterable[Arrival]) -> dict[str, set[str]]:
    """The contents that came under each event id; the receipt is no part of a content."""
    found: dict[str, set[str]] = {}
    for each in sent:
        content = {name: value for name, value in each.event.items() if name != "received_at"}
        found.setdefault(each.event["event_id"], set()).add(json.dumps(content, sort_keys=True))
    return found


def test_staff_of_offices_that_close_rest_and_catch_up_the_day_after(drawn: list[Arrival]) -> None:
    sent = played(drawn, Resting(DRAWN_FROM, {DAY: KNOWN_MS}))
    end_ms = local_ms(NEXT_DAY)
    assert len(at_work(drawn, KNOWN_MS, end_ms)) > 500
    assert at_work(sent, KNOWN_MS, end_ms) == []
    assert len(at_work(sent, local_ms(DAY), KNOWN_MS)) == len(at_work(drawn, local_ms(DAY), KNOWN_MS)) > 100
    day_after = end_ms, local_ms("2026-10-08")
    assert len(at_work(sent, *day_after)) > 1.2 * len(at_work(drawn, *day_after))
    assert [each.received_ms for each in sent] == sorted(each.received_ms for each in sent)
    assert all(admit(each.text.encode()).refused == [] for each in sent)


def test_only_calls_and_visits_taken_at_once_do_not_happen(drawn: list[Arrival]) -> None:
    sent = contents(played(drawn, Resting(DRAWN_FROM, {DAY: KNOWN_MS})))
    missing = {each.event["conversation"] for each in drawn if each.event["event_id"] not in sent}
    live = {
        event["conversation"]
        for event in at_work(drawn, KNOWN_MS, local_ms(NEXT_DAY))
        if event.get("contact") == "answered_live"
    }
    assert missing == live
    assert len(live) > 100


def test_no_event_comes_with_two_contents_and_none_sooner_than_it_was_drawn(drawn: list[Arrival]) -> None:
    sent = played(drawn, Resting(DRAWN_FROM, {DAY: KNOWN_MS, NEXT_DAY: NEXT_KNOWN_MS}))
    assert {event_id for event_id, found in contents(sent).items() if len(found) > 1} == set()
    came_ms = {each.event["event_id"]: ms(each.event) for each in sent}
    later_ms = [came_ms[each.event["event_id"]] - ms(each.event) for each in drawn if each.event["event_id"] in came_ms]
    assert min(later_ms) == 0
    assert sum(late > 0 for late in later_ms) > 500


def test_a_second_day_off_makes_them_wait_longer(drawn: list[Arrival]) -> None:
    sent = played(drawn, Resting(DRAWN_FROM, {DAY: KNOWN_MS, NEXT_DAY: NEXT_KNOWN_MS}))
    assert at_work(sent, KNOWN_MS, local_ms(NEXT_DAY)) == []
    assert at_work(sent, NEXT_KNOWN_MS, local_ms("2026-10-08")) == []
    assert at_work(sent, local_ms(NEXT_DAY), NEXT_KNOWN_MS)
    at_eleven = [
        event for event in at_work(sent, local_ms("2026-10-08"), local_ms("2026-10-09")) if local(event).hour == 11
    ]
    assert len(at_eleven) > 20


def test_a_later_start_that_knows_the_days_from_the_beginning_sends_the_same(drawn: list[Arrival]) -> None:
    known = {DAY: KNOWN_MS, NEXT_DAY: NEXT_KNOWN_MS}
    live = played(drawn, Resting(DRAWN_FROM, {}), known)
    later = played(drawn, Resting(DRAWN_FROM, known))
    assert [each.text for each in live] == [each.text for each in later]
    assert live != drawn


def test_before_any_press_everything_passes_as_it_is(drawn: list[Arrival]) -> None:
    assert played(drawn, Resting(DRAWN_FROM, {})) == drawn


def test_who_never_closes_goes_on() -> None:
    assert EVER_OPEN
    resting = Resting(DRAWN_FROM, {DAY: KNOWN_MS})
    event = {"kind": "reply", "event_id": "e", "conversation": "c", "occurred_at": f"{DAY}T17:00:00.000Z"}
    for unit in EVER_OPEN:
        text = json.dumps({**event, "unit": unit})
        assert resting.take(KNOWN_MS + 7_200_000, text) == text
    assert resting.take(KNOWN_MS + 7_200_000, json.dumps(event)) is None
