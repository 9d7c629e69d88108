"""Kafka's part of the intake in memory: for trying gateway and importers without a broker."""

from collections import defaultdict
from collections.abc import Collection
from concurrent.futures import Future
from threading import Lock

from schemas.errors import Unavailable
from schemas.topics import DEFAULT_PARTITIONS, partition_of
from streams.intake.producer import Written


class MemoryLog:
    """A `Publisher` and `Commits`: what is published stands in `messages` by partition.

    `away = True` makes it unreachable, `silent = True` makes it never acknowledge. `landed` are the first offsets that
    have not landed, set by whoever plays the workers; `workers` is their number.
    """

    def __init__(self, partitions: int = DEFAULT_PARTITIONS) -> None:
        self.messages: dict[int, list[bytes]] = defaultdict(list)
        self.landed: dict[int, int] = {}
        self.workers = 0
        self.away = False
        self.silent = False
        self._partitions = partitions
        self._lock = Lock()

    def publish(self, district: str, payload: bytes) -> "Future[Written]":
        """Append to the district's partition; acknowledged at once unless silent."""
        if self.away:
            raise Unavailable("The log in memory is away.")
        acknowledged: Future[Written] = Future()
        with self._lock:
            partition = partition_of(district, self._partitions)
            self.messages[partition].append(payload)
            if not self.silent:
                acknowledged.set_result(Written(partition, len(self.messages[partition]) - 1))
        return acknowledged

    def flush(self, timeout: float) -> None:
        """Nothing is ever under way."""
        if self.silent:
            raise Unavailable(f"The log in memory does not acknowledge within {timeout} s.")

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        """See `streams.intake.landing.Commits`."""
        return {partition: offset for partition, offset in self.landed.items() if partition in partitions}

    def members(self) -> int:
        """See `streams.intake.landing.Commits`."""
        return self.workers

    def work(self) -> None:
        """Everything published so far has landed."""
        self.workers = 1
        self.landed = {partition: len(messages) for partition, messages in self.messages.items()}
