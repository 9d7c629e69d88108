"""What receivers have not got: what waits for them on `cx.alerts`, and what they refused. Asks Kafka alone.

Blocks. Raises `Unavailable` while Kafka is away.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import Unavailable
from schemas.receivers import Receiver
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS
from schemas.transitions import Transition
from streams.couriers.courier import UNDELIVERED
from streams.couriers.reading import NO, acknowledged, decoded, group_of, places_of_new, wanted

POLL_MS = 500
WAITING, REFUSED = "waiting", "refused"


class Undelivered(NamedTuple):
    """A transition that a receiver has not got, and why; `since_ms`: when it was said, or when it was refused."""

    receiver: str
    state: str
    since_ms: int
    reason: str
    alert: Transition


def undelivered(settings: Settings, receivers: Sequence[Receiver]) -> list[Undelivered]:
    """Of all receivers, those that wait first."""
    try:
        found = [each for receiver in receivers for each in _waiting(settings, receiver)]
        return found + list(_refused(settings))
    except (KafkaError, OSError) as error:
        reason = f"Kafka at {settings.kafka_address} does not tell what is undelivered: {type(error).__name__}"
        raise Unavailable(reason) from None


def _consumer(settings: Settings, group: str | None) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=settings.kafka_address,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )


def _all_of(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


def _records(consumer: KafkaConsumer, starts: dict[TopicPartition, int]) -> Iterator[Any]:
    """Everything from these places to the present ends."""
    ends = consumer.end_offsets(list(starts))
    left = [each for each, start in starts.items() if start < ends[each]]
    consumer.assign(left)
    for each in left:
        consumer.seek(each, starts[each])
    while any(consumer.position(each) < ends[each] for each in left):
        for records in consumer.poll(POLL_MS).values():
            yield from records


def _waiting(settings: Settings, receiver: Receiver) -> Iterator[Undelivered]:
    """What it was not told since the place that it acknowledged last."""
    with closing(_consumer(settings, group_of(settings, receiver.receiver))) as consumer:
        partitions = _all_of(consumer, settings.topic(ALERTS))
        places, told = acknowledged(consumer, partitions)
        places |= places_of_new(consumer, [each for each in partitions if each not in places])
        first = consumer.beginning_offsets(partitions)
        for record in _records(consumer, {each: max(place, first[each]) for each, place in places.items()}):
            said = decoded(record)
            if said is None or said.offset in told.get(said.partition, ()):
                continue
            if wanted(receiver, said.alert) != NO:
                yield Undelivered(receiver.receiver, WAITING, record.timestamp, "", said.alert)


def _refused(settings: Settings) -> Iterator[Undelivered]:
    """What receivers refused for good, as long as Kafka holds it."""
    with closing(_consumer(settings, None)) as consumer:
        partitions = _all_of(consumer, settings.topic(DEAD_LETTERS))
        letters = [
            (record.timestamp, letter)
            for record in _records(consumer, consumer.beginning_offsets(partitions))
            if (letter := json.loads(record.value))["reason"] == UNDELIVERED
        ]
        for since_ms, letter in letters:
            alert = _alert_at(consumer, TopicPartition(letter["topic"], letter["partition"]), letter["offset"])
            if alert is not None:
                yield Undelivered(letter["field"], REFUSED, since_ms, letter["message"], alert)


def _alert_at(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> Transition | None:
    """The transition at a place; None if its retention has passed."""
    if offset < consumer.beginning_offsets([partition])[partition]:
        return None
    consumer.assign([partition])
    consumer.seek(partition, offset)
    while consumer.position(partition) <= offset:
        for record in consumer.poll(POLL_MS, max_records=1).get(partition, ()):
            said = decoded(record)
            return said.alert if said is not None and record.offset == offset else None
    return None
