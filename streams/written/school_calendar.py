"""A district's published school calendar (.ics) as a part of its document: closures, early releases, late starts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from schemas.errors import DocumentError
from streams.written.calendars import as_ranges
from streams.written.icalendar_events import Entry, Published, dates_of_entry, read_events
from streams.written.recognition import Meaning, Words, recognise, times_in

NotTaken = Literal["ignored", "unclear"]
NOT_TAKEN: tuple[NotTaken, ...] = ("ignored", "unclear")
LONGEST_ENTRY_DAYS = 120
SHORTEST_CLOSURE_HOURS = 4.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: words, zone, and the times of early releases and late starts that name none."""

    words: Words = field(default_factory=Words)
    zone: str | None = None
    early_release_until: str | None = None
    late_start_from: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event, and why; `dates` are dates and inclusive ranges.

    `unclear`: not taken, and to be looked at: the title speaks of a closure or a cut, but not plainly of all schools.
    """

    line: int
    title: str
    dates: list[str]
    became: Meaning | NotTaken
    time: str | None
    why: str


@dataclass(frozen=True, slots=True)
class SchoolCalendar:
    """A calendar's entries for the document, and what became of every event."""

    calendar: dict[str, Any]
    outcomes: list[Outcome]


def read_school_calendar(text: str, name: str, reading: Reading) -> SchoolCalendar:
    """Read an iCalendar file. Raises `DocumentError`: not iCalendar, no dates, or nothing recognised."""
    published = read_events(text, name, reading.zone)
    outcomes = [_outcome(entry, reading) for entry in published.entries]
    if all(outcome.became in NOT_TAKEN for outcome in outcomes):
        raise DocumentError(
            [
                f"{name}: none of its {len(outcomes)} events is a closure, an early release or a late start",
                *(f"line {outcome.line}: {outcome.title or 'no title'}: {outcome.why}" for outcome in outcomes[:20]),
            ]
        )
    days = _Days(published, outcomes)
    return SchoolCalendar(days.calendar(published.zone), days.outcomes)


def _outcome(entry: Entry, reading: Reading) -> Outcome:
    dates = as_ranges(set(dates_of_entry(entry)))
    meaning, why, unclear = recognise(entry.title, reading.words)
    if not entry.occurrences:
        return Outcome(entry.line, entry.title, [], "ignored" if meaning is None else "unclear", None, entry.problem)
    if meaning is None:
        return Outcome(entry.line, entry.title, dates, "unclear" if unclear else "ignored", None, why)
    why = "; ".join(filter(None, [why, entry.remark]))
    longest = max((last - first).days + 1 for first, last, _ in entry.occurrences)
    if longest > LONGEST_ENTRY_DAYS:
        why = f"{why}, but lasts {longest} days: enter it by hand if it is meant"
        return Outcome(entry.line, entry.title, dates, "ignored", None, why)
    if meaning == "closed":
        if entry.hours is not None and entry.hours < SHORTEST_CLOSURE_HOURS:
            why = f"{why}, but lasts {entry.hours:g} h; only whole days are taken as closed"
            return Outcome(entry.line, entry.title, dates, "ignored", None, why)
        return Outcome(entry.line, entry.title, dates, "closed", None, why)
    at, source = _time(entry, meaning, reading)
    if at is None:
        return Outcome(entry.line, entry.title, dates, "ignored", None, f"{why}, but {source}")
    return Outcome(entry.line, entry.title, dates, meaning, at, f"{why}; {source}")


def _time(entry: Entry, meaning: Meaning, reading: Reading) -> tuple[str | None, str]:
    """The time of an early release or late start and where it is from; without one, what is missing."""
    early = meaning == "early_release"
    given = reading.early_release_until if early else reading.late_start_from
    option = "--early-release-until" if early else "--late-start-from"
    named = times_in(entry.title)
    own = {at for _, _, at in entry.occurrences if at is not None}
    if len(named) == 1:
        return named[0], "time from the title"
    if not named and len(own) == 1:
        return f"{own.pop():%H:%M}", "time from the event's start"
    if given is not None:
        return given, f"time from {option}"
    return None, f"names {'several times' if named or own else 'no time'}: give {option}"


class _Days:
    """The outcomes by date: a closure goes before a cut; of two cuts the one that leaves less open counts."""

    def __init__(self, published: Published, outcomes: list[Outcome]) -> None:
        closed: dict[date, int] = {}
        chosen: dict[tuple[Meaning, date], str] = {}
        pairs = list(zip(published.entries, outcomes, strict=True))
        for entry, outcome in pairs:
            if outcome.became == "closed":
                for day in dates_of_entry(entry):
                    closed.setdefault(day, entry.line)
        for entry, outcome in pairs:
            if outcome.became in ("early_release", "late_start") and outcome.time is not None:
                stricter = min if outcome.became == "early_release" else max
                for day in set(dates_of_entry(entry)) - closed.keys():
                    key = (outcome.became, day)
                    chosen[key] = stricter(outcome.time, chosen.get(key, outcome.time))
        self._closed = set(closed)
        self._chosen = chosen
        self.outcomes = [_corrected(entry, outcome, closed, chosen) for entry, outcome in pairs]

    def calendar(self, zone: str | None) -> dict[str, Any]:
        """The calendar's entries, with the zone if one is known."""
        found: dict[str, Any] = {"time_zone": zone} if zone is not None else {}
        if self._closed:
            found["closed"] = as_ranges(self._closed)
        for kind, edge in (("early_release", "until"), ("late_start", "from")):
            groups = list(self._groups(kind, edge))
            if groups:
                found[kind] = groups
        return found

    def _groups(self, kind: str, edge: str) -> Iterator[dict[str, Any]]:
        times = sorted({at for (each, _), at in self._chosen.items() if each == kind})
        for at in times:
            days = sorted(day for (each, day), own in self._chosen.items() if each == kind and own == at)
            yield {"dates": [day.isoformat() for day in days], edge: at}


def _corrected(
    entry: Entry, outcome: Outcome, closed: dict[date, int], chosen: dict[tuple[Meaning, date], str]
) -> Outcome:
    """The outcome with what other events take from it."""
    if outcome.became in (*NOT_TAKEN, "closed"):
        return outcome
    kind: Meaning = "early_release" if outcome.became == "early_release" else "late_start"
    days = set(dates_of_entry(entry))
    shut = days & closed.keys()
    lost = {day for day in days - shut if chosen[kind, day] != outcome.time}
    why = outcome.why
    if shut:
        why += f"; {', '.join(as_ranges(shut))} is closed by line {closed[min(shut)]}"
    if lost:
        why += f"; {', '.join(as_ranges(lost))} has another entry that leaves less open"
    left = days - shut - lost
    became: Meaning | NotTaken = kind if left else "ignored"
    return Outcome(outcome.line, outcome.title, as_ranges(left or days), became, outcome.time, why)
