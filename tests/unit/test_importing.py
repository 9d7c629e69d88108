"""Importing into a log in memory: arrays by district, the wait for landing, what is rejected."""

import json
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path

import pytest

from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import DEFAULT_PARTITIONS, partition_of
from streams.intake.importing import Log, Watch, bring_in, compared, import_events
from streams.intake.landing import Patience, Unlanded
from streams.intake.memory import MemoryLog
from streams.intake.producer import EVENTS_PER_MESSAGE, Encoded, EventProducer, Written, publish_events


class _BusyWorkers(MemoryLog):
    """Everything has landed the moment it is published."""

    def publish(self, district: str, payload: bytes) -> "Future[Written]":
        acknowledged = super().publish(district, payload)
        self.work()
        return acknowledged


def _heartbeat(district: str, number: int) -> bytes:
    event = {
        "kind": "heartbeat",
        "event_id": f"h{number}",
        "district": district,
        "source": "s",
        "occurred_at": "2026-10-06T15:00:00Z",
        "received_at": "2026-10-06T15:00:00Z",
    }
    return json.dumps(event).encode()


def test_arrays_hold_one_district_in_order() -> None:
    log = MemoryLog()
    events = [Encoded(name, b"%d" % number) for number in range(EVENTS_PER_MESSAGE + 10) for name in ("a", "b")]
    sent = publish_events(events, log)
    assert sorted(count for count, _ in sent) == [10, 10, EVENTS_PER_MESSAGE, EVENTS_PER_MESSAGE]
    for district in ("a", "b"):
        arrays = log.messages[partition_of(district, DEFAULT_PARTITIONS)]
        assert [number for array in arrays for number in json.loads(array)] == list(range(EVENTS_PER_MESSAGE + 10))


def test_large_events_make_small_arrays() -> None:
    log = MemoryLog()
    publish_events([Encoded("a", b'"%s"' % (b"x" * 1_500_000)) for _ in range(5)], log)
    assert [len(json.loads(message)) for messages in log.messages.values() for message in messages] == [2, 2, 1]


def test_import_sends_the_good_and_names_the_bad(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    array = b"[" + _heartbeat("a", 2) + b"," + _heartbeat("b", 3) + b"]"
    path.write_bytes(b"\n".join([_heartbeat("a", 1), b"", array, b"nonsense", _heartbeat("c", 4)]))
    log = _BusyWorkers()
    said: list[str] = []
    summary = import_events(path, Log(log, log, 1_000), Watch(lambda _: None, lambda *_: None, said.append))
    found = summary.as_json()
    assert (found["rows"], found["events"], found["conversations"]) == (4, 3, 0)
    assert found["rejected"] == {"foreign_district": 1, "not_json": 1}
    assert "verdicts" not in found
    assert [text.split(":")[0] for text in said] == ["line 3[1]", "line 4[0]"]


def _handed_over(log: MemoryLog, report: Callable[[int], None], *messages: tuple[int, Written]) -> Unlanded:
    unlanded = Unlanded(log, report, Patience(stalled=0.3, no_worker=0.1))
    for events, written in messages:
        acknowledged: Future[Written] = Future()
        acknowledged.set_result(written)
        unlanded.add(events, acknowledged)
    return unlanded


def test_waiting_counts_events_as_they_land() -> None:
    log = MemoryLog()
    log.landed = {3: 5, 4: 1}
    log.workers = 1
    reported: list[int] = []

    def report(landed: int) -> None:
        reported.append(landed)
        log.landed = {3: 6}

    unlanded = _handed_over(log, report, (10, Written(3, 4)), (7, Written(3, 5)), (1, Written(4, 0)))
    unlanded.wait(7)
    assert (reported, unlanded.events) == ([11], 7)
    unlanded.wait()
    assert (reported, unlanded.events) == ([11, 18], 0)


def test_a_message_without_events_is_waited_for_as_well() -> None:
    log = MemoryLog()
    log.workers = 1
    unlanded = _handed_over(log, lambda _: None, (0, Written(3, 4)))
    unlanded.wait(1)
    with pytest.raises(Unavailable, match="Nothing has landed"):
        unlanded.wait()


@pytest.mark.parametrize(("workers", "sentence"), [(0, "No worker is running"), (1, "Nothing has landed")])
def test_nothing_landing_ends_in_one_sentence(workers: int, sentence: str) -> None:
    log = MemoryLog()
    log.workers = workers
    with pytest.raises(Unavailable, match=sentence):
        _handed_over(log, lambda _: None, (1, Written(0, 0))).wait()


class _SlowWorkers(MemoryLog):
    """One message of each partition lands whenever somebody looks; remembers how many messages ever waited."""

    def __init__(self) -> None:
        super().__init__()
        self.workers = 1
        self.most_waiting = 0

    def publish(self, district: str, payload: bytes) -> "Future[Written]":
        acknowledged = super().publish(district, payload)
        written = sum(map(len, self.messages.values()))
        self.most_waiting = max(self.most_waiting, written - sum(self.landed.values()))
        return acknowledged

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        self.landed |= {each: min(self.landed.get(each, 0) + 1, len(self.messages[each])) for each in partitions}
        return super().committed(partitions)


@pytest.mark.parametrize(("most", "messages"), [(4 * EVENTS_PER_MESSAGE, 4), (EVENTS_PER_MESSAGE - 1, 1), (10**9, 12)])
def test_of_an_import_no_more_than_so_many_events_wait_at_any_time(most: int, messages: int) -> None:
    log = _SlowWorkers()
    events = [Encoded(name, b"%d" % number) for name in ("a", "b") for number in range(6 * EVENTS_PER_MESSAGE)]
    landed: list[int] = []
    watch = Watch(lambda _: None, lambda done, _: landed.append(done), lambda _: None)
    assert bring_in(events, Log(log, log, most), watch).events == len(events)
    assert log.most_waiting == messages
    assert landed[-1] == len(events)


def test_a_missing_verdict_is_a_difference() -> None:
    city = {"1": "met", "2": "missed", "3": "met", "4": None}
    found = compared(city, {"1": "met", "2": "met", "4": "open"})
    assert found == {"met": 2, "missed": 0, "differs_from_source": 2}


def test_an_unreachable_kafka_is_said_at_once(closed_port: int) -> None:
    producer = EventProducer(Settings(kafka=f"127.0.0.1:{closed_port}"))
    with pytest.raises(Unavailable, match="does not answer"):
        producer.publish("a", b"[]")
    producer.close()
