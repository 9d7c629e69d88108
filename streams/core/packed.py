"""Events as the core keeps them: flat tuples, times in ms, repeated strings interned.

Every tuple starts with (at_ms, rank, event_id): the order in which a conversation is read. `rank` settles events of
the same instant: a message comes before what was done about it. `digest` is of the canonical content. What names a
person keeps `received_ms`, its receipt, by which an erasure decides; it is 0 where nobody is named.
"""

from collections.abc import Callable
from hashlib import blake2b
from sys import intern
from typing import Any, Final, NamedTuple

from schemas import events as schema
from schemas.vocabulary import to_ms


class Inquiry(NamedTuple):
    """A customer's message, call or visit."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    touch_point: str | None
    channel: str
    platform: str | None
    thread: str | None
    unit: str | None
    topic: str | None
    inquiry_kind: str
    stakeholder: str
    generation: str
    language: str | None
    person: str | None
    opened_by: str
    priority: str
    critical_category: str
    needs_reply: bool
    automatic: bool
    reachable: bool
    contact: str
    queue_ms: int | None
    visit: str
    due_ms: int | None
    source_promises: bool
    staff: str | None
    received_ms: int


class Reply(NamedTuple):
    """A message from the district's side."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    channel: str
    unit: str | None
    staff: str | None
    author: str
    public: bool
    delivered: bool
    visit: str
    received_ms: int


class Rating(NamedTuple):
    """A feedback score with its optional items."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    score: int
    survey: str
    rater: str | None
    courtesy: int | None
    communication: int | None
    responsiveness: int | None
    environment: int | None
    trust: int | None
    answered: bool | None
    items: tuple[tuple[str, int], ...]
    received_ms: int


class Transfer(NamedTuple):
    """A change of owner."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    unit: str | None
    from_bot: bool
    staff: str | None
    received_ms: int


class StatusChanged(NamedTuple):
    """A change of the conversation's status."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    status: str
    by: str
    staff: str | None
    received_ms: int


class Correction(NamedTuple):
    """New values for the event `corrects`, or for the conversation's opening where that is empty; None: as it was."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    corrects: str
    needs_reply: bool | None
    unit: str | None
    time_ms: int | None
    topic: str | None


class Mark(NamedTuple):
    """Any other event of a conversation: `kind` (a link that continues is `continues`), and what it refers to."""

    at_ms: int
    rank: int
    event_id: str
    digest: int
    source: str
    kind: str
    refers_to: str
    person: str | None = None
    received_ms: int = 0


REFUSED: Final = "refused"
"""The kind of a mark that stands for an event of an erased person: known, and counting nowhere."""

Packed = Inquiry | Reply | Rating | Transfer | StatusChanged | Correction | Mark


def digest_of(content: bytes) -> int:
    """Unsigned 64-bit digest of an event's canonical content."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def _interned(text: str | None) -> str | None:
    return intern(text) if text is not None else None


def _inquiry(e: schema.Inquiry, digest: int) -> Inquiry:
    queue = e.queue_seconds
    due = e.due_at
    return Inquiry(
        to_ms(e.occurred_at),
        0,
        e.event_id,
        digest,
        intern(e.source),
        _interned(e.touch_point),
        intern(e.channel),
        _interned(e.platform),
        e.thread,
        _interned(e.unit),
        _interned(e.topic),
        intern(e.inquiry_kind),
        intern(e.stakeholder),
        intern(e.generation),
        _interned(e.language),
        e.person,
        intern(e.opened_by),
        intern(e.priority),
        intern(e.critical_category),
        e.needs_reply,
        e.automatic,
        e.reachable,
        intern(e.contact),
        round(queue * 1000) if queue is not None else None,
        intern(e.visit),
        None if due is None or due == "unit" else to_ms(due),
        due != "unit",
        _interned(e.staff),
        to_ms(e.received_at) if e.person or e.staff else 0,
    )


def _reply(e: schema.Reply, digest: int) -> Reply:
    return Reply(
        to_ms(e.occurred_at),
        2,
        e.event_id,
        digest,
        intern(e.source),
        intern(e.channel),
        _interned(e.unit),
        _interned(e.staff),
        intern(e.author),
        e.public,
        e.delivered,
        intern(e.visit),
        to_ms(e.received_at) if e.staff else 0,
    )


def _rating(e: schema.Rating, digest: int) -> Rating:
    p = e.pillars
    return Rating(
        to_ms(e.occurred_at),
        4,
        e.event_id,
        digest,
        intern(e.source),
        e.score,
        intern(e.survey),
        e.rater,
        p.courtesy,
        p.communication,
        p.responsiveness,
        p.environment,
        e.trust,
        e.answered,
        tuple(sorted(e.items.items())),
        to_ms(e.received_at) if e.rater else 0,
    )


def _transfer(e: schema.Transfer, digest: int) -> Transfer:
    received_ms = to_ms(e.received_at) if e.staff else 0
    return Transfer(
        to_ms(e.occurred_at),
        1,
        e.event_id,
        digest,
        intern(e.source),
        _interned(e.unit),
        e.from_bot,
        _interned(e.staff),
        received_ms,
    )


def _status(e: schema.StatusChanged, digest: int) -> StatusChanged:
    frame = to_ms(e.occurred_at), 3, e.event_id, digest, intern(e.source)
    received_ms = to_ms(e.received_at) if e.staff else 0
    return StatusChanged(*frame, intern(e.status), intern(e.by), _interned(e.staff), received_ms)


def _correction(e: schema.Correction, digest: int) -> Correction:
    return Correction(
        to_ms(e.occurred_at),
        5,
        e.event_id,
        digest,
        intern(e.source),
        e.corrects or "",
        e.needs_reply,
        _interned(e.unit),
        None if e.time is None else to_ms(e.time),
        _interned(e.topic),
    )


def _link(e: schema.Link, digest: int) -> Mark:
    kind = "continues" if e.relation == "continues" else "link"
    return Mark(to_ms(e.occurred_at), 5, e.event_id, digest, intern(e.source), kind, e.linked_to)


def _offer(e: schema.SurveyOffered, digest: int) -> Mark:
    received_ms = to_ms(e.received_at) if e.person else 0
    return Mark(
        to_ms(e.occurred_at), 5, e.event_id, digest, intern(e.source), "survey_offered", "", e.person, received_ms
    )


_REFERENCE = {"merge": "into", "unmerge": "into", "delivery_failed": "reply"}


def _mark(e: Any, digest: int) -> Mark:
    reference = getattr(e, _REFERENCE.get(e.kind, ""), "") or ""
    return Mark(to_ms(e.occurred_at), 5, e.event_id, digest, intern(e.source), intern(e.kind), reference)


_PACKERS: dict[type, Callable[[Any, int], Packed]] = {
    schema.Inquiry: _inquiry,
    schema.Reply: _reply,
    schema.Rating: _rating,
    schema.Transfer: _transfer,
    schema.StatusChanged: _status,
    schema.Correction: _correction,
    schema.Link: _link,
    schema.SurveyOffered: _offer,
}


def is_refused(event: Packed) -> bool:
    """Whether it only stands for an event of a person erased before."""
    return type(event) is Mark and event.kind == REFUSED


def refusal(event: Packed) -> Mark:
    """What stands for an event once it is refused."""
    return Mark(event.at_ms, 5, event.event_id, event.digest, event.source, REFUSED, "")


def pack(event: Any, digest: int) -> Packed:
    """The packed tuple of a conversation's event (a model of `schemas.events`)."""
    return _PACKERS.get(type(event), _mark)(event, digest)
