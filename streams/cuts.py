"""What partitions take in and have to land: deliveries, cuts, and several cuts in one landing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.alerts import AlertTransition
from schemas.facts import Row
from schemas.incidents import IncidentTransition
from schemas.transitions import Transition
from sinks.landing import ConfigurationRow, DeadLetterRow, Erasure, EventRow, Landing, UnitRow
from streams.core.configuration import Configuration
from streams.core.minute import Minute
from streams.core.publishing import Publishing
from streams.stand import Membership

# Longer than most events.
BYTES_OF_AN_EVENT = 512


class Delivery(NamedTuple):
    """A message as it was read; `handle` is whatever the broker's client needs to acknowledge it."""

    partition: int
    offset: int
    value: bytes | None
    written_ms: int
    handle: Any = None

    @property
    def weight(self) -> int:
        """What it counts in a buffer of events: one, and more if it is long."""
        return 1 + len(self.value or b"") // BYTES_OF_AN_EVENT


class Forward(NamedTuple):
    """A message that belongs into another partition."""

    district: str
    value: bytes


@dataclass(slots=True)
class Cut:
    """What a partition has to land: rows, and the deliveries that may be acknowledged once they have landed."""

    deliveries: list[Delivery] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    conversations: list[Row] = field(default_factory=list)
    configurations: list[ConfigurationRow] = field(default_factory=list)
    units: list[UnitRow] = field(default_factory=list)
    dead_letters: list[DeadLetterRow] = field(default_factory=list)
    alerts: list[Transition] = field(default_factory=list)
    told: list[Transition] = field(default_factory=list)
    """Transitions that stand on `cx.alerts` already and have to land."""
    minutes: list[tuple[Minute, Publishing]] = field(default_factory=list)
    """What rolling rows are to be made of, and what is published of them."""
    days: dict[str, Configuration] = field(default_factory=dict)
    """Districts whose daily cells are to catch up with the facts."""
    erasures: list[Erasure] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    """Place of each event of `events` in its message."""
    weight: int = 0
    """That of all deliveries."""

    @property
    def size(self) -> int:
        """What it counts in a buffer of events."""
        return max(len(self.events), self.weight)


@dataclass(frozen=True, slots=True)
class News:
    """What a flush has to say to Kafka, and in the name of which assignment."""

    forwards: list[Forward]
    alerts: list[Transition]
    membership: Membership

    @classmethod
    def of(cls, cuts: Sequence[Cut], membership: Membership) -> "News":
        """What these cuts have to say."""
        forwards = [message for cut in cuts for message in cut.forwards]
        return cls(forwards, [alert for cut in cuts for alert in cut.alerts], membership)


def landing_of(cuts: Sequence[Cut], now_ms: int) -> Landing:
    """Everything that these cuts have to land, in one, but for rolling rows."""
    said = [row for cut in cuts for row in (*cut.told, *cut.alerts)]
    return Landing(
        landed_at_ms=now_ms,
        events=[row for cut in cuts for row in cut.events],
        conversations=[row for cut in cuts for row in cut.conversations],
        configurations=[row for cut in cuts for row in cut.configurations],
        units=[row for cut in cuts for row in cut.units],
        dead_letters=[row for cut in cuts for row in cut.dead_letters],
        alerts=[row for row in said if isinstance(row, AlertTransition)],
        incidents=[row for row in said if isinstance(row, IncidentTransition)],
        erasures=[erasure for cut in cuts for erasure in cut.erasures],
    )


def windows_of(cuts: Sequence[Cut], now_ms: int) -> Landing:
    """The rolling rows of these cuts; takes long, for a thread, and only once: it publishes."""
    minutes = [each for cut in cuts for each in cut.minutes]
    return Landing(
        now_ms,
        rolling=[row for minute, publishing in minutes for row in publishing.publish(minute.rows())],
        slices=[row for minute, _ in minutes for row in minute.slices()],
    )
