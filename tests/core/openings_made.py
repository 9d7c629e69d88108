"""Rows that say no more than when, where and about what a conversation opened, and histories made of them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from schemas.facts import NAMES, Row
from schemas.watches import Surges
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.openings import Openings
from streams.core.surge import Calendar
from tests.golden import OFFICE, at, district, ms

SCHOOLS: list[dict[str, Any]] = [
    {"unit": f"school-{n}", "level": "school", "calendar": "schools", "units": [{"unit": f"desk-{n}", "level": "team"}]}
    for n in range(6)
]
UNITS: list[dict[str, Any]] = [
    {
        "unit": "transportation",
        "level": "department",
        "units": [{"unit": "dispatch", "level": "team"}, {"unit": "routes", "level": "team"}],
    },
    *SCHOOLS,
]
CALENDARS: dict[str, Any] = {
    "office": OFFICE,
    "schools": OFFICE
    | {"closed": ["2026-10-12/2026-10-16", "2026-11-26/2026-11-27"], "days": {"2026-10-30": ["07:30-11:00"]}},
}


def calendar(**more: Any) -> Calendar:
    """A district of six schools that have a break in October, and transportation."""
    document = district(units=UNITS, calendars=CALENDARS, **more)
    return Calendar(Configuration("demo", [ConfigurationEvent(1, 0, "c", document)]))


DISTRICT = calendar()
USUAL = Surges()


def row(second: int, topic: str = "bus-late", unit: str = "dispatch", **more: Any) -> Row:
    """A conversation's row, as far as openings read it."""
    plain = {"retracted": 0, "linked": 1, "inquiries": 1, "opened_at": second * 1000, "thread": "", "person": ""}
    found = plain | {"topic": topic, "first_unit": unit} | more
    return tuple(found.get(name) for name in NAMES)


def spread(begin: str, minutes: float, count: int) -> list[int]:
    """So many instants spread evenly over a time, in seconds."""
    start = ms(begin) // 1000
    return [start + int(minutes * 60 * n / count) for n in range(count)]


def held(rows: Iterable[Row]) -> Openings:
    """All of these, each a conversation of its own."""
    openings = Openings()
    for number, one in enumerate(rows):
        openings.replace(f"c{number}", one)
    return openings


def days(first: str, last: str) -> list[str]:
    """Every date from the first to the last."""
    start, end = at(f"{first} 00:00").date(), at(f"{last} 00:00").date()
    return [(start + timedelta(days=day)).isoformat() for day in range((end - start).days + 1)]


def history(last: str, hours: dict[int, int], first: str = "2026-09-01", **more: Any) -> list[Row]:
    """An ordinary past up to the day before `last`: so many inquiries in each of these hours, on every date."""
    dates = days(first, last)[:-1]
    return [
        row(second, **more)
        for date in dates
        for hour, count in hours.items()
        for second in spread(f"{date} {hour:02d}:00", 60, count)
    ]
