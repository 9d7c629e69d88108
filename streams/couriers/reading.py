"""`cx.alerts` as one receiver reads it: committed transactions only, in a consumer group of its own. Blocks.

A new receiver begins with what was said in the last hours; one that was there before goes on where it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError

from schemas.alerts import EVERYBODY, AlertTransition, from_json
from schemas.receivers import Receiver
from schemas.settings import Settings
from schemas.topics import ALERTS
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.present import wall_ms

AT_ONCE = 100
SESSION_MS = 15_000
LONGEST_POLL_MS = 600_000
NO, NOW, GROUPED = "no", "now", "grouped"


class Said(NamedTuple):
    """A transition and where on `cx.alerts` it stands."""

    partition: int
    offset: int
    alert: AlertTransition


def group_of(settings: Settings, receiver: str) -> str:
    """The consumer group of a receiver."""
    return f"{settings.topic_prefix}{settings.group}-notify-{receiver}"


def wanted(receiver: Receiver, alert: AlertTransition) -> str:
    """Whether a receiver is told of a transition: `no`, `now`, or `grouped` with others."""
    if not alert.notify or (receiver.districts and alert.district not in receiver.districts):
        return NO
    meant = set(alert.recipients)
    if receiver.recipients and EVERYBODY not in meant:
        meant &= set(receiver.recipients)
    if not meant:
        return NO
    return GROUPED if meant <= set(alert.grouped) else NOW


def decoded(record: Any) -> Said:
    """A record of `cx.alerts`."""
    return Said(record.partition, record.offset, from_json(json.loads(record.value)))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hears of each change of the group."""

    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002 -- everything is read again
        self._moved()

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ARG002 -- as above
        self._moved()


def places_of_new(consumer: KafkaConsumer, new: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Where a receiver begins that has acknowledged nothing yet: at what was said in the last hours."""
    if not new:
        return {}
    found = consumer.offsets_for_times(dict.fromkeys(new, wall_ms() - NOTIFY_WITHIN_MS))
    ends = consumer.end_offsets(new)
    return {each: ends[each] if found.get(each) is None else found[each].offset for each in new}


class AlertReader:
    """One receiver's place in each partition. `places` of new partitions are found at the first `poll` after a move.

    `whole`: reads what Kafka still has from its beginning, whatever was acknowledged.
    """

    def __init__(self, settings: Settings, receiver: str, whole: bool = False) -> None:
        self._topic = settings.topic(ALERTS)
        self._whole = whole
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_address,
            group_id=group_of(settings, receiver),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=SESSION_MS,
            max_poll_interval_ms=LONGEST_POLL_MS,
        )
        self.moves = 0
        self._placed = 0
        self._consumer.subscribe([self._topic], listener=_Listener(self._move))

    def _move(self) -> None:
        self.moves += 1

    def poll(self, seconds: float) -> list[Said]:
        """What came next, at most so much; empty after a while. A move of the group makes earlier answers void."""
        records = self._consumer.poll(int(seconds * 1000), max_records=AT_ONCE)
        if self._placed != self.moves:
            # Whatever was fetched meanwhile is fetched again from the right place.
            self._place()
            return []
        return [decoded(record) for some in records.values() for record in some]

    def stay(self, seconds: float) -> bool:
        """Remain in the group without reading; False if the group moved, then what is in hand is others' perhaps."""
        moves = self.moves
        self._consumer.pause(*self._consumer.assignment())
        self._consumer.poll(int(seconds * 1000))
        self._consumer.resume(*self._consumer.paused())
        return self.moves == moves

    def _place(self) -> None:
        self._placed = self.moves
        assigned = self._consumer.assignment()
        if self._whole:
            self._consumer.seek_to_beginning(*assigned)
            return
        places = {each: self._consumer.committed(each) for each in assigned}
        new = [each for each, place in places.items() if place is None]
        places |= places_of_new(self._consumer, new)
        for each, place in places.items():
            self._consumer.seek(each, place)
        self.commit({each.partition: places[each] for each in new})

    def commit(self, places: Mapping[int, int]) -> None:
        """Acknowledge everything before these offsets; what a move gave to others is theirs to acknowledge."""
        if not places:
            return
        offsets = {TopicPartition(self._topic, n): OffsetAndMetadata(offset) for n, offset in places.items()}
        try:
            self._consumer.commit(offsets)
        except CommitFailedError:
            self._move()

    def positions(self) -> dict[int, int]:
        """The offset that is read next, of each partition that is assigned."""
        return {each.partition: self._consumer.position(each) for each in self._consumer.assignment()}

    def left(self, done: Mapping[int, int]) -> int:
        """Messages after these places, or after what was read, as far as is known."""
        left = 0
        for each in self._consumer.assignment():
            high = self._consumer.highwater(each)
            place = done.get(each.partition, self._consumer.position(each))
            left += max(0, (high or 0) - place)
        return left

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()
