"""Has what was written to `cx.events` landed? The workers commit an offset only when everything before it has."""

from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
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
from streams.intake.producer import MESSAGES_UNDER_WAY, RETRY_SECONDS, Written, check_reachable, mapped

LOOK_SECONDS = 0.05
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


class _Message(NamedTuple):
    """An acknowledged message: how many events it holds, and its offset."""

    events: int
    offset: int


class Patience(NamedTuple):
    """How long nothing may land, in seconds: with workers in the group, and with none."""

    stalled: float = PATIENCE_SECONDS
    no_worker: float = NO_WORKER_SECONDS


PATIENCE = Patience()


class Unlanded:
    """What was handed to Kafka and has not landed: counts it, and waits for it."""

    def __init__(self, commits: Commits, report: Callable[[int], None], patience: Patience | None = None) -> None:
        """`report` gets the number of landed events whenever it grew."""
        self.events = 0
        self._commits = commits
        self._report = report
        self._patience = patience or PATIENCE
        self._landed = 0
        self._under_way: deque[tuple[int, Future[Written]]] = deque()
        self._waiting: dict[int, deque[_Message]] = {}

    def add(self, events: int, written: "Future[Written]") -> None:
        """A message with so many events is on its way. Blocks while too many are; raises `Unavailable` or `Refused`."""
        self.events += events
        self._under_way.append((events, written))
        self._settle(MESSAGES_UNDER_WAY)

    def wait(self, most: int = 0) -> None:
        """Block until at most so many events are left; of none, no message either.

        Raises `Unavailable` when nothing lands for too long: what was written is safe in Kafka and lands later.
        """
        if not self._is_more_than(most):
            return
        self._settle(0)
        changed = monotonic()
        while self._is_more_than(most):
            if self._look():
                changed = monotonic()
                self._report(self._landed)
            else:
                _check_patience(monotonic() - changed, self._commits, self._patience)
                sleep(LOOK_SECONDS)

    def _is_more_than(self, most: int) -> bool:
        return self.events > most or (not most and bool(self._under_way or self._waiting))

    def _settle(self, most: int) -> None:
        """Have Kafka acknowledge all but so many messages, in the order in which they were handed over."""
        while len(self._under_way) > most:
            events, written = self._under_way.popleft()
            partition, offset = written.result()
            self._waiting.setdefault(partition, deque()).append(_Message(events, offset))

    def _look(self) -> bool:
        """Whether a message has landed since the last look."""
        has_landed = False
        for partition, offset in self._commits.committed(self._waiting).items():
            messages = self._waiting[partition]
            while messages and messages[0].offset < offset:
                landed = messages.popleft().events
                self.events -= landed
                self._landed += landed
                has_landed = True
            if not messages:
                del self._waiting[partition]
        return has_landed


def _check_patience(still: float, commits: Commits, patience: Patience) -> None:
    safe = "What was sent is safe in Kafka and lands when a worker takes it; sent again, it counts once"
    if still > patience.no_worker and commits.members() == 0:
        raise Unavailable(f"No worker is running. {safe}: start one with `./cx up` or `./cx worker`.", RETRY_SECONDS)
    if still > patience.stalled:
        raise Unavailable(f"Nothing has landed for {still:.0f} s. {safe}; `./cx status` says what is wrong.")
