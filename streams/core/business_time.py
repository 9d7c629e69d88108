"""Service calendars and the business clock: milliseconds of open time between two instants, and the way back.

A second is open if its local time lies in one of the local date's blocks. So the hour that spring skips is never
counted, and the hour that autumn repeats counts twice, as it passes twice. Source: docs/definitions.md, "Calendar".
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from schemas.calendar import WEEKDAYS, Calendar, dates_of, minutes_of, zone_of
from schemas.vocabulary import to_ms

DAY_MS = 86_400_000
MINUTE_MS = 60_000
HORIZON_YEARS = 60
LONGEST_BREAK_DAYS = 1_000
FIRST_YEAR, LAST_YEAR = 1900, 2400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()


Reason = Literal["open", "outside_hours", "closed_date", "day_entry", "no_hours"]


class Slice(NamedTuple):
    """A piece of an interval that is open, or closed for one reason.

    `entry`: what of the calendar says so: the closure or the date as written; empty where the week alone decides.
    """

    start_ms: int
    end_ms: int
    reason: Reason
    entry: str

    @property
    def is_open(self) -> bool:
        """Whether its time counts as business time."""
        return self.reason == "open"

    @property
    def length_ms(self) -> int:
        """Calendar length."""
        return self.end_ms - self.start_ms


class _Year(NamedTuple):
    """Open intervals of one UTC year: starts, ends, and the open time before each start; `total` of the year.

    `begins` and `finishes` bound the year itself.
    """

    starts: list[int]
    ends: list[int]
    before: list[int]
    total: int
    begins: int
    finishes: int

    def open_before(self, at_ms: int) -> int:
        """Open time of the year before an instant in it."""
        index = bisect_right(self.starts, at_ms) - 1
        if index < 0:
            return 0
        end = self.ends[index]
        return self.before[index] + (at_ms if at_ms < end else end) - self.starts[index]


_NEVER = _Year([], [], [], 0, 1, 0)


def _offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    offset = (_EPOCH + timedelta(seconds=at_ms // 1000)).astimezone(zone).utcoffset()
    return offset // timedelta(milliseconds=1) if offset is not None else 0


@lru_cache(maxsize=4096)
def constant_offsets(zone_name: str, year: int) -> tuple[tuple[int, int, int], ...]:
    """A UTC year cut where the zone's offset changes: (start, end, offset), to the second.

    Kept for all calendars of a zone. No zone changes twice within six days, so a daily look misses nothing.
    """
    zone, end_ms = zone_of(zone_name), _year_start(year + 1)
    begin = _year_start(year)
    offset = _offset_ms(zone, begin)
    found: list[tuple[int, int, int]] = []
    for probe_ms in range(begin + DAY_MS, end_ms + 1, DAY_MS):
        after = _offset_ms(zone, probe_ms)
        if after == offset:
            continue
        low, high = probe_ms - DAY_MS, probe_ms
        while high - low > 1000:
            middle = (low + high) // 2000 * 1000
            low, high = (middle, high) if _offset_ms(zone, middle) == offset else (low, middle)
        if high < end_ms:
            found.append((begin, high, offset))
            begin, offset = high, after
    return (*found, (begin, end_ms, offset))


class BusinessClock:
    """The open time of one calendar; years are laid out on first use and kept. All instants are ms UTC."""

    __slots__ = (
        "_begins",
        "_closed",
        "_closures",
        "_days",
        "_ends",
        "_last",
        "_week",
        "_years",
        "_zone",
        "_zone_name",
    )

    def __init__(self, calendar: Calendar) -> None:
        self._zone_name = calendar.time_zone
        self._zone = zone_of(calendar.time_zone)
        self._week = tuple(self._spans(calendar.week.get(name, [])) for name in WEEKDAYS)
        self._days = {date.fromisoformat(day).toordinal(): self._spans(blocks) for day, blocks in calendar.days.items()}
        self._closed: set[int] = set()
        self._closures = calendar.closed
        for closure in calendar.closed:
            first, last = dates_of(closure)
            self._closed.update(range(first.toordinal(), last.toordinal() + 1))
        self._years: dict[int, _Year] = {}
        self._begins: dict[tuple[date, int], int] = {}
        self._ends: dict[tuple[date, int], int | None] = {}
        self._last = _NEVER

    @staticmethod
    def _spans(blocks: list[str]) -> tuple[tuple[int, int], ...]:
        return tuple(sorted((s * MINUTE_MS, e * MINUTE_MS) for s, e in map(minutes_of, blocks)))

    def _blocks(self, ordinal: int) -> tuple[tuple[int, int], ...]:
        special = self._days.get(ordinal)
        if special is not None:
            return special
        return () if ordinal in self._closed else self._week[(ordinal + 6) % 7]

    def is_school_day(self, day: date) -> bool:
        """True if the local date has at least one open block."""
        return bool(self._blocks(day.toordinal()))

    def open_ms(self, day: date) -> int:
        """How long the local date's blocks are together, on the wall clock."""
        return sum(end - start for start, end in self._blocks(day.toordinal()))

    def usual_ms(self, day: date) -> int:
        """How long the blocks of its weekday are, whatever is said of the date itself."""
        return sum(end - start for start, end in self._week[day.weekday()])

    def local_date(self, at_ms: int) -> date:
        """The local calendar date of an instant."""
        return date.fromordinal((at_ms + _offset_ms(self._zone, at_ms)) // DAY_MS + _EPOCH_ORDINAL)

    def start_of(self, day: date) -> int:
        """The first instant of a local date."""
        return to_ms(datetime.combine(day, time(), self._zone))

    def after_school_days(self, at_ms: int, days: int) -> int | None:
        """The end of the local date that is the so-manyth school day after the instant's; None if that never comes."""
        asked = self.local_date(at_ms), days
        if asked not in self._ends:
            self._ends[asked] = self._end_of_school_day(*asked)
        return self._ends[asked]

    def _end_of_school_day(self, day: date, days: int) -> int | None:
        for ordinal in range(day.toordinal() + 1, day.toordinal() + LONGEST_BREAK_DAYS):
            days -= bool(self._blocks(ordinal))
            if days == 0:
                return self.start_of(date.fromordinal(ordinal + 1))
        return None

    def since_school_days(self, at_ms: int, days: int) -> int:
        """The start of the so-manyth last school day; the instant's own local date counts if it is one.

        A calendar with fewer in a thousand days gives the thousand days.
        """
        asked = self.local_date(at_ms), days
        if asked not in self._begins:
            self._begins[asked] = self._start_of_school_day(*asked)
        return self._begins[asked]

    def _start_of_school_day(self, day: date, days: int) -> int:
        ordinal = day.toordinal()
        for _ in range(LONGEST_BREAK_DAYS):
            days -= bool(self._blocks(ordinal))
            if days == 0:
                break
            ordinal -= 1
        return self.start_of(date.fromordinal(ordinal))

    @property
    def time_zone(self) -> ZoneInfo:
        """The zone of the calendar's local times."""
        return self._zone

    def slices(self, start_ms: int, end_ms: int) -> Iterator[Slice]:
        """`[start, end)` in order, cut where it opens, closes, or is closed for another reason.

        The slices join without a gap, and the open ones sum to `elapsed`. Costs a step a day.
        """
        held: Slice | None = None
        for piece in self._pieces(start_ms, end_ms):
            if held is not None and held[2:] == piece[2:]:
                held = held._replace(end_ms=piece.end_ms)
                continue
            if held is not None:
                yield held
            held = piece
        if held is not None:
            yield held

    def _pieces(self, start_ms: int, end_ms: int) -> Iterator[Slice]:
        for year in range(year_of(start_ms), year_of(end_ms) + 1):
            for begin, end, offset in constant_offsets(self._zone_name, year):
                first, last = max(begin, start_ms), min(end, end_ms)
                if first < last:
                    for day in range((first + offset) // DAY_MS, (last + offset - 1) // DAY_MS + 1):
                        midnight = day * DAY_MS - offset
                        within = max(first, midnight), min(last, midnight + DAY_MS)
                        yield from self._pieces_of_day(day + _EPOCH_ORDINAL, midnight, within)

    def _pieces_of_day(self, ordinal: int, midnight: int, within: tuple[int, int]) -> Iterator[Slice]:
        first, last = within
        reason, entry = self._why_closed(ordinal)
        for opens, closes in self._blocks(ordinal):
            begin, end = max(midnight + opens, first), min(midnight + closes, last)
            if begin < end:
                if first < begin:
                    yield Slice(first, begin, reason, entry)
                yield Slice(begin, end, "open", "")
                first = end
        if first < last:
            yield Slice(first, last, reason, entry)

    def _why_closed(self, ordinal: int) -> tuple[Reason, str]:
        """Why the rest of a local date is closed."""
        own = self._days.get(ordinal)
        if own is not None:
            return "outside_hours" if own else "day_entry", date.fromordinal(ordinal).isoformat()
        if ordinal in self._closed:
            day = date.fromordinal(ordinal)
            return "closed_date", next(each for each in self._closures if _covers(each, day))
        return ("outside_hours" if self._week[(ordinal + 6) % 7] else "no_hours"), ""

    def _open_intervals(self, year: int) -> Iterator[tuple[int, int]]:
        for begin, end, offset in constant_offsets(self._zone_name, year):
            local_begin, local_end = begin + offset, end + offset
            for day in range(local_begin // DAY_MS, (local_end - 1) // DAY_MS + 1):
                midnight = day * DAY_MS
                for opens, closes in self._blocks(day + _EPOCH_ORDINAL):
                    first, last = max(midnight + opens, local_begin), min(midnight + closes, local_end)
                    if first < last:
                        yield first - offset, last - offset

    def _year(self, year: int) -> _Year:
        known = self._years.get(year)
        if known is not None:
            return known
        starts: list[int] = []
        ends: list[int] = []
        before: list[int] = []
        total = 0
        for begin, end in self._open_intervals(year):
            if ends and ends[-1] == begin:
                ends[-1] = end
            else:
                starts.append(begin)
                ends.append(end)
                before.append(total)
            total += end - begin
        made = self._years[year] = _Year(starts, ends, before, total, _year_start(year), _year_start(year + 1))
        return made

    def _around(self, at_ms: int) -> _Year:
        """The year of an instant; most calls are about the same year as the call before."""
        laid = self._last
        if not laid.begins <= at_ms < laid.finishes:
            laid = self._last = self._year(year_of(at_ms))
        return laid

    def elapsed(self, start_ms: int, end_ms: int) -> int:
        """Open milliseconds in `[start, end)`. Raises `ValueError` if the end comes before the start."""
        if end_ms < start_ms:
            raise ValueError("an interval must not end before it starts")
        laid = self._around(start_ms)
        if end_ms < laid.finishes:
            return laid.open_before(end_ms) - laid.open_before(start_ms)
        first, last = year_of(start_ms), year_of(end_ms)
        open_ms = self._year(last).open_before(end_ms) - laid.open_before(start_ms)
        for year in range(first, last):
            open_ms += self._year(year).total
        return open_ms

    def due(self, start_ms: int, target_ms: int) -> int | None:
        """The first instant at which `target_ms` of open time have passed; None if that never comes."""
        if target_ms <= 0:
            return start_ms
        laid = self._around(start_ms)
        wanted = target_ms + laid.open_before(start_ms)
        if wanted > laid.total:
            for laid in self._from(year_of(start_ms)):
                if wanted <= laid.total:
                    break
                wanted -= laid.total
            else:
                return None
        index = bisect_left(laid.before, wanted) - 1
        return laid.starts[index] + wanted - laid.before[index]

    def breach(self, start_ms: int, target_ms: int) -> int | None:
        """The last instant at which no more than `target_ms` have passed; None if it is never exceeded.

        At closing time that is the next opening; otherwise it is the same as `due`.
        """
        laid = self._around(start_ms)
        wanted = max(target_ms, 0) + laid.open_before(start_ms)
        if wanted >= laid.total:
            for laid in self._from(year_of(start_ms)):
                if wanted < laid.total:
                    break
                wanted -= laid.total
            else:
                return None
        index = bisect_right(laid.before, wanted) - 1
        return max(start_ms, laid.starts[index] + wanted - laid.before[index])

    def deadlines(self, start_ms: int, early_ms: int, target_ms: int) -> tuple[int | None, int | None, int | None]:
        """`due` of the earlier and of the whole target, and `breach` of the whole one, in one look where possible."""
        laid = self._around(start_ms)
        open_before = laid.open_before(start_ms)
        if early_ms <= 0 or open_before + target_ms >= laid.total:
            return self.due(start_ms, early_ms), self.due(start_ms, target_ms), self.breach(start_ms, target_ms)
        starts, before = laid.starts, laid.before
        wanted = open_before + target_ms
        early = bisect_left(before, open_before + early_ms) - 1
        due = bisect_left(before, wanted, early) - 1
        after = due + 1 if due + 1 < len(before) and before[due + 1] == wanted else due
        return (
            starts[early] + open_before + early_ms - before[early],
            starts[due] + wanted - before[due],
            starts[after] + wanted - before[after],
        )

    def _from(self, year: int) -> Iterator[_Year]:
        return map(self._year, range(year, min(year + HORIZON_YEARS, LAST_YEAR)))


def _covers(closure: str, day: date) -> bool:
    first, last = dates_of(closure)
    return first <= day <= last


def _year_start(year: int) -> int:
    return to_ms(datetime(year, 1, 1, tzinfo=UTC))


_YEAR_STARTS = [_year_start(year) for year in range(FIRST_YEAR, LAST_YEAR + 1)]


def year_of(at_ms: int) -> int:
    """The UTC year of an instant. Raises `ValueError` outside the years 1900 to 2399."""
    year = FIRST_YEAR + bisect_right(_YEAR_STARTS, at_ms) - 1
    if not FIRST_YEAR <= year < LAST_YEAR:
        raise ValueError("an instant must lie between the years 1900 and 2399")
    return year


@lru_cache(maxsize=4096)
def clock_of(key: str) -> BusinessClock:
    """The clock of a calendar given as its JSON (`Calendar.key`); equal calendars share one clock."""
    return BusinessClock(Calendar.model_validate_json(key))
