"""What the broker, the topics and the tables say of a cell, held against what was written. Blocks; raises `CxError`."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.chaos.workload import Message, Transition, Workload
from schemas.alerts import BREACHED, CORRECTED
from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import ALERTS, EVENTS
from sinks.connection import connect, errors_mapped
from sinks.reading import ClickHouseReader
from streams.audit.audit import audit
from streams.audit.sources import Sources
from streams.intake.producer import check_reachable

RECHECK_SECONDS = 0.5
POLL_MS = 200
SEND_SECONDS = 60
SHOWN = 3
PATIENCE = 30.0
ASK_SECONDS = 0.2
Answer = TypeVar("Answer")


@contextmanager
def _kafka_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {settings.kafka_address} does not answer: {type(error).__name__}") from None


class Ledger:
    """Writes messages and keeps where each stands."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places: dict[int, list[tuple[int, Message]]] = defaultdict(list)

    def write(self, messages: Sequence[Message]) -> None:
        """Write these and return when the broker has them all."""
        with _kafka_errors(self._settings):
            producer = KafkaProducer(bootstrap_servers=self._settings.kafka_address, acks="all")
            try:
                topic = self._settings.topic(EVENTS)
                sent = [(each, producer.send(topic, each.value, partition=each.partition)) for each in messages]
                for message, future in sent:
                    self._places[message.partition].append((future.get(SEND_SECONDS).offset, message))
            finally:
                producer.close(1)

    def ends(self) -> dict[int, int]:
        """The offset after the last message written, by partition."""
        return {partition: places[-1][0] + 1 for partition, places in self._places.items()}

    def below(self, partition: int, offset: int) -> Iterator[tuple[int, Message]]:
        """What stands in a partition before an offset and does not leave it."""
        return (place for place in self._places[partition] if place[0] < offset and not place[1].strays)


