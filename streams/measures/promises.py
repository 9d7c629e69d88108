"""Promises by the time they fall due: met, missed, or still to be kept at the window's end. Definitions: "SLA met"."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from streams.core.intervals import Share, share
from streams.measures.facts import Fact, Verdict
from streams.measures.windows import Window

REPLIES = ("first_reply", "next_reply")
CLOCKS = (*REPLIES, "resolution", "ownership", "periodic_update")


class PromisesResult(NamedTuple):
    """The share met of those decided, and how many of the window can still be kept."""

    met: Share
    pending: int


def credited(facts: Iterable[Fact]) -> Iterator[tuple[str, Verdict]]:
    """Every verdict, for the unit that owned the conversation when its clock started."""
    return ((verdict.unit, verdict) for fact in facts if fact.linked for verdict in fact.verdicts)


def broken(verdict: Verdict, at_ms: int) -> bool:
    """Whether it is broken at an instant: not ended by the last instant that meets it, which is past."""
    return verdict.outcome in ("open", "missed") and verdict.breach_ms is not None and verdict.breach_ms < at_ms


class Promises:
    """Promises due in a window, as they stand at its end; cancelled ones count nowhere."""

    __slots__ = ("_clocks", "_window", "met", "missed", "pending")

    def __init__(self, window: Window, clocks: Collection[str] = CLOCKS) -> None:
        self._window = window
        self._clocks = clocks
        self.met = self.missed = self.pending = 0

    def add(self, verdict: Verdict) -> None:
        """Count a verdict, if it is of one of the clocks and due in the window."""
        due = verdict.clock in self._clocks and self._window.holds(verdict.due_ms)
        if not due or verdict.outcome == "cancelled":
            return
        ended_ms, now_ms = verdict.ended_ms, self._window.end_ms
        if broken(verdict, now_ms):
            self.missed += 1
        elif verdict.outcome == "met" and ended_ms is not None and ended_ms <= now_ms:
            self.met += 1
        else:
            self.pending += 1

    def merge(self, other: "Promises") -> None:
        """Count everything that the other counted."""
        self.met += other.met
        self.missed += other.missed
        self.pending += other.pending

    def result(self) -> PromisesResult:
        """The share met, and what is pending."""
        return PromisesResult(share(self.met, self.met + self.missed), self.pending)
