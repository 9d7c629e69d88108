"""Corrections of earlier events, spam, deletion and erasure: as if what is right had always been known."""

import json
from typing import Any

import pytest

from schemas.events import EVENT, Event
from schemas.facts import as_json
from streams.core.arrival import Arrival
from streams.core.district import DistrictState
from streams.core.erasure import digest_of_key
from tests.golden import History, at, district, fold_all, minutes

WHO, RATER = "5f5f5f5f5f5f5f5f", "6a6a6a6a6a6a6a6a"


def story(**more: Any) -> History:
    history = History()
    history.configured(district(**more))
    return history


def without_counts(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what only counts how much is known."""
    return {name: value for name, value in row.items() if name not in ("version", "events", "configurations")}


def test_a_message_corrected_to_need_no_reply_opens_no_wait_and_back() -> None:
    history = story()
    first = history.add("inquiry", "2026-10-06 10:00")
    thanks = history.add("inquiry", "2026-10-06 12:00")
    history.add("reply", "2026-10-06 11:00")
    before = history.fact()
    history.add("correction", "2026-10-07 09:00", corrects=thanks.event_id, needs_reply=False)
    assert [wait["opened_by_event"] for wait in history.fact()["waits"]] == [first.event_id]
    history.add("correction", "2026-10-08 09:00", corrects=thanks.event_id, needs_reply=True)
    assert without_counts(history.fact()) == without_counts(before)


def test_a_corrected_unit_moves_every_second_into_its_calendar() -> None:
    history = story()
    first = history.add("inquiry", "2026-10-06 15:00", unit="a")
    history.add("reply", "2026-10-06 18:00")
    assert minutes(history.fact()["first_response_business_ms"]) == 60
    history.add("correction", "2026-10-07 09:00", corrects=first.event_id, unit="line", topic="bus")
    fact = history.fact()
    assert (minutes(fact["first_response_business_ms"]), fact["unit"], fact["topic"]) == (180, "line", "bus")


def test_a_correction_without_an_event_is_of_the_opening() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 15:00", unit="a", topic="bus")
    history.add("inquiry", "2026-10-06 15:10", unit="a", topic="bus")
    history.add("correction", "2026-10-07 09:00", unit="b", topic="food")
    assert [history.fact()[name] for name in ("unit", "topic")] == ["b", "food"]


def test_a_corrected_time_changes_the_order_of_what_happened() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    reply = history.add("reply", "2026-10-06 09:00")
    assert history.fact()["outbound"] == 1
    history.add("correction", "2026-10-07 09:00", corrects=reply.event_id, time=at("2026-10-06 11:00").isoformat())
    fact = history.fact()
    assert (fact["outbound"], minutes(fact["first_response_ms"])) == (0, 60)


def test_of_two_corrections_the_later_by_event_time_wins_whatever_came_first() -> None:
    history = story()
    first = history.add("inquiry", "2026-10-06 10:00", unit="a")
    history.add("correction", "2026-10-08 09:00", corrects=first.event_id, unit="line")
    history.add("correction", "2026-10-07 09:00", corrects=first.event_id, unit="b")
    assert history.fact()["unit"] == "line"


def test_a_correction_of_something_unknown_waits_for_it() -> None:
    history = story()
    history.add("correction", "2026-10-07 09:00", corrects="e02", unit="b")
    history.add("inquiry", "2026-10-06 10:00", unit="a")
    assert history.events[-1].event_id == "e02"
    assert history.fact()["unit"] == "b"


def test_a_deleted_case_stays_a_fact() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:30")
    history.add("deleted", "2026-10-07 10:30")
    fact = history.fact()
    assert (fact["deleted"], fact["retracted"], fact["inquiries"], minutes(fact["first_response_ms"])) == (1, 0, 1, 30)


def erased(key: str, when: str) -> Event:
    """The erasure of a person's key."""
    digest, moment = digest_of_key(key), at(when).isoformat()
    frame = {"event_id": f"erased-{digest[:8]}", "district": "demo", "source": "cx", "kind": "erased"}
    return EVENT.validate_json(
        json.dumps({**frame, "occurred_at": moment, "received_at": moment, "key_digest": digest})
    )


def rated() -> History:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", person=WHO)
    history.add("reply", "2026-10-06 10:30", staff=RATER)
    history.add("rating", "2026-10-06 12:00", score=3, rater=WHO)
    history.add("rating", "2026-10-06 12:00", score=9, rater=RATER)
    return history


@pytest.mark.parametrize("position", [0, 1, 3, 5])
def test_an_erased_person_leaves_anonymous_facts_whenever_the_erasure_comes(position: int) -> None:
    history = rated()
    events = list(history.events)
    before = fold_all(events)[0]
    events.insert(position, erased(WHO, "2026-10-20 10:00"))
    after = fold_all(events)[0]
    assert WHO not in str(after)
    assert after["person"] == ""
    assert after["first_response_staff"] == RATER
    # Two raters stay two.
    assert sorted(rating["score"] for rating in after["ratings"]) == [3, 9]
    for name in ("first_response_ms", "waits", "events", "inquiries", "difficult"):
        assert after[name] == before[name]
    rest = [erased(WHO, "2026-10-20 10:00"), *history.events]
    assert after == fold_all(rest)[0]


def test_what_comes_of_an_erased_person_later_is_refused() -> None:
    state = DistrictState("demo")
    for event in rated().events:
        state.apply(event)
    state.apply(erased(WHO, "2026-10-20 10:00"))
    state.settle()
    late = History()
    for _ in range(6):
        event = late.add("inquiry", "2026-10-21 10:00", person=WHO)
    assert state.apply(event).arrival is Arrival.ERASED
    assert state.changed == 0
    # What was received before it and is delivered again is known: nothing changes.
    assert {state.apply(event).arrival for event in rated().events} == {Arrival.DUPLICATE}


def test_what_was_received_before_the_erasure_and_comes_after_it_lands_without_the_key() -> None:
    state = DistrictState("demo")
    state.apply(erased(WHO, "2026-10-20 10:00"))
    applied = [state.apply(event) for event in rated().events]
    assert all(WHO.encode() not in each.content for each in applied)
    (row,) = state.settle().rows
    assert as_json(row)["person"] == ""
