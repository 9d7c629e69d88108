"""Has what was written to `cx.events` landed? The workers commit an offset only when everything before it has."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from time import monotonic, sleep
from typing import NamedTuple, Protocol

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    KafkaError,
    NotCoordinatorError,
)

from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import EVENTS
from streams.intake.producer import RETRY_SECONDS, Written, check_reachable, mapped

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
NO_WORKER_SECONDS = 15.0
# A Kafka whose first worker is still to come keeps no offsets yet.
_NO_GROUP_YET = (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    NotCoordinatorError,
)


class Commits(Protocol):
    """What the workers' group says of itself; every method may block and raises `Unavailable` or `Refused`."""

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        """The first offset of each partition that has not landed; a partition without any is left out."""

    def members(self) -> int:
        """Workers in the group now."""


class GroupCommits:
    """The `Commits` of the settings' group, asked from Kafka."""

    def __init__(self, settings: Settings) -> None:
        """Connect; raises `Unavailable`."""
        self._address = settings.kafka_address
        self._topic = settings.topic(EVENTS)
        self._group = settings.topic(settings.group)
        check_reachable(self._address)
        try:
            self._admin = KafkaAdminClient(bootstrap_servers=self._address, client_id="cx-intake")
        except (KafkaError, OSError) as error:
            raise mapped(error, self._address) from None

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        """See `Commits.committed`."""
        asked = [TopicPartition(self._topic, partition) for partition in partitions]
        try:
            found = self._admin.list_group_offsets({self._group: asked})[self._group]
        except _NO_GROUP_YET:
            return {}
        except KafkaError as error:
            raise mapped(error, self._address) from None
        return {place.partition: offset.offset for place, offset in found.items() if offset.offset >= 0}

    def members(self) -> int:
        """See `Commits.members`."""
        try:
            return len(self._admin.describe_groups([self._group])[self._group]["members"])
        except _NO_GROUP_YET:
            return 0
        except KafkaError as error:
            raise mapped(error, self._address) from None

    def close(self) -> None:
        """Let go of the connection."""
        self._admin.close()


class Message(NamedTuple):
    """An acknowledged message: how many events it holds, and where it stands."""

    events: int
    written: Written


class Patience(NamedTuple):
    """How long nothing may land, in seconds: with workers in the group, and with none."""

    stalled: float = PATIENCE_SECONDS
    no_worker: float = NO_WORKER_SECONDS


PATIENCE = Patience()


def wait_until_landed(
    messages: Sequence[Message], commits: Commits, report: Callable[[int], None], patience: Patience | None = None
) -> None:
    """Block until every message has landed; `report` gets the number of landed events now and then.

    Raises `Unavailable` when nothing lands for too long: what was written is safe in Kafka and lands later.
    """
    waiting: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        waiting[message.written.partition].append(message)
    landed, changed = 0, monotonic()
    while waiting:
        offsets = commits.committed(waiting)
        before = landed
        for partition, offset in offsets.items():
            left = [message for message in waiting[partition] if message.written.offset >= offset]
            landed += sum(m.events for m in waiting[partition]) - sum(m.events for m in left)
            waiting[partition] = left
            if not left:
                del waiting[partition]
        if landed > before:
            changed = monotonic()
            report(landed)
        elif waiting:
            _check_patience(monotonic() - changed, commits, patience or PATIENCE)
            sleep(LOOK_SECONDS)


def _check_patience(still: float, commits: Commits, patience: Patience) -> None:
    safe = "What was sent is safe in Kafka and lands when a worker takes it"
    if still > patience.no_worker and commits.members() == 0:
        raise Unavailable(f"No worker is running. {safe}: start one with `./cx up` or `./cx worker`.", RETRY_SECONDS)
    if still > patience.stalled:
        raise Unavailable(f"Nothing has landed for {still:.0f} s. {safe}; `./cx status` says what is wrong.")
