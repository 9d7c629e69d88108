"""Into `cx.events`: one producer for gateway, importers and the command line, on kafka-python.

Every message goes to `partition_of(district)` and counts as written only when Kafka has acknowledged it on all
replicas. Kafka's errors leave as ours:

    no broker, no answer, not now                    → Unavailable, `retry_after` seconds
    no such topic, message too large, not allowed    → Refused
"""

import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple, Protocol, Self

from kafka import KafkaProducer
from kafka.errors import (
    BrokerResponseError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RetriableError,
    UnknownTopicOrPartitionError,
)

from schemas.errors import CxError, Refused, Unavailable
from schemas.events import Event
from schemas.settings import Settings
from schemas.topics import EVENTS, partition_of

LARGEST_REQUEST = 16 * 1024 * 1024
EVENTS_PER_MESSAGE = 500
BYTES_PER_MESSAGE = 4_000_000
MESSAGES_UNDER_WAY = 64
METADATA_SECONDS = 5.0
DELIVERY_SECONDS = 15.0
RETRY_SECONDS = 2.0


class Written(NamedTuple):
    """Where an acknowledged message stands."""

    partition: int
    offset: int


class Publisher(Protocol):
    """What can write messages of events; the gateway and the importers know no more of Kafka."""

    def publish(self, district: str, payload: bytes) -> "Future[Written]":
        """Hand over one message; the future holds `Unavailable` or `Refused` if it was not acknowledged.

        May block for seconds while Kafka is away; raises `Unavailable` then.
        """

    def flush(self, timeout: float) -> None:
        """Wait until all that was handed over is acknowledged or failed. Raises `Unavailable` after `timeout` s."""


class EventProducer:
    """The `Publisher` on Kafka, connected at first use. Safe for threads. Use as a context, or `close` it."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.kafka_address
        self._topic = settings.topic(EVENTS)
        self._partitions = 0
        self._lock = Lock()
        self._held: KafkaProducer | None = None
        self._rest_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(self, district: str, payload: bytes) -> "Future[Written]":
        """Hand over one message of a district; see `Publisher.publish`."""
        producer = self._connected()
        partition = partition_of(district, self.partitions())
        written: Future[Written] = Future()
        written.set_running_or_notify_cancel()

        def landed(metadata: Any) -> None:
            written.set_result(Written(metadata.partition, metadata.offset))

        def failed(error: Exception) -> None:
            written.set_exception(mapped(error, self._address))

        try:
            sent = producer.send(self._topic, value=payload, key=district.encode(), partition=partition)
        except MessageSizeTooLargeError as error:
            failed(error)
            return written
        except KafkaError as error:
            raise mapped(error, self._address) from None
        sent.add_callback(landed)
        sent.add_errback(failed)
        return written

    def partitions(self) -> int:
        """Partitions of the topic, as Kafka says; fixed when the topic is made, so asked once. May block."""
        if not self._partitions:
            try:
                self._partitions = len(self._connected().partitions_for(self._topic))
            except KafkaTimeoutError:
                check_reachable(self._address)
                text = f"Kafka at {self._address} does not know the topic {self._topic} (yet); `./cx up` makes it."
                raise Unavailable(text, RETRY_SECONDS) from None
            except KafkaError as error:
                raise mapped(error, self._address) from None
        return self._partitions

    def _connected(self) -> KafkaProducer:
        """The client, connected at first use; after a failure nobody waits again for `RETRY_SECONDS`."""
        with self._lock:
            if self._held is None:
                if monotonic() < self._rest_until:
                    raise mapped(KafkaConnectionError(), self._address)
                self._rest_until = monotonic() + RETRY_SECONDS
                self._held = self._connect()
            return self._held

    def _connect(self) -> KafkaProducer:
        check_reachable(self._address)
        try:
            return self._client()
        except (KafkaError, OSError) as error:
            raise mapped(error, self._address) from None

    def _client(self) -> KafkaProducer:
        wait_ms = round(METADATA_SECONDS * 1000)
        return KafkaProducer(
            bootstrap_servers=self._address,
            client_id="cx-intake",
            acks="all",
            # The client makes the checksum in Python: of packed bytes that costs a tenth.
            compression_type="gzip",
            enable_idempotence=True,
            max_request_size=LARGEST_REQUEST,
            batch_size=1_000_000,
            linger_ms=2,
            max_block_ms=wait_ms,
            bootstrap_timeout_ms=wait_ms,
            request_timeout_ms=10_000,
            reconnect_backoff_max_ms=round(RETRY_SECONDS * 1000),
            delivery_timeout_ms=round(DELIVERY_SECONDS * 1000),
            metadata_max_age_ms=30_000,
            allow_auto_create_topics=False,
        )

    def flush(self, timeout: float) -> None:
        """Wait for all acknowledgements; see `Publisher.flush`."""
        if self._held is None:
            return
        try:
            self._held.flush(timeout)
        except KafkaError as error:
            raise mapped(error, self._address) from None

    def close(self) -> None:
        """Give what is under way a moment, then let go of the connection."""
        if self._held is None:
            return
        try:
            self._held.close(timeout=DELIVERY_SECONDS)
        except KafkaError as error:
            raise mapped(error, self._address) from None


def check_reachable(address: str) -> None:
    """Raise `Unavailable` unless something listens at `host:port`.

    kafka-python leaves sockets behind when it cannot connect, so nobody asks it before this.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), METADATA_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise mapped(KafkaConnectionError(), address) from None


