"""One pass over a conversation's events in order of time: waits, replies, resolutions, reopenings."""

from collections.abc import Sequence
from typing import NamedTuple

from streams.core.packed import Inquiry, Mark, Packed, Reply, StatusChanged, Transfer

_MISSED = ("missed_call", "voicemail")


class Resolve:
    """A resolve or a withdrawal, and when the conversation was opened again after it."""

    __slots__ = ("at_ms", "reopened_ms")

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms
        self.reopened_ms: int | None = None


class Contact(NamedTuple):
    """A person of the district told the customer something: a qualifying reply or a call answered live."""

    at_ms: int
    unit: str | None
    event_id: str


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


def is_owed(opening: Inquiry) -> bool:
    """True if what opened a conversation asks for something: a qualifying message, or a case of staff's own."""
    return opens_wait(opening) or (opening.opened_by == "staff" and not opening.automatic)


def opening_of(events: Sequence[Packed]) -> Inquiry | None:
    """What opened the conversation: a qualifying customer message, or staff on their own account.

    Without either, the first inquiry of any sort.
    """
    first: Inquiry | None = None
    for event in events:
        if type(event) is Inquiry:
            if is_owed(event):
                return event
            first = first or event
    return first


def is_staff_reply(event: Packed) -> bool:
    """True for a public, delivered reply of a human."""
    return type(event) is Reply and event.public and event.delivered and event.author == "human"


class Story:
    """What happened, event by event; read its attributes after `tell`."""

    def __init__(self, opening: Inquiry | None) -> None:
        self._opening = opening
        self._is_opened = False
        self.by_staff = opening is not None and opening.opened_by == "staff"
        self._current: Wait | None = None
        self._bot = False
        self.waits: list[Wait] = []
        self.first_message: Inquiry | None = None
        self.first_reply: Reply | None = None
        self.live: Inquiry | None = None
        self.human_queue_ms: int | None = None
        self.last_bot_ms: int | None = None
        self.outbound: Reply | None = None
        self.contacts: list[Contact] = []
        self.extra_replies = 0
        self.bot_replies = 0
        self.surveys_offered = 0
        self.resolves: list[Resolve] = []
        self.pauses: list[tuple[int, int | None]] = []
        """When the district waited for the customer; None while it still does."""
        self.full_resolved_ms: int | None = None
        self.withdrawn_ms: int | None = None
        self.withdrawals: list[Resolve] = []
        self.reopened = 0
        self.status = "open"
        self.visit = "none"
        self.visits: dict[str, int] = {}
        """When a visit was first requested, offered and refused."""
        self.turned_away = 0
        self.continues = ""

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
        # Whoever waited in a queue was answered at its end, which another answer may have come before.
        self.contacts.sort(key=lambda contact: contact.at_ms)

    def _visit(self, event: Inquiry | Reply) -> None:
        if event.visit != "none":
            self.visit = event.visit
            self.visits.setdefault(event.visit, event.at_ms)

    def _inquiry(self, event: Inquiry) -> None:
        self._visit(event)
        self._is_opened = self._is_opened or event is self._opening
        self.turned_away += event.contact == "turned_away"
        if not opens_wait(event):
            return
        self._go_on(event.at_ms)
        if self.full_resolved_ms is not None:
            self._reopen(event.at_ms)
        elif self.withdrawn_ms is not None:
            # Asked again after a withdrawal: open, but no reopening of something resolved.
            self._ask_again(event.at_ms)
            self.status = "open"
        if self.first_message is None:
            self.first_message = event
        if event.contact == "answered_live":
            self._live(event)
        elif self._current is not None:
            self._current.messages += 1
            self._current.redials += event.contact in _MISSED
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
        if self.live is None and self.first_reply is None and self.outbound is None and not self.by_staff:
            self.live = event
        wait.end(answered_ms, "answered", event.event_id)
        self._current = None
        self.contacts.append(Contact(answered_ms, event.unit, event.event_id))

    def _reply(self, event: Reply) -> None:
        if event.public and event.author != "human":
            self.bot_replies += 1
            self._bot = self._bot or event.author == "bot"
            return
        if not is_staff_reply(event):
            return
        self._visit(event)
        self.contacts.append(Contact(event.at_ms, event.unit, event.event_id))
        if not self._is_opened:
            self.outbound = self.outbound or event
        if self.first_message is None:
            return
        if self.first_reply is None and self.live is None and self.outbound is None and not self.by_staff:
            self.first_reply = event
        if self._current is None:
            self.extra_replies += 1
        else:
            self._current.reply = event
            self._close(event.at_ms, "answered", event.event_id)

    def _transfer(self, event: Transfer) -> None:
        if not (event.from_bot or self._bot) or self.first_message is None or self.first_reply is not None:
            return
        if self.live is not None and event.at_ms > self.live.at_ms + (self.live.queue_ms or 0):
            return
        if self.human_queue_ms is None:
            self.human_queue_ms = event.at_ms
        self.last_bot_ms = event.at_ms
        self._bot = False

    def _status(self, event: StatusChanged) -> None:
        if event.status != "pending":
            self._go_on(event.at_ms)
        elif self.status != "pending":
            self.pauses.append((event.at_ms, None))
        if event.status == "reopened":
            if self.full_resolved_ms is not None or self.withdrawn_ms is not None:
                self._reopen(event.at_ms)
            self.status = "open"
            return
        self.status = event.status
        if event.status == "resolved":
            self.resolves.append(Resolve(event.at_ms))
            self.full_resolved_ms = event.at_ms
            self._close(event.at_ms, "resolved_no_reply", event.event_id)
        elif event.status == "withdrawn":
            self._withdraw(event)

    def _withdraw(self, event: StatusChanged | Mark) -> None:
        self.withdrawn_ms = event.at_ms
        self.withdrawals.append(Resolve(event.at_ms))
        self._close(event.at_ms, "withdrawn", event.event_id)

    def _mark(self, event: Mark) -> None:
        if event.kind == "deleted":
            self._deleted(event)
        elif event.kind == "survey_offered":
            self.surveys_offered += 1
        elif event.kind == "continues":
            self.continues = event.refers_to

    def _deleted(self, event: Mark) -> None:
        """What was open when the source deleted it can no longer be answered: it ends as if it had been withdrawn."""
        if self.full_resolved_ms is None and self.withdrawn_ms is None:
            self._go_on(event.at_ms)
            self.status = "withdrawn"
            self._withdraw(event)

    def _go_on(self, at_ms: int) -> None:
        """The customer is no longer waited for."""
        if self.status == "pending":
            self.pauses[-1] = (self.pauses[-1][0], at_ms)
            self.status = "open"

    def _reopen(self, at_ms: int) -> None:
        self.reopened += 1
        if self.resolves and self.resolves[-1].reopened_ms is None:
            self.resolves[-1].reopened_ms = at_ms
        self.full_resolved_ms = None
        self._ask_again(at_ms)
        self.status = "open"

    def _ask_again(self, at_ms: int) -> None:
        """A withdrawal, if there was one, is no more."""
        self.withdrawn_ms = None
        if self.withdrawals and self.withdrawals[-1].reopened_ms is None:
            self.withdrawals[-1].reopened_ms = at_ms

    def _close(self, at_ms: int, outcome: str, event_id: str) -> None:
        if self._current is not None:
            self._current.end(at_ms, outcome, event_id)
            self._current = None
