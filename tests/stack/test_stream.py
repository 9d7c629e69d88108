"""The stream on real Kafka and the real ClickHouse engine: nothing lost, nothing twice, bad input harms only itself."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.events import EVENT, Event
from schemas.facts import as_json
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, EVENTS, partition_of
from schemas.vocabulary import from_ms
from sinks.connection import connect
from streams.core.district import DistrictState
from tests.fixtures_stack import Workers
from tests.golden import ms
from tests.stack.processes import PATIENCE, all_landed, committed, facts, until

pytestmark = pytest.mark.stack

START = ms("2026-10-06 08:00")


def event(district: str, number: int, kind: str, minute: int, **more: Any) -> dict[str, Any]:
    """One event of a district's conversation `number // 4`."""
    moment = from_ms(START + minute * 60_000).isoformat()
    base = {
        "kind": kind,
        "event_id": f"{district}-{number}",
        "district": district,
        "source": "crm",
        "occurred_at": moment,
        "received_at": moment,
        "conversation": f"c{number // 4}",
    }
    return base | ({"channel": "email"} if kind in ("inquiry", "reply") else {}) | more


def histories(districts: int, conversations: int) -> dict[str, list[dict[str, Any]]]:
    """Conversations of four events each, of several districts, in order."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("inquiry", {}),
        ("reply", {}),
        ("status_changed", {"status": "resolved"}),
        ("rating", {"score": 7}),
    ]
    return {
        f"d{d}": [
            event(f"d{d}", c * 4 + i, kind, c * 7 + i * (c % 50 + 1), **more)
            for c in range(conversations)
            for i, (kind, more) in enumerate(kinds)
        ]
        for d in range(districts)
    }


def messages(all_events: dict[str, list[dict[str, Any]]], seed: int) -> list[tuple[str, bytes]]:
    """Shuffled, partly repeated, as single events and as arrays."""
    draw = random.Random(seed)
    made: list[tuple[str, bytes]] = []
    for district, events in all_events.items():
        shuffled = [*events, *draw.sample(events, len(events) // 10)]
        draw.shuffle(shuffled)
        while shuffled:
            size = draw.choice([1, 1, 2, 5])
            part, shuffled = shuffled[:size], shuffled[size:]
            made.append((district, json.dumps(part if len(part) > 1 else part[0]).encode()))
    draw.shuffle(made)
    return made


class Writer:
    """Writes messages and remembers where each event stands in Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_address, acks="all", max_request_size=16 * 1024 * 1024
        )
        self.places: dict[int, list[tuple[int, str, str]]] = defaultdict(list)

    def write(self, district: str, payload: bytes, partition: int | None = None) -> None:
        """Write one message and wait for the broker."""
        number = partition_of(district, self._settings.partitions) if partition is None else partition
        topic = self._settings.topic(EVENTS)
        sent = self._producer.send(topic, payload, key=district.encode(), partition=number).get(60)
        try:
            content = json.loads(payload)
        except ValueError:
            return
        items = content if isinstance(content, list) else [content]
        self.places[number].extend((sent.offset, district, str(item.get("event_id"))) for item in items)

    def close(self) -> None:
        """Let go of the connection."""
        self._producer.close(5)


@pytest.fixture
def writer(stream: Settings) -> Iterator[Writer]:
    made = Writer(stream)
    yield made
    made.close()


