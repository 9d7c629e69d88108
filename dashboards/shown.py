"""What a panel is made of: a question, its columns, and in words what each means."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "count", "duration", "share", "score", "instant", "status", "verdict"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a panel; null where nothing was measured.

    `duration` is in ms, `instant` in ms UTC, `share` 0 to 1, `score` 1 to 10.
    """

    name: str
    kind: Kind
    label: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One question; `columns` stand in the order of the SELECT."""

    name: str
    title: str
    meaning: str
    sql: str
    columns: tuple[Shown, ...]
