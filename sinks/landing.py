"""What a flush hands to a sink: plain rows, one list for each table, and how rows are made.

Rows hold what follows from the events alone. What belongs to the landing itself (`landed_at`, and `earliest`, by which
the first receipt or landing of equal rows wins) is added by the sink. Times are milliseconds UTC.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from schemas.alerts import AlertTransition
from schemas.district import District
from schemas.events import DistrictConfigured
from schemas.facts import Row
from schemas.incidents import IncidentTransition
from schemas.rolling import RollingRow
from schemas.transitions import Transition
from schemas.vocabulary import UNROUTED, to_ms
from streams.core.admission import Newer, Refusal
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.erasure import bare_content
from streams.core.packed import digest_of


class Place(NamedTuple):
    """Where in Kafka a message stands."""

    topic: str
    partition: int
    offset: int


class EventRow(NamedTuple):
    """A row of `events`; `conversation` is empty for an event of the district, `content` canonical JSON."""

    district: str
    conversation: str
    event_id: str
    digest: int
    kind: str
    schema_version: int
    source: str
    occurred_at: int
    received_at: int
    content: bytes
    understood: int
    partition: int
    offset: int


class ConfigurationRow(NamedTuple):
    """A row of `districts`: one configuration event; `document` is the configuration as JSON."""

    district: str
    revision: int
    event_id: str
    digest: int
    occurred_at: int
    received_at: int
    document: str


class UnitRow(NamedTuple):
    """A row of `units`; `path` leads from the unit up to the district, `version` is `unit_version`."""

    district: str
    unit: str
    parent: str
    department: str
    level: str
    label: str
    path: tuple[str, ...]
    revision: int
    version: int


class RetiredRow(NamedTuple):
    """A row of `retired`: a conversation whose events leave, `events` rows of them; times are ms UTC.

    Until it is `final` nothing has gone, and the conversation may still stay.
    """

    district: str
    conversation: str
    last_at: int
    events: int
    retired_at: int
    final: int


class Erasure(NamedTuple):
    """A person to be forgotten in everything that has landed of a district; SHA-256 of the key in hexadecimal.

    Events received at `since_ms` or later are to be replaced by what stands for refused ones.
    """

    district: str
    key_digest: str
    since_ms: int


class DeadLetterRow(NamedTuple):
    """A row of `dead_letters`: why an item of a message was not taken; never the item itself."""

    topic: str
    partition: int
    offset: int
    position: int
    reason: str
    field: str
    message: str
    digest: str
    district: str
    kind: str


@dataclass(frozen=True, slots=True)
class Landing:
    """All rows of one flush. `landed_at_ms` is passed in and stays the same when the landing is tried again.

    `conversations` holds rows of `schemas.facts.CONVERSATION`, made of events that are landed already or in `events`;
    `slices` holds rows of `schemas.rolling.ROLLING_SLICES`.
    """

    landed_at_ms: int
    events: Sequence[EventRow] = ()
    conversations: Sequence[Row] = ()
    configurations: Sequence[ConfigurationRow] = ()
    units: Sequence[UnitRow] = ()
    dead_letters: Sequence[DeadLetterRow] = ()
    rolling: Sequence[RollingRow] = ()
    slices: Sequence[Row] = ()
    alerts: Sequence[AlertTransition] = ()
    incidents: Sequence[IncidentTransition] = ()
    erasures: Sequence[Erasure] = ()

    @property
    def districts(self) -> list[str]:
        """Districts of which events or facts land, sorted."""
        return sorted({row.district for row in self.events} | {row[0] for row in self.conversations})

    @property
    def said(self) -> list[Transition]:
        """Everything that is said of alerts and incidents."""
        return [*self.alerts, *self.incidents]


class Sink(Protocol):
    """Where facts land."""

    def land(self, landing: Landing) -> None:
        """Land all rows; blocks. Landing the same again changes nothing.

        Raises `Unavailable` (try the same again after `retry_after` seconds) or `Refused`; a part may have landed.
        """

    def close(self) -> None:
        """Let go of the connection; `land` would make a new one."""


def event_row(event: Any, content: bytes, digest: int, place: Place) -> EventRow:
    """The row of an event model; `content` is its canonical JSON and `digest` the digest of that."""
    return EventRow(
        event.district,
        getattr(event, "conversation", ""),
        event.event_id,
        digest,
        event.kind,
        event.schema_version,
        event.source,
        to_ms(event.occurred_at),
        to_ms(event.received_at),
        content,
        1,
        place.partition,
        place.offset,
    )


def newer_row(newer: Newer, place: Place) -> EventRow:
    """The row of an event of a newer schema, kept as it is until a newer release reads it."""
    item = json.loads(newer.content)
    item.pop("received_at", None)
    content = json.dumps(item, separators=(",", ":"), sort_keys=True).encode()
    return EventRow(
        newer.district,
        newer.conversation,
        newer.event_id,
        digest_of(content),
        newer.kind,
        newer.schema_version,
        str(item["source"]),
        to_ms(datetime.fromisoformat(newer.occurred_at)),
        to_ms(datetime.fromisoformat(newer.received_at)),
        content,
        0,
        place.partition,
        place.offset,
    )


def bare_row(row: EventRow) -> EventRow:
    """What is left of a newer event that names an erased person; the digest stays that of the whole, by which a
    repeated delivery is the same row.
    """
    content = bare_content(json.loads(row.content))
    return row._replace(content=json.dumps(content, separators=(",", ":"), sort_keys=True).encode())


def dead_letter_row(refusal: Refusal, place: Place) -> DeadLetterRow:
    """The row of a refused item of the message at `place`."""
    position, *rest = refusal
    return DeadLetterRow(*place, position, *rest)


def configuration_row(event: DistrictConfigured, digest: int) -> ConfigurationRow:
    """The row of a configuration event; `digest` is the digest of its canonical content."""
    return ConfigurationRow(
        event.district,
        event.revision,
        event.event_id,
        digest,
        to_ms(event.occurred_at),
        to_ms(event.received_at),
        event.configuration.model_dump_json(exclude_defaults=True),
    )


def unit_rows(newest: District, version: int) -> list[UnitRow]:
    """The whole unit tree of the newest configuration: the district itself, `unrouted`, and every unit.

    `version` is `schemas.facts.row_version(configurations known, 0)`: a larger set of configurations wins, whichever
    of them is the newest. The district's own row is always there, so that a tree without units replaces its forerunner.
    """
    code = newest.district
    tree = Configuration(code, [ConfigurationEvent(newest.revision, 0, "", newest)])
    places = [
        (code, "", "district", newest.label),
        (UNROUTED, code, "unrouted", None),
        *((unit.unit, parent, unit.level, unit.label) for unit, parent in newest.walk()),
    ]
    return [
        UnitRow(
            code, unit, parent, tree.department(unit), level, label or unit, tree.path(unit), newest.revision, version
        )
        for unit, parent, level, label in places
    ]
