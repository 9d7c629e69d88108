"""What lands: the one row of facts about a conversation, its columns in the order of the table.

A row is a plain tuple of integers, strings and tuples, made by the core and inserted as it is. Times are milliseconds
UTC (`_at`), lengths are milliseconds (`_ms`), calendar time unless `business` stands in the name. No value depends on
a clock. Columns with a dot are one nested group: equal lengths within a group, one entry a wait, segment, and so on.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from schemas.vocabulary import from_ms

DEFINITION_VERSION = 8
Row = tuple[Any, ...]

INSTANT = "DateTime64(3, 'UTC')"
CODE = "LowCardinality(String)"
LENGTH = "Int64"
FLAG = "UInt8"
COUNT = "UInt32"


class Column(NamedTuple):
    """A column: its name, its ClickHouse type and its meaning."""

    name: str
    type: str
    meaning: str


def _nullable(inner: str) -> str:
    return f"Nullable({inner})"


def _nested(group: str, columns: Iterable[tuple[str, str, str]]) -> tuple[Column, ...]:
    return tuple(Column(f"{group}.{name}", f"Array({kind})", meaning) for name, kind, meaning in columns)


WAITS = _nested(
    "waits",
    (
        ("opened_at", INSTANT, "oldest unanswered qualifying customer message"),
        ("ended_at", _nullable(INSTANT), "end; null while the wait is open or nobody can be answered"),
        ("outcome", CODE, "open, answered, resolved_no_reply, withdrawn, unreachable"),
        ("unit", CODE, "unit that owned the wait at its end"),
        ("replied_by", CODE, "unit that sent the reply; empty without one"),
        ("wait_ms", _nullable(LENGTH), "length of an ended wait"),
        ("business_ms", _nullable(LENGTH), "length in the owners' service calendars"),
        (
            "school_day_at",
            _nullable(INSTANT),
            "eight open hours of the owners' calendars after its opening; null: never",
        ),
        ("messages", COUNT, "customer messages in the wait"),
        ("redials", COUNT, "calls repeated while the wait was open"),
        ("live", FLAG, "answered live: a class of its own"),
        ("opened_by_event", "String", "event_id that opened it"),
        ("ended_by_event", "String", "event_id that ended it; empty while open"),
    ),
)
SEGMENTS = _nested(
    "segments",
    (
        ("wait", COUNT, "index of the wait, from 0"),
        ("unit", CODE, "unit that owned this part of the wait"),
        ("started_at", INSTANT, "start"),
        ("ended_at", _nullable(INSTANT), "end; null in an open wait's last segment"),
        ("segment_ms", _nullable(LENGTH), "length; the segments of a wait sum to the wait"),
        ("business_ms", _nullable(LENGTH), "length in this unit's service calendar"),
    ),
)
RATINGS = _nested(
    "ratings",
    (
        ("rater", "String", "pseudonym; empty: anonymous"),
        ("survey", CODE, "survey"),
        ("rated_at", INSTANT, "when the score that counts was given"),
        ("score", FLAG, "1 to 10"),
        ("unit", CODE, "unit of the last qualifying reply before the rating"),
        ("edits", COUNT, "earlier scores it replaces"),
        ("late", FLAG, "more than 28 days after the resolution: counted, not averaged"),
        ("courtesy", _nullable("UInt8"), "pillar, 1 to 10"),
        ("communication", _nullable("UInt8"), "pillar, 1 to 10"),
        ("responsiveness", _nullable("UInt8"), "pillar, 1 to 10"),
        ("environment", _nullable("UInt8"), "pillar, 1 to 10"),
        ("trust", _nullable("UInt8"), "1 to 10"),
        ("answered", _nullable("UInt8"), "was it answered? 1 yes, 0 no"),
    ),
)
VERDICTS = _nested(
    "verdicts",
    (
        ("clock", CODE, "first_reply, next_reply, resolution, ownership or periodic_update"),
        ("promise", CODE, "name of the policy; `source`: the source promised this time"),
        ("revision", COUNT, "revision of the configuration whose policy decided; 0: the source's own promise"),
        ("unit", CODE, "unit that owned the conversation when the clock started"),
        ("started_at", INSTANT, "start of the clock"),
        ("at_risk_at", _nullable(INSTANT), "three quarters of the target are used"),
        ("due_at", _nullable(INSTANT), "the clock reaches the target; null: never"),
        ("breach_at", _nullable(INSTANT), "the last instant that still meets it; after it the promise is broken"),
        ("escalated_50_at", _nullable(INSTANT), "the clock reaches 1.5 times the target; null: never, or it was kept"),
        ("escalated_100_at", _nullable(INSTANT), "the clock reaches twice the target; null: as above"),
        ("ended_at", _nullable(INSTANT), "what was promised happened"),
        ("paused_ms", LENGTH, "time the clock stood still because the customer was waited for"),
        ("outcome", CODE, "met, missed (ended late), cancelled, or open: not ended, compare with the clock"),
        ("opened_by_event", "String", "event_id that started the clock"),
    ),
)
RESOLUTIONS = _nested(
    "resolutions",
    (
        ("resolved_at", INSTANT, "a resolve"),
        ("unit", CODE, "unit that owned the conversation then"),
        ("watched_until", _nullable(INSTANT), "end of the seventh school day after it; null: never"),
        ("reopened_at", _nullable(INSTANT), "when it was opened again"),
    ),
)
ITEMS = _nested(
    "items",
    (
        ("rating", COUNT, "index of the rating, from 0"),
        ("item", CODE, "item that the district added"),
        ("score", FLAG, "1 to 10"),
        ("unit", CODE, "unit that the rating is credited to"),
    ),
)
TRANSFERS = _nested(
    "transfers",
    (
        ("at", INSTANT, "hand-off from one school or department to another"),
        ("from_department", CODE, "school or department that had it"),
        ("to_department", CODE, "school or department that got it"),
        ("unit", CODE, "unit that got it"),
        ("bounce", FLAG, "1: back to where it was before"),
    ),
)

CONVERSATION = (
    Column("district", CODE, "district"),
    Column(
        "conversation",
        "String",
        "conversation; `~2` after it: its second part, opened long after the first was resolved",
    ),
    Column("version", "UInt64", "row version: the highest counts"),
    Column("retracted", FLAG, "1: this row counts nowhere (spam, merged away, part of another again)"),
    Column("definition_version", "UInt16", "version of the definitions"),
    Column("configurations", COUNT, "configuration events of the district known"),
    Column("events", COUNT, "events folded, conflicting contents included"),
    Column("conflicts", COUNT, "events that came again with other content"),
    Column("merged", COUNT, "other conversations whose messages were moved into this one"),
    Column("merged_into", "String", "conversation that this one was merged into; then it is retracted"),
    Column("continues", "String", "conversation that this one continues"),
    Column("deleted", FLAG, "1: deleted at the source; the fact stays"),
    Column("opened_at", INSTANT, "first customer message, or the district's before it; else first event"),
    Column("opened_by", CODE, "customer or staff"),
    Column("inquiries", FLAG, "1: a customer opened it"),
    Column("outbound", FLAG, "1: the district wrote first"),
    Column("linked", FLAG, "0: nothing but ratings so far"),
    Column("unit", CODE, "owning unit now"),
    Column("first_unit", CODE, "first owning unit"),
    Column("department", CODE, "school or department of `unit`"),
    Column("channel", CODE, "phone, email, web, social, in_person; empty: unknown"),
    Column("platform", CODE, "product under the channel"),
    Column("thread", "String", "social post"),
    Column("touch_point", CODE, "desk, line, mailbox or form"),
    Column("source", CODE, "system that reported the opening"),
    Column("topic", CODE, "topic"),
    Column("inquiry_kind", CODE, "question, concern, request, comment, compliment, unknown"),
    Column("stakeholder", CODE, "student, parent, prospective_family, staff, community, unknown"),
    Column("generation", CODE, "as stated, else unknown"),
    Column("language", CODE, "BCP 47 tag"),
    Column("person", "String", "pseudonym of the customer"),
    Column("priority", CODE, "low, normal, high, critical"),
    Column("critical_category", CODE, "safety, health, discrimination, legal, media, none"),
    Column("contact", CODE, "message, answered_live, missed_call, voicemail, turned_away"),
    Column("visit", CODE, "campus visit: requested, offered, refused, none"),
    Column("visit_requested_at", _nullable(INSTANT), "when a visit was first asked for"),
    Column("visit_offered_at", _nullable(INSTANT), "when one was first offered"),
    Column("turned_away", COUNT, "times the customer was turned away at a counter"),
    Column("status", CODE, "open, pending, on_hold, resolved, withdrawn"),
    Column("skew", FLAG, "1: event times ran against each other and were clamped to 0"),
    Column("first_response_at", _nullable(INSTANT), "first qualifying staff reply"),
    Column("first_response_ms", _nullable(LENGTH), "first qualifying reply − first qualifying customer message"),
    Column("first_response_business_ms", _nullable(LENGTH), "the same in the owners' calendars"),
    Column("staff_first_response_ms", _nullable(LENGTH), "from the moment it reached a human queue"),
    Column("staff_first_response_business_ms", _nullable(LENGTH), "the same in the owners' calendars"),
    Column(
        "first_response_last_owner_ms", _nullable(LENGTH), "in the calendar of the last owner only, as some tools count"
    ),
    Column("first_response_last_bot_ms", _nullable(LENGTH), "from the last hand-off by a bot, as some tools count"),
    Column("first_response_unit", CODE, "unit that sent the first reply"),
    Column("first_response_staff", "String", "pseudonym of who sent it"),
    Column("first_owned_at", _nullable(INSTANT), "first owning unit or person of an inquiry"),
    Column("time_to_owner_ms", _nullable(LENGTH), "from the inquiry to its first owner"),
    Column("first_resolved_at", _nullable(INSTANT), "first resolve"),
    Column("first_resolution_ms", _nullable(LENGTH), "first resolve − start"),
    Column("first_resolution_business_ms", _nullable(LENGTH), "the same in the owners' calendars"),
    Column("full_resolved_at", _nullable(INSTANT), "last resolve, null while open again"),
    Column("full_resolution_ms", _nullable(LENGTH), "last resolve − start"),
    Column("full_resolution_business_ms", _nullable(LENGTH), "the same in the owners' calendars"),
    Column("reopened", COUNT, "times it was opened again"),
    Column("reopened_soon", FLAG, "1: opened again within seven school days of a resolve"),
    Column("handoffs", COUNT, "changes of department after the first assignment"),
    Column("bounces", COUNT, "changes back: A, B, A"),
    Column("first_route_correct", FLAG, "1: no hand-off"),
    Column("extra_replies", COUNT, "staff replies while nobody waited"),
    Column("bot_replies", COUNT, "public messages of machines"),
    Column("surveys_offered", COUNT, "surveys offered"),
    Column("difficult", FLAG, "1: critical, three messages before a reply, two reopenings, or a score of at most 3"),
    *WAITS,
    *SEGMENTS,
    *RATINGS,
    *VERDICTS,
    *ITEMS,
    *RESOLUTIONS,
    *TRANSFERS,
)
NAMES: tuple[str, ...] = tuple(column.name for column in CONVERSATION)
GROUPS: dict[str, tuple[Column, ...]] = {
    "waits": WAITS,
    "segments": SEGMENTS,
    "ratings": RATINGS,
    "verdicts": VERDICTS,
    "items": ITEMS,
    "resolutions": RESOLUTIONS,
    "transfers": TRANSFERS,
}


def row_version(configurations: int, events: int, refused: int = 0) -> int:
    """UInt64 that grows with the definitions, the configurations known and the events folded (conflicts included).

    It also grows when an event that was folded is `refused`, and again if another content of it then counts.
    """
    return DEFINITION_VERSION << 48 | min(configurations, 0xFFFFFF) << 24 | min(2 * events + refused, 0xFFFFFF)


def _shown(value: Any, kind: str) -> Any:
    if value is None or "DateTime64" not in kind:
        return value
    return from_ms(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(row: Sequence[Any]) -> dict[str, Any]:
    """A row as an object: instants in ISO 8601, each nested group a list of objects."""
    shown: dict[str, Any] = {}
    for column, value in zip(CONVERSATION, row, strict=True):
        group, _, name = column.name.partition(".")
        if not name:
            shown[group] = _shown(value, column.type)
            continue
        entries = shown.setdefault(group, [{} for _ in value])
        for entry, item in zip(entries, value, strict=True):
            entry[name] = _shown(item, column.type)
    return shown
