"""A transaction of alerts that its coordinator holds for ended, and of which a partition never heard, on real Kafka."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from schemas.alerts import MET_LATE, STEPS, AlertTransition, alert_key
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, partition_of
from schemas.transitions import as_json, from_json
from tests.fixtures_stack import Workers
from tests.stack.processes import committed_alerts, until
from tests.stack.test_alerts import Feed, feed, published, rows

pytestmark = pytest.mark.stack

__all__ = ["feed"]

VERIFICATION = "transaction.partition.verification.enable"
KEPT, KEPT_EVENT = "kept", "e2"


def _configure(settings: Settings, value: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_address)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", {VERIFICATION: value})])


@pytest.fixture
def trusting(stream: Settings) -> Iterator[Settings]:
    """A broker that takes a batch of a transaction without asking the coordinator whether it knows the partition."""
    _configure(stream, "false")
    yield stream
    _configure(stream, "true")


def _hang(settings: Settings, row: AlertTransition, is_committed: bool) -> None:
    """Write a transition into a transaction that never hears of its partition, and end it by what else is in it."""
    topic = settings.topic(ALERTS)
    number = partition_of(row.district, settings.partitions)
    producer: Any = KafkaProducer(
        bootstrap_servers=settings.kafka_address, acks="all", transactional_id=f"{topic}-hanging"
    )
    producer.init_transactions()
    producer.begin_transaction()
    # As if the coordinator had been told of it, so that the client sends.
    producer._transaction_manager._partitions_in_transaction.add(TopicPartition(topic, number))  # noqa: SLF001
    value = json.dumps(as_json(row)).encode()
    producer.send(topic, value, row.idempotency_key.encode(), partition=number).get(30)
    producer.send(settings.topic(DEAD_LETTERS), b"{}", partition=number).get(30)
    if is_committed:
        producer.commit_transaction()
    else:
        producer.abort_transaction()
    producer.close(5)


def _offsets(settings: Settings) -> tuple[int, int]:
    """The district's partition of alerts: its last stable offset and its end."""
    tp = TopicPartition(settings.topic(ALERTS), partition_of("d", settings.partitions))
    found = []
    for isolation in ("read_committed", "read_uncommitted"):
        with closing(KafkaConsumer(bootstrap_servers=settings.kafka_address, isolation_level=isolation)) as consumer:
            found.append(consumer.end_offsets([tp])[tp])
    return found[0], found[1]


def _heard(settings: Settings) -> Counter[tuple[str, str]]:
    """What a reader of committed messages gets of the district."""
    return Counter((shown["conversation"], shown["transition"]) for shown in committed_alerts(settings, "d"))


def _false(settings: Settings) -> AlertTransition:
    """A breach, made of a true one, of the conversation that was answered in time."""
    (_, shown), *_ = (each for each in published(settings, len(STEPS)) if each[1]["transition"] == "breached")
    row = from_json(shown)
    assert isinstance(row, AlertTransition)
    key = alert_key("d", KEPT, row.clock, KEPT_EVENT)
    return row._replace(conversation=KEPT, opened_by_event=KEPT_EVENT, key=key)


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_hanging_transaction_ends_as_its_coordinator_says(
    trusting: Settings, workers: Workers, feed: Feed, is_committed: bool
) -> None:
    worker = workers.start().wait_ready()
    feed.add_answered(KEPT)
    feed.add("inquiry", "before")
    until(lambda: {("before", step, 1) for step in STEPS} <= rows(trusting).keys(), "alerts before")
    worker.kill()
    _hang(trusting, _false(trusting), is_committed)
    stable, end = _offsets(trusting)
    assert stable < end, "the transaction does not hang"
    feed.add("inquiry", "after")
    worker = workers.start("tests.faults.swift_worker").wait_ready()
    verdict, other = ("commit", "abort") if is_committed else ("abort", "commit")
    assert worker.value("cx_hanging_transactions_total", how=verdict) == 1
    assert worker.value("cx_hanging_transactions_total", how=other) == 0
    feed.add("reply", "after", -3_000)
    expected = Counter((name, step) for name in ("before", "after") for step in STEPS) + Counter([("after", MET_LATE)])
    if is_committed:
        expected += Counter([(KEPT, "breached"), (KEPT, "corrected")])
    until(lambda: {each[:2] for each in rows(trusting)} >= expected.keys(), "alerts after, and the breach taken back")
    landed: Counter[tuple[str, str]] = Counter()
    for (conversation, transition, _), count in rows(trusting).items():
        landed[conversation, transition] += count
    assert landed == expected
    assert _heard(trusting) == expected
    stable, end = _offsets(trusting)
    assert stable == end
