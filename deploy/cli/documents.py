"""Files that people name on the command line, read with one sentence for whatever is wrong with them."""

from pathlib import Path

from schemas.district import District
from schemas.errors import UsageError
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
