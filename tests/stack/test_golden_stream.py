"""The golden histories of docs/definitions.md in the stream: every column landed as the offline fold has it."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaProducer

from schemas.facts import as_json
from schemas.settings import Settings
from schemas.topics import EVENTS, partition_of
from streams.intake.producer import encode
from streams.offline import fold_events
from tests.fixtures_stack import Workers
from tests.golden import History, district
from tests.stack.processes import all_landed, facts, until

pytestmark = pytest.mark.stack

OFFICE = district().model_dump(mode="json")["calendars"]
EARLY = {**OFFICE, "office": {**OFFICE["office"], "days": {"2026-10-09": ["07:30-12:00"]}}}
CLOSED = {**OFFICE, "office": {**OFFICE["office"], "closed": [*OFFICE["office"]["closed"], "2026-01-21"]}}
HOUR = [{"promise": "hour", "clock": "first_reply", "target": "1h"}]
HALF_A_DAY = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]
Step = tuple[str, str, dict[str, Any]]
RESOLVED = {"status": "resolved"}
ASKED: Step = ("inquiry", "2026-10-06 10:00", {})
G1: list[Step] = [ASKED, ("reply", "2026-10-06 10:45", {})]
REOPENED: list[Step] = [
    ASKED,
    ("reply", "2026-10-06 10:30", {}),
    ("status_changed", "2026-10-06 10:30", RESOLVED),
]
AGAIN: list[Step] = [
    ("inquiry", "2026-10-07 10:00", {}),
    ("reply", "2026-10-07 10:20", {}),
    ("status_changed", "2026-10-07 10:20", RESOLVED),
]


def _pair(opened: str, answered: str, unit: str = "a") -> list[Step]:
    return [("inquiry", opened, {"unit": unit}), ("reply", answered, {})]


# Each with what the district's document says besides; the first configuration is known before everything.
CASES: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "g1": ({}, G1),
    "g2": ({}, _pair("2026-10-06 18:30", "2026-10-07 08:10")),
    "g3": ({}, _pair("2026-10-09 15:00", "2026-10-12 08:30")),
    "g4": ({}, _pair("2026-03-06 15:00", "2026-03-09 08:30")),
    "g5": ({}, _pair("2026-10-30 15:00", "2026-11-02 08:30")),
    "g6": ({}, _pair("2026-11-25 15:30", "2026-11-30 08:00")),
    "g7": ({}, _pair("2026-10-09 18:00", "2026-10-10 09:00")),
    "g8": ({}, _pair("2026-03-07 12:00", "2026-03-09 00:00", "line")),
    "g9": ({"calendars": EARLY}, _pair("2026-10-09 11:00", "2026-10-12 08:00")),
    "g10": ({}, [ASKED, ("inquiry", "2026-10-06 10:20", {}), ("reply", "2026-10-06 11:00", {})]),
    "g11": (
        {},
        [
            ASKED,
            ("reply", "2026-10-06 10:00:05", {"author": "automatic_acknowledgement"}),
            ("reply", "2026-10-06 10:10", {"public": False}),
            ("reply", "2026-10-06 10:30", {}),
            ("reply", "2026-10-06 10:40", {}),
        ],
    ),
    "g12": (
        {},
        [
            ASKED,
            ("reply", "2026-10-06 10:00:10", {"author": "bot"}),
            ("transfer", "2026-10-06 10:20", {"unit": "a", "from_bot": True}),
            ("reply", "2026-10-06 10:50", {}),
        ],
    ),
    "g13": (
        {},
        [ASKED, ("transfer", "2026-10-06 11:00", {"unit": "b"}), ("reply", "2026-10-06 12:30", {"unit": "b"})],
    ),
    "g14": ({}, [*REOPENED, *AGAIN]),
    "g15": ({}, [*REOPENED, ("inquiry", "2026-10-07 10:00", {"needs_reply": False})]),
    "g16": ({}, [("reply", "2026-10-06 09:00", {}), ASKED, ("reply", "2026-10-06 10:15", {})]),
    "g18-seconds": ({}, [("reply", "2026-10-06 09:59:58", {"source": "phone"}), ASKED]),
    "g18-minutes": ({}, [("reply", "2026-10-06 09:54", {"source": "phone"}), ASKED]),
    "g19": (
        {},
        [
            ASKED,
            ("inquiry", "2026-10-06 10:30", {"conversation": "y"}),
            ("merge", "2026-10-06 11:00", {"conversation": "y", "into": "c1"}),
            ("reply", "2026-10-06 11:15", {}),
        ],
    ),
    "g20": ({}, [*G1, ("spam", "2026-10-06 11:00", {})]),
    "g21": ({}, [*G1, ("rating", "2026-10-06 12:00", {"score": 4}), ("rating", "2026-10-15 12:00", {"score": 9})]),
    "g22": (
        {},
        [ASKED, ("status_changed", "2026-10-06 11:00", RESOLVED), ("rating", "2026-11-15 11:00", {"score": 2})],
    ),
    "g23": ({}, [("rating", "2026-10-06 10:00", {"score": 9}), ("inquiry", "2026-10-06 12:00", {})]),
    "g23-unlinked": ({}, [("rating", "2026-10-06 10:00", {"score": 9})]),
    "g24": ({"promises": HALF_A_DAY}, [("inquiry", "2026-01-20 15:30", {})]),
    "g25-met": ({"promises": HOUR}, _pair("2026-10-06 15:00", "2026-10-07 07:30")),
    "g25-breached": ({"promises": HOUR}, _pair("2026-10-06 15:00", "2026-10-07 07:31")),
    "g27": (
        {},
        [
            ("inquiry", "2026-10-06 08:00", {"channel": "phone", "contact": "missed_call"}),
            ("reply", "2026-10-06 09:00", {"channel": "phone"}),
        ],
    ),
}


def _history(name: str) -> list[bytes]:
    """A case's events, of a district of its name."""
    more, steps = CASES[name]
    made = History(name)
    made.configured(district(district=name, **more))
    for kind, when, fields in steps:
        made.add(kind, when, **fields)
    if name == "g24":
        made.configured(district(district=name, calendars=CLOSED, revision=2, **more), "2026-01-21 12:00")
    return [encode(event).content for event in made.events]


