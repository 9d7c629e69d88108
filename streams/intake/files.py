"""Files that people import, plain or gzipped, line by line."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.errors import UsageError

GZIP_MAGIC = b"\x1f\x8b"


def lines_of(path: Path) -> Iterator[bytes]:
    """The file's lines with their ends; gzip is recognised by content. Raises `UsageError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        with gzip.open(path) if packed else path.open("rb") as lines:
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UsageError(f"Cannot read {path}: the gzip file is damaged or cut off; copy it again.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from None


def text_of(lines: Iterable[bytes]) -> Iterator[str]:
    """Lines as text; a byte-order mark is dropped, what is not UTF-8 is replaced."""
    for number, line in enumerate(lines):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8", "replace")
