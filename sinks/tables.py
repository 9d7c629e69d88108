"""The tables as the program expects them: names, columns, keys. Migrations make them; a test compares the two.

Every table is a ReplacingMergeTree: of the rows with one key the one with the highest `replaced_by` counts, on a tie
the last written. No table is partitioned or ordered by a value that may change.
"""

from typing import NamedTuple

from schemas.alerts import ALERT
from schemas.daily import DAILY_CELLS as DAILY_CELLS_COLUMNS
from schemas.facts import CODE, CONVERSATION, COUNT, FLAG, INSTANT, Column
from schemas.incidents import INCIDENT
from schemas.rolling import ROLLING as ROLLING_COLUMNS
from schemas.rolling import ROLLING_SLICES as ROLLING_SLICES_COLUMNS

EARLIEST = 1 << 63


def earliest(at_ms: int) -> int:
    """Value of a column `earliest`: the higher the earlier, so that the first of equal rows wins."""
    return EARLIEST - at_ms


class Table(NamedTuple):
    """One table; `replaced_by` is the column that decides between rows of one key."""

    name: str
    order_by: tuple[str, ...]
    replaced_by: str
    columns: tuple[Column, ...]

    @property
    def engine(self) -> str:
        """The engine clause."""
        return f"ReplacingMergeTree({self.replaced_by})"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the order of the table."""
        return tuple(column.name for column in self.columns)

    @property
    def insert(self) -> str:
        """The statement that columns are sent with."""
        return f"INSERT INTO {self.name} ({', '.join(f'`{name}`' for name in self.names)}) VALUES"


LANDED_AT = Column("landed_at", INSTANT, "when the row was written")
FIRST_RECEIVED = Column("earliest", "UInt64", "2^63 − received_at: the first receipt of equal content wins")
FIRST_LANDED = Column("earliest", "UInt64", "2^63 − landed_at: the first landing wins")
DIGEST = Column("digest", "UInt64", "digest of the canonical content")

EVENTS = Table(
    "events",
    ("district", "conversation", "event_id", "digest"),
    "earliest",
    (
        Column("district", CODE, "district"),
        Column("conversation", "String", "conversation; empty: an event of the district"),
        Column("event_id", "String", "identifier within the district"),
        DIGEST,
        Column("kind", CODE, "kind of the event; `refused`: only stands for one of a person erased before"),
        Column("schema_version", COUNT, "version of the event's schema"),
        Column("source", CODE, "system that reported it"),
        Column("occurred_at", INSTANT, "when it happened at the source"),
        Column("received_at", INSTANT, "when the intake first received it"),
        Column("content", "String", "canonical JSON without received_at"),
        Column("understood", FLAG, "0: of a newer schema, kept as it is"),
        Column("partition", "Int32", "Kafka partition it was read from"),
        Column("offset", "Int64", "Kafka offset of its message"),
        LANDED_AT,
        FIRST_RECEIVED,
    ),
)
DISTRICTS = Table(
    "districts",
    ("district", "revision", "event_id", "digest"),
    "earliest",
    (
        Column("district", CODE, "district"),
        Column("revision", COUNT, "revision of the configuration; the highest counts"),
        Column("event_id", "String", "event that brought it"),
        DIGEST,
        Column("occurred_at", INSTANT, "from when its promises and routes act"),
        Column("received_at", INSTANT, "when the intake first received it"),
        Column("document", "String", "the configuration as JSON"),
        LANDED_AT,
        FIRST_RECEIVED,
    ),
)
UNITS = Table(
    "units",
    ("district", "unit"),
    "version",
    (
        Column("district", CODE, "district"),
        Column("unit", "String", "unit; the district's own code and `unrouted` are units too"),
        Column("parent", "String", "unit above; empty for the district"),
        Column("department", CODE, "school or department: the unit itself or the nearest above a team"),
        Column("level", CODE, "district, school, department, team, unrouted"),
        Column("label", "String", "display name"),
        Column("path", "Array(String)", "the unit and all above it, the district last"),
        Column("revision", COUNT, "revision of the configuration it was read from"),
        Column("version", "UInt64", "row version: grows with the configurations known"),
        LANDED_AT,
    ),
)
CONVERSATIONS = Table("conversations", ("district", "conversation"), "version", (*CONVERSATION, LANDED_AT))
CONVERSATION_VERSIONS = Table(
    "conversation_versions",
    ("district", "conversation", "version"),
    "earliest",
    (*CONVERSATION, LANDED_AT, FIRST_LANDED),
)
DEAD_LETTERS = Table(
    "dead_letters",
    ("topic", "partition", "offset", "position"),
    "earliest",
    (
        Column("topic", CODE, "Kafka topic"),
        Column("partition", "Int32", "Kafka partition"),
        Column("offset", "Int64", "Kafka offset of the message"),
        Column("position", COUNT, "place in the message's array, from 0"),
        Column("reason", CODE, "too_large, not_json, unknown_kind, missing_field, invalid_field, erased, retired, …"),
        Column("field", "String", "field at fault; empty: the item as a whole"),
        Column("message", "String", "what was wrong, without content"),
        Column("digest", "String", "SHA-256 of the item"),
        Column("district", CODE, "district, if it could be read"),
        Column("kind", CODE, "kind, if it is one of ours"),
        LANDED_AT,
        FIRST_LANDED,
    ),
)
DEAD_LETTER_DECISIONS = Table(
    "dead_letter_decisions",
    ("topic", "partition", "offset", "position", "decided_at"),
    "decided_at",
    (
        Column("topic", CODE, "Kafka topic of the dead letter's message"),
        Column("partition", "Int32", "Kafka partition"),
        Column("offset", "Int64", "Kafka offset of the message"),
        Column("position", COUNT, "place in the message's array, from 0"),
        Column("decided_at", INSTANT, "when it was decided; the latest decision counts"),
        Column("decision", CODE, "retried: published again; dropped: looked at and left"),
        Column("who", CODE, "code of whoever decided; empty: not said"),
        Column("why", CODE, "code of the reason; empty: not said"),
    ),
)
ROLLING = Table(
    "rolling",
    ("district", "unit", "channel", "window", "at"),
    "earliest",
    (*ROLLING_COLUMNS, LANDED_AT, FIRST_LANDED),
)
ROLLING_SLICES = Table(
    "rolling_slices",
    ("district", "unit", "dimension", "value", "window", "at"),
    "earliest",
    (*ROLLING_SLICES_COLUMNS, LANDED_AT, FIRST_LANDED),
)
ALERTS = Table(
    "alerts",
    ("district", "key", "revision", "transition"),
    "earliest",
    (*ALERT, LANDED_AT, FIRST_LANDED),
)
INCIDENTS = Table(
    "incidents",
    ("district", "key", "revision", "transition", "step"),
    "earliest",
    (*INCIDENT, LANDED_AT, FIRST_LANDED),
)
REPLAYS = Table(
    "replays",
    ("replay", "part"),
    "noted_at",
    (
        Column("replay", "String", "what is replayed: definition version, source, span, districts"),
        Column("part", "String", "district or Kafka partition; empty: the replay as a whole"),
        Column("started_at", INSTANT, "when the replay began; places of an earlier beginning do not count"),
        Column("after", "String", "the last conversation, or the first Kafka offset to come"),
        Column("finished", FLAG, "1: nothing is left"),
        Column("noted_at", INSTANT, "when it was noted"),
    ),
)
RETIRED = Table(
    "retired",
    ("district", "conversation"),
    "final",
    (
        Column("district", CODE, "district"),
        Column("conversation", "String", "conversation whose events left by retention; what comes for it is refused"),
        Column("last_at", INSTANT, "its last activity, or that of those merged with it; by it the facts leave"),
        Column("events", COUNT, "rows of `events` that left"),
        Column("retired_at", INSTANT, "when it was marked, before its events left"),
        Column("final", FLAG, "1: its events leave or have left; 0: it is looked at once more"),
    ),
)
DAILY_CELLS = Table("daily_cells", ("district", "unit", "channel", "day"), "rebuilt_at", DAILY_CELLS_COLUMNS)
DAILY_MARKS = Table(
    "daily_marks",
    ("district",),
    "upto",
    (
        Column("district", CODE, "district"),
        Column("upto", INSTANT, "everything that landed by then is in its daily cells"),
    ),
)
TABLES = (
    EVENTS,
    DISTRICTS,
    UNITS,
    CONVERSATIONS,
    CONVERSATION_VERSIONS,
    DEAD_LETTERS,
    DEAD_LETTER_DECISIONS,
    ROLLING,
    ROLLING_SLICES,
    ALERTS,
    INCIDENTS,
    REPLAYS,
    RETIRED,
    DAILY_CELLS,
    DAILY_MARKS,
)
