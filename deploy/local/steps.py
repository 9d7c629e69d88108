"""What is done once between the start of the servers and the start of what uses them. Each step may be repeated."""

from collections.abc import Callable
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.errors import EnvironmentProblem, Unavailable
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from sinks.migrate import migrate
from streams.intake.retention import keep, topic_settings


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what people are told, which server it needs, its work."""

    phase: str
    needs: str
    work: Callable[[Settings], object]


def create_topics(settings: Settings) -> None:
    """Make the topics that are missing, and have all of them keep what the settings say.

    Raises `EnvironmentProblem` when a topic has another number of partitions, `Refused` where none may be changed.
    """
    wanted = {settings.topic(name): settings.partitions for name in (EVENTS, ALERTS, DEAD_LETTERS)}
    try:
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address)
        try:
            _create(admin, settings, wanted)
            found = {each["name"]: len(each["partitions"]) for each in admin.describe_topics(list(wanted))}
            _check(found, wanted)
            keep(admin, settings, list(wanted))
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise Unavailable(
            f"Kafka at {settings.kafka_address} did not make the topics: {type(error).__name__}."
        ) from None


def _check(found: dict[str, int], wanted: dict[str, int]) -> None:
    for name, partitions in wanted.items():
        if found.get(name) != partitions:
            raise EnvironmentProblem(
                f"Topic {name} has {found.get(name)} partitions, not {partitions}: their number is fixed when "
                f"the topic is made, so set CX_PARTITIONS to {found.get(name)}."
            )


def _create(admin: KafkaAdminClient, settings: Settings, wanted: dict[str, int]) -> None:
    missing = set(wanted) - set(admin.list_topics())
    if missing:
        kept = topic_settings(settings)
        made = {name: {"num_partitions": wanted[name], "configs": kept} for name in missing}
        try:
            admin.create_topics(made, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            # Another stack on the same Kafka was faster; the count of partitions is checked after this.
            return


STEPS: tuple[Step, ...] = (
    Step("making the topics", "kafka", create_topics),
    Step("making the tables", "clickhouse", migrate),
)
