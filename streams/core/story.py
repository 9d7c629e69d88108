"""One pass over a conversation's events in order of time: waits, replies, resolutions, reopenings."""

from collections.abc import Sequence

from streams.core.packed import Inquiry, Mark, Packed, Reply, StatusChanged, Transfer

SKEW_MS = 300_000


class Wait:
    """An interval in which the customer waits for staff."""

    __slots__ = (
        "ended_event",
        "ended_ms",
        "live",
        "messages",
        "opened_event",
        "opened_ms",
        "outcome",
        "redials",
        "reply",
    )

    def __init__(self, opened_ms: int, opened_event: str) -> None:
        self.opened_ms = opened_ms
        self.opened_event = opened_event
        self.ended_ms: int | None = None
        self.ended_event = ""
        self.outcome = "open"
        self.reply: Reply | None = None
        self.messages = 1
        self.redials = 0
        self.live = False

    def end(self, at_ms: int, outcome: str, event_id: str) -> None:
        """Close the wait with its outcome."""
        self.ended_ms, self.outcome, self.ended_event = at_ms, outcome, event_id


def opens_wait(event: Inquiry) -> bool:
    """True for a qualifying customer message."""
    return event.needs_reply and not event.automatic and event.opened_by == "customer"


def clamp_skew(events: Sequence[Packed], opening: Inquiry) -> tuple[Sequence[Packed], bool]:
    """Events with the order of cause and effect restored where two clocks ran against each other.

    A resolve before the opening moves to it (same source: whatever the distance); so does a reply of another source
    that came less than five minutes before it, unless the district had written even earlier.
    """
    if events[0] is opening:
        return events, False
    start = opening.at_ms
    earlier = [e for e in events if e.at_ms < start and is_staff_reply(e)]
    outbound = any(e.source == opening.source or start - e.at_ms > SKEW_MS for e in earlier)
    moved: list[Packed] = []
    skew = False
    for event in events:
        late_opening = event.at_ms < start and (
            (not outbound and is_staff_reply(event))
            or (
                type(event) is StatusChanged
                and event.status == "resolved"
                and (event.source == opening.source or start - event.at_ms <= SKEW_MS)
            )
        )
        moved.append(event._replace(at_ms=start) if late_opening else event)
        skew = skew or late_opening
    return (sorted(moved) if skew else events), skew


def is_staff_reply(event: Packed) -> bool:
    """True for a public, delivered reply of a human."""
    return type(event) is Reply and event.public and event.delivered and event.author == "human"


class Story:
    """What happened, event by event; read its attributes after `tell`."""

    def __init__(self, failed: frozenset[str]) -> None:
        self._failed = failed
        self._current: Wait | None = None
        self._bot = False
        self.waits: list[Wait] = []
        self.first_message: Inquiry | None = None
        self.first_reply: Reply | None = None
        self.live: Inquiry | None = None
        self.human_queue_ms: int | None = None
        self.outbound: Reply | None = None
        self.last_reply_units: list[tuple[int, str | None]] = []
        self.extra_replies = 0
        self.bot_replies = 0
        self.surveys_offered = 0
        self.resolves: list[int] = []
        self.full_resolved_ms: int | None = None
        self.withdrawn_ms: int | None = None
        self.reopened = 0
        self.status = "open"
        self.visit = "none"
        self.spam = False

    def tell(self, events: Sequence[Packed]) -> None:
        """Read the events, which are in order, whole, and of one conversation."""
        for event in events:
            kind = type(event)
            if kind is Inquiry:
                self._inquiry(event)  # type: ignore[arg-type]
            elif kind is Reply:
                self._reply(event)  # type: ignore[arg-type]
            elif kind is StatusChanged:
                self._status(event)  # type: ignore[arg-type]
            elif kind is Transfer:
                self._transfer(event)  # type: ignore[arg-type]
            elif kind is Mark:
                self._mark(event)  # type: ignore[arg-type]

    def _inquiry(self, event: Inquiry) -> None:
        if event.visit != "none":
            self.visit = event.visit
        if not opens_wait(event):
            return
        if self.full_resolved_ms is not None:
            self._reopen()
        elif self.withdrawn_ms is not None:
            # Asked again after a withdrawal: open, but no reopening of something resolved.
            self.withdrawn_ms, self.status = None, "open"
        if self.first_message is None:
            self.first_message = event
        if event.contact == "answered_live":
            self._live(event)
        elif self._current is not None:
            self._current.messages += 1
            if event.contact in ("missed_call", "voicemail"):
                self._current.redials += 1
        else:
            wait = Wait(event.at_ms, event.event_id)
            self.waits.append(wait)
            if event.reachable:
                self._current = wait
            else:
                wait.outcome = "unreachable"

    def _live(self, event: Inquiry) -> None:
        answered_ms = event.at_ms + (event.queue_ms or 0)
        wait = self._current
        if wait is None:
            wait = Wait(event.at_ms, event.event_id)
            wait.live = True
            self.waits.append(wait)
            if self.live is None and self.first_reply is None:
                self.live = event
        wait.end(answered_ms, "answered", event.event_id)
        self._current = None

    def _reply(self, event: Reply) -> None:
        if event.public and event.author != "human":
            self.bot_replies += 1
            self._bot = True
            return
        if not is_staff_reply(event) or event.event_id in self._failed:
            return
        if event.visit != "none":
            self.visit = event.visit
        self.last_reply_units.append((event.at_ms, event.unit))
        if self.first_message is None:
            self.outbound = self.outbound or event
            return
        if self.first_reply is None and self.live is None and self.outbound is None:
            self.first_reply = event
        if self._current is None:
            self.extra_replies += 1
        else:
            self._current.reply = event
            self._close(event.at_ms, "answered", event.event_id)

    def _transfer(self, event: Transfer) -> None:
        handed = event.from_bot or self._bot
        if handed and self.first_message is not None and self.first_reply is None and self.human_queue_ms is None:
            self.human_queue_ms = event.at_ms

    def _status(self, event: StatusChanged) -> None:
        if event.status == "reopened":
            if self.full_resolved_ms is not None or self.withdrawn_ms is not None:
                self._reopen()
            return
        self.status = event.status
        if event.status == "resolved":
            self.resolves.append(event.at_ms)
            self.full_resolved_ms = event.at_ms
            self._close(event.at_ms, "resolved_no_reply", event.event_id)
        elif event.status == "withdrawn":
            self.withdrawn_ms = event.at_ms
            self._close(event.at_ms, "withdrawn", event.event_id)

    def _mark(self, event: Mark) -> None:
        if event.kind in ("spam", "not_spam"):
            self.spam = event.kind == "spam"
        elif event.kind == "survey_offered":
            self.surveys_offered += 1

    def _reopen(self) -> None:
        self.reopened += 1
        self.full_resolved_ms = None
        self.withdrawn_ms = None
        self.status = "open"

    def _close(self, at_ms: int, outcome: str, event_id: str) -> None:
        if self._current is not None:
            self._current.end(at_ms, outcome, event_id)
            self._current = None
