"""Events that Kafka still has and ClickHouse lost: landed again, and the conversations of all that was read refolded.

    read      a partition from where the replay stands up to what the workers acknowledged; what comes after is theirs
    compare   with the events that stand, by conversation, id and digest
    land      what is lacking, as a worker does: an erased person's events are sealed or refused
    publish   the same again, so that the worker in charge knows it too; one that knows it changes nothing
    fold      every conversation that was read, from whole sets, as `streams.replaying` does

Blocks; raises `Unavailable` or `Refused`, and may be repeated then.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import Unavailable
from schemas.events import DistrictConfigured, Erased, Event
from schemas.settings import Settings
from schemas.topics import EVENTS, partition_of
from schemas.vocabulary import to_ms
from sinks.landing import Erasure, EventRow, Landing, Place, bare_row, configuration_row, event_row, newer_row
from sinks.replays import Span
from streams.core.admission import Newer, admit
from streams.core.arrival import Arrival
from streams.core.district import DistrictState
from streams.core.erasure import digest_of_key, keys_beside, names_in
from streams.forgetting import forget_again
from streams.intake.landing import Commits
from streams.intake.producer import (
    RETRY_SECONDS,
    Encoded,
    Publisher,
    check_reachable,
    encode,
    mapped,
    publish_events,
)
from streams.recovery import decoded
from streams.replaying import Journal, Progress, Refold, Replayed, Tools

ANSWER_SECONDS = 20.0
LARGEST_FETCH = 16 * 1024 * 1024
EVENTS_TOGETHER = 50_000


class Record(NamedTuple):
    """A message as it stands in a partition."""

    offset: int
    value: bytes | None


class Topic:
    """The settings' topic of events, read in no group and with nothing acknowledged; one thread. `close` it."""

    def __init__(self, settings: Settings) -> None:
        """Connect; raises `Unavailable`."""
        self._address = settings.kafka_address
        self.name = settings.topic(EVENTS)
        check_reachable(self._address)
        with self._mapped():
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._address,
                group_id=None,
                enable_auto_commit=False,
                max_partition_fetch_bytes=LARGEST_FETCH,
            )

    def partitions(self) -> list[int]:
        """Numbers of the topic's partitions."""
        with self._mapped():
            return sorted(self._consumer.partitions_for_topic(self.name) or ())

    def beginning(self, partition: int) -> int:
        """The first offset that Kafka still has."""
        where = TopicPartition(self.name, partition)
        with self._mapped():
            return int(self._consumer.beginning_offsets([where])[where])

    def records(self, partition: int, begin: int, end: int) -> Iterator[Record]:
        """Messages of a partition, from one offset to another, the second excluded."""
        where = TopicPartition(self.name, partition)
        with self._mapped():
            self._consumer.assign([where])
            self._consumer.seek(where, begin)
            deadline = monotonic() + ANSWER_SECONDS
            while self._consumer.position(where) < end:
                found: list[Any] = self._consumer.poll(timeout_ms=500).get(where, [])
                if found:
                    deadline = monotonic() + ANSWER_SECONDS
                elif monotonic() > deadline:
                    raise Unavailable(f"Kafka at {self._address} does not bring partition {partition}.", RETRY_SECONDS)
                yield from (Record(each.offset, each.value) for each in found if each.offset < end)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (KafkaError, OSError) as error:
            raise mapped(error, self._address) from None


class _Batch:
    """What some messages of a partition hold, by district."""

    def __init__(self) -> None:
        self.events: dict[str, list[tuple[Event, Place]]] = defaultdict(list)
        self.newer: dict[str, list[tuple[Newer, Place]]] = defaultdict(list)
        self.size = 0

    @property
    def districts(self) -> list[str]:
        """Whose events these are."""
        return sorted(self.events.keys() | self.newer.keys())


class Source(NamedTuple):
    """Kafka as a replay needs it: the messages, how far the workers came, and the way back."""

    topic: Topic
    commits: Commits
    publisher: Publisher


