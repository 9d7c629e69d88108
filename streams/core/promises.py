"""Promise clocks of one conversation: when they are at risk, due and broken, and how they ended.

Nothing here knows the present: a clock that has not ended is `open`, and whoever reads compares with now. A policy edit
moves the clocks that run at its event time, none of them to before it. Source: docs/definitions.md, "Promises".
"""

from collections.abc import Iterator, Set
from typing import NamedTuple

from schemas.district import Promise
from streams.core.configuration import Configuration
from streams.core.ownership import Deadlines, Ownership, Pauses, deadlines
from streams.core.packed import Inquiry
from streams.core.story import Story, is_owed

AT_RISK_NUMERATOR, AT_RISK_DENOMINATOR = 3, 4
Escalations = tuple[int | None, int | None]
_NONE: Escalations = (None, None)
_REPLIES = ("first_reply", "next_reply")


class Clock(NamedTuple):
    """What is promised from one instant on: which kind, until what happened, and the event that started it.

    `cancelled_ms`: when a clock without end was cancelled.
    """

    kind: str
    opened_by_event: str
    started_ms: int
    ended_ms: int | None
    cancelled: bool = False
    pauses: Pauses = ()
    cancelled_ms: int | None = None

    @property
    def stopped_ms(self) -> int | None:
        """When it ended or was cancelled: it runs no more."""
        return self.cancelled_ms if self.ended_ms is None else self.ended_ms


class Verdict(NamedTuple):
    """One promise clock as in `schemas.facts.VERDICTS`; instants in ms, None where it never comes or has not come."""

    clock: str
    promise: str
    revision: int
    unit: str
    started_ms: int
    at_risk_ms: int | None
    due_ms: int | None
    breach_ms: int | None
    escalated_50_ms: int | None
    escalated_100_ms: int | None
    ended_ms: int | None
    paused_ms: int
    outcome: str
    opened_by_event: str


class _Deciding(NamedTuple):
    """The policy in force and the instants it gives; `since_ms`: the edit that moved the clock, 0 if none did."""

    promise: Promise
    revision: int
    at_risk_ms: int | None
    due_ms: int | None
    breach_ms: int | None
    since_ms: int = 0


def _outcome(clock: Clock, breach_ms: int | None) -> str:
    if clock.cancelled:
        return "cancelled"
    if clock.ended_ms is None:
        return "open"
    return "met" if breach_ms is None or clock.ended_ms <= breach_ms else "missed"


def _paused_ms(clock: Clock) -> int:
    """Length of the pauses between the clock's start and its end; one without end is not counted."""
    paused = 0
    for pause, resume in clock.pauses:
        ends = [at for at in (resume, clock.stopped_ms) if at is not None]
        if ends:
            paused += max(0, min(ends) - max(pause, clock.started_ms))
    return paused


def _not_before(instant_ms: int | None, edit_ms: int) -> int | None:
    return None if instant_ms is None else max(instant_ms, edit_ms)


