"""Service hours counted minute by minute. Every instant is in milliseconds and lies on a whole minute."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache

from schemas.calendar import WEEKDAYS, Calendar, dates_of, minutes_of, zone_of
from schemas.vocabulary import to_ms

MINUTE = 60_000
DAY = 1440 * MINUTE
# A clock that no minute moves for so many days never moves again: no calendar of the tests opens later.
FURTHEST_DAYS = 120

# Of a UTC day, given as days since 1970: whether the clock runs, for each of its minutes.
Running = Callable[[int], list[bool]]


@cache
def _local(zone: str, day: int) -> list[tuple[date, int]]:
    """Local date and minute of the day of each minute of a UTC day, given as days since 1970."""
    tz = zone_of(zone)
    midnight = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    times = [(midnight + timedelta(minutes=minute)).astimezone(tz) for minute in range(1440)]
    return [(time.date(), time.hour * 60 + time.minute) for time in times]


def blocks_of(calendar: Calendar, day: date) -> list[str]:
    """The open blocks of a local date: its own, else none if it is closed, else its weekday's."""
    if day.isoformat() in calendar.days:
        return calendar.days[day.isoformat()]
    for closure in calendar.closed:
        first, last = dates_of(closure)
        if first <= day <= last:
            return []
    return calendar.week.get(WEEKDAYS[day.weekday()], [])


_OPEN: dict[tuple[str, int], list[bool]] = {}


def _open_minutes(calendar: Calendar, key: str, day: int) -> list[bool]:
    known = _OPEN.get((key, day))
    if known is None:
        local = _local(calendar.time_zone, day)
        spans = {on: [minutes_of(block) for block in blocks_of(calendar, on)] for on in {on for on, _ in local}}
        known = [any(start <= minute < end for start, end in spans[on]) for on, minute in local]
        _OPEN[key, day] = known
    return known


class Hours:
    """One calendar's open minutes."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._key = calendar.key()

    def minutes(self, day: int) -> list[bool]:
        """Whether it is open, for each minute of a UTC day."""
        return _open_minutes(self._calendar, self._key, day)

    def elapsed(self, start: int, end: int) -> int:
        """Open milliseconds within `[start, end)`."""
        total = 0
        while start < end:
            until = min(end, start - start % DAY + DAY)
            first = start % DAY // MINUTE
            total += sum(self.minutes(start // DAY)[first : first + (until - start) // MINUTE]) * MINUTE
            start = until
        return total

    def local_date(self, at: int) -> date:
        """The local date of an instant."""
        return _local(self._calendar.time_zone, at // DAY)[at % DAY // MINUTE][0]

    def end_of_school_day(self, at: int, number: int) -> int | None:
        """When the `number`-th school day after the local date of `at` ends: the first instant of the next date."""
        day = self.local_date(at)
        for _ in range(FURTHEST_DAYS):
            day += timedelta(days=1)
            if blocks_of(self._calendar, day):
                number -= 1
                if number == 0:
                    return self._first_minute_after(day)
        return None

    def _first_minute_after(self, day: date) -> int:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        at = to_ms(noon) - DAY
        while self.local_date(at) <= day:
            at += MINUTE
        return at


def reached(start: int, target: int, running: Running) -> int | None:
    """The instant at which `target` running milliseconds have passed since `start`; none if that never comes."""
    left = target // MINUTE
    for day in range(start // DAY, start // DAY + FURTHEST_DAYS):
        minutes = running(day)
        first = max(start - day * DAY, 0) // MINUTE
        if sum(minutes[first:]) < left:
            left -= sum(minutes[first:])
            continue
        for minute in range(first, len(minutes)):
            if left == 0:
                return day * DAY + minute * MINUTE
            left -= minutes[minute]
        if left == 0:
            return (day + 1) * DAY
    return None


def exceeded(start: int, running: Running) -> int | None:
    """The first instant from `start` on at which the clock runs: the last one that is still within its target."""
    for day in range(start // DAY, start // DAY + FURTHEST_DAYS):
        for minute, runs in enumerate(running(day)):
            if runs and day * DAY + minute * MINUTE >= start:
                return day * DAY + minute * MINUTE
    return None