class _Refill:
    """Messages of one partition that are held against what landed."""

    def __init__(self, asked: tuple[Collection[str], Span], source: Source, tools: Tools, found: Replayed) -> None:
        self._districts, self._span = asked
        self._source = source
        self._tools = tools
        self._found = found
        self._refolds: dict[str, Refold] = {}

    def batch(self, partition: int, partitions: int, records: Iterable[Record]) -> tuple[_Batch, int]:
        """Events of the span in the next messages, and the offset after them."""
        batch, after = _Batch(), -1
        for record in records:
            after = record.offset + 1
            place = Place(self._source.topic.name, partition, record.offset)
            admission = admit(record.value)
            district = admission.district
            # One in a wrong partition was sent on to its own.
            if not district or partition_of(district, partitions) != partition:
                continue
            if self._districts and district not in self._districts:
                continue
            within = [(event, place) for _, event in admission.events if self._is_within(event)]
            if within:
                batch.events[district].extend(within)
            if admission.newer:
                batch.newer[district].extend((newer, place) for newer in admission.newer)
            batch.size += len(within)
            if batch.size >= EVENTS_TOGETHER:
                break
        return batch, after

    def _is_within(self, event: Event) -> bool:
        # What a district itself says holds for all its conversations, whenever it was said.
        is_rule = isinstance(event, DistrictConfigured | Erased)
        return is_rule or self._span.from_ms <= to_ms(event.occurred_at) < self._span.to_ms

    def land(self, batch: _Batch) -> None:
        """Land what ClickHouse lacks of these, publish it again, and fold the conversations."""
        for district in batch.districts:
            events = sorted(batch.events[district], key=lambda each: hasattr(each[0], "conversation"))
            newer = [(self._newer_row(each, place), each) for each, place in batch.newer[district]]
            names = {getattr(event, "conversation", "") for event, _ in events} | {row.conversation for row, _ in newer}
            # What came for a conversation whose events left by retention was refused.
            retired = self._tools.reader.retired_of(district, names)
            events = [each for each in events if getattr(each[0], "conversation", "") not in retired]
            newer = [each for each in newer if each[0].conversation not in retired]
            names -= retired
            stands = self._stands(district, names)
            lost = [(row, event) for row, event in self._rows(district, events) if row[1:4] not in stands]
            lost_newer = [(row, each) for row, each in newer if row[1:4] not in stands]
            self._land(district, lost, [row for row, _ in lost_newer])
            again = [encode(event) for _, event in lost if not self._names_erased(district, event)]
            again.extend(Encoded(district, each.content) for _, each in lost_newer if not self._is_named_erased(each))
            for _, written in publish_events(again, self._source.publisher):
                written.result()
            self._found.recovered += len(lost) + len(lost_newer)
            self._fold(district, names - {""})

    def _stands(self, district: str, names: Iterable[str]) -> set[tuple[str, str, int]]:
        """Events of these conversations that stand, by conversation, id and digest.

        One that an older release kept stands under two digests: of what came, and of what this release reads in it.
        """
        rows = list(self._tools.reader.events_of(district, sorted(names)))
        learned = decoded((row for row in rows if not row.understood), Counter())
        return {row[1:4] for row in rows} | {
            (getattr(event, "conversation", ""), event.event_id, digest or 0) for event, digest in learned
        }

    def _newer_row(self, newer: Newer, place: Place) -> EventRow:
        row = newer_row(newer, place)
        return bare_row(row) if self._is_named_erased(newer) else row

    def _is_named_erased(self, newer: Newer) -> bool:
        return not self._erased(newer.district).isdisjoint(map(digest_of_key, keys_beside(json.loads(newer.content))))

    def _rows(self, district: str, events: Iterable[tuple[Event, Place]]) -> Iterator[tuple[EventRow, Event]]:
        """Rows of events as a worker that knows the district's erasures makes them."""
        state = DistrictState(district)
        for event, digest in self._refold(district).rules():
            state.apply(event, digest)
        for event, place in events:
            is_rule = isinstance(event, DistrictConfigured | Erased)
            applied = state.apply(event)
            if applied.arrival is not Arrival.ERASED and (is_rule or applied.arrival is not Arrival.DUPLICATE):
                yield event_row(event, applied.content, applied.digest, place), event

    def _land(self, district: str, lost: list[tuple[EventRow, Event]], newer: list[EventRow]) -> None:
        if not (lost or newer):
            return
        configurations = [
            configuration_row(event, row.digest) for row, event in lost if isinstance(event, DistrictConfigured)
        ]
        erasures = [
            Erasure(district, event.key_digest, to_ms(event.received_at))
            for _, event in lost
            if isinstance(event, Erased)
        ]
        events = [*(row for row, _ in lost), *newer]
        at_ms = self._tools.now_ms()
        self._tools.sink.land(Landing(at_ms, events=events, configurations=configurations, erasures=erasures))

    def _names_erased(self, district: str, event: Event) -> bool:
        """Whether it would bring the key of an erased person into Kafka once more."""
        erased = self._erased(district)
        return any(digest_of_key(getattr(event, field)) in erased for field in names_in(event))

    def _erased(self, district: str) -> set[str]:
        return {rule.key_digest for rule, _ in self._refold(district).rules() if isinstance(rule, Erased)}

    def _refold(self, district: str) -> Refold:
        if district not in self._refolds:
            forget_again(self._tools.reader, self._tools.sink, district, self._tools.now_ms)
            self._refolds[district] = Refold(district, self._tools, self._found)
        return self._refolds[district]

    def _fold(self, district: str, names: Collection[str]) -> None:
        refold = self._refold(district)
        refold.again()
        refold.land_district()
        refold.land(names)
        self._found.conversations += len(names)


def refill(
    asked: tuple[Collection[str], Span], source: Source, tools: Tools, journal: Journal, progress: Progress
) -> Replayed:
    """Land again what Kafka holds of these districts (none named: all) and of the span; partition by partition.

    `progress` hears the partition and its messages.
    """
    found = Replayed(resumed=journal.resumed)
    numbers = source.topic.partitions()
    ends = source.commits.committed(numbers)
    wanted = {partition_of(district, len(numbers)) for district in asked[0]} or set(numbers)
    for number in sorted(wanted & ends.keys()):
        part = f"partition {number}"
        after, finished = journal.reached(part)
        begin = max(int(after or 0), source.topic.beginning(number))
        if finished or begin >= ends[number]:
            continue
        one = _Refill(asked, source, tools, found)
        records = source.topic.records(number, begin, ends[number])
        total, first = ends[number] - begin, begin
        while True:
            batch, offset = one.batch(number, len(numbers), records)
            if offset < 0:
                break
            one.land(batch)
            journal.note(part, str(offset), 0)
            progress(part, offset - first, total)
        journal.note(part, str(ends[number]), 1)
    found.districts = len(asked[0]) or len(tools.reader.districts())
    journal.note("", "", 1)
    return found
