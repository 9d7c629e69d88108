"""A district's document as the event that puts it into the log, and its next revision with days closed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256

from schemas.calendar import never_closes
from schemas.district import District
from schemas.events import DistrictConfigured

SOURCE = "cx"


def configured(document: District, at: datetime) -> DistrictConfigured:
    """The `district_configured` event of a document; equal documents have equal event ids. `at` is aware."""
    content = sha256(document.model_dump_json().encode()).hexdigest()
    return DistrictConfigured(
        kind="district_configured",
        event_id=f"configuration:{content[:32]}",
        district=document.district,
        source=SOURCE,
        occurred_at=at,
        received_at=at,
        revision=document.revision,
        configuration=document,
    )


def closed_days(document: District) -> frozenset[str]:
    """Dates that every calendar which ever closes has as a closed day of its own, such as snow days."""
    found = [
        frozenset(day for day, blocks in calendar.days.items() if not blocks)
        for calendar in document.calendars.values()
        if not never_closes(calendar)
    ]
    return frozenset.intersection(*found) if found else frozenset()


def closed_on(document: District, days: Collection[str]) -> District:
    """The next revision of a document, with every calendar that ever closes closed on these dates."""
    content = document.model_dump(mode="json", exclude_none=True)
    for name, calendar in content["calendars"].items():
        if not never_closes(document.calendars[name]):
            calendar["days"] = {**calendar.get("days", {}), **{day: [] for day in sorted(days)}}
    return District.model_validate({**content, "revision": document.revision + 1})


def with_closed_days(newest: Sequence[District], days: Collection[str]) -> District | None:
    """The next revision that closes these dates too, None if the newest does so already or never closes.

    `newest` are the documents of the highest revision, the one that counts first. Who numbered another one the same did
    not know of it: the days that it closed are closed as well.
    """
    counts, *others = newest
    missing = frozenset(days).union(*map(closed_days, others)) - closed_days(counts)
    closes = not all(map(never_closes, counts.calendars.values()))
    return closed_on(counts, missing) if missing and closes else None
