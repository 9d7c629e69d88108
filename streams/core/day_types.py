"""What sort of day a local date is for a district, and the local hour of an instant.

A school day is one on which at least half of the schools are open, an early release one on which at least half of
these are open for less than their weekday usually is (a late start counts as one too). On a break the district's own
calendar is open and the schools are not; else the day is closed. A district without schools goes by its own calendar.
"""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from streams.core.business_time import BusinessClock, constant_offsets, year_of
from streams.core.configuration import Configuration

Ints = NDArray[np.int64]
SCHOOL_DAY, EARLY_RELEASE, BREAK, CLOSED = range(4)
HOURS_A_DAY = 24
_HOUR_S, _WEEK = 3_600, 7
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class DayTypes:
    """Days are numbered from 1970-01-01, hours from its midnight, both by the local time of the district's calendar."""

    __slots__ = ("_known", "_own", "_schools", "configuration")

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        newest = configuration.newest
        district = configuration.units()[0]
        self._own = configuration.clock(district)
        schools = [unit.unit for unit, _ in newest.walk() if unit.level == "school"] if newest is not None else []
        self._schools: list[BusinessClock] = [configuration.clock(unit) for unit in schools] or [self._own]
        self._known: dict[int, int] = {}

    def of(self, day: int) -> int:
        """The type of a day."""
        known = self._known.get(day)
        if known is None:
            known = self._known[day] = self._type(date.fromordinal(day + _EPOCH_ORDINAL))
        return known

    def _type(self, day: date) -> int:
        lengths = [(clock.open_ms(day), clock.usual_ms(day)) for clock in self._schools]
        is_open = [own for own, _ in lengths if own]
        if 2 * len(is_open) < len(lengths) or not is_open:
            return BREAK if self._own.open_ms(day) else CLOSED
        shortened = sum(0 < own < usual for own, usual in lengths)
        return EARLY_RELEASE if 2 * shortened >= len(is_open) else SCHOOL_DAY

    def local(self, seconds: Ints) -> Ints:
        """Local seconds since 1970-01-01 00:00 of instants in seconds UTC."""
        return local_seconds(self._own.time_zone, seconds)


def local_seconds(zone: ZoneInfo, seconds: Ints) -> Ints:
    """Seconds since 1970-01-01 00:00 on the wall clocks of a time zone, of instants in seconds UTC."""
    if not len(seconds):
        return seconds
    years = range(year_of(int(seconds.min()) * 1000), year_of(int(seconds.max()) * 1000) + 1)
    pieces = [piece for year in years for piece in constant_offsets(zone.key or "UTC", year)]
    starts = np.array([start for start, _, _ in pieces], dtype=np.int64) // 1000
    offsets = np.array([offset for _, _, offset in pieces], dtype=np.int64) // 1000
    return np.asarray(seconds + offsets[np.searchsorted(starts, seconds, side="right") - 1], dtype=np.int64)


def weekday(day: int) -> int:
    """0 (Monday) to 6."""
    return (day + 3) % _WEEK


def day_of(local: int) -> int:
    """The day of a local second."""
    return local // (_HOUR_S * HOURS_A_DAY)
