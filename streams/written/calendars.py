"""Written calendars into published ones: inheritance, holidays, seasons, early release and late start become dates.

A date's blocks are decided by the nearest calendar that says something about that date: its `days`, else its closures
(`closed`, `holidays`), else `reopened`. Where none does, the season or the week counts. Early release and late start
then cut the blocks; they too go from the nearest calendar that names the date.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from schemas.calendar import WEEKDAYS, Weekday, dates_of, minutes_of
from schemas.district import missing
from schemas.document import Place
from streams.written.forms import EarlyRelease, LateStart, Week, WrittenCalendar
from streams.written.public_holidays import Problem, Years, dates_of_holidays

END_OF_DAY = 1440
Published = dict[str, Any]


def days_in(closure: str) -> Iterator[date]:
    """Every date of a date or an inclusive range."""
    first, last = dates_of(closure)
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def as_ranges(days: set[date]) -> list[str]:
    """Dates as the fewest dates and inclusive ranges, in order."""
    ordered = sorted(days)
    runs = groupby(enumerate(ordered), key=lambda pair: pair[1].toordinal() - pair[0])
    spans = [[day for _, day in run] for _, run in runs]
    return [span[0].isoformat() if len(span) == 1 else f"{span[0]}/{span[-1]}" for span in spans]


def _spelled(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def cut(blocks: list[str], starts: int, ends: int) -> list[str]:
    """The parts of blocks that lie within minutes of the day."""
    spans = [(max(opens, starts), min(closes, ends)) for opens, closes in map(minutes_of, blocks)]
    return [f"{_spelled(opens)}-{_spelled(closes)}" for opens, closes in spans if opens < closes]


@dataclass
class _State:
    """What a calendar and all it extends say, by date."""

    time_zone: str = ""
    week: dict[Weekday, list[str]] = field(default_factory=dict)
    seasons: list[tuple[frozenset[date], Week]] = field(default_factory=list)
    closed: set[date] = field(default_factory=set)
    days: dict[date, list[str]] = field(default_factory=dict)
    until: dict[date, int] = field(default_factory=dict)
    starts: dict[date, int] = field(default_factory=dict)

    def copy(self) -> "_State":
        """The same, to be changed by a calendar that extends it."""
        lists = (dict(self.week), list(self.seasons), set(self.closed))
        return _State(self.time_zone, *lists, dict(self.days), dict(self.until), dict(self.starts))

    def ordinary(self, day: date) -> list[str]:
        """The blocks of a date that no calendar names."""
        weekday = WEEKDAYS[day.weekday()]
        week = next((week for dates, week in self.seasons if day in dates), self.week)
        return week.get(weekday, [])

    def uncut(self, day: date) -> list[str]:
        """The blocks of a date before early release and late start."""
        if day in self.days:
            return self.days[day]
        return [] if day in self.closed else self.ordinary(day)

    def blocks(self, day: date) -> list[str]:
        """The blocks of a date."""
        return cut(self.uncut(day), self.starts.get(day, 0), self.until.get(day, END_OF_DAY))

    def forget(self, day: date) -> None:
        """Drop what extended calendars said about a date."""
        self.closed.discard(day)
        for said in (self.days, self.until, self.starts):
            said.pop(day, None)

    def published(self) -> Published:
        """As a published calendar has it."""
        named = {*self.days, *self.until, *self.starts, *(day for dates, _ in self.seasons for day in dates)}
        days: dict[str, list[str]] = {}
        for day in sorted(named):
            blocks = self.blocks(day)
            closed = day in self.closed and day not in self.days
            if not closed and (day in self.days or blocks != self.week.get(WEEKDAYS[day.weekday()], [])):
                days[day.isoformat()] = list(blocks)
        closures = as_ranges(self.closed - set(self.days))
        return {"time_zone": self.time_zone, "week": dict(self.week), "closed": closures, "days": days}


class Resolver:
    """Resolves the calendars of one document; `problems` lists each place and reason."""

    def __init__(
        self, written: Mapping[str, WrittenCalendar], places: Mapping[str, Place], years: Years | None
    ) -> None:
        self.problems: list[tuple[Place, str]] = []
        self._written = written
        self._places = places
        self._years = years
        self._known: dict[str, _State | None] = {}

    def published(self) -> dict[str, Published]:
        """Every calendar that could be resolved; one that says nothing new comes out exactly as it was written."""
        found: dict[str, Published] = {}
        for name, calendar in self._written.items():
            state = self._state(name, ())
            if state is not None:
                plain = calendar.model_dump(mode="json", include={"time_zone", "week", "closed", "days"})
                found[name] = plain if calendar.is_plain else state.published()
        return found

    def _state(self, name: str, below: tuple[str, ...]) -> _State | None:
        if name in self._known:
            return self._known[name]
        written = self._written[name]
        base: _State | None = _State()
        if written.extends is not None:
            base = self._extended(name, written.extends, (*below, name))
        if base is None:
            self._known[name] = None
            return None
        state = base.copy()
        self._apply(state, written, self._places[name])
        self._known[name] = state
        return state

    def _extended(self, name: str, extends: str, below: tuple[str, ...]) -> _State | None:
        place = (*self._places[name], "extends")
        if extends in below:
            circle = " > ".join((*below[below.index(extends) :], extends))
            self.problems.append((place, f"calendar {extends} extends itself: {circle}"))
            return None
        if extends not in self._written:
            self.problems.append((place, missing("calendar", extends, self._written)))
            return None
        return self._state(extends, below)

    def _apply(self, state: _State, written: WrittenCalendar, place: Place) -> None:
        state.time_zone = written.time_zone or state.time_zone
        state.week.update(written.week)
        own = [
            (frozenset(day for each in season.dates for day in days_in(each)), season.week)
            for season in written.seasons
        ]
        state.seasons[:0] = own
        for day in self._closures(written, place):
            state.forget(day)
            state.closed.add(day)
        for index, closure in enumerate(written.reopened):
            self._reopen(state, closure, (*place, "reopened", index))
        for text, blocks in written.days.items():
            day = date.fromisoformat(text)
            state.forget(day)
            state.days[day] = blocks
        self._cut(state, written, place)

    def _closures(self, written: WrittenCalendar, place: Place) -> Iterator[date]:
        for closure in written.closed:
            yield from days_in(closure)
        if written.holidays is not None:
            dates, problems = dates_of_holidays(written.holidays, self._years)
            self._add((*place, "holidays"), problems)
            yield from dates

    def _reopen(self, state: _State, closure: str, place: Place) -> None:
        shut = [day for day in days_in(closure) if day in state.closed or state.days.get(day) == []]
        if not shut:
            self._add(place, [((), f"{closure} is not closed by this calendar or one above")])
        for day in shut:
            state.forget(day)

    def _cut(self, state: _State, written: WrittenCalendar, place: Place) -> None:
        kinds: list[tuple[str, Sequence[EarlyRelease | LateStart], dict[date, int]]] = [
            ("early_release", written.early_release, state.until),
            ("late_start", written.late_start, state.starts),
        ]
        for kind, entries, said in kinds:
            named: set[date] = set()
            for number, entry in enumerate(entries):
                where = (*place, kind, number, "dates")
                self._add(where, self._cut_dates(state, written, entry, named, said))

    def _cut_dates(
        self,
        state: _State,
        written: WrittenCalendar,
        entry: EarlyRelease | LateStart,
        named: set[date],
        said: dict[date, int],
    ) -> Iterator[Problem]:
        early = isinstance(entry, EarlyRelease)
        minute = _minutes(entry.until if isinstance(entry, EarlyRelease) else entry.starts)
        limits = (0, minute) if early else (minute, END_OF_DAY)
        for index, closure in enumerate(entry.dates):
            chosen = [
                day for day in days_in(closure) if not entry.weekdays or WEEKDAYS[day.weekday()] in entry.weekdays
            ]
            twice = [day for day in chosen if day in named or day.isoformat() in written.days]
            opened = [day for day in chosen if state.uncut(day)]
            if twice:
                yield (index,), f"{twice[0]} is also named by another entry or by days"
            elif not any(cut(state.uncut(day), *limits) for day in opened):
                when = "before" if early else "after"
                yield (index,), f"{closure} has no open time {when} {_spelled(minute)}: closed, or the wrong time"
            named.update(opened)
            said.update(dict.fromkeys(opened, minute))

    def _add(self, place: Place, problems: Iterator[Problem] | list[Problem]) -> None:
        self.problems += [((*place, *below), why) for below, why in problems]
