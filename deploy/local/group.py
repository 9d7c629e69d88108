"""The group of all workers as Kafka knows it: a worker tells of itself only, and one that stands still of nothing."""

from contextlib import closing
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict

from deploy.local.health import KAFKA_LIMITS
from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import EVENTS
from streams.intake.producer import check_reachable

# In these it is known who owns what; between them partitions are shared anew, which takes moments.
SETTLED = frozenset({"Stable", "Empty", "Dead"})


class GroupStatus(BaseModel):
    """The workers together. Counts are of partitions and of messages of events."""

    model_config = ConfigDict(frozen=True)

    state: str
    """As Kafka calls it: `Stable`, or `Empty` and `Dead` without workers; the others while partitions are shared."""
    workers: int
    """Members that own a partition."""
    partitions: int
    unowned: int
    """Partitions that no worker owns."""
    behind: int
    """Messages whose results have not landed, in all partitions; how many there are is no failure."""
    furthest: int | None
    """The partition with most of them; None: there are none."""
    furthest_behind: int

    @property
    def lacks_workers(self) -> bool:
        """Whether messages of some partitions wait for nobody."""
        return self.unowned > 0 and self.state in SETTLED

    def __str__(self) -> str:
        owned = self.partitions - self.unowned
        told = f"{self.workers} with {owned} of {self.partitions} partitions, {self.behind:,} messages behind"
        if self.furthest is not None:
            told += f", {self.furthest_behind:,} of them in partition {self.furthest}"
        return told if self.state in SETTLED else f"{told}; partitions are being shared anew"


def group_status(settings: Settings) -> GroupStatus | None:
    """Ask Kafka; None while it does not answer, keeps no groups yet, or has no topic of events. Takes seconds."""
    try:
        check_reachable(settings.kafka_address)
        with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_address, **KAFKA_LIMITS)) as admin:
            return _asked(admin, settings.topic(EVENTS), settings.workers_group)
    except (KafkaError, OSError, Unavailable):
        return None


def _asked(admin: KafkaAdminClient, topic: str, group: str) -> GroupStatus | None:
    (described,) = admin.describe_topics([topic])
    numbers = {each["partition_index"] for each in described["partitions"]}
    if not numbers:
        return None
    found = admin.describe_groups([group])[group]
    owned = [_owned(member, topic) & numbers for member in found["members"]]
    behind = _behind(admin, [TopicPartition(topic, number) for number in sorted(numbers)], group)
    furthest = max(behind, key=lambda number: behind[number])
    return GroupStatus(
        state=found["group_state"],
        workers=len(list(filter(None, owned))),
        partitions=len(numbers),
        unowned=len(numbers.difference(*owned)),
        behind=sum(behind.values()),
        furthest=furthest if behind[furthest] else None,
        furthest_behind=behind[furthest],
    )


def _owned(member: dict[str, Any], topic: str) -> set[int]:
    # While the group shares its partitions, nobody has any.
    assignment = member["member_assignment"] or {"assigned_partitions": ()}
    return {n for each in assignment["assigned_partitions"] if each["topic"] == topic for n in each["partitions"]}


def _behind(admin: KafkaAdminClient, places: list[TopicPartition], group: str) -> dict[int, int]:
    """Messages of each partition from the group's commit to its end; without a commit, from what Kafka still has."""
    first = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    committed = admin.list_group_offsets({group: places})[group]
    return {
        each.partition: max(0, ends[each].offset - max(first[each].offset, _offset(committed.get(each))))
        for each in places
    }


def _offset(committed: Any) -> int:
    return 0 if committed is None else int(committed.offset)