def mapped(error: Exception, address: str) -> CxError:
    """Our error for one of Kafka's."""
    where = f"Kafka at {address}"
    if isinstance(error, UnknownTopicOrPartitionError):
        return Refused(f"{where} has no topic of events; `./cx up` makes it.")
    if isinstance(error, MessageSizeTooLargeError):
        return Refused(f"{where} takes no message that large; send smaller arrays.")
    if isinstance(error, BrokerResponseError) and not isinstance(error, RetriableError):
        return Refused(f"{where} refused: {type(error).__name__}.")
    text = f"{where} does not answer ({type(error).__name__}); it is started by `./cx up`."
    return Unavailable(text, RETRY_SECONDS)


class Encoded(NamedTuple):
    """One event ready to be sent: its district and its JSON."""

    district: str
    content: bytes


def encode(event: Event) -> Encoded:
    """An event as it is sent: defaults left out, the receipt kept."""
    return Encoded(event.district, event.__pydantic_serializer__.to_json(event, exclude_defaults=True))


class Array(NamedTuple):
    """Events of one district as one message: how many they are, and the JSON array."""

    district: str
    events: int
    payload: bytes


class _Batch:
    """Events of one district on their way into one array."""

    __slots__ = ("events", "size")

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.size = 2

    def array(self, district: str) -> Array:
        """What it holds."""
        return Array(district, len(self.events), b"[" + b",".join(self.events) + b"]")


def arrays(events: Iterable[Encoded]) -> Iterator[Array]:
    """Events as arrays of one district each, not larger than a message may be; each district's order is kept."""
    open_batches: dict[str, _Batch] = {}
    for district, content in events:
        batch = open_batches.get(district)
        if batch is not None and batch.size + len(content) > BYTES_PER_MESSAGE:
            yield open_batches.pop(district).array(district)
            batch = None
        if batch is None:
            batch = open_batches[district] = _Batch()
        batch.events.append(content)
        batch.size += len(content) + 1
        if len(batch.events) >= EVENTS_PER_MESSAGE:
            yield open_batches.pop(district).array(district)
    for district, batch in open_batches.items():
        yield batch.array(district)


def publish_events(events: Iterable[Encoded], publisher: Publisher) -> list[tuple[int, Future[Written]]]:
    """Write events in arrays of one district; the number of events and the future of each array.

    The order of each district's events is kept. Blocks while Kafka is slow; raises `Unavailable` or `Refused`.
    """
    sent: list[tuple[int, Future[Written]]] = []
    for array in arrays(events):
        sent.append((array.events, publisher.publish(array.district, array.payload)))
        if len(sent) > MESSAGES_UNDER_WAY:
            sent[-MESSAGES_UNDER_WAY][1].result()
    return sent
