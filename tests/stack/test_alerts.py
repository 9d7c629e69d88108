"""A promise breaks on the real stack: a row, a message, a signed post, each once; old history tells nobody."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.alerts import MET_LATE, STEPS
from schemas.settings import Settings
from schemas.topics import ALERTS, partition_of
from schemas.vocabulary import from_ms
from sinks.connection import connect
from streams.couriers.sending import signature
from tests.fixtures_stack import Workers
from tests.receiver import Receiver
from tests.stack.processes import PATIENCE, WorkerProcess, committed_alerts, until
from tests.stack.test_stream import Writer

pytestmark = pytest.mark.stack

DAY_MS = 86_400_000
STORM = 25
STALL_SECONDS = 3.0
PROMISE = {"promise": "at-once", "clock": "first_reply", "target": "1s", "hours": "calendar"}


class Feed:
    """Writes events of one district, stamped by the wall clock."""

    def __init__(self, settings: Settings) -> None:
        self._writer = Writer(settings)
        self._number = 0
        configuration = {"district": "d", "promises": [PROMISE]}
        self.add("district_configured", "", 400 * DAY_MS, revision=1, configuration=configuration)

    def add(self, kind: str, conversation: str, ago_ms: int = 0, **more: Any) -> None:
        """Write one event that happened, and was received, so long ago."""
        self._write(self._event(kind, conversation, ago_ms, more))

    def add_answered(self, conversation: str) -> None:
        """Write an inquiry and its reply in one message: on a busy machine too nobody reads one without the other."""
        self._write([self._event(kind, conversation, 0, {}) for kind in ("inquiry", "reply")])

    def _event(self, kind: str, conversation: str, ago_ms: int, more: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        moment = from_ms(time.time_ns() // 1_000_000 - ago_ms).isoformat()
        event: dict[str, Any] = {"kind": kind, "event_id": f"e{self._number}", "district": "d", "source": "crm"}
        event |= {"occurred_at": moment, "received_at": moment} | more
        event |= {"conversation": conversation} if conversation else {}
        event |= {"channel": "email"} if kind in ("inquiry", "reply") else {}
        return event

    def _write(self, content: Any) -> None:
        self._writer.write("d", json.dumps(content).encode())

    def close(self) -> None:
        """Let go of the connection."""
        self._writer.close()


@pytest.fixture
def feed(stream: Settings) -> Iterator[Feed]:
    made = Feed(stream)
    yield made
    made.close()


def rows(settings: Settings) -> Counter[tuple[str, str, int]]:
    """How often each (conversation, transition, notify) stands in the table, unmerged rows included."""
    with connect(settings) as client:
        return Counter(client.execute("SELECT conversation, transition, notify FROM alerts"))


def published(settings: Settings, number: int) -> list[tuple[str, dict[str, Any]]]:
    """The first messages on `cx.alerts`: key and content."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_address, consumer_timeout_ms=PATIENCE * 1_000)
    try:
        consumer.assign([TopicPartition(settings.topic(ALERTS), partition_of("d", settings.partitions))])
        consumer.seek_to_beginning()
        found = []
        for record in consumer:
            found.append((record.key.decode(), json.loads(record.value)))
            if len(found) == number:
                break
        return found
    finally:
        consumer.close()


def test_a_broken_promise_is_told_once_everywhere_and_history_to_nobody(
    stream: Settings, workers: Workers, feed: Feed
) -> None:
    with Receiver() as receiver:
        told = {"CX_WEBHOOK": receiver.address, "CX_WEBHOOK_SECRET": "a secret"}
        workers.start(**told).wait_ready()
        feed.add("inquiry", "old", 30 * DAY_MS)
        feed.add("reply", "old", 29 * DAY_MS)
        feed.add("inquiry", "waiting", 20 * DAY_MS)
        feed.add_answered("kept")
        feed.add("inquiry", "live")
        expected = {(name, step, 0) for name in ("old", "waiting") for step in STEPS} | {("old", MET_LATE, 0)}
        expected |= {("live", step, 1) for step in STEPS}
        until(lambda: rows(stream).keys() >= expected, "alerts in the table")
        until(lambda: len(receiver.calls) >= len(STEPS), "posts to the webhook")
        feed.add("reply", "live")
        until(lambda: len(receiver.calls) > len(STEPS), "the end of the alert")
        # Receivers are told before it lands.
        until(lambda: ("live", MET_LATE, 1) in rows(stream), "its row")
        assert rows(stream) == Counter([*expected, ("live", MET_LATE, 1)])
        bodies = [json.loads(call.body) for call in receiver.calls]
        course = [*STEPS, MET_LATE]
        assert [(body["conversation"], body["transition"]) for body in bodies] == [("live", each) for each in course]
        assert [call.headers["x-cx-signature"] for call in receiver.calls] == [
            signature("a secret", call.body) for call in receiver.calls
        ]
        assert [call.headers["idempotency-key"] for call in receiver.calls] == [b["idempotency_key"] for b in bodies]
        messages = published(stream, len(expected) + 1)
        assert {(m["conversation"], m["transition"], int(m["notify"])) for _, m in messages} == rows(stream).keys()
        assert {key for key, m in messages if m["notify"]} == {body["idempotency_key"] for body in bodies}


def hold(worker: WorkerProcess, feed: Feed) -> None:
    """Stop a worker until its promises are broken; what answers one in time lies unread until it goes on."""
    with worker.stopped():
        breaks_at = time.monotonic() + STALL_SECONDS
        feed.add("inquiry", "answered")
        feed.add("reply", "answered")
        until(lambda: time.monotonic() > breaks_at, "all of them are broken meanwhile")


def told_all(settings: Settings, expected: set[tuple[str, str, int]]) -> bool:
    """Whether all of these stand in the table."""
    return rows(settings).keys() >= expected


def test_after_kills_no_transition_stands_twice(stream: Settings, workers: Workers, feed: Feed) -> None:
    worker = workers.start().wait_ready()
    # Without surges, which would mute so many at once.
    plain = {"district": "d", "promises": [PROMISE], "surges": {"topics": None, "posts": None}}
    feed.add("district_configured", "", 399 * DAY_MS, revision=2, configuration=plain)
    names = [f"c{number}" for number in range(4 * STORM)]
    for turn in range(3):
        storm = names[turn * STORM : (turn + 1) * STORM]
        for name in storm:
            feed.add("inquiry", name)
        if turn == 1:
            until(lambda: any(step == "breached" for _, step, _ in rows(stream)), "an alert before the kill")
        if turn == 2:
            hold(worker, feed)
            broken = {(name, "breached", 1) for name in storm}
            until(partial(told_all, stream, broken), "it went on")
        worker.kill()
        worker = workers.start().wait_ready()
    for name in names[3 * STORM :]:
        feed.add("inquiry", name)
    for name in names:
        feed.add("reply", name, -3_000)
    expected = Counter((name, transition, 1) for name in names for transition in (*STEPS, MET_LATE))
    until(lambda: rows(stream).keys() >= expected.keys(), "every step and the end")
    assert rows(stream) == expected
    told = Counter((m["conversation"], m["transition"], int(m["notify"])) for m in committed_alerts(stream, "d"))
    assert told == expected
