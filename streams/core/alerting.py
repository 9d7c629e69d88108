"""What is to be said of promises by an instant that is passed in: each transition once, however it became known.

The book holds the clocks that something can still become true of, and what was already said. Facts never change by
time; here time is an argument. A heap of instants, one for each conversation, lets `advance` look only at what is due.
"""

import math
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from schemas.alerts import (
    AT_RISK,
    BREACHED,
    CORRECTED,
    ENDS,
    ESCALATED_50,
    ESCALATED_100,
    MET_LATE,
    PROMISE,
    RESOLVED,
    TRANSITIONS,
    AlertTransition,
    alert_key,
)
from schemas.facts import NAMES, Row
from streams.core.alert_clocks import Clock, Moment, clocks_of

NOTIFY_WITHIN_MS = 6 * 3_600_000

_RETRACTED = NAMES.index("retracted")
_RANK = {AT_RISK: 0, BREACHED: 1, ESCALATED_50: 2, ESCALATED_100: 3, MET_LATE: 4, RESOLVED: 4}
_SPARE = 1_024


class _Said:
    """What was said of one clock since its last correction: the instant told of each rank."""

    __slots__ = ("audible", "last", "rank", "revision", "told")

    def __init__(self) -> None:
        self.revision = 0
        self.forget()

    def forget(self) -> None:
        """As if nothing had been said in this revision."""
        self.told: list[int | None] = [None] * (max(_RANK.values()) + 1)
        self.rank = -1
        self.last: AlertTransition | None = None
        self.audible = False

    def note(self, one: AlertTransition) -> None:
        """Take what is said."""
        self.revision = max(self.revision, one.revision)
        if one.transition == CORRECTED:
            self.revision = max(self.revision, one.revision + 1)
            self.forget()
            return
        rank = _RANK[one.transition]
        self.told[rank] = one.at
        self.rank = max(self.rank, rank)
        self.last = one
        self.audible = self.audible or bool(one.notify)

    def left(self, clock: Clock) -> Iterator[Moment]:
        """What is still to be said of a clock, in order."""
        return (moment for moment in clock.moments() if _RANK[moment.transition] > self.rank)

    def holds(self, clock: Clock | None, now_ms: int) -> bool:
        """Whether the newest facts show all that was said; what only moved must have come again by now."""
        if clock is None:
            return self.rank < 0
        shown: list[Moment | None] = [None] * len(self.told)
        for moment in clock.moments():
            shown[_RANK[moment.transition]] = moment
        for told_ms, now_shown in zip(self.told, shown, strict=True):
            if told_ms is not None and (
                now_shown is None or (now_shown.at_ms > told_ms and now_ms < now_shown.from_ms)
            ):
                return False
        return True


_NOTHING = _Said()
Identity = tuple[str, str]


