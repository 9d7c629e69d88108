"""The events of an iCalendar file (RFC 5545) with their local dates, repetitions included."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any

from dateutil.rrule import rrulestr
from icalendar import Calendar, Event

from schemas.calendar import zone_names, zone_of
from schemas.errors import DocumentError

FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
MOST_REPETITIONS = 4_000
ENDLESS_DAYS = 366
EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)
_LINE = re.compile(r"[A-Za-z0-9-]+[;:]")
Occurrence = tuple[date, date, time | None]


class UnreadableEventError(Exception):
    """Why an event has no dates that can be used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event: its line, title and occurrences (first local date, last one, time of day if it has one)."""

    line: int
    title: str
    occurrences: tuple[Occurrence, ...]
    hours: float | None
    problem: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A file's events in order, and the zone it names."""

    zone: str | None
    entries: tuple[Entry, ...]


def read_events(text: str, name: str, zone: str | None) -> Published:
    """Every event of a file. Raises `DocumentError` if it is not iCalendar, is cut off, or no event has a date."""
    text = text.removeprefix("\ufeff")
    lines = _lines_of_events(text, name)
    try:
        calendars = [each for each in Calendar.from_ical(text, multiple=True) if isinstance(each, Calendar)]
        events = [event for calendar in calendars for event in calendar.walk("VEVENT") if isinstance(event, Event)]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DocumentError([f"{name}: not iCalendar: {type(error).__name__}"]) from None
    if not events:
        raise DocumentError([f"{name}: the calendar holds no event"])
    zone = zone or _zone_named(calendars)
    _check_zones(events, lines, name)
    replaced = _replaced(events)
    last = _last_date(events)
    entries = tuple(_entry(event, line, (zone, last, replaced)) for event, line in zip(events, lines, strict=False))
    if not any(entry.occurrences for entry in entries):
        raise DocumentError([f"{name}: line {entry.line}: {entry.problem}" for entry in entries])
    return Published(zone, entries)


def _check_zones(events: list[Event], lines: list[int], name: str) -> None:
    """Raises `DocumentError` for an event in a time zone that nobody knows: its wall time would be guessed."""
    problems = []
    for event, line in zip(events, lines, strict=False):
        moment = _moment(event, "DTSTART")
        zone = getattr(event.get("DTSTART"), "params", {}).get("TZID")
        if zone and isinstance(moment, datetime) and moment.tzinfo is None:
            problems.append(f"{name}: line {line}: unknown time zone {zone}; use a name such as America/Chicago")
    if problems:
        raise DocumentError(problems)


