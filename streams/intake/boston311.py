"""Service requests of the City of Boston (311, open data) as events: rows in, inquiries and resolutions out.

The district is `boston311`, configured by `boston311.yaml` beside this file. Times are local, without a zone: of the
hour that autumn repeats the first is meant, a time that spring skips counts an hour later. The receipt is not known;
`received_at` is the event time, so that every import gives the same events.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from schemas.errors import UsageError
from schemas.events import DistrictConfigured, Inquiry, StatusChanged
from schemas.vocabulary import EARLIEST, LATEST, Channel, OpenedBy, Stakeholder
from streams.configured import configured
from streams.written.document import read_document

DISTRICT = "boston311"
DOCUMENT = Path(__file__).with_name("boston311.yaml")
EXCERPT = Path(__file__).with_name("data") / "boston311_excerpt.csv"
CONFIGURED_AT = datetime(2015, 1, 1, 5, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
_TIME = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{1,2}):([0-9]{2}):([0-9]{2}) ([AP])M", re.ASCII)
COLUMNS = (
    "CASE_ENQUIRY_ID",
    "OPEN_DT",
    "TARGET_DT",
    "CLOSED_DT",
    "OnTime_Status",
    "REASON",
    "TYPE",
    "QUEUE",
    "Department",
    "Source",
)


class Origin(NamedTuple):
    """What a value of the column Source means."""

    channel: Channel
    opened_by: OpenedBy
    stakeholder: Stakeholder
    platform: str | None


ORIGINS: dict[str, Origin] = {
    "Constituent Call": Origin("phone", "customer", "community", None),
    "Citizens Connect App": Origin("web", "customer", "community", "citizens-connect-app"),
    "Self Service": Origin("web", "customer", "community", "self-service"),
    "Twitter": Origin("social", "customer", "community", "twitter"),
    "Employee Generated": Origin("web", "staff", "staff", "employee-generated"),
    "City Worker App": Origin("web", "staff", "staff", "city-worker-app"),
    "Maximo Integration": Origin("web", "staff", "staff", "maximo-integration"),
}


class Request(NamedTuple):
    """One sound row: its events, and the city's own verdict, None while open or without a target."""

    conversation: str
    events: tuple[Inquiry | StatusChanged, ...]
    verdict: Literal["met", "missed"] | None


class Rejected(NamedTuple):
    """A row that cannot be read; `line` is its last line in the file, `field` the column at fault."""

    line: int
    reason: Literal["column_count", "missing_value", "bad_date", "unknown_source", "invalid_value", "not_csv"]
    field: str


class _Unreadable(Exception):
    """Carries the reason and the column out of the reading of one row."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.reason)
        self.rejected = rejected


@lru_cache(maxsize=4096)
def slug(text: str) -> str:
    """A name as a code: lower-case letters and digits, one hyphen for everything between them; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].rstrip("-")


def instant(text: str) -> datetime:
    """A local time of the file, `01/31/2015 12:05:09 AM`, in UTC. Raises `ValueError`."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time of the form MM/DD/YYYY hh:mm:ss AM")
    month, day, year, hour, minute, second = map(int, found.groups()[:6])
    if not 1 <= hour <= 12:
        raise ValueError("the hour must lie between 1 and 12")
    hour = hour % 12 + (12 if found[7] == "P" else 0)
    found_at = datetime(year, month, day, hour, minute, second, tzinfo=ZONE).astimezone(UTC)
    if not EARLIEST <= found_at < LATEST:
        raise ValueError("must lie between the years 1970 and 2199")
    return found_at


def configuration() -> DistrictConfigured:
    """The configuration event of the district; always the same one."""
    document = read_document(DOCUMENT.read_text(encoding="utf-8"), DOCUMENT.name)
    return configured(document, CONFIGURED_AT)


def requests(lines: Iterable[str]) -> Iterator[Request | Rejected]:
    """Read a file's lines, the header first. Raises `UsageError` if the header lacks a column."""
    reader = csv.reader(lines)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UsageError(f"This is not a CSV file of Boston 311 requests: {error}.") from None
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        raise UsageError(f"This is not a file of Boston 311 requests: column {', '.join(absent)} is missing.")
    places = [header.index(name) for name in COLUMNS]
    while True:
        try:
            row = next(reader, None)
            if row is None:
                return
            if len(row) != len(header):
                raise _Unreadable(Rejected(reader.line_num, "column_count", ""))
            yield _request(reader.line_num, dict(zip(COLUMNS, [row[i].strip() for i in places], strict=True)))
        except csv.Error:
            yield Rejected(reader.line_num, "not_csv", "")
        except _Unreadable as unreadable:
            yield unreadable.rejected


def _time(line: int, row: dict[str, str], column: str) -> datetime | None:
    if not row[column]:
        return None
    try:
        return instant(row[column])
    except (ValueError, OverflowError):
        raise _Unreadable(Rejected(line, "bad_date", column)) from None


def _request(line: int, row: dict[str, str]) -> Request:
    conversation = row["CASE_ENQUIRY_ID"]
    opened = _time(line, row, "OPEN_DT")
    target = _time(line, row, "TARGET_DT")
    closed = _time(line, row, "CLOSED_DT")
    if not conversation or opened is None:
        raise _Unreadable(Rejected(line, "missing_value", "OPEN_DT" if conversation else "CASE_ENQUIRY_ID"))
    origin = ORIGINS.get(row["Source"])
    if origin is None:
        raise _Unreadable(Rejected(line, "unknown_source", "Source"))
    try:
        events: tuple[Inquiry | StatusChanged, ...] = (_inquiry(row, origin, opened, target),)
        if closed is not None:
            events = (*events, _resolved(conversation, closed))
    except ValidationError:
        # Times and codes are sound by now: only the id is taken as it stands.
        raise _Unreadable(Rejected(line, "invalid_value", "CASE_ENQUIRY_ID")) from None
    return Request(conversation, events, _verdict(row["OnTime_Status"], target, closed))


def _verdict(label: str, target: datetime | None, closed: datetime | None) -> Literal["met", "missed"] | None:
    if target is None or closed is None:
        return None
    if label in ("ONTIME", "OVERDUE"):
        return "met" if label == "ONTIME" else "missed"
    return "met" if closed <= target else "missed"


def _inquiry(row: dict[str, str], origin: Origin, opened: datetime, target: datetime | None) -> Inquiry:
    return Inquiry(
        kind="inquiry",
        event_id=f"{row['CASE_ENQUIRY_ID']}:opened",
        district=DISTRICT,
        source=DISTRICT,
        occurred_at=opened,
        received_at=opened,
        conversation=row["CASE_ENQUIRY_ID"],
        channel=origin.channel,
        platform=origin.platform,
        unit=slug(row["QUEUE"]) or slug(row["Department"]) or None,
        topic=slug(row["TYPE"]) or slug(row["REASON"]) or None,
        inquiry_kind="request",
        stakeholder=origin.stakeholder,
        opened_by=origin.opened_by,
        due_at=target,
    )


def _resolved(conversation: str, closed: datetime) -> StatusChanged:
    return StatusChanged(
        kind="status_changed",
        event_id=f"{conversation}:closed",
        district=DISTRICT,
        source=DISTRICT,
        occurred_at=closed,
        received_at=closed,
        conversation=conversation,
        status="resolved",
    )
