"""Windows of time, half-open: rolling ones that end at an instant, and the local hour, day, week, month, school year.

Rolling: 1 h, 24 h, 7 and 28 days or any other length, and the last 7 school days. The long ones are those that hold the
instant, up to it: a local day has 23, 24 or 25 hours. All in a unit's own calendar. Definitions: "Windows".
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from schemas.rolling import SCHOOL_DAYS, SEVEN
from streams.core.business_time import BusinessClock

HOUR_MS = 3_600_000
_ROLLING = re.compile(r"([1-9][0-9]{0,4})([hd])")
_HOURS = {"h": 1, "d": 24}


class Window(NamedTuple):
    """`[start_ms, end_ms)`."""

    start_ms: int
    end_ms: int

    def holds(self, at_ms: int | None) -> bool:
        """True if the instant lies in it; None lies in no window."""
        return at_ms is not None and self.start_ms <= at_ms < self.end_ms

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


def _hour(clock: BusinessClock, at_ms: int) -> int:
    # Zones differ from UTC by whole minutes, not always by whole hours; the day's start knows the difference.
    start = clock.start_of(clock.local_date(at_ms))
    return at_ms - (at_ms - start) % HOUR_MS


def _day(clock: BusinessClock, at_ms: int) -> int:
    return clock.start_of(clock.local_date(at_ms))


def _week(clock: BusinessClock, at_ms: int) -> int:
    day = clock.local_date(at_ms)
    return clock.start_of(day - timedelta(days=day.weekday()))


def _month(clock: BusinessClock, at_ms: int) -> int:
    return clock.start_of(clock.local_date(at_ms).replace(day=1))


_LONG: dict[str, Callable[[BusinessClock, int], int]] = {"hour": _hour, "day": _day, "week": _week, "month": _month}
NAMED = (*_LONG, "year", SCHOOL_DAYS)


def rolling_ms(name: str) -> int | None:
    """The length of a rolling window written as hours or days, `24h` or `28d`; None if it is not written so."""
    found = _ROLLING.fullmatch(name)
    return int(found[1]) * _HOURS[found[2]] * HOUR_MS if found else None


def window(name: str, at_ms: int, clock: BusinessClock, school_year_starts: str = "07-01") -> Window:
    """The window of this name that ends at an instant: `24h`, `28d`, `7sd`, `hour`, `day`, `week`, `month`, `year`.

    `year` is the school year to date. Raises `ValueError` for a name that is none of these.
    """
    length_ms = rolling_ms(name)
    if length_ms is not None:
        return Window(at_ms - length_ms, at_ms)
    if name == SCHOOL_DAYS:
        return Window(clock.since_school_days(at_ms, SEVEN), at_ms)
    if name == "year":
        return school_year(at_ms, clock, school_year_starts)
    start = _LONG.get(name)
    if start is None:
        raise ValueError(f"{name} is no window: write hours or days as 24h or 28d, or one of {', '.join(NAMED)}")
    return Window(start(clock, at_ms), at_ms)


def school_year(at_ms: int, clock: BusinessClock, starts: str = "07-01") -> Window:
    """The school year to date; `starts` is its first local date, `MM-DD`."""
    today = clock.local_date(at_ms)
    first = date.fromisoformat(f"{today.year}-{starts}")
    return Window(clock.start_of(first if first <= today else first.replace(year=today.year - 1)), at_ms)


def school_weeks(span: Window, clock: BusinessClock) -> dict[date, Window]:
    """The local weeks that lie wholly in a span and have a school day, by their Monday."""
    monday = clock.local_date(span.start_ms)
    monday += timedelta(days=-monday.weekday() % 7)
    weeks: dict[date, Window] = {}
    while True:
        following = monday + timedelta(days=7)
        week = Window(clock.start_of(monday), clock.start_of(following))
        if week.end_ms > span.end_ms:
            return weeks
        if week.start_ms >= span.start_ms and any(
            clock.is_school_day(monday + timedelta(days=day)) for day in range(7)
        ):
            weeks[monday] = week
        monday = following
