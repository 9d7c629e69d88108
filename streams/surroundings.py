"""What a worker is given: servers that block or fail, the clock, when to flush. Tests hand in real replacements."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from schemas.transitions import Transition
from sinks.landing import DeadLetterRow, Sink
from streams.core.configuration import Configuration
from streams.cuts import Delivery, Forward
from streams.dead_letter_watch import USUAL_LIMIT, DeadLetterWatch
from streams.fault_points import Reached, undisturbed
from streams.present import wall_ms
from streams.recovery import Log, Recovered
from streams.stand import Membership, Stand


class Outlet(Protocol):
    """Where a worker writes to Kafka; both block until the broker acknowledged. Raise `Unavailable`."""

    def dead_letters(self, rows: Sequence[DeadLetterRow]) -> None:
        """Publish refusals: reason, field and digest, never the payload."""

    def begin(self, landed: Mapping[int, int]) -> None:
        """Everything before these offsets of `cx.alerts` has landed or is about to, by partition."""

    def alerts(self, rows: Sequence[Transition], membership: Membership) -> Mapping[int, int]:
        """Publish alert transitions, each under its idempotency key. Raises `Fenced` for an earlier assignment.

        Returns the offsets of `cx.alerts` behind them, by partition, for `landed`.
        """

    def landed(self, ends: Mapping[int, int]) -> None:
        """Everything before these offsets has landed."""

    def forward(self, messages: Sequence[Forward]) -> None:
        """Publish messages again, into the partition they belong to."""


class Cells(Protocol):
    """Daily cells made of the facts that landed; blocks. Raises `Unavailable` or `Refused`."""

    def catch_up(self, district: str, configuration: Configuration, upto_ms: int) -> bool:
        """Rebuild some days of a district that what landed until an instant changed; False: some are left."""


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """When to flush and how much to hold: seconds, events, events.

    `doubt`: seconds that the process may stand still before its partitions may be others', half a session.
    `quiet`: seconds without a message of the past until the present counts as a partition's clock.
    """

    seconds: float
    events: int
    buffer: int
    quiet: float = 3.0
    doubt: float = 6.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker needs from outside; every one of them may block or fail."""

    sink: Sink
    outlet: Outlet
    stands: Callable[[Sequence[int]], Mapping[int, Stand]]
    """How partitions stand in Kafka, right after they were assigned; blocks."""
    recover: Callable[[Mapping[int, Stand]], Recovered]
    acknowledge: Callable[[Sequence[Delivery]], Awaitable[Mapping[int, int]]]
    """Gives the offset up to which each partition is acknowledged by now; those of an earlier assignment are none."""
    current: Callable[[Delivery], bool]
    """Whether a message belongs to the assignment in force; an older one is read again by its owner."""
    caught_up: Callable[[int], bool]
    """Whether everything that stands in a partition was handed to `receive`."""
    now_ms: Callable[[], int]
    """The present, by the clock in force."""
    cells: Cells
    log: Log
    """Histories of conversations that left memory; blocks."""
    die: Callable[[str], NoReturn]
    halt: Callable[[str], NoReturn]
    """End the process because of what it reads: to start it again changes nothing."""
    wall_ms: Callable[[], int] = wall_ms
    """The machine's own clock, which Kafka's timestamps follow."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that only grow, by which work is cut into slices."""
    dead_letters: DeadLetterWatch = field(default_factory=lambda: DeadLetterWatch(USUAL_LIMIT))
    """Says when too much is refused."""
    reached: Reached = undisturbed
    """Hears of each numbered step, before and after it."""