def offline(all_events: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows that the offline fold makes of the same events."""
    rows: list[dict[str, Any]] = []
    for district, events in all_events.items():
        state = DistrictState(district)
        parsed: list[Event] = [EVENT.validate_json(json.dumps(e)) for e in events]
        for each in parsed:
            state.apply(each)
        rows.extend(as_json(row) for row in state.settle().rows)
    return sorted(rows, key=lambda row: (row["district"], row["conversation"]))


def landed_events(settings: Settings) -> set[tuple[str, str]]:
    with connect(settings) as client:
        return set(client.execute("SELECT district, event_id FROM events FINAL"))


def assert_nothing_is_acknowledged_ahead(settings: Settings, writer: Writer) -> None:
    """Every event below a committed offset is in ClickHouse. Offsets are read first: they only grow."""
    offsets = committed(settings)
    landed = landed_events(settings)
    for partition, offset in offsets.items():
        missing = [p for p in writer.places[partition] if p[0] < offset and p[1:] not in landed]
        assert not missing, f"partition {partition} is committed to {offset} without {missing[:3]}"


@pytest.mark.timeout(420)
def test_workers_join_leave_and_die_and_the_rows_stay_exact(stream: Settings, workers: Workers, writer: Writer) -> None:
    everything = histories(districts=24, conversations=25)
    queue = messages(everything, seed=1)
    fifth = len(queue) // 5

    def write(part: int) -> None:
        for district, payload in queue[part * fifth : (part + 1) * fifth if part < 4 else None]:
            writer.write(district, payload)

    first = workers.start().wait_ready()
    write(0)
    second = workers.start().wait_ready()
    write(1)
    assert_nothing_is_acknowledged_ahead(stream, writer)
    assert second.leave() == 0
    write(2)
    third = workers.start().wait_ready()
    write(3)
    third.kill()
    assert_nothing_is_acknowledged_ahead(stream, writer)
    fourth = workers.start()
    write(4)
    fourth.wait_ready()
    until(lambda: all_landed(stream), "all messages acknowledged")
    assert_nothing_is_acknowledged_ahead(stream, writer)
    assert first.process.poll() is None
    assert facts(stream) == offline(everything)


def test_an_event_that_makes_the_core_raise_costs_only_itself(
    stream: Settings, workers: Workers, writer: Writer
) -> None:
    everything = histories(districts=2, conversations=5)
    poison = event("d0", 1, "reply", 3, event_id="poison-1", conversation="c0")
    alone = event("d1", 1, "inquiry", 3, event_id="poison-2", conversation="lonely")
    for district, events in everything.items():
        extra = poison if district == "d0" else alone
        writer.write(district, json.dumps([events[0], extra, *events[1:]]).encode())
    worker = workers.start("tests.faults.poisoned_fold").wait_ready()
    until(lambda: all_landed(stream), "all messages acknowledged")
    assert facts(stream) == offline(everything)
    with connect(stream) as client:
        refused = client.execute("SELECT reason, kind, position FROM dead_letters FINAL ORDER BY kind")
    assert refused == [("internal", "inquiry", 1), ("internal", "reply", 1)]
    assert worker.process.poll() is None


def _bad(number: int, **more: Any) -> dict[str, Any]:
    return event("d1", number, "inquiry", 0, event_id=f"bad-{number}", conversation=f"bad{number}") | more


def bad_items() -> list[tuple[dict[str, Any], str, str]]:
    """Each way to be wrong, with the reason and the field it must be refused with."""
    late = from_ms(START + 6 * 60_000).isoformat()
    nameless = {name: value for name, value in _bad(4).items() if name != "channel"}
    return [
        (_bad(1, channel=7), "invalid_field", "channel"),
        (_bad(2, kind="telepathy"), "unknown_kind", "kind"),
        (_bad(3, conversation="a\x00b"), "invalid_field", "conversation"),
        (nameless, "missing_field", "channel"),
        (_bad(5, occurred_at="2026-10-06T10:00:00"), "invalid_field", "occurred_at"),
        (_bad(6, occurred_at=late), "future_time", "occurred_at"),
        (_bad(7, district="d2"), "foreign_district", "district"),
        (event("d1", 8, "rating", 0, score=11), "invalid_field", "score"),
    ]


def test_bad_input_is_refused_with_a_reason_and_harms_nothing_else(
    stream: Settings, workers: Workers, writer: Writer
) -> None:
    everything = {"d1": histories(districts=2, conversations=3)["d1"]}
    wrong = bad_items()
    array: list[dict[str, Any]] = []
    for index, good in enumerate(everything["d1"]):
        array.append(good)
        if index < len(wrong):
            array.append(wrong[index][0])
    workers.start().wait_ready()
    writer.write("d1", b"this is not json")
    writer.write("d1", b"[" + b" " * 10_000_000 + b"]")
    writer.write("d1", b"\x00\x00\x00")
    writer.write("d1", json.dumps(array).encode())
    until(lambda: all_landed(stream), "all messages acknowledged")
    assert facts(stream) == offline(everything)
    with connect(stream) as client:
        refused = client.execute("SELECT reason, field FROM dead_letters FINAL ORDER BY offset, position")
    expected = [("not_json", ""), ("too_large", ""), ("not_json", ""), *((reason, field) for _, reason, field in wrong)]
    assert refused == expected
    letters = dead_letters(stream, len(expected))
    assert [(letter["reason"], letter["field"]) for letter in letters] == expected
    assert all("bad" not in json.dumps(letter) for letter in letters)


def dead_letters(settings: Settings, number: int) -> list[dict[str, Any]]:
    """The first messages of the dead-letter topic, by place."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_address, consumer_timeout_ms=PATIENCE * 1_000)
    try:
        topic = settings.topic(DEAD_LETTERS)
        consumer.assign([TopicPartition(topic, n) for n in range(settings.partitions)])
        consumer.seek_to_beginning()
        found: list[dict[str, Any]] = []
        for record in consumer:
            found.append(json.loads(record.value))
            if len(found) == number:
                break
    finally:
        consumer.close()
    return sorted(found, key=lambda letter: (letter["offset"], letter["position"]))


def test_a_message_in_the_wrong_partition_finds_its_district(
    stream: Settings, workers: Workers, writer: Writer
) -> None:
    everything = histories(districts=1, conversations=2)
    wrong = (partition_of("d0", stream.partitions) + 1) % stream.partitions
    workers.start().wait_ready()
    for each in everything["d0"]:
        writer.write("d0", json.dumps(each).encode(), partition=wrong)
    until(lambda: len(facts(stream)) == 2 and all_landed(stream), "rows of forwarded messages")
    assert facts(stream) == offline(everything)


def test_a_restarted_worker_repairs_rows_that_are_behind_their_events(
    stream: Settings, workers: Workers, writer: Writer
) -> None:
    everything = histories(districts=1, conversations=4)
    worker = workers.start().wait_ready()
    writer.write("d0", json.dumps(everything["d0"]).encode())
    until(lambda: all_landed(stream), "all messages acknowledged")
    worker.kill()
    with connect(stream) as client:
        client.execute("TRUNCATE TABLE conversations")
    workers.start().wait_ready()
    until(lambda: len(facts(stream)) == 4, "repaired rows")
    assert facts(stream) == offline(everything)
