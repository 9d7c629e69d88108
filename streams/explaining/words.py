"""How lengths and values are spelled in an explanation."""

from datetime import datetime
from typing import Any

from schemas.vocabulary import from_ms


def length(value_ms: int) -> str:
    """Hours, minutes and seconds, such as `65:30:00`; milliseconds where there are any."""
    sign = "-" if value_ms < 0 else ""
    seconds, rest = divmod(abs(value_ms), 1000)
    text = f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{rest:03d}" if rest else text


def times(count: int) -> str:
    """`once`, or so many times."""
    return "once" if count == 1 else f"{count} times"


def instant(at_ms: int | None) -> datetime | None:
    """Aware UTC datetime of an instant that may never come."""
    return None if at_ms is None else from_ms(at_ms)


def value(of: Any) -> str:
    """A value of an event as text: yes or no, `none` where there is none."""
    if of is None:
        return "none"
    if isinstance(of, bool):
        return "yes" if of else "no"
    return str(of)
