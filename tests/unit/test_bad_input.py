"""Bad input: each refused with a reason that names the field, its good neighbours kept."""

import json
from typing import Any

import pytest

from schemas.events import EVENT, canonical
from streams.core.admission import LARGEST_MESSAGE, MOST_EVENTS, admit
from streams.core.harmless import DEEPEST, LARGEST_EVENT


def _event(**more: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "kind": "rating",
        "event_id": "e1",
        "district": "demo",
        "source": "s",
        "occurred_at": "2026-10-06T15:00:00Z",
        "received_at": "2026-10-06T15:00:00Z",
        "conversation": "c",
        "score": 9,
        **more,
    }
    return {name: value for name, value in event.items() if value is not ...}


def _correction(time: str) -> dict[str, Any]:
    return _event(kind="correction", score=..., corrects="e0", time=time)


BAD: list[tuple[str, Any, str, str]] = [
    ("wrong_type", _event(score="9"), "invalid_field", "score"),
    ("not_an_object", "hello", "not_an_event", ""),
    ("unknown_kind", _event(kind="gossip"), "unknown_kind", "kind"),
    ("no_kind", _event(kind=...), "missing_field", "kind"),
    ("missing_field", _event(conversation=...), "missing_field", "conversation"),
    ("naive_time", _event(occurred_at="2026-10-06T15:00:00"), "invalid_field", "occurred_at"),
    ("number_as_time", _event(occurred_at=1_790_000_000), "invalid_field", "occurred_at"),
    ("six_minutes_after_receipt", _event(occurred_at="2026-10-06T15:06:00Z"), "future_time", "occurred_at"),
    ("corrected_to_years_ahead", _correction("2031-10-06T15:00:00Z"), "future_time", "time"),
    ("corrected_to_six_minutes_ahead", _correction("2026-10-06T15:05:00.001Z"), "future_time", "time"),
    ("foreign_district", _event(district="other"), "foreign_district", "district"),
    ("null_bytes", _event(event_id="e\x00"), "invalid_field", "event_id"),
    ("score_11", _event(score=11), "invalid_field", "score"),
    ("score_0", _event(score=0), "invalid_field", "score"),
    ("score_true", _event(score=True), "invalid_field", "score"),
    ("nested", _event(pillars={"courtesy": 11}), "invalid_field", "pillars.courtesy"),
    ("extra_field", _event(comment="they were rude"), "invalid_field", "comment"),
    ("free_text", _event(source="a phone system"), "invalid_field", "source"),
    ("lone_surrogate", _event(event_id="\ud800"), "not_json", ""),
]


