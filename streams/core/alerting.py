"""Which promises are broken by an instant that is passed in, and what became of it: each transition once.

The book holds the clocks that can still break or that broke, and what was already said of them. Facts never change by
time; here time is an argument. A heap of instants lets `advance` look only at what is due.
"""

import math
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from schemas.alerts import BREACHED, CORRECTED, RESOLVED, AlertTransition, alert_key
from schemas.facts import NAMES, Row

NOTIFY_WITHIN_MS = 6 * 3_600_000

_RETRACTED = NAMES.index("retracted")
_CLOCK, _PROMISE, _UNIT, _OPENER, _STARTED, _DUE, _BREACH, _ENDED, _OUTCOME = (
    NAMES.index(f"verdicts.{name}")
    for name in (
        "clock",
        "promise",
        "unit",
        "opened_by_event",
        "started_at",
        "due_at",
        "breach_at",
        "ended_at",
        "outcome",
    )
)


class _Said:
    """What was said of one clock since its last correction."""

    __slots__ = ("breached", "resolved", "revision")

    def __init__(self) -> None:
        self.revision = 0
        self.breached: AlertTransition | None = None
        self.resolved = False


class AlertBook:
    """Alerts of one district. Each (key, revision, transition) leaves it once; a correction begins a new revision."""

    def __init__(self, district: str) -> None:
        self._district = district
        self._clocks: dict[str, dict[str, AlertTransition]] = {}
        self._said: dict[str, dict[str, _Said]] = {}
        self._heap: list[tuple[int, int, str, str]] = []
        self._doubts: dict[tuple[str, str], int | None] = {}

    def replace(self, conversation: str, row: Row) -> None:
        """Take the verdicts of a conversation's newest row in place of those before."""
        clocks = {} if row[_RETRACTED] else {clock.key: clock for clock in _breakable(self._district, row)}
        before = self._clocks.pop(conversation, {})
        if clocks:
            self._clocks[conversation] = clocks
            for key, clock in clocks.items():
                self._schedule(clock, before.get(key))
        for key, said in self._said.get(conversation, {}).items():
            self._doubt(conversation, said, clocks.get(key), key)

    def remove(self, conversation: str) -> None:
        """The conversation has no row any more: what was said of it never was."""
        self._clocks.pop(conversation, None)
        for key, said in self._said.get(conversation, {}).items():
            self._doubt(conversation, said, None, key)

    def is_running(self, conversation: str) -> bool:
        """Whether the conversation has a clock that can still break or whose end is still to be told."""
        return conversation in self._clocks

    def soonest(self, at_ms: int) -> list[str]:
        """Conversations with such a clock: first those that can break from an instant on, the next to break first."""

        def breaks_ms(conversation: str) -> float:
            clocks = self._clocks[conversation].values()
            return min((clock.breach_at for clock in clocks if clock.breach_at >= at_ms), default=math.inf)

        return sorted(self._clocks, key=breaks_ms)

    @property
    def next_ms(self) -> int | None:
        """The earliest instant at which `advance` may have something to say; None if nothing runs."""
        return self._heap[0][0] if self._heap else None

    def known(self, transitions: Iterable[AlertTransition]) -> None:
        """Take what was said before a restart, in any order; call it before the first `replace`."""
        order = (BREACHED, RESOLVED, CORRECTED)
        for one in sorted(transitions, key=lambda each: (each.key, each.revision, order.index(each.transition))):
            self._note(one)

    def advance(self, now_ms: int, present_ms: int | None = None) -> list[AlertTransition]:
        """Everything that became true up to `now_ms`; cost by what is due, not by what is running.

        `present_ms` is the wall clock where that is another: `notify` is set for what lies at most 6 h before it.
        """
        silent_before = (now_ms if present_ms is None else present_ms) - NOTIFY_WITHIN_MS
        made: list[AlertTransition] = []
        doubts, self._doubts = self._doubts, {}
        for (conversation, key), until in doubts.items():
            breached = self._said[conversation][key].breached
            if breached is not None and (until is None or now_ms <= until):
                found = breached._replace(transition=CORRECTED, at=max(now_ms, breached.at))
                made.append(self._tell(found, silent_before, bool(breached.notify)))
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, rank, conversation, key = heappop(self._heap)
            clock = self._clocks.get(conversation, {}).get(key)
            if clock is not None:
                due = self._resolved if rank else self._breached
                made.extend(self._tell(one, silent_before, audible) for one, audible in due(clock, at_ms))
        return made

    def _schedule(self, clock: AlertTransition, before: AlertTransition | None) -> None:
        if before is None or before.breach_at != clock.breach_at:
            heappush(self._heap, (clock.breach_at + 1, 0, clock.conversation, clock.key))
        if clock.ended_at is not None and (before is None or before.ended_at != clock.ended_at):
            heappush(self._heap, (clock.ended_at, 1, clock.conversation, clock.key))

    def _doubt(self, conversation: str, said: _Said, clock: AlertTransition | None, key: str) -> None:
        """Mark a breach that the newest row does not show; one that only moved is no breach until its new instant."""
        self._doubts.pop((conversation, key), None)
        if said.breached is None:
            return
        if clock is None:
            self._doubts[conversation, key] = None
        elif clock.ended_at is None and clock.breach_at > said.breached.breach_at:
            self._doubts[conversation, key] = clock.breach_at

    def _breached(self, clock: AlertTransition, at_ms: int) -> Iterator[tuple[AlertTransition, bool]]:
        said = self._said.get(clock.conversation, {}).get(clock.key)
        if at_ms == clock.breach_at + 1 and (said is None or said.breached is None):
            yield clock._replace(revision=said.revision if said is not None else 0, ended_at=None), True

    def _resolved(self, clock: AlertTransition, at_ms: int) -> Iterator[tuple[AlertTransition, bool]]:
        """The end of a broken clock; who was not told of the breach is not told of its end."""
        said = self._said.get(clock.conversation, {}).get(clock.key)
        if at_ms != clock.ended_at or said is None or said.breached is None:
            return
        if not said.resolved:
            yield clock._replace(revision=said.revision, transition=RESOLVED, at=at_ms), bool(said.breached.notify)
        self._forget(clock)

    def _forget(self, clock: AlertTransition) -> None:
        """Nothing can become true of this clock any more unless its row changes."""
        clocks = self._clocks[clock.conversation]
        del clocks[clock.key]
        if not clocks:
            del self._clocks[clock.conversation]

    def _tell(self, one: AlertTransition, silent_before: int, audible: bool) -> AlertTransition:
        told = one._replace(notify=int(audible and one.at >= silent_before))
        self._note(told)
        return told

    def _note(self, one: AlertTransition) -> None:
        said = self._said.setdefault(one.conversation, {}).setdefault(one.key, _Said())
        said.revision = max(said.revision, one.revision)
        if one.transition == CORRECTED:
            said.revision = max(said.revision, one.revision + 1)
            said.breached, said.resolved = None, False
        elif one.transition == BREACHED:
            said.breached, said.resolved = one, False
        else:
            said.resolved = True


def _breakable(district: str, row: Row) -> Iterator[AlertTransition]:
    """The clocks of a row that broke or still can, each as the breach it is or would be."""
    for index, outcome in enumerate(row[_OUTCOME]):
        breach_ms, ended_ms = row[_BREACH][index], row[_ENDED][index]
        kept = ended_ms is not None and breach_ms is not None and ended_ms <= breach_ms
        if breach_ms is None or kept or outcome == "met" or (outcome == "cancelled" and ended_ms is None):
            continue
        clock, conversation, opener = row[_CLOCK][index], row[1], row[_OPENER][index]
        key = alert_key(district, conversation, clock, opener)
        about = (conversation, clock, row[_UNIT][index], row[_PROMISE][index], opener)
        instants = (row[_STARTED][index], row[_DUE][index], breach_ms, ended_ms)
        yield AlertTransition(district, key, 0, BREACHED, breach_ms, *about, *instants, 0)
