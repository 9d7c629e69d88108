"""Corrections of earlier events, spam, deletion and erasure: as if what is right had always been known."""

import json
from hashlib import sha256
from typing import Any, get_args

import pytest

from schemas.events import EVENT, Admitted, Event
from schemas.facts import as_json
from schemas.vocabulary import to_ms
from streams.core.arrival import Arrival
from streams.core.district import DistrictState
from streams.core.erasure import FIELDS, digest_of_key, names_in
from streams.core.packed import pack
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


@pytest.mark.parametrize("received", ["2026-10-20 10:00", "2026-10-21 10:00"])
def test_what_is_received_after_the_erasure_is_refused_wherever_it_stands(received: str) -> None:
    history = rated()
    before = history.fact()
    late = history.add("inquiry", "2026-10-06 09:00", person=WHO, received_at=at(received).isoformat())
    erasure = erased(WHO, "2026-10-20 10:00")
    for events in ([*history.events, erasure], [erasure, *history.events], [*history.events[:-1], erasure, late]):
        fact = fold_all(events)[0]
        assert (fact["events"], fact["opened_at"]) == (before["events"] + 1, before["opened_at"])
        assert fact == fold_all([erasure, *history.events])[0]
    sooner = late.model_copy(update={"received_at": at("2026-10-20 09:59")})
    assert fold_all([*history.events[:-1], sooner, erasure])[0]["opened_at"] == "2026-10-06T14:00:00.000Z"


def test_whatever_names_a_person_is_kept_with_its_receipt() -> None:
    history = rated()
    history.add("transfer", "2026-10-06 12:30", staff=WHO)
    history.add("status_changed", "2026-10-06 13:00", status="resolved", staff=WHO)
    history.add("survey_offered", "2026-10-06 13:30", person=WHO)
    named = [event for event in history.events if names_in(event)]
    models = {model for model in get_args(get_args(Admitted)[0]) if "conversation" in model.model_fields}
    assert {type(event) for event in named} == {model for model in models if set(FIELDS) & model.model_fields.keys()}
    for event in named:
        packed: Any = pack(event, 1)
        assert (names_in(packed), packed.received_ms) == (names_in(event), to_ms(event.received_at))


def test_what_is_of_no_conversation_is_sealed_whenever_it_came() -> None:
    frame = {"event_id": "a1", "district": "demo", "source": "cx", "kind": "alert_acknowledged", "alert": "k"}
    moment = at("2026-10-21 10:00").isoformat()
    event = EVENT.validate_json(json.dumps({**frame, "occurred_at": moment, "received_at": moment, "staff": WHO}))
    state = DistrictState("demo")
    state.apply(erased(WHO, "2026-10-20 10:00"))
    applied = state.apply(event)
    assert (applied.arrival, WHO.encode() in applied.content) == (Arrival.NEW, False)


def test_a_refused_event_is_known_and_leaves_nothing_of_its_content() -> None:
    state = DistrictState("demo")
    for event in rated().events:
        state.apply(event)
    state.apply(erased(WHO, "2026-10-20 10:00"))
    state.settle()
    late = History()
    event = late.add("inquiry", "2026-10-21 10:00", "c2", person=WHO, topic="bus")
    applied = state.apply(event)
    assert applied.arrival is Arrival.ERASED
    assert json.loads(applied.content).keys() == {
        "kind", "event_id", "district", "source", "occurred_at", "conversation"
    }  # fmt: skip
    (row,) = map(as_json, state.settle().rows)
    assert (row["conversation"], row["retracted"], row["waits"], row["person"]) == ("c2", 1, [], "")
    assert state.apply(event).arrival is Arrival.DUPLICATE
    # What was received before it and is delivered again is known: nothing changes.
    assert {state.apply(event).arrival for event in rated().events} == {Arrival.DUPLICATE}


def test_the_earliest_receipt_of_one_content_decides() -> None:
    history = story()
    first = history.add("inquiry", "2026-10-06 10:00", person=WHO)
    again = first.model_copy(update={"received_at": at("2026-10-21 10:00")})
    erasure = erased(WHO, "2026-10-20 10:00")
    kept = fold_all([*history.events, erasure])
    assert kept[0]["retracted"] == 0
    for events in ([first, again, erasure], [again, first, erasure], [first, erasure, again]):
        assert fold_all([history.events[0], *events]) == kept


def test_a_content_that_wins_over_a_refused_one_counts() -> None:
    history = story()
    one = history.add("inquiry", "2026-10-21 10:00", person=WHO)
    other = one.model_copy(update={"person": None, "touch_point": "desk"})
    erasure = erased(WHO, "2026-10-20 10:00")
    found = fold_all([*history.events, other, erasure])
    assert found == fold_all([erasure, other, *history.events]) == fold_all([one, erasure, other, history.events[0]])


def test_many_raters_of_one_conversation_stay_as_many() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    people = [f"{number:016x}" for number in range(1, 201)]
    for person in people:
        history.add("rating", "2026-10-06 12:00", score=5, rater=person)
    erasures = [erased(person, "2026-10-20 10:00") for person in people]
    assert len({rating["rater"] for rating in fold_all([*history.events, *erasures])[0]["ratings"]}) == len(people)


def test_a_stand_in_is_made_of_the_key_and_of_the_conversation() -> None:
    history = story()
    for name in ("one", "two"):
        history.add("inquiry", "2026-10-06 10:00", name)
        history.add("rating", "2026-10-06 12:00", name, score=5, rater=WHO)
    rows = fold_all([*history.events, erased(WHO, "2026-10-20 10:00")])
    raters = {rating["rater"] for row in rows for rating in row["ratings"]}
    assert len(raters) == 2
    # Whoever has the log knows the key's digest: it must not lead to what is sealed.
    digest = digest_of_key(WHO)
    assert not raters & {sha256(f"{name}/{digest}".encode()).hexdigest()[:32] for name in ("one", "two")}


def test_what_was_received_before_the_erasure_and_comes_after_it_lands_without_the_key() -> None:
    state = DistrictState("demo")
    state.apply(erased(WHO, "2026-10-20 10:00"))
    applied = [state.apply(event) for event in rated().events]
    assert all(WHO.encode() not in each.content for each in applied)
    (row,) = state.settle().rows
    assert as_json(row)["person"] == ""
