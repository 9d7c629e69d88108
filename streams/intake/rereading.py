"""Single messages read from Kafka by their place, in no group and with nothing acknowledged."""

from time import monotonic

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import Unavailable
from schemas.settings import Settings
from sinks.dead_letters import LetterPlace
from streams.intake.producer import RETRY_SECONDS, check_reachable, mapped
from streams.intake.retrying import Message

ANSWER_SECONDS = 20.0
LARGEST_FETCH = 16 * 1024 * 1024


class MessageReader:
    """Reads from the settings' Kafka; one thread. `close` it."""

    def __init__(self, settings: Settings) -> None:
        """Connect; raises `Unavailable`."""
        self._address = settings.kafka_address
        check_reachable(self._address)
        try:
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._address,
                group_id=None,
                enable_auto_commit=False,
                max_poll_records=1,
                max_partition_fetch_bytes=LARGEST_FETCH,
                allow_auto_create_topics=False,
            )
        except (KafkaError, OSError) as error:
            raise mapped(error, self._address) from None

    def read(self, place: LetterPlace) -> Message | None:
        """The message at a place; None if it or its topic is not there any more. Blocks; see `retrying.Read`."""
        try:
            return self._read(place)
        except (KafkaError, OSError) as error:
            raise mapped(error, self._address) from None

    def _read(self, place: LetterPlace) -> Message | None:
        where = TopicPartition(place.topic, place.partition)
        if place.partition not in (self._consumer.partitions_for_topic(place.topic) or ()):
            return None
        first, end = self._consumer.beginning_offsets([where])[where], self._consumer.end_offsets([where])[where]
        if not first <= place.offset < end:
            return None
        self._consumer.assign([where])
        self._consumer.seek(where, place.offset)
        deadline = monotonic() + ANSWER_SECONDS
        while monotonic() < deadline:
            for record in self._consumer.poll(timeout_ms=500).get(where, ()):
                # What lies between may be gone as well: then the next one comes.
                return Message(record.value) if record.offset == place.offset else None
        raise Unavailable(f"Kafka at {self._address} does not bring the message at {place}.", RETRY_SECONDS)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()
