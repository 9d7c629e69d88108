"""Clocks of two sources that disagree: a reply that stands a little before its inquiry is read as its answer.

Source: docs/definitions.md, "Two clocks that disagree".
"""

from collections.abc import Sequence

from streams.core.packed import Inquiry, Mark, Packed, Reply, StatusChanged
from streams.core.story import is_staff_reply, opens_wait

SKEW_MS = 300_000


def reconciled(events: Sequence[Packed], opening: Inquiry | None) -> tuple[Sequence[Packed], bool]:
    """Events of one part with the order of cause and effect restored, and whether anything had to move."""
    if opening is None:
        return events, False
    at_opening, moved = _at_opening(events, opening)
    later = _Later()
    for event in at_opening:
        later.read(event)
    if not later.moves:
        return at_opening, moved
    moves = later.moves
    return sorted(e._replace(at_ms=moves[e.event_id]) if e.event_id in moves else e for e in at_opening), True


def _at_opening(events: Sequence[Packed], opening: Inquiry) -> tuple[Sequence[Packed], bool]:
    """What stands before the opening and belongs after it.

    A resolve moves to it (same source: whatever the distance); so does a reply of another source at most five minutes
    before it. If the district had written earlier than that, it began, and nothing moves.
    """
    if events[0] is opening:
        return events, False
    start = opening.at_ms
    earlier = [e for e in events if e.at_ms < start and is_staff_reply(e)]
    if any(e.source == opening.source or start - e.at_ms > SKEW_MS for e in earlier):
        return events, False
    moved: list[Packed] = []
    skew = False
    for event in events:
        late_opening = event.at_ms < start and (
            is_staff_reply(event)
            or (
                type(event) is StatusChanged
                and event.status == "resolved"
                and (event.source == opening.source or start - event.at_ms <= SKEW_MS)
            )
        )
        moved.append(event._replace(at_ms=start) if late_opening else event)
        skew = skew or late_opening
    return (sorted(moved) if skew else events), skew


def _ends_without_reply(event: Packed) -> bool:
    if type(event) is Mark:
        return event.kind == "deleted"
    return type(event) is StatusChanged and event.status in ("resolved", "withdrawn")


class _Later:
    """Reads events in order and finds replies that stand before a later message they answer: `moves`, by event id.

    `_idle` are replies since the last message that answered nothing, `_answered_ms` is when staff last answered one.
    """

    def __init__(self) -> None:
        self.moves: dict[str, int] = {}
        self._is_asked = False
        self._is_waiting = False
        self._answered_ms: int | None = None
        self._idle: list[Reply] = []

    def read(self, event: Packed) -> None:
        """The next event."""
        kind = type(event)
        if kind is Inquiry and opens_wait(event):  # type: ignore[arg-type]
            self._message(event)  # type: ignore[arg-type]
        elif kind is Reply and self._is_asked and is_staff_reply(event):
            self._reply(event)  # type: ignore[arg-type]
        elif _ends_without_reply(event):
            self._is_waiting = False

    def _message(self, event: Inquiry) -> None:
        idle, self._idle = self._idle, []
        self._is_asked = True
        if event.contact == "answered_live":
            self._answer(event.at_ms + (event.queue_ms or 0))
        elif not self._is_waiting and event.reachable:
            near = [reply for reply in idle if event.at_ms - SKEW_MS <= reply.at_ms < event.at_ms]
            self._is_waiting = True
            if self._belong(near, event):
                self._answer(event.at_ms)
                self.moves |= {reply.event_id: event.at_ms for reply in near}

    def _belong(self, near: Sequence[Reply], message: Inquiry) -> bool:
        if not near or any(reply.source == message.source for reply in near):
            return False
        # What follows an answer within these minutes goes on with it, as the next line of a chat does.
        return self._answered_ms is not None and self._answered_ms < message.at_ms - SKEW_MS

    def _reply(self, event: Reply) -> None:
        if self._is_waiting or self._answered_ms is None:
            self._answer(event.at_ms)
        else:
            self._idle.append(event)

    def _answer(self, at_ms: int) -> None:
        self._is_waiting = False
        self._answered_ms = at_ms if self._answered_ms is None else max(at_ms, self._answered_ms)
