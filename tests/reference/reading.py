"""Which events count and how they read: one content an id, corrected, in order."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from typing import Any

from schemas.events import (
    Correction,
    DeliveryFailed,
    Erased,
    Event,
    Inquiry,
    Merge,
    Refused,
    Reply,
    StatusChanged,
    Unmerge,
    canonical,
)
from schemas.vocabulary import to_ms

RANKS = ("inquiry", "transfer", "reply", "status_changed", "rating")


@dataclass(frozen=True)
class Item:
    """An event of a conversation as it reads: corrected, and at the instant where it counts."""

    at: int
    event: Any
    failed: bool = False
    withdraws: bool = False

    @property
    def order(self) -> tuple[int, int, str, str]:
        """By event time; a message stands before what was done about it."""
        kind = self.event.kind
        rank = RANKS.index(kind) if kind in RANKS else len(RANKS)
        return (self.at, rank, self.event.event_id, self.event.conversation)


@dataclass(frozen=True)
class Thread:
    """All that one conversation's id was ever named with. `refused`: contents of persons erased before."""

    items: list[Item]
    contents: int
    conflicts: int
    named: set[str]
    refused: int


def counting(events: Iterable[Event]) -> tuple[list[Event], int]:
    """One event of each id, that with the smaller digest; and how many other contents there were."""
    contents: dict[str, dict[str, Event]] = {}
    for event in events:
        digests = contents.setdefault(event.event_id, {})
        digest = blake2b(canonical(event), digest_size=8).hexdigest()
        known = digests.get(digest)
        if known is None or event.received_at < known.received_at:
            digests[digest] = event
    chosen = [digests[min(digests)] for digests in contents.values()]
    return chosen, sum(len(digests) - 1 for digests in contents.values())


def threads(events: list[Event]) -> dict[str, Thread]:
    """Every conversation by its id."""
    by_id: dict[str, list[Event]] = {}
    for event in events:
        name = getattr(event, "conversation", None)
        if name is not None:
            by_id.setdefault(name, []).append(event)
    erasures = _erasures(events)
    return {name: _thread(found, erasures) for name, found in by_id.items()}


def _thread(events: list[Event], erasures: dict[str, int]) -> Thread:
    chosen, conflicts = counting(events)
    chosen = [_anonymous(event, erasures) for event in chosen]
    told = [event for event in chosen if not isinstance(event, Refused)]
    items = corrected(in_order(Item(to_ms(event.occurred_at), event) for event in told or chosen))
    lost = {item.event.reply for item in items if isinstance(item.event, DeliveryFailed)}
    items = [replace(item, failed=item.event.event_id in lost) for item in items]
    named = {event.into for event in events if isinstance(event, (Merge, Unmerge))}
    return Thread(items, len(chosen) + conflicts, conflicts, named, len(chosen) - len(told))


def _erasures(events: Iterable[Event]) -> dict[str, int]:
    """From when on what names a key is refused, by the key's digest."""
    since: dict[str, int] = {}
    for event in events:
        if isinstance(event, Erased):
            at = to_ms(event.received_at)
            since[event.key_digest] = min(at, since.get(event.key_digest, at))
    return since


def _anonymous(event: Any, erasures: dict[str, int]) -> Any:
    """The event without erased persons; a `Refused` one if it came after the erasure of one of them."""
    named = {name: getattr(event, name, None) for name in ("person", "staff", "rater")}
    since = {name: erasures.get(sha256(key.encode()).hexdigest()) for name, key in named.items() if key}
    if any(at is not None and to_ms(event.received_at) >= at for at in since.values()):
        frame = ("event_id", "district", "conversation", "source", "occurred_at", "received_at")
        return Refused(kind="refused", **{name: getattr(event, name) for name in frame})
    new = {name: _stand_in(event, named[name]) for name, at in since.items() if at is not None}
    return event.model_copy(update=new | {name: None for name in new if name == "person"})


def _stand_in(event: Any, key: str | None) -> str:
    return sha256(f"{event.conversation}/{key}".encode()).hexdigest()[:32]


def in_order(items: Iterable[Item]) -> list[Item]:
    """Items sorted as they are read."""
    return sorted(items, key=lambda item: item.order)


def corrected(items: list[Item]) -> list[Item]:
    """The items as if everything had been right from the beginning; of two corrections the later one wins."""
    corrections = [item.event for item in items if isinstance(item.event, Correction)]
    inquiries = [item.event.event_id for item in items if isinstance(item.event, Inquiry)]
    for correction in corrections:
        if correction.time is not None:
            true = to_ms(correction.time)
            items = [replace(item, at=true) if _is_meant(item, correction.corrects) else item for item in items]
    for correction in corrections:
        wanted = correction.corrects or (inquiries[0] if inquiries else None)
        items = [_changed(item, correction) if _is_meant(item, wanted) else item for item in items]
    return in_order(items)


def _is_meant(item: Item, event_id: str | None) -> bool:
    return item.event.event_id == event_id and not isinstance(item.event, Correction)


def _changed(item: Item, correction: Correction) -> Item:
    new: dict[str, Any] = {}
    for field in ("unit", "topic", "needs_reply"):
        value = getattr(correction, field)
        if value is not None and field in type(item.event).model_fields:
            new[field] = value
    return replace(item, event=item.event.model_copy(update=new))


def is_message(item: Item) -> bool:
    """A qualifying customer message."""
    event = item.event
    return isinstance(event, Inquiry) and event.opened_by == "customer" and not event.automatic and event.needs_reply


def is_staffs_own(item: Item) -> bool:
    """A case that staff opened on their own account."""
    return isinstance(item.event, Inquiry) and item.event.opened_by == "staff" and not item.event.automatic


def is_live(item: Item) -> bool:
    """A customer's call or visit that was answered at once."""
    return is_message(item) and item.event.contact == "answered_live"


def is_reply(item: Item) -> bool:
    """A qualifying staff reply."""
    event = item.event
    sent = isinstance(event, Reply) and event.author == "human" and event.public and event.delivered
    return sent and not item.failed


def is_machine(item: Item) -> bool:
    """A public message of a machine."""
    return isinstance(item.event, Reply) and item.event.author != "human" and item.event.public


def is_status(item: Item, *statuses: str) -> bool:
    """A change to one of these statuses."""
    return status_of(item) in statuses


def status_of(item: Item) -> str | None:
    """The status an event brings: what was open when its source deleted it is withdrawn."""
    if item.withdraws:
        return "withdrawn"
    return item.event.status if isinstance(item.event, StatusChanged) else None


def is_owed(item: Item) -> bool:
    """An inquiry that asks for something."""
    return is_message(item) or is_staffs_own(item)


def opening(items: list[Item]) -> Item | None:
    """The first qualifying customer message or what staff opened before it; else the first inquiry of any sort."""
    for item in items:
        if is_owed(item):
            return item
    for item in items:
        if isinstance(item.event, Inquiry):
            return item
    return None


def start(items: list[Item]) -> int:
    """When a conversation began: at its opening, without one at its first event."""
    first = opening(items)
    return first.at if first else items[0].at
