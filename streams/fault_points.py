"""Numbered places at which a test ends or stops a worker. Outside such tests nothing is ever asked of them.

Code that has a place says so with `reached("before:2")`; by default that is `undisturbed`, which does nothing. With
`CX_FAULT_FILE` a worker looks into that file at each place. One line `POINT=KIND@N` there has the N-th passing of the
point end (`exit`, SIGKILL) or stop (`stop`, SIGSTOP) the process, in the middle of what it does. The file is deleted
first: a worker that is started anew goes on unharmed.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Self

STEPS = ("0", "1", "2", "3", "4", "5", "recovery", "revoke", "read-back", "sweep")
"""Steps of a flush as `streams.worker` numbers them, and what else a worker does with its partitions."""
POINTS = tuple(f"{side}:{step}" for step in STEPS for side in ("before", "after"))
KINDS = {"exit": signal.SIGKILL, "stop": signal.SIGSTOP}

Reached = Callable[[str], None]
"""Hears the name of a point, of `POINTS`, whenever it is passed; called from any thread, may never return."""


def undisturbed(_point: str) -> None:
    """Pass every point."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to happen: the N-th passing of `point` from now on sends `KINDS[kind]`."""

    point: str
    kind: str
    passing: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `POINT=KIND@N`, or `POINT=KIND` for the first passing. Raises `ValueError` saying what is wrong."""
        point, _, rest = text.strip().partition("=")
        kind, _, passing = rest.partition("@")
        if point not in POINTS:
            raise ValueError(f"there is no point {point!r}: a point is before: or after: one of {', '.join(STEPS)}")
        if kind not in KINDS or not (passing or "1").isdigit() or passing == "0":
            raise ValueError(f"write POINT=KIND@N with KIND one of {', '.join(KINDS)} and N at least 1, not {text!r}")
        return cls(point, kind, int(passing or 1))

    def __str__(self) -> str:
        return f"{self.point}={self.kind}@{self.passing}"


class FaultFile:
    """The faults that a test puts into a file, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._armed: Fault | None = None
        self._passed = 0

    def __call__(self, point: str) -> None:
        """Pass a point, or end or stop there."""
        with self._lock:
            fault = self._wanted()
            if fault is None or fault.point != point:
                return
            self._passed += 1
            if self._passed < fault.passing:
                return
            self._path.unlink(missing_ok=True)
            self._armed = None
        os.kill(os.getpid(), KINDS[fault.kind])

    def _wanted(self) -> Fault | None:
        try:
            fault = Fault.parse(self._path.read_text())
        except FileNotFoundError:
            self._armed = None
            return None
        if fault != self._armed:
            self._armed, self._passed = fault, 0
        return fault
