"""Answered within T, and the backlog: who waited, how long, at any instant. See "answered within T", "backlog".

All of it comes from when waits opened and ended, so any past instant is answered like the present one.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from streams.core.intervals import Share, share
from streams.measures.facts import Fact, Verdict, Wait
from streams.measures.promises import REPLIES, Promises, broken
from streams.measures.windows import HOUR_MS, Window

SCHOOL_DAY = "school_day"
SCHOOL_DAY_MS = 8 * HOUR_MS
NOT_ASKED = ("merged", "spam", "no_reply_needed")


class Limit(NamedTuple):
    """T: so many ms of calendar time, or one school day (eight open hours of the owners), `school_day` in the facts."""

    length_ms: int
    school_day: bool = False

    def until(self, wait: Wait) -> int | None:
        """The last instant in time for a wait; None if that never comes."""
        return wait.school_day_ms if self.school_day else wait.opened_ms + self.length_ms


ONE_SCHOOL_DAY = Limit(SCHOOL_DAY_MS, school_day=True)


class WithinResult(NamedTuple):
    """Of the waits whose time was over in the window, those `answered` within it.

    `never`: those of them without an answer by the window's end. `pending`: waits begun whose time is not over at the
    window's end, answered or not. `live`: answered live, a class of its own. `by` is `promise` in a window shorter than
    T: then `answered` and `pending` are the reply promises due in it, and `never` and `live` say nothing.
    """

    by: str
    answered: Share
    never: int
    pending: int
    live: int


Entry = Wait | Verdict
Judgement = Literal["in_time", "late", "pending", "withdrawn"]


def judged(wait: Wait, limit: Limit, now_ms: int) -> Judgement:
    """What became of a wait by the moment opened + T: `late` also if nobody ever answers, `pending` until then."""
    until_ms, ended_ms = limit.until(wait), wait.ended_ms
    looked_ms = now_ms if until_ms is None else min(until_ms, now_ms)
    if wait.outcome == "withdrawn" and ended_ms is not None and ended_ms <= looked_ms:
        return "withdrawn"
    if until_ms is None or until_ms >= now_ms:
        return "pending"
    return "in_time" if wait.outcome == "answered" and ended_ms is not None and ended_ms <= until_ms else "late"


def credited(facts: Iterable[Fact]) -> Iterator[tuple[str, Entry]]:
    """Every wait for the unit that owned it at its end, every verdict for the one that owned its start."""
    for fact in facts:
        for wait in fact.waits:
            yield wait.unit, wait
        for verdict in fact.verdicts:
            yield verdict.unit, verdict


class AnsweredWithin:
    """Waits counted at the moment opened + T, early answers too, so that quick ones do not come first.

    Never answered, resolved without a reply and unreachable count as not answered; withdrawn before its time counts
    nowhere.
    """

    __slots__ = ("_limit", "_window", "answered", "decided", "live", "never", "pending", "promises")

    def __init__(self, window: Window, limit: Limit) -> None:
        self._window = window
        self._limit = limit
        self.promises = Promises(window, REPLIES)
        self.answered = self.decided = self.never = self.pending = self.live = 0

    def add(self, entry: Entry) -> None:
        """Count a wait or a verdict."""
        if isinstance(entry, Verdict):
            self.promises.add(entry)
        elif entry.outcome not in NOT_ASKED and entry.opened_ms < self._window.end_ms:
            self._count(entry)

    def _count(self, wait: Wait) -> None:
        now_ms = self._window.end_ms
        if wait.live:
            self.live += self._window.holds(wait.ended_ms)
            return
        verdict = judged(wait, self._limit, now_ms)
        if verdict == "pending":
            self.pending += 1
        elif verdict != "withdrawn" and self._window.holds(self._limit.until(wait)):
            self.decided += 1
            self.answered += verdict == "in_time"
            self.never += wait.outcome != "answered" or wait.ended_ms is None or wait.ended_ms > now_ms

    def merge(self, other: "AnsweredWithin") -> None:
        """Count everything that the other counted."""
        self.promises.merge(other.promises)
        self.answered += other.answered
        self.decided += other.decided
        self.never += other.never
        self.pending += other.pending
        self.live += other.live

    def result(self) -> WithinResult:
        """The share answered in time, or that of the promises met where the window is shorter than T."""
        if self._window.length_ms < self._limit.length_ms:
            kept = self.promises.result()
            return WithinResult("promise", kept.met, 0, kept.pending, 0)
        answered = share(self.answered, self.decided)
        return WithinResult("limit", answered, self.never, self.pending, self.live)


class BacklogResult(NamedTuple):
    """Open waits, when the oldest opened, and those whose reply promise is broken."""

    open: int
    oldest_ms: int | None
    past_due: int


class Waiting(NamedTuple):
    """A wait that is open at the instant asked for."""

    opened_ms: int
    past_due: bool


def open_at(facts: Iterable[Fact], at_ms: int) -> Iterator[tuple[str, Waiting]]:
    """Waits open at an instant, each for the unit that owned it then; nobody to answer is no backlog."""
    for fact in facts:
        late = {v.opened_by_event for v in fact.verdicts if v.clock in REPLIES and _was_broken(v, at_ms)}
        for wait in fact.waits:
            if _is_open(wait, at_ms):
                yield wait.owner(at_ms), Waiting(wait.opened_ms, wait.opened_by_event in late)


def _was_broken(verdict: Verdict, at_ms: int) -> bool:
    # A wait that was withdrawn later had its promise cancelled, and was past due all the same until then.
    return broken(verdict._replace(outcome="open") if verdict.outcome == "cancelled" else verdict, at_ms)


def _is_open(wait: Wait, at_ms: int) -> bool:
    lasts = wait.outcome == "open" if wait.ended_ms is None else wait.ended_ms > at_ms
    return wait.opened_ms <= at_ms and lasts and wait.outcome not in NOT_ASKED


class Backlog:
    """Open waits of one instant."""

    __slots__ = ("oldest_ms", "open", "past_due")

    def __init__(self) -> None:
        self.open = self.past_due = 0
        self.oldest_ms: int | None = None

    def add(self, waiting: Waiting) -> None:
        """Count one open wait."""
        self.open += 1
        self.past_due += waiting.past_due
        self._keep_oldest(waiting.opened_ms)

    def _keep_oldest(self, opened_ms: int | None) -> None:
        known = [ms for ms in (self.oldest_ms, opened_ms) if ms is not None]
        self.oldest_ms = min(known, default=None)

    def merge(self, other: "Backlog") -> None:
        """Count everything that the other counted."""
        self.open += other.open
        self.past_due += other.past_due
        self._keep_oldest(other.oldest_ms)

    def result(self) -> BacklogResult:
        """How many, since when, how many past due."""
        return BacklogResult(self.open, self.oldest_ms, self.past_due)