def _lines_of_events(text: str, name: str) -> list[int]:
    """The line of each event. Raises `DocumentError` where the text is not iCalendar, or a part is not ended."""
    found: list[int] = []
    open_parts: list[tuple[str, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line[0] in " \t":
            continue
        if not _LINE.match(line):
            raise DocumentError([f"{name}: line {number}: not iCalendar, whose lines look like NAME:value"])
        keyword, _, part = line.strip().upper().partition(":")
        if keyword == "BEGIN":
            open_parts.append((part, number))
            if part == "VEVENT":
                found.append(number)
        elif keyword == "END":
            if not open_parts or open_parts.pop()[0] != part:
                raise DocumentError([f"{name}: line {number}: END:{part} ends what was not begun"])
        elif not open_parts:
            raise DocumentError([f"{name}: line {number}: not iCalendar, which begins with BEGIN:VCALENDAR"])
    if open_parts:
        part, number = open_parts[-1]
        raise DocumentError([f"{name}: line {number}: {part} is not ended; is the file cut off?"])
    return found


def _zone_named(calendars: list[Calendar]) -> str | None:
    named = [str(calendar.get("X-WR-TIMEZONE", "")) for calendar in calendars]
    named += [str(part.get("TZID", "")) for calendar in calendars for part in calendar.walk("VTIMEZONE")]
    return next((name for name in named if name in zone_names()), None)


def _wall(moment: date, zone: tzinfo | None) -> datetime:
    """A date or instant as its wall time without a zone: what repetition rules count in."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    if moment.tzinfo is not None and zone is not None:
        moment = moment.astimezone(zone)
    return moment.replace(tzinfo=None)


def _zone(event: Event) -> tzinfo | None:
    start = event.start
    return start.tzinfo if isinstance(start, datetime) else None


def _moment(event: Event, name: str) -> date | None:
    """A date or instant of an event; None without one, or with one that cannot be read."""
    try:
        found = getattr(event.get(name), "dt", None)
    except ValueError:
        return None
    return found if isinstance(found, date) else None


def _replaced(events: list[Event]) -> dict[str, set[datetime]]:
    """By UID, the repetitions that an event of their own replaces."""
    found: dict[str, set[datetime]] = {}
    for event in events:
        moment = _moment(event, "RECURRENCE-ID")
        if moment is not None:
            found.setdefault(str(event.get("UID")), set()).add(_wall(moment, getattr(moment, "tzinfo", None)))
    return found


def _last_date(events: list[Event]) -> date:
    """The last date on which an event that does not repeat begins; how far an endless one is followed."""
    dates = [EARLIEST]
    for event in events:
        start = _moment(event, "DTSTART")
        if "RRULE" not in event and start is not None:
            dates.append(_wall(start, None).date())
    return max(dates)


def _entry(event: Event, line: int, about: tuple[str | None, date, dict[str, set[datetime]]]) -> Entry:
    zone, last, replaced = about
    title = "".join(ch if ch.isprintable() else " " for ch in _title(event))[:200]
    try:
        length = _length(event)
        hours = None if not isinstance(event.start, datetime) else length / timedelta(hours=1)
        starts, remark = _starts(event, last, replaced)
        found = tuple(_occurrence(start, length, event, zone) for start in starts)
    except UnreadableEventError as error:
        return Entry(line, title, (), None, str(error))
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
        return Entry(line, title, (), None, "its dates cannot be read")
    return Entry(line, title, found, hours, "" if found else "no date of it lies between 1970 and 2199", remark)


def _title(event: Event) -> str:
    kinds = [str(kind) for group in _listed(event.get("CATEGORIES")) for kind in getattr(group, "cats", [])]
    return "; ".join(filter(None, [str(event.get("SUMMARY", "")).replace("\\,", ",").strip(), *kinds]))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _length(event: Event) -> timedelta:
    """How long one occurrence lasts; a day at least for an event of whole days. DTEND is exclusive."""
    if "DTSTART" not in event:
        raise UnreadableEventError("the event has no date: DTSTART is missing")
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        raise UnreadableEventError("cancelled")
    start, end = event.start, event.end
    zone = _zone(event)
    length = _wall(end, zone) - _wall(start, zone)
    if length < timedelta(0):
        raise UnreadableEventError("it ends before it starts")
    if not isinstance(start, datetime):
        return max(length, timedelta(days=1))
    return length


def _starts(event: Event, last: date, replaced: dict[str, set[datetime]]) -> tuple[list[datetime], str]:
    """Wall times at which it begins, repetitions included, and what is to be said about them."""
    anchor, zone = _wall(event.start, _zone(event)), _zone(event)
    if not EARLIEST <= anchor.date() <= LATEST:
        return [], ""
    moments, remark = {anchor}, ""
    for rule in event.rrules:
        more, remark = _repeated(rule, anchor, zone, last)
        moments.update(more)
    moments.update(_wall(start, zone) for start, _ in event.rdates)
    exdates: list[date] = list(event.exdates)
    without = {_wall(moment, zone) for moment in exdates}
    days_without = {moment for moment in exdates if not isinstance(moment, datetime)}
    if "RECURRENCE-ID" not in event:
        without |= replaced.get(str(event.get("UID")), set())
    elif event["RECURRENCE-ID"].params.get("RANGE"):
        raise UnreadableEventError("it changes all later repetitions (RANGE), which is not read; enter them by hand")
    kept = [moment for moment in sorted(moments) if moment not in without and moment.date() not in days_without]
    if len(kept) > MOST_REPETITIONS:
        raise UnreadableEventError(f"it repeats more than {MOST_REPETITIONS:,} times")
    return [moment for moment in kept if EARLIEST <= moment.date() <= LATEST], remark


def _repeated(rule: dict[str, Any], anchor: datetime, zone: tzinfo | None, last: date) -> tuple[list[datetime], str]:
    frequency = str(rule.get("FREQ", ["?"])[0]).upper()
    if frequency not in FREQUENCIES:
        raise UnreadableEventError(f"it repeats {frequency}, which no school calendar does")
    if int(rule.get("INTERVAL", [1])[0]) < 1:
        raise UnreadableEventError("its INTERVAL is not a positive number")
    count, until = rule.get("COUNT"), rule.get("UNTIL")
    limit, remark = datetime.combine(LATEST, time()), ""
    if until:
        moment = until[0]
        limit = _wall(moment, zone) if isinstance(moment, datetime) else datetime.combine(moment, time(23, 59, 59))
    elif not count:
        limit = datetime.combine(max(last, anchor.date() + timedelta(days=ENDLESS_DAYS)), time(23, 59, 59))
        remark = f"repeats without end: taken until {limit.date()}"
    limit = min(limit, datetime.combine(LATEST, time()))
    text = ";".join(part for part in rule_text(rule).split(";") if part.split("=")[0].upper() not in ("COUNT", "UNTIL"))
    # With an end, a rule that never fits (30 February) ends too.
    repeated = rrulestr(f"{text};UNTIL={limit:%Y%m%dT%H%M%S}", dtstart=anchor)
    most = min(int(count[0]), MOST_REPETITIONS + 1) if count else MOST_REPETITIONS + 1
    return list(islice(repeated, most)), remark


def rule_text(rule: Any) -> str:
    """A repetition rule as it is written in a file."""
    text: bytes = rule.to_ical()
    return text.decode()


def _occurrence(wall: datetime, length: timedelta, event: Event, zone: str | None) -> Occurrence:
    start = event.start
    if not isinstance(start, datetime):
        return wall.date(), (wall + length - timedelta(days=1)).date(), None
    own = start.tzinfo
    if own is None:
        begin = wall
    elif zone is not None:
        begin = wall.replace(tzinfo=own).astimezone(zone_of(zone)).replace(tzinfo=None)
    elif start.utcoffset() == timedelta(0):
        raise UnreadableEventError("its times are in UTC and nothing names the zone: give --zone")
    else:
        begin = wall
    end = begin + max(length, timedelta(minutes=1)) - timedelta(microseconds=1)
    return begin.date(), end.date(), begin.time().replace(second=0, microsecond=0)


def dates_of_entry(entry: Entry) -> Iterator[date]:
    """Every local date that an entry covers."""
    for first, last, _ in entry.occurrences:
        for number in range((last - first).days + 1):
            yield first + timedelta(days=number)
