"""`cx.alerts` as one receiver reads it: committed transactions only, with offsets of its own. Blocks.

A new receiver begins with what was said in the last hours; one that was there before goes on where it was.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from schemas.alerts import EVERYBODY, AlertTransition
from schemas.receivers import Receiver
from schemas.settings import Settings
from schemas.topics import ALERTS
from schemas.transitions import Transition, of_message
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.couriers.places import read, written
from streams.present import wall_ms

AT_ONCE = 100
KEEP_SECONDS = 3_600.0
NO, NOW, GROUPED = "no", "now", "grouped"


class Said(NamedTuple):
    """A transition, where on `cx.alerts` it stands and since when, in ms."""

    partition: int
    offset: int
    written_ms: int
    alert: Transition


def group_of(settings: Settings, receiver: str) -> str:
    """The consumer group of a receiver."""
    return f"{settings.topic_prefix}{settings.group}-notify-{receiver}"


def wanted(receiver: Receiver, alert: Transition) -> str:
    """Whether a receiver is told of a transition: `no`, `now`, or `grouped` with others."""
    if not alert.notify or (receiver.districts and alert.district not in receiver.districts):
        return NO
    meant = set(alert.recipients)
    if receiver.recipients and EVERYBODY not in meant:
        meant &= set(receiver.recipients)
    if not meant:
        return NO
    grouped = alert.grouped if isinstance(alert, AlertTransition) else ()
    return GROUPED if meant <= set(grouped) else NOW


def decoded(record: Any) -> Said | None:
    """A record of `cx.alerts`; None if it is none of ours."""
    alert = of_message(record.value, f"{record.topic}-{record.partition}@{record.offset}")
    return None if alert is None else Said(record.partition, record.offset, record.timestamp, alert)


class Share:
    """Which partitions this process reads: those whose events it has. `now` is the count of changes, and they."""

    def __init__(self) -> None:
        self.now: tuple[int, frozenset[int]] = (0, frozenset())

    def become(self, numbers: Iterable[int]) -> None:
        """Exactly these from now on; whoever reads goes on from what is acknowledged."""
        self.now = (self.now[0] + 1, frozenset(numbers))


def acknowledged(
    consumer: KafkaConsumer, partitions: Sequence[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[int, set[int]]]:
    """The places that a receiver acknowledged, where it did, and by partition what it was told after them."""
    asked = {each: consumer.committed(each, metadata=True) for each in partitions}
    known = {each: found for each, found in asked.items() if found is not None}
    told = {each.partition: read(found.offset, found.metadata) for each, found in known.items()}
    return {each: found.offset for each, found in known.items()}, told


def places_of_new(consumer: KafkaConsumer, new: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Where a receiver begins that has acknowledged nothing yet: at what was said in the last hours."""
    if not new:
        return {}
    found = consumer.offsets_for_times(dict.fromkeys(new, wall_ms() - NOTIFY_WITHIN_MS))
    ends = consumer.end_offsets(new)
    return {each: ends[each] if found.get(each) is None else found[each].offset for each in new}


class AlertReader:
    """One receiver's place in each partition of a share, which is found at the first `poll` after a change of it.

    `whole`: reads what Kafka still has from its beginning, whatever was acknowledged.
    """

    def __init__(self, settings: Settings, receiver: str, share: Share, whole: bool = False) -> None:
        self._topic = settings.topic(ALERTS)
        self._share = share
        self._whole = whole
        # No member of its group: who reads what follows from the events, and a pause of minutes costs nothing.
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_address,
            group_id=group_of(settings, receiver),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        self.moves = 0
        self._ends: dict[TopicPartition, int] = {}
        self._done: dict[int, int] = {}
        self._told: dict[int, set[int]] = {}
        self.unwritten: set[int] = set()
        """Partitions of which something was told beyond what is acknowledged, since they were."""
        self._said = 0.0

    @property
    def moved(self) -> bool:
        """Whether the share has changed since the last `poll`; what is in hand is others' perhaps."""
        return self._share.now[0] != self.moves

    def poll(self, seconds: float) -> list[Said]:
        """What came next, at most so much; empty after a while. After a change of `moves` earlier answers are void."""
        if self.moved:
            self._place()
        if not self._ends:
            time.sleep(seconds)
            return []
        records = self._consumer.poll(int(seconds * 1000), max_records=AT_ONCE)
        found = (decoded(record) for some in records.values() for record in some)
        return [said for said in found if said is not None and said.offset not in self._told.get(said.partition, ())]

    def tell(self, said: Said) -> None:
        """Note that one was told; with the next `commit` a restart knows it, also if one before it waits."""
        self._told.setdefault(said.partition, set()).add(said.offset)
        self.unwritten.add(said.partition)

    def _place(self) -> None:
        moves, numbers = self._share.now
        mine = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        self._consumer.assign(mine)
        self._ends = self._consumer.end_offsets(mine) if mine else {}
        self._done, self._told = {}, {}
        self.unwritten.clear()
        for each, place in self._places(mine).items():
            self._consumer.seek(each, place)
        self.moves = moves

    def _places(self, mine: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if not mine:
            return {}
        first = self._consumer.beginning_offsets(mine)
        if self._whole:
            return dict(first)
        places, self._told = acknowledged(self._consumer, mine)
        places |= places_of_new(self._consumer, [each for each in mine if each not in places])
        self.commit({each.partition: place for each, place in places.items()})
        return {each: max(place, first[each]) for each, place in places.items()}

    def commit(self, places: Mapping[int, int]) -> None:
        """Acknowledge everything before these offsets."""
        self._done |= places
        if not places:
            return
        self._said = time.monotonic()
        offsets = {}
        for number, place in places.items():
            told = self._told[number] = {offset for offset in self._told.get(number, ()) if offset >= place}
            offsets[TopicPartition(self._topic, number)] = OffsetAndMetadata(place, written(place, told), -1)
        self._consumer.commit(offsets)
        self.unwritten -= places.keys()

    def keep(self) -> None:
        """Acknowledge the same again from time to time: a broker forgets what nobody says for some days."""
        if time.monotonic() - self._said >= KEEP_SECONDS:
            self.commit(self._done)

    def positions(self) -> dict[int, int]:
        """The offset that is read next, of each partition of the share."""
        return {each.partition: self._consumer.position(each) for each in self._ends}

    def is_through(self, number: int) -> bool:
        """Whether everything was read that stands in a partition, as far as is known."""
        each = TopicPartition(self._topic, number)
        return bool(self._consumer.position(each) >= max(self._ends[each], self._consumer.highwater(each) or 0))

    def left(self, done: Mapping[int, int]) -> int:
        """Messages after these places, or after what was read, as far as is known."""
        left = 0
        for each, end in self._ends.items():
            place = done.get(each.partition, self._consumer.position(each))
            left += max(0, max(end, self._consumer.highwater(each) or 0) - place)
        return left

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()
