"""A row that landed held against the row that the events give, column by column. Pure.

Differences name columns and values of facts; pseudonyms are never shown.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from schemas.daily import CELL
from schemas.facts import CONVERSATION, Column, Row
from schemas.rolling import ROLLING as ROLLING_COLUMNS
from schemas.rolling import ROLLING_SLICES as ROLLING_SLICES_COLUMNS
from schemas.vocabulary import from_ms
from sinks.landing import ConfigurationRow, Erasure, UnitRow
from sinks.tables import (
    CONVERSATION_VERSIONS,
    CONVERSATIONS,
    DAILY_CELLS,
    DISTRICTS,
    EVENTS,
    ROLLING,
    ROLLING_SLICES,
    UNITS,
)
from streams.core.parts import whole_name

LONGEST_VALUE = 200
DIFFERENCES_OF_A_ROW = 10
MISMATCH, MISSING, EXTRA, BEHIND = "mismatch", "missing", "extra", "behind"
HIDDEN = frozenset({"person", "first_response_staff", "ratings.rater"})
_NAME, _VERSION, _RETRACTED = 1, 2, 3


class Difference(NamedTuple):
    """One column of one row. `kind` is of the row: mismatch, missing, extra or behind; values are text for people."""

    kind: str
    table: str
    district: str
    name: str
    column: str
    landed: str
    recomputed: str


class Verdict(NamedTuple):
    """What is wrong with one row, and in which columns; `is_late`: it may be the stream that ran on."""

    kind: str
    is_late: bool
    differences: tuple[Difference, ...]


class Table(NamedTuple):
    """How rows of a table are compared: their columns, what one is about, and where its version stands, if it has one.

    `retracts`: a row may say that there is none.
    """

    name: str
    columns: tuple[Column, ...]
    subject: Callable[[Row], str]
    version: int | None = None
    retracts: bool = False


def instant(at_ms: int) -> str:
    """An instant in ISO 8601."""
    return from_ms(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _named(*places: int, at: int | None = None) -> Callable[[Row], str]:
    """The columns of a key, an instant last."""

    def named(row: Row) -> str:
        words = [str(row[place]) or "''" for place in places]
        return " ".join(words if at is None else [*words, instant(row[at])])

    return named


FACTS = Table(CONVERSATIONS.name, CONVERSATION, _named(_NAME), _VERSION, True)
VERSIONS = Table(CONVERSATION_VERSIONS.name, CONVERSATION, _named(_NAME), _VERSION, True)
TREE = Table(UNITS.name, UNITS.columns[: len(UnitRow._fields)], _named(1), UnitRow._fields.index("version"))
DOCUMENTS = Table(DISTRICTS.name, DISTRICTS.columns[: len(ConfigurationRow._fields)], _named(1, 2, 3))
CELLS = Table(DAILY_CELLS.name, CELL, _named(1, 2, 3))
MINUTES = Table(ROLLING.name, ROLLING_COLUMNS, _named(1, 2, 3, at=4))
SLICES = Table(ROLLING_SLICES.name, ROLLING_SLICES_COLUMNS, _named(1, 2, 3, 4, at=5))
ALERTS = "alerts"
OF_CONVERSATIONS = frozenset({FACTS.name, VERSIONS.name, ALERTS})
"""Tables whose rows are about conversations, by name."""
LATE = OF_CONVERSATIONS | {TREE.name, DOCUMENTS.name}
"""Tables whose rows are looked at again, as they may differ only because the stream ran on."""


def still_named(erasure: Erasure) -> Verdict:
    """What is wrong where events still hold a key that was erased; it is named by its digest."""
    values = (erasure.key_digest, "content", "a row that holds the key", "none")
    return Verdict(MISMATCH, False, (Difference(MISMATCH, EVENTS.name, erasure.district, *values),))


def shown(column: Column, value: Any) -> str:
    """A value for people: instants in ISO 8601, pseudonyms hidden, long ones cut."""
    if value is None:
        return "null"
    if column.name in HIDDEN:
        return "(hidden)"
    if isinstance(value, tuple):
        text = f"[{', '.join(map(partial(shown, column), value))}]"
    elif "DateTime64" in column.type:
        text = instant(value)
    else:
        text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _unlike(column: Column, landed: Any, recomputed: Any) -> Iterator[tuple[str, str, str]]:
    """Where two values differ: the column, or the first entries of it that do, with both values."""
    if isinstance(landed, tuple) and isinstance(recomputed, tuple) and len(landed) == len(recomputed):
        for index, (one, other) in enumerate(zip(landed, recomputed, strict=True)):
            if one != other:
                yield f"{column.name}[{index}]", shown(column, one), shown(column, other)
    else:
        yield column.name, shown(column, landed), shown(column, recomputed)


def compare(table: Table, landed: Row | None, recomputed: Row | None) -> Verdict | None:
    """What is wrong with a row that landed, given the row that the events give; None: nothing.

    A retracted row stands for no row, unless it is to be retracted. A part's row that is to be retracted need not be
    there: whether the part ever landed is not in the events.
    """
    here = recomputed if recomputed is not None else landed
    if here is None:
        return None
    make = partial(Difference, table=table.name, district=here[0], name=table.subject(here))
    if table.retracts and recomputed is not None and recomputed[_RETRACTED] and whole_name(here[_NAME])[1] > 1:
        recomputed = None
    if recomputed is None:
        if landed is None or (table.retracts and landed[_RETRACTED]):
            return None
        return Verdict(EXTRA, True, (make(EXTRA, column="", landed="a row", recomputed="none"),))
    if landed is None:
        return Verdict(MISSING, True, (make(MISSING, column="", landed="none", recomputed="a row"),))
    ahead = 0 if table.version is None else landed[table.version] - recomputed[table.version]
    if ahead < 0:
        ours, theirs = (str(row[table.version or 0]) for row in (landed, recomputed))
        return Verdict(BEHIND, True, (make(BEHIND, column="version", landed=ours, recomputed=theirs),))
    if table.retracts and landed[_RETRACTED] and not recomputed[_RETRACTED]:
        return Verdict(MISSING, ahead > 0, (make(MISSING, column="retracted", landed="1", recomputed="0"),))
    if landed == recomputed:
        return None
    found = (
        make(MISMATCH, column=name, landed=one, recomputed=other)
        for column, value, wanted in zip(table.columns, landed, recomputed, strict=True)
        if value != wanted
        for name, one, other in _unlike(column, value, wanted)
    )
    return Verdict(MISMATCH, ahead > 0, tuple(islice(found, DIFFERENCES_OF_A_ROW)))
