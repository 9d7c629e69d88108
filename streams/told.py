"""What stands on `cx.alerts` and may not have landed: read at recovery, so that nothing said is ever forgotten. Blocks.

`cx.alerts` is the truth of what was told. Each transaction that writes it also commits, for the same group, the place
up to which everything had landed by then: no more than the last transactions are read again. A transaction of a worker
that lost its partitions is refused by the broker, or was decided before this reading is over.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import ALERTS
from schemas.transitions import Transition, from_json

POLL_MS = 500
UNDECIDED_SECONDS = 0.5


class Tail(NamedTuple):
    """The end of one partition of `cx.alerts`: where it was read from, and what stands there."""

    start: int
    alerts: tuple[Transition, ...]


def tails(settings: Settings, numbers: Sequence[int]) -> dict[int, Tail]:
    """The tail of each partition. Raises `Unavailable` while Kafka is away or a transaction is undecided."""
    topic = settings.topic(ALERTS)
    asked = [TopicPartition(topic, number) for number in numbers]
    try:
        with (
            closing(_consumer(settings, "read_uncommitted")) as everything,
            closing(_consumer(settings, "read_committed")) as decided,
        ):
            ends, first = everything.end_offsets(asked), everything.beginning_offsets(asked)
            if any(decided.end_offsets(asked)[each] < end for each, end in ends.items()):
                raise Unavailable("a transaction of alerts is not decided yet", UNDECIDED_SECONDS)
            starts = {each: max(decided.committed(each) or 0, first[each]) for each in asked if ends[each]}
            read = _read(decided, {each: start for each, start in starts.items() if start < ends[each]}, ends)
    except (KafkaError, OSError) as error:
        reason = f"Kafka at {settings.kafka_address} does not tell what was told: {type(error).__name__}"
        raise Unavailable(reason) from None
    return {each.partition: Tail(start, tuple(read.get(each, ()))) for each, start in starts.items()}


def _consumer(settings: Settings, isolation: str) -> KafkaConsumer:
    """One that belongs to no group and may ask what the workers' group committed."""
    return KafkaConsumer(
        bootstrap_servers=settings.kafka_address,
        group_id=f"{settings.topic_prefix}{settings.group}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
    )


def _read(
    consumer: KafkaConsumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> dict[TopicPartition, list[Transition]]:
    consumer.assign(list(starts))
    for each, start in starts.items():
        consumer.seek(each, start)
    found: dict[TopicPartition, list[Transition]] = {each: [] for each in starts}
    while any(consumer.position(each) < ends[each] for each in starts):
        for each, records in consumer.poll(POLL_MS).items():
            found[each].extend(from_json(json.loads(record.value)) for record in records)
    return found
