"""Rows for tests of the sink: every column filled, with values at the edges of its type."""

from collections.abc import Sequence
from typing import Any

from schemas.alerts import ENDS, PROMISE, AlertTransition, of_row
from schemas.facts import CONVERSATION, GROUPS, Column, Row, row_version
from schemas.incidents import IncidentTransition
from schemas.rolling import ROLLING, ROLLING_SLICES, RollingRow
from sinks.landing import ConfigurationRow, DeadLetterRow, EventRow, Landing, UnitRow

NOW_MS = 1_760_000_000_123
ENTRIES = 3
ODD_MS = (0, 1, -1, -86_399_999, 951_782_400_001, 4_102_444_799_999, 1_760_000_000_007)


def _value(column: Column, seed: int) -> Any:
    inner = column.type
    if inner.startswith("Array("):
        one = Column(column.name, inner[6:-1], "")
        return tuple(_value(one, seed + index) for index in range(ENTRIES if seed % 4 else 0))
    if inner.startswith("Nullable("):
        return None if seed % 3 == 0 else _value(Column(column.name, inner[9:-1], ""), seed)
    if inner.startswith("DateTime64"):
        return ODD_MS[seed % len(ODD_MS)]
    if "String" in inner:
        return f"{column.name}-{seed}" if seed % 5 else ""
    if inner == "Int64":
        return -seed
    return seed % 200


def conversation(district: str, name: str, events: int, retracted: int = 0, seed: int = 1) -> Row:
    """A row of facts; its version follows from `events`, every other column from `seed`."""
    fixed: dict[str, Any] = {
        "district": district,
        "conversation": name,
        "version": row_version(1, events),
        "retracted": retracted,
    }
    shift = {group: index for index, group in enumerate(GROUPS)}
    return tuple(
        fixed.get(column.name, _value(column, seed + shift.get(column.name.partition(".")[0], index)))
        for index, column in enumerate(CONVERSATION)
    )


def event(district: str, name: str, event_id: str, digest: int = 7, received_at: int = NOW_MS) -> EventRow:
    """An event's row; its content tells its digest."""
    content = f'{{"digest":{digest},"é":"\u2028"}}'.encode()
    return EventRow(
        district, name, event_id, digest, "inquiry", 1, "desk", NOW_MS - 5, received_at, content, 1, 3, 2**40
    )


def configuration(district: str, revision: int, received_at: int = NOW_MS) -> ConfigurationRow:
    """A configuration's row."""
    return ConfigurationRow(district, revision, f"c-{revision}", revision, NOW_MS, received_at, '{"district":"d"}')


def units(district: str, names: Sequence[str], version: int) -> list[UnitRow]:
    """Rows of a tree of one level, the district's own first."""
    root = UnitRow(district, district, "", district, "district", "District", (district,), version, version)
    return [
        root,
        *(UnitRow(district, n, district, n, "school", n.title(), (n, district), version, version) for n in names),
    ]


def dead_letter(offset: int, position: int = 0) -> DeadLetterRow:
    """A dead letter's row."""
    return DeadLetterRow("cx.events", 3, offset, position, "not_json", "", "not JSON at byte 3", "f" * 64, "", "")


def alert(district: str, key: str, transition: str = "breached", revision: int = 0) -> AlertTransition:
    """An alert's transition."""
    ended_at = NOW_MS if transition in ENDS else None
    about = ("c1", "first_reply", "north", "south", "reply", "e1")
    instants = (NOW_MS - 9, NOW_MS - 5, NOW_MS - 4, ended_at)
    told = (1, 0, "", ("lead", "cabinet"), ("cabinet",))
    return of_row((district, key, PROMISE, revision, transition, NOW_MS, *about, *instants, *told))


def incident(
    district: str, key: str, transition: str = "opened", revision: int = 0, step: int = 0
) -> IncidentTransition:
    """An incident's transition."""
    ended_at = NOW_MS if transition == "closed" else None
    about = ("surge", "inquiries", "bus-late", "north", 1_800_000)
    return IncidentTransition(
        district, key, revision, transition, step, NOW_MS, *about, NOW_MS - 9, ended_at, 21.0, 2.84, 1
    )


def rolling(district: str, unit: str, at: int = NOW_MS, seed: int = 1) -> RollingRow:
    """A rolling row; every column besides its key follows from `seed`."""
    fixed = {"district": district, "unit": unit, "channel": "all", "window": "24h", "at": at}
    values = {column.name: _value(column, seed + index) for index, column in enumerate(ROLLING)}
    return RollingRow(**values | fixed)


def rolling_slice(district: str, value: str, at: int = NOW_MS, seed: int = 1) -> Row:
    """A row of a topic; every column besides its key follows from `seed`."""
    fixed = {"district": district, "unit": district, "dimension": "topic", "value": value, "window": "24h", "at": at}
    return tuple(fixed.get(c.name, _value(c, seed + index)) for index, c in enumerate(ROLLING_SLICES))


def everything(at_ms: int = NOW_MS, seed: int = 1) -> Landing:
    """A landing with rows for every table."""
    return Landing(
        at_ms,
        [event("d", "a", "e1"), event("d", "a", "e2"), event("d", "", "h1"), event("e", "x", "e1")],
        [conversation("d", "a", 2, seed=seed), conversation("e", "x", 1, 1, seed=seed + 1)],
        [configuration("d", 1)],
        units("d", ["north"], 1),
        [dead_letter(5), dead_letter(5, 1)],
        [rolling("d", "d", seed=seed), rolling("d", "north", seed=seed + 1)],
        [rolling_slice("d", "bus", seed=seed)],
        [alert("d", "k1"), alert("d", "k1", "resolved"), alert("e", "k2")],
        [incident("d", "i1"), incident("d", "i1", "grown", step=2), incident("e", "i2")],
    )
