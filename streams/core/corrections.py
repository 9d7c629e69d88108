"""Corrections of earlier events: what was wrong is read as if it had been right from the beginning."""

from collections.abc import Sequence
from typing import Any

from streams.core.packed import Correction, Inquiry, Mark, Packed, Reply, Transfer, is_refused

_UNITED = (Inquiry, Reply, Transfer)


def _changes(event: Packed, correction: Correction) -> dict[str, Any]:
    """The new values that apply to an event of this kind."""
    changes: dict[str, Any] = {}
    if correction.time_ms is not None:
        changes["at_ms"] = correction.time_ms
    if correction.unit is not None and isinstance(event, _UNITED):
        changes["unit"] = correction.unit
    if isinstance(event, Inquiry):
        if correction.needs_reply is not None:
            changes["needs_reply"] = correction.needs_reply
        if correction.topic is not None:
            changes["topic"] = correction.topic
    return changes


def corrected(events: Sequence[Packed]) -> Sequence[Packed]:
    """The events of one conversation, in order, with every correction applied; of two, the later by event time wins.

    A correction that names no event is of the conversation's first inquiry; one that names an unknown event waits for
    it without effect. Corrections cannot be corrected. A reply whose delivery failed was not delivered.
    """
    changing = [event for event in events if type(event) is Correction or _is_failure(event)]
    if not changing:
        return events
    changed = {event.event_id: event for event in events}
    opening = next((event.event_id for event in events if type(event) is Inquiry), "")
    for change in changing:
        wanted = (change.corrects or opening) if type(change) is Correction else change.refers_to  # type: ignore[union-attr]
        event = changed.get(wanted)
        if event is None or type(event) is Correction:
            continue
        changes = _changes(event, change) if type(change) is Correction else _undelivered(event)
        changed[wanted] = event._replace(**changes)
    return sorted(changed.values(), key=lambda event: event[:3])


def _is_failure(event: Packed) -> bool:
    return type(event) is Mark and event.kind == "delivery_failed"


def _undelivered(event: Packed) -> dict[str, Any]:
    return {"delivered": False} if type(event) is Reply else {}


def is_spam(events: Sequence[Packed]) -> bool:
    """Whether the last word on spam is that it is."""
    spam = False
    for event in events:
        if type(event) is Mark and event.kind in ("spam", "not_spam"):
            spam = event.kind == "spam"
    return spam


def counts_nowhere(events: Sequence[Packed]) -> bool:
    """Whether a conversation is spam, or holds nothing but events of persons who had been erased before."""
    return is_spam(events) or all(map(is_refused, events))
