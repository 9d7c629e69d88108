"""The instants that the first view compares with, from a district's own calendar; and its numbers as one sentence."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from schemas.calendar import Calendar, always_open
from schemas.district import District
from schemas.vocabulary import from_ms, to_ms

DAY_MS = 86_400_000
WINDOW_MS = 28 * DAY_MS
APART = 0.05


@lru_cache(maxsize=64)
def _calendar(document: str) -> Calendar:
    district = District.model_validate_json(document)
    return district.calendars[district.calendar] if district.calendar else always_open()


def instants(document: str | None, now_ms: int) -> dict[str, int]:
    """Parameters of the first view for a district's newest document (JSON; None: always open, UTC) at an instant."""
    calendar = _calendar(document) if document else always_open()
    zone = ZoneInfo(calendar.time_zone)
    today = from_ms(now_ms).astimezone(zone).date()
    return {
        "now_ms": now_ms,
        "since_ms": now_ms - WINDOW_MS,
        "day_ms": to_ms(datetime.combine(today, time(), zone)),
        "day_end_ms": to_ms(datetime.combine(today + timedelta(days=1), time(), zone)),
    }


def sentence(now: Mapping[str, Any], units: Sequence[Mapping[str, Any]]) -> str:
    """The state in words, from the last four weeks' row and every unit that can be judged."""
    if now["within"] is None:
        return "Nothing can be judged yet: no wait of the last four weeks is older than one school day."
    said = f"{round(100 * now['within'])} of 100 families were answered within one school day"
    slow = [unit for unit in units if unit["within"] <= now["within"] - APART]
    if not slow:
        return f"{said}; no school or department is far behind."
    # The one behind by the most families, not the smallest school with a bad week.
    worst = max(slow, key=lambda unit: (unit["decided"] * (now["within"] - unit["within"]), unit["label"]))
    share = f"with {round(100 * worst['within'])} of 100"
    if len(slow) == 1:
        return f"{said}; {worst['label']} is the exception, {share}."
    more = "1 more lies" if len(slow) == 2 else f"{len(slow) - 1} more lie"
    return f"{said}; {worst['label']} stands out, {share}, and {more} five points behind or worse."
