"""Dead letters tried again over small fakes: what today's code takes is published, everything else says why not."""

import json
from collections.abc import Collection
from hashlib import sha256
from typing import Any

import pytest

from deploy.cli.dead_letters import parse_place
from schemas.errors import Unavailable, UsageError
from schemas.events import EVENT
from schemas.settings import Settings
from sinks.dead_letters import DeadLetter, Decision, LetterPlace
from sinks.landing import Place, dead_letter_row
from streams.core.admission import admit, digest
from streams.intake.memory import MemoryLog
from streams.intake.retrying import Message, Outcome, Result, Retry, judge, retry
from tests.golden import at

PERSON = "5f5f5f5f5f5f5f5f"
NOW_MS = 1_760_000_000_123


def item(event_id: str = "e1", **more: Any) -> dict[str, Any]:
    moment = at("2026-10-06 10:00").isoformat()
    frame = {"kind": "inquiry", "event_id": event_id, "district": "demo", "source": "crm", "channel": "email"}
    return frame | {"occurred_at": moment, "received_at": moment, "conversation": "c1", "person": PERSON} | more


def letter(offset: int = 7, position: int = 0, **fields: Any) -> DeadLetter:
    usual = {"reason": "internal", "district": "demo", "kind": "inquiry", "state": "open"}
    names = (
        "reason",
        "field",
        "message",
        "digest",
        "district",
        "kind",
        "landed_at",
        "state",
        "who",
        "why",
        "decided_at",
    )
    values = dict.fromkeys(names, "") | {"landed_at": 0, "decided_at": None} | usual | fields
    return DeadLetter("cx.events", 3, offset, position, **values)


def as_letters(payload: bytes) -> list[DeadLetter]:
    """What a worker makes of the refusals in a message."""
    rows = [dead_letter_row(refusal, Place("cx.events", 3, 7)) for refusal in admit(payload).refused]
    return [DeadLetter(*row, 0, "open", "", "", None) for row in rows]


class Around:
    """Kafka and the table of decisions, in memory."""

    def __init__(self, messages: dict[int, bytes | None], erased: Collection[str] = ()) -> None:
        self.messages = messages
        self.log = MemoryLog(1)
        self.reads: list[int] = []
        self.decisions: list[Decision] = []
        self.tools = Retry(self.read, self.log, lambda _district: erased, self.decisions.extend, "ops", "")

    def read(self, place: LetterPlace) -> Message | None:
        self.reads.append(place.offset)
        return Message(self.messages[place.offset]) if place.offset in self.messages else None

    def run(self, *letters: DeadLetter) -> list[Outcome]:
        return list(retry(letters, lambda: NOW_MS, self.tools))

    @property
    def published(self) -> list[dict[str, Any]]:
        return [event for payload in self.log.messages[0] for event in json.loads(payload)]


def results(outcomes: list[Outcome]) -> list[Result]:
    return [outcome.result for outcome in outcomes]


def test_only_the_refused_item_is_published_again_with_its_own_receipt() -> None:
    payload = json.dumps([item("e1"), item("e2"), item("e3")]).encode()
    around = Around({7: payload})
    (outcome,) = around.run(letter(position=1))
    assert (outcome.result, outcome.events) == (Result.PUBLISHED, 1)
    assert [EVENT.validate_json(json.dumps(event)) for event in around.published] == [
        EVENT.validate_json(json.dumps(item("e2")))
    ]
    assert around.decisions == [Decision("cx.events", 3, 7, 1, NOW_MS, "retried", "ops", "")]


def test_a_message_refused_as_a_whole_brings_all_its_events() -> None:
    payload = json.dumps([item("e1"), item("e2")]).encode()
    around = Around({7: payload})
    assert results(around.run(letter(reason="too_large", digest=digest(payload)))) == [Result.PUBLISHED]
    assert [event["event_id"] for event in around.published] == ["e1", "e2"]


