"""Promise clocks of one conversation: when they are at risk, due and broken, and how they ended.

Nothing here knows the present: a clock that has not ended is `open`, and whoever reads compares with now.
"""

from collections.abc import Iterator
from typing import NamedTuple

from streams.core.configuration import Configuration
from streams.core.ownership import Ownership
from streams.core.packed import Inquiry
from streams.core.story import Story, Wait

AT_RISK_NUMERATOR, AT_RISK_DENOMINATOR = 3, 4


class Verdict(NamedTuple):
    """One promise clock; instants in ms, None where it never comes or has not come."""

    clock: str
    promise: str
    unit: str
    started_ms: int
    at_risk_ms: int | None
    due_ms: int | None
    breach_ms: int | None
    ended_ms: int | None
    outcome: str


def _outcome(ended_ms: int | None, breach_ms: int | None, cancelled: bool) -> str:
    if cancelled:
        return "cancelled"
    if ended_ms is None:
        return "open"
    return "met" if breach_ms is None or ended_ms <= breach_ms else "missed"


class _Judge:
    """Judges one conversation's clocks against the promises in force when each started."""

    def __init__(self, opening: Inquiry, ownership: Ownership, configuration: Configuration) -> None:
        self._opening = opening
        self._ownership = ownership
        self._configuration = configuration

    def verdict(self, clock: str, started_ms: int, ended_ms: int | None, cancelled: bool) -> Verdict | None:
        """The verdict of one clock, None if nothing was promised."""
        unit = self._ownership.owner(started_ms)
        promise = self._configuration.promise(clock, unit, self._opening, started_ms)
        if promise is None:
            return None
        target = promise.target_ms
        early = target * AT_RISK_NUMERATOR // AT_RISK_DENOMINATOR
        at_risk: int | None
        due: int | None
        breach: int | None
        if promise.hours == "calendar":
            at_risk, due, breach = started_ms + early, started_ms + target, started_ms + target
        else:
            at_risk, due, breach = self._ownership.deadlines(started_ms, early, target)
        outcome = _outcome(ended_ms, breach, cancelled)
        return Verdict(clock, promise.promise, unit, started_ms, at_risk, due, breach, ended_ms, outcome)

    def of_wait(self, wait: Wait, first: bool) -> Verdict | None:
        """First or next reply: a wait that staff resolved in time kept the promise, a withdrawn one cancels it."""
        if wait.live:
            return None
        cancelled = wait.outcome in ("withdrawn", "unreachable")
        return self.verdict("first_reply" if first else "next_reply", wait.opened_ms, wait.ended_ms, cancelled)

    def of_resolution(self, started_ms: int, story: Story) -> Verdict | None:
        """Resolution: the time the source promised replaces the unit's target; an empty one promises nothing."""
        ended_ms = story.resolves[0] if story.resolves else None
        cancelled = ended_ms is None and story.withdrawn_ms is not None
        if not self._opening.source_promises:
            return self.verdict("resolution", started_ms, ended_ms, cancelled)
        due_ms = self._opening.due_ms
        if due_ms is None:
            return None
        at_risk_ms = started_ms + max(0, due_ms - started_ms) * AT_RISK_NUMERATOR // AT_RISK_DENOMINATOR
        unit = self._ownership.owner(started_ms)
        outcome = _outcome(ended_ms, due_ms, cancelled)
        return Verdict("resolution", "source", unit, started_ms, at_risk_ms, due_ms, due_ms, ended_ms, outcome)


def verdicts(opening: Inquiry, story: Story, ownership: Ownership, configuration: Configuration) -> Iterator[Verdict]:
    """All promise clocks of one conversation: replies in order of the waits, then the resolution."""
    judge = _Judge(opening, ownership, configuration)
    for index, wait in enumerate(story.waits):
        found = judge.of_wait(wait, index == 0 and story.outbound is None)
        if found is not None:
            yield found
    found = judge.of_resolution(opening.at_ms, story)
    if found is not None:
        yield found
