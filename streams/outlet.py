"""A worker's way out to Kafka: dead letters, alerts, messages of a wrong partition. Blocks until acknowledged.

Alerts are written in transactions that the broker refuses to a worker of an earlier assignment: what it has to say, the
partition's new owner says. See `streams.told` for what reads them back.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Any, TypeVar
from uuid import uuid4

from kafka import ConsumerGroupMetadata, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaError, KafkaTimeoutError

from schemas.errors import Fenced, Unavailable
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS, partition_of
from schemas.transitions import Transition, as_json
from sinks.landing import DeadLetterRow
from streams.cuts import Forward
from streams.stand import Membership

log = logging.getLogger("cx.worker")

T = TypeVar("T")
SECONDS = 30
CLOSE_SECONDS = 1
TRANSACTION_SECONDS = 10
LARGEST_REQUEST = 16 * 1024 * 1024


def bounded(work: Callable[[], T], seconds: float) -> T:
    """Do it, or raise `KafkaTimeoutError` after so many seconds and leave it behind.

    The client waits without end for what belongs to a transaction, also when its broker has come back long since.
    """
    ended: Future[T] = Future()

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, it is raised to who waits
            ended.set_exception(error)
        else:
            ended.set_result(found)

    Thread(target=run, name="bounded", daemon=True).start()
    try:
        return ended.result(seconds)
    except TimeoutError:
        raise KafkaTimeoutError(f"no end after {seconds:.0f} s") from None


class KafkaOutlet:
    """Publishes with all replicas' acknowledgement; a dead letter goes to the partition its message came from."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: KafkaProducer | None = None
        self._made_teller: KafkaProducer | None = None
        self._landed: dict[int, int] = {}

    def dead_letters(self, rows: Sequence[DeadLetterRow]) -> None:
        """Publish refusals as JSON: place, reason, field, digest; never the payload."""
        topic = self._settings.topic(DEAD_LETTERS)
        self._send([(topic, row.partition, None, json.dumps(row._asdict()).encode()) for row in rows])

    def begin(self, landed: Mapping[int, int]) -> None:
        """From now on, so much of each partition of `cx.alerts` has landed: offsets, by partition."""
        self._landed = dict(landed)

    def landed(self, ends: Mapping[int, int]) -> None:
        """From now on, everything before these offsets of `cx.alerts` has landed."""
        self._landed |= ends

    def alerts(self, rows: Sequence[Transition], membership: Membership) -> Mapping[int, int]:
        """Publish transitions as JSON into their district's partition, keyed by idempotency key: all or none.

        Returns the offsets behind them, by partition. Raises `Fenced` for an earlier assignment.
        """
        try:
            return bounded(partial(self._tell, rows, membership), SECONDS)
        except (KafkaError, OSError) as error:
            self.close()
            raise self._away(error) from None

    def _tell(self, rows: Sequence[Transition], membership: Membership) -> dict[int, int]:
        """One transaction: the alerts, and up to where those before have landed in the name of one assignment."""
        topic = self._settings.topic(ALERTS)
        numbered = [(partition_of(row.district, self._settings.partitions), row) for row in rows]
        landed = {TopicPartition(topic, n): OffsetAndMetadata(self._landed.get(n, 0)) for n, _ in numbered}
        group = ConsumerGroupMetadata(self._settings.workers_group, *membership)
        producer = self._teller()
        producer.begin_transaction()
        sent: list[tuple[int, Any]] = [
            (n, producer.send(topic, json.dumps(as_json(row)).encode(), row.idempotency_key.encode(), partition=n))
            for n, row in numbered
        ]
        try:
            producer.send_offsets_to_transaction(landed, group)
        except CommitFailedError:
            producer.abort_transaction()
            raise Fenced("another worker owns the partitions of these alerts by now") from None
        producer.commit_transaction()
        return {n: future.get(SECONDS).offset + 1 for n, future in sent}

    def forward(self, messages: Sequence[Forward]) -> None:
        """Publish messages again, into the partition of their district."""
        topic, partitions = self._settings.topic(EVENTS), self._settings.partitions
        self._send([(topic, partition_of(each.district, partitions), None, each.value) for each in messages])

    def _send(self, messages: Sequence[tuple[str, int, str | None, bytes]]) -> None:
        try:
            producer = self._producer()
            futures: list[Any] = [
                producer.send(topic, value, key=None if key is None else key.encode(), partition=number)
                for topic, number, key, value in messages
            ]
            producer.flush(timeout=SECONDS)
            for future in futures:
                future.get(timeout=SECONDS)
        except (KafkaError, OSError) as error:
            self.close()
            raise self._away(error) from None

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"Kafka at {self._settings.kafka_address} did not take a message: {type(error).__name__}")

    def _teller(self) -> KafkaProducer:
        """The producer of alerts, with a name that no other process has."""
        if self._made_teller is None:
            name = f"{self._settings.topic_prefix}{ALERTS}-{uuid4().hex}"
            self._made_teller = self._make(transactional_id=name, transaction_timeout_ms=TRANSACTION_SECONDS * 1000)
            self._made_teller.init_transactions()
        return self._made_teller

    def _producer(self) -> KafkaProducer:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self, **more: Any) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self._settings.kafka_address,
            acks="all",
            max_request_size=LARGEST_REQUEST,
            max_block_ms=SECONDS * 1000,
            **more,
        )

    def close(self) -> None:
        """Let go of the connections; the next message makes new ones."""
        held = (self._made, self._made_teller)
        self._made = self._made_teller = None
        for made in held:
            if made is not None:
                _let_go(made)


def _let_go(producer: KafkaProducer) -> None:
    """Close it; what it could not send it gives up, as whoever wanted it sent knows by now."""
    try:
        producer.close(timeout=CLOSE_SECONDS)
    except KafkaTimeoutError:
        # The client closes only once everything is sent or given up, and has no public way to give up.
        producer._sender.force_close()  # noqa: SLF001
        try:
            producer.close(timeout=CLOSE_SECONDS)
        except KafkaTimeoutError:
            log.warning("a producer is left behind that neither sends nor gives up what it holds")
