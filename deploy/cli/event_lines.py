"""Lines of events from standard input and from files that people name, and where each stands."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.errors import UsageError
from streams.offline import Remark


class EventLines:
    """All lines of standard input, then of each file, once."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        """Raises `UsageError` for a file that cannot be opened, before anything is read."""
        for path in files:
            try:
                path.open("rb").close()
            except OSError as error:
                raise UsageError(f"Cannot read {path}: {error.strerror}.") from None
        self._files = files
        self._name = ""
        self._before = 0

    def __iter__(self) -> Iterator[bytes]:
        count = 0
        for line in sys.stdin.buffer:
            count += 1
            yield line
        for path in self._files:
            self._name, self._before = f"{path}: ", count
            with path.open("rb") as lines:
                for line in lines:
                    count += 1
                    yield line

    def place(self, line: int) -> str:
        """File and line of one that was just read, counted from 1 over all of them."""
        return f"{self._name}line {line - self._before}"


class Remarks:
    """Says each remark on standard error, and counts the events refused."""

    SOME_REFUSED = 2

    def __init__(self, lines: EventLines) -> None:
        self._lines = lines
        self.refused = 0

    def __call__(self, remark: Remark) -> None:
        """Say one."""
        self.refused += remark.refused
        place = f"{self._lines.place(remark.line)}[{remark.position}]: " if remark.line else ""
        sys.stderr.write(f"{place}{remark.reason} {remark.message}\n")

    @property
    def exit_code(self) -> int:
        """0, or `SOME_REFUSED`."""
        return self.SOME_REFUSED if self.refused else 0
