"""How long Kafka keeps what was sent: set on our topics, and asked of Kafka itself.

A message goes with its segment, when the newest message of that is old enough: so segments are of a day, or what is
kept for a week would stay for two. Blocks; raises `Unavailable` or `Refused`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from kafka import KafkaAdminClient
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from schemas.errors import Refused
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from streams.intake.producer import check_reachable, mapped
from streams.intake.topics import check_described

RETENTION, SEGMENT, DELAY = "retention.ms", "segment.ms", "file.delete.delay.ms"
DAY_MS = 86_400_000
# Kafka's own default of how often it looks for what is to go; it is the broker's, not a topic's.
LOOKED_FOR = timedelta(minutes=5)


def topic_settings(settings: Settings) -> dict[str, str]:
    """What each of our topics is told about keeping, whatever the broker's defaults are."""
    return {
        "cleanup.policy": "delete",
        "retention.bytes": "-1",
        RETENTION: str(settings.kafka_days * DAY_MS),
        SEGMENT: str(DAY_MS),
    }


def keep(admin: KafkaAdminClient, settings: Settings, topics: Sequence[str]) -> None:
    """Have topics keep what the settings say. Raises Kafka's errors, and `Refused` where it may not be changed."""
    wanted = topic_settings(settings)
    found = _described(admin, topics, list(wanted))
    others = [topic for topic in topics if found[topic] != wanted]
    if others:
        changes = [ConfigResource(ConfigResourceType.TOPIC, topic, dict(wanted)) for topic in others]
        (results,) = admin.alter_configs(changes, raise_on_unknown=False).values()
        for topic, result in results.items():
            if result != "OK":
                told = ", ".join(f"{name}={value}" for name, value in wanted.items())
                raise Refused(f"Kafka does not let {topic} be changed ({result}): set {told} there.")


def _described(admin: KafkaAdminClient, topics: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(names)) for topic in topics]
    (found,) = admin.describe_configs(asked, config_filter=ConfigFilterType.ALL).values()
    return {topic: {name: found[topic][name]["value"] for name in names} for topic in topics}


def retentions(settings: Settings) -> Mapping[str, timedelta | None]:
    """How long at most a message stays on each of our topics, by full name; None: for ever."""
    topics = [settings.topic(name) for name in (EVENTS, ALERTS, DEAD_LETTERS)]
    check_reachable(settings.kafka_address)
    try:
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address, client_id="cx-retention")
        try:
            check_described(admin, settings.kafka_address, topics)
            found = _described(admin, topics, [RETENTION, SEGMENT, DELAY])
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise mapped(error, settings.kafka_address) from None
    return {
        topic: _longest(*(int(kept[name]) for name in (RETENTION, SEGMENT, DELAY))) for topic, kept in found.items()
    }


def _longest(kept_ms: int, segment_ms: int, delay_ms: int) -> timedelta | None:
    return None if kept_ms < 0 else timedelta(milliseconds=kept_ms + segment_ms + delay_ms) + LOOKED_FOR
