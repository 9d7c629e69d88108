"""Files that people name on the command line, read with one sentence for whatever is wrong with them."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from schemas.calendar import always_open
from schemas.district import District
from schemas.errors import UsageError
from schemas.vocabulary import EARLIEST, LATEST, to_ms
from streams.written.document import read_document


def read_text(path: Path) -> str:
    """A text file's content. Raises `UsageError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"Cannot read {path}: it is not UTF-8 text.") from None


def read_district(path: Path) -> District:
    """A district from a file, its calendars resolved into dates.

    Raises `DocumentError` with line and field, `UsageError` without a file.
    """
    return read_document(read_text(path), path.name)


def read_instant(text: str, document: District) -> int:
    """A date (its first moment in the district) or an instant with an offset, in ms. Raises `UsageError`."""
    calendar = document.calendars[document.calendar] if document.calendar is not None else always_open()
    try:
        if len(text) == len("2026-08-01"):
            day = date.fromisoformat(text)
            found = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(calendar.time_zone))
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is neither a date (2026-08-01) nor an instant (2026-08-01T07:00:00-05:00).") from None
    if found.tzinfo is None:
        raise UsageError(f"{text} needs an offset, as in {text}Z.")
    if not EARLIEST.year < found.year < LATEST.year:
        raise UsageError(f"{text} must lie between the years {EARLIEST.year + 1} and {LATEST.year - 1}.")
    return to_ms(found.astimezone(UTC))
