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
    ESCALATED_50,
    ESCALATED_100,
    MET_LATE,
    PROMISE,
    QUIET,
    RESOLVED,
    STEPS,
    TRANSITIONS,
    AlertTransition,
    alert_key,
)
from schemas.events import AlertAcknowledged, AlertSilenced
from schemas.facts import NAMES, Row
from streams.core.alert_clocks import Clock, Moment, as_alert, clocks_of
from streams.core.configuration import Configuration
from streams.core.interventions import NEVER_MS
from streams.core.telling import Telling

NOTIFY_WITHIN_MS = 6 * 3_600_000
LATE_MS = 15 * 60_000

_RETRACTED = NAMES.index("retracted")
_RANK = {AT_RISK: 0, BREACHED: 1, ESCALATED_50: 2, ESCALATED_100: 3, MET_LATE: 4, RESOLVED: 4}
_ESCALATIONS = (ESCALATED_50, ESCALATED_100)
_SPARE = 1_024


class _Said:
    """What was said of one clock since its last correction: the instant told of each rank, and who heard of it.

    `quiet`: the newest transition, if quiet hours mute it and it is to be told at their end, with whom to tell then.
    """

    __slots__ = ("heard", "last", "quiet", "rank", "revision", "told")

    def __init__(self) -> None:
        self.revision = 0
        self.quiet: AlertTransition | None = None
        self.forget()

    def forget(self) -> None:
        """As if nothing had been said in this revision."""
        self.told: list[int | None] = [None] * (max(_RANK.values()) + 1)
        self.rank = -1
        self.last: AlertTransition | None = None
        self.heard: tuple[str, ...] = ()

    def note(self, one: AlertTransition) -> None:
        """Take what is said."""
        self.revision = max(self.revision, one.revision)
        self.quiet = self._still_quiet(one)
        if one.is_release:
            self._hear(one)
        elif one.transition == CORRECTED:
            self.revision = max(self.revision, one.revision + 1)
            self.forget()
        else:
            rank = _RANK[one.transition]
            self.told[rank] = one.at
            self.rank = max(self.rank, rank)
            self.last = one
            self._hear(one)

    def _still_quiet(self, one: AlertTransition) -> AlertTransition | None:
        """What is to be told at the end of quiet hours: the newest word, to all whom a step was for that they muted."""
        before = self.quiet.recipients if self.quiet is not None and one.base in STEPS else ()
        if one.muted == QUIET or (before and not one.recipients):
            return one._replace(recipients=tuple(dict.fromkeys((*before, *one.recipients))))
        return None

    def _hear(self, one: AlertTransition) -> None:
        if one.notify and one.base != CORRECTED:
            self.heard = tuple(dict.fromkeys((*self.heard, *one.recipients)))

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
        self.telling = Telling(district)

    def configure(self, configuration: Configuration) -> None:
        """Tell by this configuration from now on."""
        self.telling.configuration = configuration

    def intervene(self, event: AlertAcknowledged | AlertSilenced, digest: int) -> None:
        """Take what a person did about an alert: acts on what is told from then on, whatever its event time."""
        self.telling.interventions.add(event, digest)
        if isinstance(event, AlertAcknowledged):
            for conversation, said in self._said.items():
                if any(each.last is not None and each.last.key == event.alert for each in said.values()):
                    self._schedule(conversation)

    def replace(self, conversation: str, row: Row) -> None:
        """Take the verdicts of a conversation's newest row in place of those before."""
        self._watch(conversation, () if row[_RETRACTED] else clocks_of(row))

    def remove(self, conversation: str) -> None:
        """The conversation has no row any more: what was said of it never was."""
        self._watch(conversation, ())

    def _watch(self, conversation: str, clocks: tuple[Clock, ...]) -> None:
        is_said = conversation in self._said
        if is_said:
            self._doubted[conversation] = None
        if not (clocks or is_said):
            self._watched.pop(conversation, None)
            return
        before = self._watched.get(conversation)
        self._watched[conversation] = (None if before is None else before[0], clocks)
        self._schedule(conversation)

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
        """Take all that was said of some conversations, in any order; call it before the first `replace` of each.

        Of a conversation of which something is known already nothing is taken.
        """
        own = [one for one in transitions if one.kind == PROMISE and one.conversation not in self._said]
        for one in sorted(own, key=lambda each: (each.key, each.revision, TRANSITIONS.index(each.transition))):
            self._note(one)
        for conversation in dict.fromkeys(one.conversation for one in own):
            if any(each.quiet is not None for each in self._said[conversation].values()):
                self._watched[conversation] = (None, ())
                self._schedule(conversation)

    def advance(self, now_ms: int, present_ms: int | None = None) -> list[AlertTransition]:
        """Everything that became true up to `now_ms`; cost by what is due, not by what is running.

        `present_ms` is the wall clock where that is another: `notify` is set for what lies at most 6 h before it, and
        what lies 15 minutes before it comes with others in one message.
        """
        present_ms = now_ms if present_ms is None else present_ms
        silent_before = present_ms - NOTIFY_WITHIN_MS
        self.telling.late_before_ms = present_ms - LATE_MS
        made = list(self._corrections(now_ms, silent_before))
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, conversation = heappop(self._heap)
            held = self._watched.get(conversation)
            if held is None or held[0] != due_ms:
                continue
            for clock in held[1]:
                due = [moment for moment in self._left(conversation, clock) if moment.from_ms <= due_ms]
                made.extend(self._tell(conversation, clock, moment, silent_before) for moment in due)
            made.extend(self._releases(conversation, due_ms, silent_before))
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
                one = last._replace(transition=CORRECTED, at=at_ms)
                yield self._note(self.telling.decide(one, said.heard, bool(said.heard) and at_ms >= silent_before))
            self._schedule(conversation)

    def _releases(self, conversation: str, due_ms: int, silent_before: int) -> Iterator[AlertTransition]:
        """What quiet hours muted, is the newest word on its alert and may be told now."""
        for said in self._said.get(conversation, {}).values():
            if said.quiet is not None and (opens_ms := self._opens_ms(said.quiet)) <= due_ms:
                one = said.quiet.released(opens_ms)
                yield self._note(self.telling.decide(one, one.recipients, opens_ms >= silent_before))

    def _opens_ms(self, quiet: AlertTransition) -> int:
        return self.telling.opens_ms(quiet.owner, quiet.at)

    def _clocks(self, conversation: str) -> tuple[Clock, ...]:
        held = self._watched.get(conversation)
        return () if held is None else held[1]

    def _said_of(self, conversation: str, clock: Clock) -> _Said:
        return self._said.get(conversation, {}).get((clock.clock, clock.opener), _NOTHING)

    def _left(self, conversation: str, clock: Clock) -> Iterator[Moment]:
        """What is still to be said of a clock; what is acknowledged escalates when that is over, if it still waits."""
        interventions = self.telling.interventions
        for moment in self._said_of(conversation, clock).left(clock):
            if interventions.any_acknowledged and moment.transition in _ESCALATIONS:
                key = alert_key(self._district, conversation, clock.clock, clock.opener)
                free_ms = interventions.escalates_from(key, moment.from_ms)
                if free_ms == NEVER_MS or (clock.ended_ms is not None and clock.ended_ms <= free_ms):
                    continue
                if free_ms > moment.from_ms:
                    yield Moment(free_ms, moment.transition, free_ms)
                    continue
            yield moment

    def _due(self, conversation: str, clocks: tuple[Clock, ...]) -> int | None:
        if conversation not in self._said:
            return min([clock.first_ms for clock in clocks])
        left = (next(self._left(conversation, clock), None) for clock in clocks)
        instants = [moment.from_ms for moment in left if moment is not None]
        quiet = (said.quiet for said in self._said[conversation].values())
        instants.extend(self._opens_ms(one) for one in quiet if one is not None)
        return min(instants, default=None)

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
        is_step = moment.transition in STEPS
        one = as_alert(self._district, conversation, clock, moment, said.revision)
        recipients = self.telling.recipients(clock.owner, moment.transition) if is_step else said.heard
        return self._note(self.telling.decide(one, recipients, moment.at_ms >= silent_before))

    def _note(self, one: AlertTransition) -> AlertTransition:
        said = self._said.setdefault(one.conversation, {})
        said.setdefault((one.clock, one.opened_by_event), _Said()).note(one)
        self.telling.note(one)
        return one
