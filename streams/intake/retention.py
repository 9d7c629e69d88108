"""How long Kafka keeps what was sent: asked of Kafka itself."""

from collections.abc import Mapping
from datetime import timedelta

from kafka import KafkaAdminClient
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from streams.intake.producer import check_reachable, mapped

RETENTION = "retention.ms"


def retentions(settings: Settings) -> Mapping[str, timedelta | None]:
    """Retention of each of our topics by full name; None: for ever. Blocks; raises `Unavailable` or `Refused`."""
    topics = [settings.topic(name) for name in (EVENTS, ALERTS, DEAD_LETTERS)]
    check_reachable(settings.kafka_address)
    try:
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address, client_id="cx-retention")
        try:
            asked = [ConfigResource(ConfigResourceType.TOPIC, topic, {RETENTION: None}) for topic in topics]
            (found,) = admin.describe_configs(asked, config_filter=ConfigFilterType.ALL).values()
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise mapped(error, settings.kafka_address) from None
    kept = {topic: int(found[topic][RETENTION]["value"]) for topic in topics}
    return {topic: None if ms < 0 else timedelta(milliseconds=ms) for topic, ms in kept.items()}
