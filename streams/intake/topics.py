"""Which topics Kafka has: looked at before what needs them begins, as a mistyped prefix names topics that nobody made.

Blocks; raises `Unavailable` or `Refused`.
"""

from collections.abc import Iterable
from contextlib import closing

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from schemas.errors import Refused
from schemas.settings import Settings
from streams.intake.producer import check_reachable, mapped


def check_topics(settings: Settings, names: Iterable[str]) -> None:
    """Raise `Refused` for topics of `schemas.topics` that Kafka does not have, `Unavailable` if it does not answer."""
    address = settings.kafka_address
    check_reachable(address)
    try:
        with closing(KafkaAdminClient(bootstrap_servers=address, client_id="cx-topics")) as admin:
            check_described(admin, address, map(settings.topic, names))
    except (KafkaError, OSError) as error:
        raise mapped(error, address) from None


def check_described(admin: KafkaAdminClient, address: str, topics: Iterable[str]) -> None:
    """The same by full names, with a client that is there already. Raises Kafka's errors, and `Refused`."""
    found = admin.describe_topics(list(topics))
    if lacking := [each["name"] for each in found if each["error_code"] == UnknownTopicOrPartitionError.errno]:
        named = ", ".join(sorted(lacking))
        raise Refused(
            f"Kafka at {address} has no such topic: {named}; is CX_TOPIC_PREFIX right? `./cx up` makes topics."
        )
