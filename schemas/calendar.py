"""A service calendar as it is published: open blocks by weekday, closures, exceptional days."""

import difflib
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MINUTES_A_DAY = 1440
LONGEST_CLOSURE_DAYS = 3660
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def minutes_of(block: str) -> tuple[int, int]:
    """Start and end of `HH:MM-HH:MM` in minutes after local midnight; 24:00 is 1440."""
    start, end = block.split("-")
    return (int(start[:2]) * 60 + int(start[3:]), int(end[:2]) * 60 + int(end[3:]))


def dates_of(closure: str) -> tuple[date, date]:
    """First and last day of `YYYY-MM-DD` or of the inclusive range `YYYY-MM-DD/YYYY-MM-DD`."""
    first, _, last = closure.partition("/")
    return (date.fromisoformat(first), date.fromisoformat(last or first))


def _checked_block(block: str) -> str:
    start, end = minutes_of(block)
    if start >= end:
        raise ValueError(f"block {block} ends before it starts; split it at midnight")
    return block


def _checked_blocks(blocks: list[str]) -> list[str]:
    spans = sorted(minutes_of(block) for block in blocks)
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise ValueError(f"blocks {', '.join(blocks)} overlap")
    return blocks


def _checked_closure(closure: str) -> str:
    first, last = dates_of(closure)
    if last < first:
        raise ValueError(f"range {closure} ends before it starts")
    if last - first > timedelta(days=LONGEST_CLOSURE_DAYS):
        raise ValueError(f"range {closure} is longer than ten years")
    return closure


def _checked_date(day: str) -> str:
    date.fromisoformat(day)
    return day


@cache
def zone_names() -> tuple[str, ...]:
    """Every name of the IANA data that the requirements lock."""
    return tuple(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def zone_of(name: str) -> ZoneInfo:
    """A time zone from the locked data, whatever the machine has. Raises `ValueError` for an unknown name."""
    if name not in zone_names():
        near = difflib.get_close_matches(name, zone_names(), n=1)
        raise ValueError(
            f"unknown time zone {name}; write an IANA name such as {near[0] if near else 'America/Chicago'}"
        )
    # The system's own data may be older: the same events would then give other facts on another machine.
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _checked_zone(name: str) -> str:
    zone_of(name)
    return name


_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
Block = Annotated[str, StringConstraints(pattern=rf"^{_TIME}-({_TIME}|24:00)$"), AfterValidator(_checked_block)]
Blocks = Annotated[list[Block], Field(max_length=24), AfterValidator(_checked_blocks)]
Closure = Annotated[str, StringConstraints(pattern=rf"^{_DATE}(/{_DATE})?$"), AfterValidator(_checked_closure)]
Day = Annotated[str, StringConstraints(pattern=rf"^{_DATE}$"), AfterValidator(_checked_date)]
TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"), AfterValidator(_checked_zone)]


class Calendar(BaseModel):
    """When a unit serves: a day not named in `week` is closed; `days` replace week and closure for one date."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    time_zone: TimeZone
    week: dict[Weekday, Blocks] = Field(default={}, description="open blocks HH:MM-HH:MM by weekday; 24:00 ends a day")
    closed: list[Closure] = Field(default=[], max_length=2_000, description="dates or inclusive ranges")
    days: dict[Day, Blocks] = Field(default={}, max_length=4_000, description="one date's own blocks; [] closes it")

    def key(self) -> str:
        """Equal calendars have equal keys."""
        return self.model_dump_json()


def never_closes(calendar: Calendar) -> bool:
    """Whether a calendar is 24/7 without any day of its own: no snow day closes it."""
    return not calendar.closed and not calendar.days and calendar.week == always_open().week


def always_open(time_zone: str = "UTC") -> Calendar:
    """The 24/7 calendar: business time equals calendar time."""
    week: dict[Any, list[str]] = {day: ["00:00-24:00"] for day in WEEKDAYS}
    return Calendar(time_zone=time_zone, week=week)