def _write(settings: Settings, messages: list[tuple[str, bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_address, acks="all")
    for name, content in messages:
        partition = partition_of(name, settings.partitions)
        producer.send(settings.topic(EVENTS), content, key=name.encode(), partition=partition)
    producer.flush(60)
    producer.close(5)


def _unexpected(remark: object) -> None:
    raise AssertionError(remark)


def _is_all_there(settings: Settings, expected: list[dict[str, Any]]) -> Callable[[], bool]:
    # A configuration that comes last lands before what it has folded again.
    versions = [row["version"] for row in expected]
    return lambda: all_landed(settings) and [row["version"] for row in facts(settings)] == versions


def test_every_golden_history_lands_as_it_is_folded_offline(stream: Settings, workers: Workers) -> None:
    histories = {name: _history(name) for name in CASES}
    expected: list[dict[str, Any]] = []
    for name in sorted(histories):
        expected += [as_json(row) for row in fold_events(histories[name], None, _unexpected)]
    assert len(expected) == len(CASES) + 1
    # In any order, each event one to three times, as G17 has it.
    draw = random.Random(17)
    messages = [(name, each) for name, history in histories.items() for each in history * 2 if draw.random() < 0.5]
    messages += [(name, each) for name, history in histories.items() for each in history]
    draw.shuffle(messages)
    worker = workers.start().wait_ready()
    _write(stream, messages)
    until(_is_all_there(stream, expected), "all golden histories")
    assert facts(stream) == expected
    assert worker.process.poll() is None