class _Judge:
    """Judges one conversation's clocks against the promises in force when each started, and their later edits."""

    def __init__(self, opening: Inquiry, ownership: Ownership, configuration: Configuration) -> None:
        self._opening = opening
        self._ownership = ownership
        self._configuration = configuration

    def _deadlines(self, clock: Clock, promise: Promise, early: int, target: int) -> Deadlines:
        start, calendar = clock.started_ms, promise.hours == "calendar"
        if clock.pauses:
            return deadlines(list(self._ownership.stretches(start, clock.pauses, calendar)), early, target)
        if calendar:
            return start + early, start + target, start + target
        return self._ownership.deadlines(start, early, target)

    def _decide(self, clock: Clock, unit: str) -> _Deciding | None:
        """The last policy that moved the clock while it ran, None if nothing was promised in the end."""
        found: _Deciding | None = None
        before: Promise | None = None
        policies = self._configuration.policies(clock.kind, unit, self._opening, clock.started_ms)
        for number, (from_ms, revision, promise) in enumerate(policies):
            if number:
                has_ended = clock.stopped_ms is not None and clock.stopped_ms <= from_ms
                if has_ended or (found is not None and found.breach_ms is not None and found.breach_ms < from_ms):
                    break
            if number and promise == before:
                # A revision that leaves this promise as it was, such as a snow day's, moves nothing of it.
                found = None if found is None else found._replace(revision=revision)
                continue
            before = promise
            if promise is None:
                found = None
                continue
            target = promise.target_ms
            early = target * AT_RISK_NUMERATOR // AT_RISK_DENOMINATOR
            at_risk, due, breach = self._deadlines(clock, promise, early, target)
            if number:
                at_risk, due, breach = (_not_before(each, from_ms) for each in (at_risk, due, breach))
            found = _Deciding(promise, revision, at_risk, due, breach, from_ms if number else 0)
        return found

    def _escalations(self, clock: Clock, by: _Deciding) -> Escalations:
        """When half the target more, and all of it again, has passed; nothing of a promise that was kept."""
        if _is_kept(clock, by.breach_ms):
            return _NONE
        target = by.promise.target_ms
        half, whole, _ = self._deadlines(clock, by.promise, target * 3 // 2, target * 2)
        return _not_before(half, by.since_ms), _not_before(whole, by.since_ms)

    def verdict(self, clock: Clock) -> Verdict | None:
        """The verdict of one clock, None if nothing was promised."""
        unit = self._ownership.owner(clock.started_ms)
        deciding = self._decide(clock, unit)
        if deciding is None:
            return None
        return _made(clock, unit, (deciding.promise.promise, *deciding[1:5]), self._escalations(clock, deciding))

    def of_source(self, clock: Clock) -> Verdict | None:
        """A resolution whose time the source promised: it replaces the unit's target; an empty one promises nothing."""
        start, due = clock.started_ms, self._opening.due_ms
        if due is None:
            return None
        target = max(0, due - start)
        at_risk = start + target * AT_RISK_NUMERATOR // AT_RISK_DENOMINATOR
        escalations = _NONE if _is_kept(clock, due) else (due + target // 2, due + target)
        return _made(clock, self._ownership.owner(start), ("source", 0, at_risk, due, due), escalations)


def _is_kept(clock: Clock, breach_ms: int | None) -> bool:
    """Whether it stopped in time, or never can break."""
    return breach_ms is None or (clock.stopped_ms is not None and clock.stopped_ms <= breach_ms)


def _made(
    clock: Clock, unit: str, by: tuple[str, int, int | None, int | None, int | None], escalations: Escalations
) -> Verdict:
    promise, revision, at_risk_ms, due_ms, breach_ms = by
    return Verdict(
        clock.kind,
        promise,
        revision,
        unit,
        clock.started_ms,
        at_risk_ms,
        due_ms,
        breach_ms,
        *escalations,
        clock.ended_ms,
        _paused_ms(clock) if clock.pauses else 0,
        _outcome(clock, breach_ms),
        clock.opened_by_event,
    )


def _reply_clocks(story: Story) -> Iterator[Clock]:
    """First and next replies: a wait that staff resolved in time kept the promise, a withdrawn one cancels it."""
    for index, wait in enumerate(story.waits):
        if not wait.live:
            is_first = index == 0 and story.outbound is None and not story.by_staff
            kind = "first_reply" if is_first else "next_reply"
            cancelled = wait.outcome in ("withdrawn", "unreachable")
            cancelled_ms = wait.opened_ms if cancelled else None
            yield Clock(kind, wait.opened_event, wait.opened_ms, wait.ended_ms, cancelled, (), cancelled_ms)


def _ends(story: Story) -> list[tuple[int, bool]]:
    """Every resolve and every withdrawal, in order: when, and whether it cancels."""
    resolved = [(resolve.at_ms, False) for resolve in story.resolves]
    return sorted(resolved + [(withdrawal.at_ms, True) for withdrawal in story.withdrawals])


def _update_clocks(story: Story) -> Iterator[Clock]:
    """Periodic updates: from each word of staff to the next, or to the end of what was asked."""
    ends = _ends(story)
    for index, contact in enumerate(story.contacts):
        following = story.contacts[index + 1].at_ms if index + 1 < len(story.contacts) else None
        end_ms, cancelled = next(((at, off) for at, off in ends if at >= contact.at_ms), (None, False))
        if following is not None and (end_ms is None or following <= end_ms):
            end_ms, cancelled = following, False
        if end_ms != contact.at_ms and not _is_closed(story, contact.at_ms):
            yield Clock("periodic_update", contact.event_id, contact.at_ms, end_ms, cancelled, story.pauses)


def _is_closed(story: Story, at_ms: int) -> bool:
    """Whether everything asked was resolved or withdrawn before an instant: who writes then owes no further word."""
    for ends in (story.resolves, story.withdrawals):
        before = [end for end in ends if end.at_ms < at_ms]
        if before and (before[-1].reopened_ms is None or before[-1].reopened_ms > at_ms):
            return True
    return False


def _clocks(promised: Set[str], opening: Inquiry, story: Story, owned_ms: int | None) -> Iterator[Clock]:
    """Every clock of a kind that the district ever promised, but that of the resolution."""
    if not promised.isdisjoint(_REPLIES):
        yield from (clock for clock in _reply_clocks(story) if clock.kind in promised)
    if "ownership" in promised:
        over = [at for at in (story.withdrawn_ms, story.full_resolved_ms) if at is not None]
        cancelled_ms = max(min(over), opening.at_ms) if over and owned_ms is None else None
        yield Clock("ownership", opening.event_id, opening.at_ms, owned_ms, cancelled_ms is not None, (), cancelled_ms)
    if "periodic_update" in promised:
        yield from _update_clocks(story)


def _resolution_clock(opening: Inquiry, story: Story) -> Clock:
    start = opening.at_ms
    ended_ms = next((resolve.at_ms for resolve in story.resolves if resolve.at_ms >= start), None)
    cancelled_ms = story.withdrawn_ms
    if not story.by_staff and story.waits and all(wait.outcome == "unreachable" for wait in story.waits):
        cancelled_ms = start
    if ended_ms is not None:
        cancelled_ms = None
    return Clock("resolution", opening.event_id, start, ended_ms, cancelled_ms is not None, story.pauses, cancelled_ms)


def verdicts(
    opening: Inquiry, story: Story, ownership: Ownership, configuration: Configuration, owned_ms: int | None
) -> Iterator[Verdict]:
    """All promise clocks of one conversation: replies in order of the waits, ownership, updates, then the resolution.

    Where nobody asked for anything, as in a bounce or a bare "thanks", only the source itself can have promised.
    `owned_ms`: when the inquiry got its first owner.
    """
    judge = _Judge(opening, ownership, configuration)
    promised = configuration.promised if is_owed(opening) else frozenset()
    for clock in _clocks(promised, opening, story, owned_ms):
        found = judge.verdict(clock)
        if found is not None:
            yield found
    clock = _resolution_clock(opening, story)
    if opening.source_promises:
        found = judge.of_source(clock)
    else:
        found = judge.verdict(clock) if "resolution" in promised else None
    if found is not None:
        yield found
