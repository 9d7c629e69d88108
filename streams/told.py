"""How partitions stand in Kafka at an assignment: what is acknowledged, and what was told. Blocks.

What stands on `cx.alerts` and may not have landed is read, so that nothing said is ever forgotten.

`cx.alerts` is the truth of what was told. Each transaction that writes it also commits, for the same group, the place
up to which everything had landed by then: no more than the last transactions are read again. A transaction of a worker
that lost its partitions is refused by the broker, or was decided before this reading is over; one that nobody decides
is ended by `streams.hanging`.
"""

from collections.abc import Callable, Sequence
from contextlib import closing

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import ALERTS, EVENTS
from schemas.transitions import Transition, of_message
from streams.hanging import end_hanging
from streams.stand import Stand

POLL_MS = 500
UNDECIDED_SECONDS = 0.5


def stands(settings: Settings, ended: Callable[[str], None], numbers: Sequence[int]) -> dict[int, Stand]:
    """How each partition stands. Raises `Unavailable` while Kafka is away or a transaction is undecided.

    Whoever could have told or acknowledged more was refused by the broker since the assignment began. `ended` hears of
    each transaction that was ended here, because it hung.
    """
    topic = settings.topic(ALERTS)
    asked = [TopicPartition(topic, number) for number in numbers]
    try:
        with (
            closing(_consumer(settings, "read_uncommitted")) as everything,
            closing(_consumer(settings, "read_committed")) as decided,
        ):
            ends, first = everything.end_offsets(asked), everything.beginning_offsets(asked)
            stable = decided.end_offsets(asked)
            if undecided := [each for each, end in ends.items() if stable[each] < end]:
                end_hanging(settings, undecided, ended)
                raise Unavailable("a transaction of alerts is not decided yet", UNDECIDED_SECONDS)
            starts = {each: max(decided.committed(each) or 0, first[each]) for each in asked if ends[each]}
            read = _read(decided, {each: start for each, start in starts.items() if start < ends[each]}, ends)
            committed = _committed(everything, settings, numbers)
    except (KafkaError, OSError) as error:
        reason = f"Kafka at {settings.kafka_address} does not tell how the partitions stand: {type(error).__name__}"
        raise Unavailable(reason) from None
    return {
        each.partition: Stand(committed.get(each.partition), starts.get(each, 0), tuple(read.get(each, ())))
        for each in asked
    }


def _committed(consumer: KafkaConsumer, settings: Settings, numbers: Sequence[int]) -> dict[int, int]:
    """The group's committed offset of each partition that has a message and one."""
    topics = [TopicPartition(settings.topic(EVENTS), number) for number in numbers]
    found = {tp.partition: consumer.committed(tp) for tp, end in consumer.end_offsets(topics).items() if end}
    return {number: offset for number, offset in found.items() if offset is not None}


def _consumer(settings: Settings, isolation: str) -> KafkaConsumer:
    """One that belongs to no group and may ask what the workers' group committed."""
    return KafkaConsumer(
        bootstrap_servers=settings.kafka_address,
        group_id=settings.workers_group,
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
            read = (of_message(record.value, f"{each.topic}-{each.partition}@{record.offset}") for record in records)
            found[each].extend(transition for transition in read if transition is not None)
    return found