@pytest.mark.parametrize(("item", "reason", "field"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_item_between_good_ones(item: Any, reason: str, field: str) -> None:
    good = [_event(event_id="good-1"), _event(event_id="good-2")]
    admission = admit(json.dumps([good[0], item, good[1]]).encode())
    assert [event.event_id for _, event in admission.events] == ["good-1", "good-2"]
    (refusal,) = admission.refused
    assert (refusal.position, refusal.reason, refusal.field) == (1, reason, field)
    assert field in refusal.message


def test_a_time_corrected_to_five_minutes_ahead_is_taken_as_an_event_s_own_is() -> None:
    ahead = "2026-10-06T15:05:00Z"
    items = [_event(occurred_at=ahead), _correction(ahead), _correction("2020-01-01T00:00:00Z")]
    assert len(admit(json.dumps(items).encode()).events) == 3


@pytest.mark.parametrize(("item", "reason", "field"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_item_alone(item: Any, reason: str, field: str) -> None:
    admission = admit(json.dumps(item).encode())
    if reason == "foreign_district":
        assert admission.district == "other"
        return
    assert admission.events == []
    assert [(refusal.reason, refusal.field) for refusal in admission.refused] == [(reason, field)]


def test_five_minutes_after_receipt_are_still_taken() -> None:
    assert admit(json.dumps(_event(occurred_at="2026-10-06T15:05:00Z")).encode()).refused == []


@pytest.mark.parametrize(
    "payload",
    [b"hello", b'{"kind":', b"\x00\x00", b"\xff\xfe{}", b"[" * 100_000, b"\x00" + json.dumps(_event()).encode()],
    ids=["text", "cut", "nulls", "not_utf8", "deep", "null_before"],
)
def test_what_is_not_json(payload: bytes) -> None:
    admission = admit(payload)
    assert admission.events == []
    assert [refusal.reason for refusal in admission.refused] == ["not_json"]


def test_tombstones_and_empty_arrays_are_refused() -> None:
    for message in (None, b"", b"[]"):
        assert [refusal.reason for refusal in admit(message).refused] == ["empty"]


def test_a_message_of_10_megabytes_is_refused_unread() -> None:
    payload = json.dumps([_event(event_id=f"e{index}") for index in range(55_000)]).encode()
    assert len(payload) > 10_000_000 > LARGEST_MESSAGE
    (refusal,) = admit(payload).refused
    assert refusal.reason == "too_large"


def test_too_many_events_are_refused_whether_or_not_one_is_bad() -> None:
    good = [_event(event_id=f"e{index}") for index in range(MOST_EVENTS + 1)]
    for items in (good, [*good[1:], 5]):
        (refusal,) = admit(json.dumps(items).encode()).refused
        assert refusal.reason == "too_large"


def test_no_refusal_repeats_content() -> None:
    secret = "jane.doe@example.org"  # what a careless source might send
    for field in ("source", "conversation", "score", "kind", "received_at", secret):
        for refusal in admit(json.dumps([_event(**{field: secret})]).encode()).refused:
            assert secret not in " ".join(map(str, refusal))


@pytest.mark.parametrize("name", ["beadbeadbeadbead", "JaneDoe", "Müller", "0f" * 16, "they were rude"])
def test_no_refusal_repeats_a_field_that_could_name_a_person(name: str) -> None:
    (refusal,) = admit(json.dumps(_event(**{name: 1})).encode()).refused
    assert (refusal.reason, refusal.field) == ("invalid_field", "?")
    assert name not in refusal.message


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "1969-12-31T23:59:59Z"])
def test_a_time_out_of_all_range_is_refused_and_its_neighbours_are_taken(moment: str) -> None:
    good, bad = _event(), _event(event_id="e-2", occurred_at=moment)
    found = admit(json.dumps([good, bad]).encode())
    assert len(found.events) == 1
    assert [(refusal.position, refusal.reason, refusal.field) for refusal in found.refused] == [
        (1, "invalid_field", "occurred_at")
    ]


def test_a_refusal_repeats_no_content_as_a_district() -> None:
    (refusal,) = admit(json.dumps(_event(district="Jane Doe, 5 Main St")).encode()).refused
    assert (refusal.field, refusal.district) == ("district", "")


@pytest.mark.parametrize("raw", ["1" * 5_000, "1e999"])
def test_a_monstrous_number_costs_its_event_only(raw: str) -> None:
    text = json.dumps([_event(), _event(event_id="e2", score=10)])
    found = admit(text.replace('"score": 10', f'"score": {raw}').encode())
    assert len(found.events) == 1
    assert [(refusal.position, refusal.field) for refusal in found.refused] == [(1, "score")]


def test_a_newer_event_is_kept_unless_it_brings_text() -> None:
    newer = _event(schema_version=2, kind="visit_planned", room="b-12", tags=["x"])
    assert len(admit(json.dumps(newer).encode()).newer) == 1
    for text in ("please call Jane", "jane@example.org", "é"):
        found = admit(json.dumps(newer | {"note": {"deep": [text]}}).encode())
        assert not found.newer
        assert (found.refused[0].reason, found.refused[0].field) == ("invalid_field", "note")


def test_a_newer_event_brings_no_number_that_could_be_called_and_stays_small() -> None:
    newer = _event(schema_version=2, kind="visit_planned", conversation="5125550100", event_id="5125550101")
    newer |= {"on": "2026-10-06", "at": "2026-10-06T10:00:00-05:00", "who": "1" * 16}
    assert len(admit(json.dumps(newer).encode()).newer) == 1
    for number in ("5125550100", "+15125550100", "512-555-0100", "512.555.0100"):
        assert not admit(json.dumps(newer | {"call": number}).encode()).newer
    for size, taken in ((100, True), (LARGEST_EVENT, False)):
        found = admit(json.dumps(newer | {"marks": ["a" * 10] * (size // 13)}).encode())
        assert bool(found.newer) is taken
        assert [refusal.reason for refusal in found.refused] == ([] if taken else ["too_large"])


@pytest.mark.parametrize("depth", [DEEPEST + 1, 500])
def test_a_newer_event_that_is_nested_too_deep_or_holds_no_number_costs_itself_only(depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    newer = _event(schema_version=2, kind="visit_planned", event_id="e-2")
    for value in (deep, float("inf"), float("nan")):
        found = admit(json.dumps([_event(), newer | {"held": value}]).encode())
        assert (len(found.events), found.newer, [refusal.position for refusal in found.refused]) == (1, [], [1])


def test_absent_is_the_first_schema_whatever_the_newest_is() -> None:
    event = EVENT.validate_json(json.dumps(_event()))
    assert event.schema_version == 1
    assert b"schema_version" not in canonical(event)
    later = EVENT.validate_json(json.dumps(_event(schema_version=2)))
    assert b'"schema_version":2' in canonical(later)


def test_a_newer_configuration_keeps_its_names() -> None:
    newer = {name: value for name, value in _event(kind="district_configured").items() if name != "conversation"}
    newer |= {"schema_version": 2, "configuration": {"label": "River Bend Unified", "novel": True}}
    assert len(admit(json.dumps(newer).encode()).newer) == 1


def test_a_place_in_a_list_is_spelled() -> None:
    event = _event(kind="training_held", training="t", theme="reflective", units=["a", "B c"])
    event = {name: value for name, value in event.items() if name not in ("conversation", "score")}
    (refusal,) = admit(json.dumps(event).encode()).refused
    assert refusal.field == "units.1"