class AlertBook:
    """Alerts of one district. Each (key, revision, transition) leaves it once; a correction begins a new revision."""

    def __init__(self, district: str) -> None:
        self._district = district
        self._watched: dict[str, tuple[int | None, tuple[Clock, ...]]] = {}
        self._heap: list[tuple[int, str]] = []
        self._said: dict[str, dict[Identity, _Said]] = {}
        self._doubted: dict[str, None] = {}

    def replace(self, conversation: str, row: Row) -> None:
        """Take the verdicts of a conversation's newest row in place of those before."""
        clocks = () if row[_RETRACTED] else clocks_of(row)
        if not clocks:
            self.remove(conversation)
            return
        if conversation in self._said:
            self._doubted[conversation] = None
        before = self._watched.get(conversation)
        self._watched[conversation] = (None if before is None else before[0], clocks)
        self._schedule(conversation)

    def remove(self, conversation: str) -> None:
        """Nothing ever becomes true of the conversation: what was said of it never was."""
        self._watched.pop(conversation, None)
        if conversation in self._said:
            self._doubted[conversation] = None

    def is_running(self, conversation: str) -> bool:
        """Whether the conversation has a clock that runs, or of which something is still to be told."""
        return conversation in self._watched

    def soonest(self, at_ms: int) -> list[str]:
        """Conversations with such a clock: first those of which something becomes true from an instant on, by when."""

        def next_ms(conversation: str) -> float:
            moments = (moment.from_ms for clock in self._clocks(conversation) for moment in clock.moments())
            return min((from_ms for from_ms in moments if from_ms >= at_ms), default=math.inf)

        return sorted(self._watched, key=next_ms)

    @property
    def next_ms(self) -> int | None:
        """The earliest instant at which `advance` may have something to say; None if nothing runs."""
        return self._heap[0][0] if self._heap else None

    def known(self, transitions: Iterable[AlertTransition]) -> None:
        """Take what was said before a restart, in any order; call it before the first `replace`."""
        own = [one for one in transitions if one.kind == PROMISE]
        for one in sorted(own, key=lambda each: (each.key, each.revision, TRANSITIONS.index(each.transition))):
            self._note(one)

    def advance(self, now_ms: int, present_ms: int | None = None) -> list[AlertTransition]:
        """Everything that became true up to `now_ms`; cost by what is due, not by what is running.

        `present_ms` is the wall clock where that is another: `notify` is set for what lies at most 6 h before it.
        """
        silent_before = (now_ms if present_ms is None else present_ms) - NOTIFY_WITHIN_MS
        made = list(self._corrections(now_ms, silent_before))
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, conversation = heappop(self._heap)
            held = self._watched.get(conversation)
            if held is None or held[0] != due_ms:
                continue
            for clock in held[1]:
                said = self._said_of(conversation, clock)
                due = [moment for moment in said.left(clock) if moment.from_ms <= due_ms]
                made.extend(self._tell(conversation, clock, moment, silent_before) for moment in due)
            self._schedule(conversation)
        return made

    def _corrections(self, now_ms: int, silent_before: int) -> Iterator[AlertTransition]:
        """Take back what the newest facts do not show; what they show then is said anew."""
        doubted, self._doubted = self._doubted, {}
        for conversation in doubted:
            clocks = {(clock.clock, clock.opener): clock for clock in self._clocks(conversation)}
            for identity, said in self._said[conversation].items():
                last = said.last
                if last is None or said.holds(clocks.get(identity), now_ms):
                    continue
                at_ms = max(now_ms, last.at)
                notify = int(said.audible and at_ms >= silent_before)
                yield self._note(last._replace(transition=CORRECTED, at=at_ms, notify=notify))
            self._schedule(conversation)

    def _clocks(self, conversation: str) -> tuple[Clock, ...]:
        held = self._watched.get(conversation)
        return () if held is None else held[1]

    def _said_of(self, conversation: str, clock: Clock) -> _Said:
        return self._said.get(conversation, {}).get((clock.clock, clock.opener), _NOTHING)

    def _due(self, conversation: str, clocks: tuple[Clock, ...]) -> int | None:
        if conversation not in self._said:
            return min([clock.first_ms for clock in clocks])
        left = (next(self._said_of(conversation, clock).left(clock), None) for clock in clocks)
        return min((moment.from_ms for moment in left if moment is not None), default=None)

    def _schedule(self, conversation: str) -> None:
        """Have the conversation looked at when the next thing becomes true; forget it once nothing can.

        One in doubt is kept until what was said of it has been compared with its clocks.
        """
        held = self._watched.get(conversation)
        if held is None:
            return
        before, clocks = held
        due_ms = self._due(conversation, clocks)
        is_over = due_ms is None and all(clock.ended_ms is not None for clock in clocks)
        if is_over and conversation not in self._doubted:
            del self._watched[conversation]
            return
        self._watched[conversation] = (due_ms, clocks)
        if due_ms is not None and due_ms != before:
            heappush(self._heap, (due_ms, conversation))
            if len(self._heap) > 2 * len(self._watched) + _SPARE:
                self._heap = [(due, name) for name, (due, _) in self._watched.items() if due is not None]
                heapify(self._heap)

    def _tell(self, conversation: str, clock: Clock, moment: Moment, silent_before: int) -> AlertTransition:
        """Who was not told what it ends is not told of its end."""
        said = self._said_of(conversation, clock)
        is_end = moment.transition in ENDS
        audible = moment.at_ms >= silent_before and (said.audible or not is_end)
        return self._note(
            AlertTransition(
                self._district,
                alert_key(self._district, conversation, clock.clock, clock.opener),
                PROMISE,
                said.revision,
                moment.transition,
                moment.at_ms,
                conversation,
                clock.clock,
                clock.unit,
                clock.promise,
                clock.opener,
                clock.started_ms,
                clock.due_ms,
                clock.breach_ms,
                clock.ended_ms if is_end else None,
                int(audible),
            )
        )

    def _note(self, one: AlertTransition) -> AlertTransition:
        said = self._said.setdefault(one.conversation, {})
        said.setdefault((one.clock, one.opened_by_event), _Said()).note(one)
        return one
