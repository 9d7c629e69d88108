"""The simulator's promises to whoever reads its events: determinism, order of arrival, valid events."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from schemas.events import EVENT, DistrictConfigured
from schemas.vocabulary import to_ms
from streams.core.admission import admit
from streams.intake.simulator import Span, numbered, simulate, simulate_all, standing
from streams.intake.simulator_batches import arrays
from streams.intake.simulator_writing import instant
from tests.simulated import DECLARED, SAMPLE, Arrival, changed, few, local_ms, run, span

ROOT = Path(__file__).resolve().parents[2]
DIGEST = (
    "import hashlib; from tests.simulated import SAMPLE, few, span; from streams.intake.simulator import simulate;"
    "found = list(simulate(SAMPLE, few(100), span('2026-09-08', '2026-09-09')));"
    "print(hashlib.sha256(repr(found).encode()).hexdigest())"
)
SOME = changed(few(300), habits={"undelivered": 0.05})
KINDS = {
    "inquiry",
    "reply",
    "rating",
    "survey_offered",
    "transfer",
    "status_changed",
    "spam",
    "merge",
    "correction",
    "delivery_failed",
    "district_configured",
    "training_held",
    "heartbeat",
}


@pytest.fixture(scope="module")
def week() -> list[Arrival]:
    return run(span("2026-09-22", "2026-09-29"), SOME)


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    other = subprocess.run(
        [sys.executable, "-c", DIGEST],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
        text=True,
    )
    here = list(simulate(SAMPLE, few(100), span("2026-09-08", "2026-09-09")))
    assert other.stdout.strip() == sha256(repr(here).encode()).hexdigest()


def test_another_seed_gives_another_district() -> None:
    first, second = (run(span("2026-09-22", "2026-09-23", seed), few(100)) for seed in (1, 2))
    assert {a.text for a in first[1:]}.isdisjoint({a.text for a in second[1:] if a.event["kind"] != "heartbeat"})


def test_a_day_does_not_depend_on_where_the_span_begins(week: list[Arrival]) -> None:
    later = run(span("2026-09-25", "2026-09-29"), SOME)
    days = ("20260925", "20260926", "20260927", "20260928")

    def of(arrivals: list[Arrival]) -> list[str]:
        return [a.text for a in arrivals if a.event.get("conversation", "").startswith(days)]

    assert of(later) == of(week)
    assert all(
        a.event["conversation"].startswith(days)
        for a in later
        if "conversation" in a.event and a.event["kind"] != "merge"
    )


def test_every_event_is_valid_and_admitted(week: list[Arrival]) -> None:
    for arrival in week:
        admission = admit(arrival.text.encode())
        assert admission.refused == [], arrival.text
        assert to_ms(admission.events[0][1].received_at) == arrival.received_ms


def test_events_come_in_order_of_arrival_and_within_the_span(week: list[Arrival]) -> None:
    received = [arrival.received_ms for arrival in week]
    assert received == sorted(received)
    assert local_ms("2026-09-22") == received[0]
    assert received[-1] < local_ms("2026-09-29")
    assert all(a.event["occurred_at"] <= a.event["received_at"] for a in week)


def test_arrival_is_not_the_order_of_what_happened(week: list[Arrival]) -> None:
    happened = [a.event["occurred_at"] for a in week]
    assert happened != sorted(happened)


def test_every_kind_of_event_is_there(week: list[Arrival]) -> None:
    assert {a.event["kind"] for a in week} == KINDS


def test_the_first_event_configures_the_district(week: list[Arrival]) -> None:
    event = EVENT.validate_json(week[0].text)
    assert isinstance(event, DistrictConfigured)
    assert event.configuration.units == SAMPLE.units


def test_a_repeated_delivery_has_the_same_content(week: list[Arrival]) -> None:
    times = Counter(a.event["event_id"] for a in week)
    repeated = {event_id for event_id, count in times.items() if count > 1}
    assert len(repeated) / len(times) == pytest.approx(DECLARED.arrival.duplicated, rel=0.4)
    content = {
        (a.event["event_id"], a.text.split(',"received_at"')[0]) for a in week if a.event["event_id"] in repeated
    }
    assert len(content) == len(repeated)


def test_an_event_id_belongs_to_one_event(week: list[Arrival]) -> None:
    texts: dict[str, str] = {}
    for arrival in week:
        text = arrival.text.split(',"received_at"')[0]
        assert texts.setdefault(arrival.event["event_id"], text) == text


def test_no_span_no_event() -> None:
    assert list(simulate(SAMPLE, DECLARED, Span(1000, 1000))) == []


def test_a_year_later_is_another_year() -> None:
    found = run(span("2027-06-12", "2027-06-13"), few(100))
    assert found[1:]
    assert all(a.event["occurred_at"].startswith("2027-06-1") for a in found)


def test_days_of_23_and_25_hours() -> None:
    for first, last in (("2026-11-01", "2026-11-02"), ("2027-03-14", "2027-03-15")):
        found = run(span(first, last), changed(few(1), arrival={"heartbeat_minutes": 30}))
        assert len({a.event["event_id"] for a in found if a.event["kind"] == "heartbeat"}) == (
            6 * 2 * (25 if first == "2026-11-01" else 23)
        )


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00.000Z", "2026-02-28T23:59:59.999Z", "2096-02-29T12:00:00.001Z"])
def test_instants_are_spelled_exactly(text: str) -> None:
    assert instant(to_ms(datetime.fromisoformat(text).astimezone(UTC))) == text


def test_several_districts_are_each_the_same_as_alone() -> None:
    documents = [numbered(SAMPLE, number) for number in (1, 2)]
    within = span("2026-09-22", "2026-09-24")
    found = list(simulate_all(documents, few(40), within))
    assert [received for received, _ in found] == sorted(received for received, _ in found)
    for document in documents:
        assert document.label is not None
        assert "simulated" in document.label
        mark = f'"district":"{document.district}"'
        assert [item for item in found if mark in item[1]] == list(
            simulate(document, few(40), within, standing(document, DECLARED, 1))
        )


def test_arrays_hold_every_event_once_and_one_district_each() -> None:
    documents = [numbered(SAMPLE, number) for number in (1, 2)]
    single = list(simulate_all(documents, few(40), span("2026-09-22", "2026-09-23")))
    gathered = list(arrays(single, 50))
    admissions = [admit(text.encode()) for _, text in gathered]
    assert all(not admission.refused and len(admission.events) <= 50 for admission in admissions)
    ids = [(event.district, event.event_id) for admission in admissions for _, event in admission.events]
    expected = [(event.district, event.event_id) for _, text in single for _, event in admit(text.encode()).events]
    assert sorted(ids) == sorted(expected)


def test_the_sample_district_is_what_it_says() -> None:
    levels = Counter(unit.level for unit, _ in SAMPLE.walk())
    assert (levels["school"], levels["department"]) == (70, 12)
    assert "simulated" in SAMPLE.district
    assert SAMPLE.label is not None
    assert "simulated" in SAMPLE.label
    codes = {unit.unit for unit, _ in SAMPLE.walk()}
    assert {topic.to for topic in DECLARED.topics} <= codes | {"schools", "anyone"}
    assert set(DECLARED.units) <= codes
    assert {code for training in DECLARED.trainings for code in training.units} <= codes