class Witness:
    """Looks at one pipeline."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._admin: KafkaAdminClient | None = None
        self._read: dict[int, int] = {}
        self._told: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def committed(self) -> dict[int, int]:
        """The committed offset of each partition that has one, as the broker says."""
        group = self._settings.workers_group
        with _kafka_errors(self._settings):
            try:
                found: dict[Any, Any] = self._asked().list_group_offsets({group: None}).get(group, {})
            except (KafkaError, OSError):
                self.close()
                raise
        topic = self._settings.topic(EVENTS)
        return {tp.partition: meta.offset for tp, meta in found.items() if tp.topic == topic and meta.offset >= 0}

    def _asked(self) -> KafkaAdminClient:
        if self._admin is None:
            check_reachable(self._settings.kafka_address)
            self._admin = KafkaAdminClient(bootstrap_servers=self._settings.kafka_address)
        return self._admin

    def close(self) -> None:
        """Let go of the connection; the next question makes a new one."""
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()

    def all_acknowledged(self) -> bool:
        """Whether everything that stands in Kafka is acknowledged."""
        committed = {number: end for number, end in self.committed().items() if end}
        # What was written is known and asked of nobody; the ends also hold what workers forwarded.
        if any(committed.get(number, 0) < end for number, end in self._ledger.ends().items()):
            return False
        return committed == self._ends(EVENTS)

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask again while a server that was taken away has not come to itself."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return ask()
            except Unavailable as error:
                if time.monotonic() > end:
                    raise
                time.sleep(min(error.retry_after, ASK_SECONDS))

    def _ends(self, topic: str) -> dict[int, int]:
        """End offset of each partition that has a message."""
        numbers = [TopicPartition(self._settings.topic(topic), n) for n in range(self._settings.partitions)]
        with _kafka_errors(self._settings), closing(self._consumer()) as consumer:
            return {tp.partition: end for tp, end in consumer.end_offsets(numbers).items() if end}

    def _consumer(self) -> KafkaConsumer:
        check_reachable(self._settings.kafka_address)
        return KafkaConsumer(bootstrap_servers=self._settings.kafka_address, isolation_level="read_committed")

    def acknowledged_ahead(self) -> list[str]:
        """Places below a committed offset whose events or dead letter have not landed. Offsets are read first."""
        offsets = self._patiently(self.committed)
        landed = {(district, event_id) for district, event_id in self._ask("SELECT district, event_id FROM events")}
        refused = {(number, offset) for number, offset in self._ask("SELECT partition, offset FROM dead_letters")}
        found: list[str] = []
        for partition, offset in offsets.items():
            missing = [
                place
                for place, message in self._ledger.below(partition, offset)
                if not (landed.issuperset(message.events) if message.events else (partition, place) in refused)
            ]
            if missing:
                told = f"{len(missing)} of its messages have not landed, the first at {missing[0]}"
                found.append(f"partition {partition} is committed to {offset}, and {told}")
        return found

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with errors_mapped(self._settings), connect(self._settings) as client:
            rows: list[tuple[Any, ...]] = client.execute(query)
            return rows

    def problems(self, workload: Workload) -> list[str]:
        """Everything that is wrong with a workload of which all messages are acknowledged."""
        found = self.acknowledged_ahead()
        names = _quoted(workload.districts)
        events = Counter(self._ask(f"SELECT district, event_id FROM events FINAL WHERE district IN ({names})"))  # noqa: S608
        found += _compared("event", Counter(workload.events), events)
        letters = self._ask("SELECT topic, partition, offset, position FROM dead_letters FINAL")
        found += [f"dead letter {place} stands {n} times" for place, n in Counter(letters).items() if n > 1]
        result = audit(workload.districts, Sources.of(self._settings), _unheard, RECHECK_SECONDS)
        found += [f"audit: {' '.join(map(str, difference))}" for difference in result.differences]
        return found + self._wrong_alerts(workload, names)

    def _wrong_alerts(self, workload: Workload, names: str) -> list[str]:
        columns = "district, conversation, transition, revision"
        rows = self._ask(f"SELECT {columns} FROM alerts FINAL WHERE district IN ({names})")  # noqa: S608 -- our names
        landed = Counter(Transition(*row) for row in rows)
        self._read_alerts()
        promises = (each[0] for each in self._told.values() if "conversation" in each[0])
        told = [each for each in promises if each["district"] in workload.districts]
        wanted = landed if workload.doubtful else Counter(workload.transitions)
        found = _compared("alert on Kafka", wanted, Counter(_transition(each) for each in told))
        if workload.doubtful:
            taken_back = {each._replace(transition=BREACHED) for each in landed if each.transition == CORRECTED}
            left = Counter(each for each in landed if each.transition == BREACHED and each not in taken_back)
            found += _compared("alert never taken back", Counter(), left)
        else:
            found += _compared("alert in ClickHouse", wanted, landed)
        for key, each in self._told.items():
            if len({json.dumps(_without_notify(one), sort_keys=True) for one in each}) > 1:
                found.append(f"alert {key} was told with different contents")
        return found

    def swept(self, workload: Workload) -> bool:
        """Whether no row is behind its events: a sweep goes on beside the stream and holds up no acknowledgement."""
        return not audit(workload.districts, Sources.of(self._settings), _unheard, 0.0).behind

    def forgot(self, workload: Workload) -> bool:
        """Whether no row names anybody who was erased: who landed late asks for that after its landing."""
        with closing(ClickHouseReader(self._settings)) as reader:
            return not any(reader.still_named(district) for district in workload.districts)

    def repeated_alerts(self) -> int:
        """Messages on `cx.alerts` that repeat one under the same key, so far."""
        return sum(len(each) - 1 for each in self._told.values())

    def transitions(self, workload: Workload) -> bool:
        """Whether every transition that is wanted stands in the table by now, or all is told that will be."""
        if workload.doubtful:
            return not self._wrong_alerts(workload, _quoted(workload.districts))
        names = _quoted(workload.districts)
        query = f"SELECT count() FROM alerts FINAL WHERE district IN ({names})"  # noqa: S608 -- our own names
        return bool(self._ask(query)[0][0] >= len(workload.transitions))

    def _read_alerts(self) -> None:
        """Read on to the present end of `cx.alerts`."""
        ends = self._patiently(partial(self._ends, ALERTS))
        topic = self._settings.topic(ALERTS)
        with _kafka_errors(self._settings), closing(self._consumer()) as consumer:
            partitions = [TopicPartition(topic, n) for n, end in ends.items() if self._read.get(n, 0) < end]
            consumer.assign(partitions)
            for each in partitions:
                consumer.seek(each, self._read.get(each.partition, 0))
            while any(consumer.position(each) < ends[each.partition] for each in partitions):
                for records in consumer.poll(POLL_MS).values():
                    for record in records:
                        self._told[record.key.decode()].append(json.loads(record.value))
            self._read |= ends


def _without_notify(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert but for what depends on when it was found."""
    return {name: value for name, value in alert.items() if name != "notify"}


def _transition(alert: dict[str, Any]) -> Transition:
    return Transition(alert["district"], alert["conversation"], alert["transition"], alert["revision"])


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _unheard(_district: str, _events: int, _rows: int) -> None:
    """Progress of an audit that nobody watches."""


def _compared(what: str, wanted: Counter[Any], found: Counter[Any]) -> list[str]:
    """What is missing, too much or there more than once, the first few by name."""
    missing, extra = (wanted - found).elements(), (found - wanted).elements()
    return [*_named(f"{what} missing", missing), *_named(f"{what} extra", extra)]


def _named(what: str, items: Iterable[Any]) -> list[str]:
    listed = sorted(items)
    told = [f"{what}: {'/'.join(map(str, item))}" for item in listed[:SHOWN]]
    return told + ([f"{what}: {len(listed) - SHOWN} more"] if len(listed) > SHOWN else [])
