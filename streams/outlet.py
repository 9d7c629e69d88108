"""A worker's way out to Kafka: dead letters, alerts, messages of a wrong partition. Blocks until acknowledged."""

import json
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.alerts import AlertTransition, as_json
from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS, partition_of
from sinks.landing import DeadLetterRow
from streams.partition import Forward

SECONDS = 30
LARGEST_REQUEST = 16 * 1024 * 1024


class KafkaOutlet:
    """Publishes with all replicas' acknowledgement; a dead letter goes to the partition its message came from."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: KafkaProducer | None = None

    def dead_letters(self, rows: Sequence[DeadLetterRow]) -> None:
        """Publish refusals as JSON: place, reason, field, digest; never the payload."""
        topic = self._settings.topic(DEAD_LETTERS)
        self._send([(topic, row.partition, None, json.dumps(row._asdict()).encode()) for row in rows])

    def alerts(self, rows: Sequence[AlertTransition]) -> None:
        """Publish transitions as JSON into their district's partition, keyed by idempotency key."""
        topic, partitions = self._settings.topic(ALERTS), self._settings.partitions
        self._send(
            [
                (topic, partition_of(row.district, partitions), row.idempotency_key, json.dumps(as_json(row)).encode())
                for row in rows
            ]
        )

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
            reason = f"Kafka at {self._settings.kafka_address} did not take a message: {type(error).__name__}"
            raise Unavailable(reason) from None

    def _producer(self) -> KafkaProducer:
        if self._made is None:
            self._made = KafkaProducer(
                bootstrap_servers=self._settings.kafka_address,
                acks="all",
                max_request_size=LARGEST_REQUEST,
                max_block_ms=SECONDS * 1000,
            )
        return self._made

    def close(self) -> None:
        """Let go of the connection; the next message makes a new one."""
        made, self._made = self._made, None
        if made is not None:
            made.close(timeout=1)