def test_a_whole_message_of_which_a_part_is_still_wrong_stays_open() -> None:
    payload = json.dumps([item("e1"), item("e2", channel=7)]).encode()
    around = Around({7: payload})
    (outcome,) = around.run(letter(reason="too_large", digest=digest(payload)))
    assert (outcome.result, outcome.events) == (Result.PARTLY, 1)
    assert "invalid_field: channel" in outcome.text
    assert around.decisions == []


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"",
        json.dumps([item("e1"), item("e2", channel=7)]).encode(),
        json.dumps([item("e1"), item("e2", district="other")]).encode(),
        json.dumps([item("e1"), item("e2", occurred_at=at("2026-10-06 11:00").isoformat())]).encode(),
        json.dumps([item("e1"), 7]).encode(),
        json.dumps(item(kind="telepathy"), indent=2).encode(),
    ],
)
def test_what_is_still_wrong_says_why_and_nothing_is_published(payload: bytes) -> None:
    (refused,) = as_letters(payload)
    around = Around({7: payload})
    (outcome,) = around.run(refused)
    assert outcome.result is Result.REFUSED
    assert outcome.text == f"still refused, {refused.reason}: {refused.message}"
    assert (around.published, around.decisions) == ([], [])


def test_an_event_of_a_newer_schema_is_published_as_it_is() -> None:
    newer = item("e1", schema_version=999_999, kind="hologram")
    around = Around({7: json.dumps(newer).encode()})
    assert results(around.run(letter(kind=""))) == [Result.PUBLISHED]
    assert around.published == [newer]


def test_retention_another_message_and_what_was_decided_are_told_apart() -> None:
    payload = json.dumps(item("e1")).encode()
    around = Around({1: payload, 2: payload, 3: payload})
    outcomes = around.run(
        letter(0),
        letter(1, kind="reply"),
        letter(1, 5),
        letter(2, reason="invalid_field", digest=digest(b"other")),
        letter(3, reason="erased"),
        letter(3, state="retried"),
        letter(3, state="dropped"),
    )
    assert results(outcomes) == [
        Result.GONE,
        *[Result.ANOTHER] * 3,
        Result.ERASED,
        *[Result.DECIDED] * 2,
    ]
    assert (around.published, around.decisions, around.reads) == ([], [], [0, 1, 2])


@pytest.mark.parametrize("fields", [{}, {"schema_version": 999_999, "kind": "hologram", "seen": [{"by": PERSON}]}])
def test_the_key_of_a_person_erased_meanwhile_is_not_sent_again(fields: dict[str, Any]) -> None:
    around = Around({7: json.dumps(item("e1", **fields)).encode()}, erased={sha256(PERSON.encode()).hexdigest()})
    assert results(around.run(letter(kind=""))) == [Result.ERASED]
    assert around.published == []


def test_nothing_is_marked_before_kafka_has_it() -> None:
    around = Around({7: json.dumps(item("e1")).encode()})
    around.log.away = True
    with pytest.raises(Unavailable):
        around.run(letter())
    assert around.decisions == []


def test_a_message_is_read_once_for_all_its_letters() -> None:
    around = Around({7: json.dumps([item(f"e{number}") for number in range(4)]).encode(), 8: b"[]"})
    around.run(*(letter(7, number) for number in range(4)), letter(8))
    assert around.reads == [7, 8]
    assert len(around.published) == 4


def test_a_letter_of_today_is_recognised_by_its_digest() -> None:
    for payload in (json.dumps([item("e1"), item("e2", score=3)]).encode(), json.dumps(item(source=5)).encode()):
        (refused,) = as_letters(payload)
        assert judge(refused, payload, lambda _: ()).outcome.result is Result.REFUSED
        moved = payload.replace(b"demo", b"doom")
        assert judge(refused, moved, lambda _: ()).outcome.result is Result.ANOTHER


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("3/7", LetterPlace("cx.events", 3, 7)),
        ("3/7/1", LetterPlace("cx.events", 3, 7, 1)),
        ("x.cx.events/3/7/1", LetterPlace("x.cx.events", 3, 7, 1)),
    ],
)
def test_a_place_as_it_is_typed(text: str, place: LetterPlace) -> None:
    assert parse_place(text, Settings().topic("cx.events")) == place


@pytest.mark.parametrize("text", ["", "3", "3/", "3/7/1/2", "cx.events/3", "3/-1", "a/b/c"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no place"):
        parse_place(text, "cx.events")
