"""Erased persons: events keep what happened and no longer say who it was, or are refused if they came afterwards.

Which of the two is a matter of receipts, not of order in the log: what the intake received before it received the
erasure is sealed, all else is refused. A key is known by its digest only. In a sealed event the person becomes nobody;
a rater or a member of staff becomes a stand-in that is made of the key itself, which nobody keeps: within a
conversation two stay two, and no stand-in tells of another conversation. Of an event that is not understood nobody
knows which field names whom: if an erased key stands anywhere in it, only what every event carries is left.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from schemas.events import Erased, Event, Refused
from schemas.vocabulary import to_ms
from streams.core.packed import REFUSED, Packed, refusal

FIELDS = ("person", "staff", "rater")
STAND_IN_DIGITS = 32
_PSEUDONYM = re.compile(r"[0-9a-f]{16,64}")
_WRITTEN = re.compile(rb'"([0-9a-f]{16,64})"')
_FRAME = ("event_id", "district", "source", "occurred_at", "schema_version", "conversation")


def digest_of_key(pseudonym: str) -> str:
    """SHA-256 of a pseudonym in hexadecimal, as `erased.key_digest` has it."""
    return sha256(pseudonym.encode()).hexdigest()


def names_in(event: Event | Packed) -> list[str]:
    """The fields of an event that hold a pseudonym."""
    return [field for field in FIELDS if getattr(event, field, None)]


def keys_in(event: Event | Packed) -> list[str]:
    """Digests of the pseudonyms in an event."""
    return [digest_of_key(getattr(event, field)) for field in names_in(event)]


def keys_beside(content: Mapping[str, Any]) -> Iterator[str]:
    """Whatever has the spelling of a pseudonym in an event that is not understood, beside what every event carries."""
    return _keys({name: value for name, value in content.items() if name not in _FRAME})


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _PSEUDONYM.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _keys(name)
            yield from _keys(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _keys(item)


def keys_written(content: bytes) -> Iterator[str]:
    """Whatever has the spelling of a pseudonym in the canonical content of an event, and nothing longer."""
    return (found.decode() for found in _WRITTEN.findall(content))


def _stand_in(pseudonym: str, conversation: str) -> str:
    return sha256(f"{conversation}/{pseudonym}".encode()).hexdigest()[:STAND_IN_DIGITS]


def sealed(event: Any, conversation: str, is_erased: Callable[[str], bool]) -> dict[str, Any]:
    """The new values of an event's fields whose key is erased; empty if none is."""
    return {
        field: None if field == "person" else _stand_in(getattr(event, field), conversation)
        for field in names_in(event)
        if is_erased(digest_of_key(getattr(event, field)))
    }


def sealed_content(content: Mapping[str, Any], conversation: str, is_erased: Callable[[str], bool]) -> dict[str, Any]:
    """The same of an event's canonical content: an erased person's field is left out, as its default is."""
    changed = dict(content)
    for field in FIELDS:
        key = content.get(field)
        if isinstance(key, str) and is_erased(digest_of_key(key)):
            changed[field] = _stand_in(key, conversation)
            if field == "person":
                del changed[field]
    return changed


def refused_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical content of what stands in the log for a refused event with this content."""
    return {name: content[name] for name in _FRAME if name in content} | {"kind": REFUSED}


def bare_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of an event that is not understood and names an erased person: what every event carries."""
    return refused_content(content) | {"kind": content["kind"]}


def _refused(event: Any) -> Refused:
    return Refused(kind=REFUSED, received_at=event.received_at, **{name: getattr(event, name) for name in _FRAME})


class Erasures:
    """The keys that one district erased, each from the earliest receipt of its erasures on.

    `unsought` holds keys whose events have still to be looked for among conversations that left memory.
    """

    def __init__(self) -> None:
        self._from_ms: dict[str, int] = {}
        self.unsought: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._from_ms)

    def __contains__(self, key_digest: str) -> bool:
        return key_digest in self._from_ms

    def add(self, event: Erased) -> bool:
        """Know an erasure; whether it says anything new."""
        at_ms = to_ms(event.received_at)
        known_ms = self._from_ms.get(event.key_digest)
        self._from_ms[event.key_digest] = at_ms if known_ms is None else min(at_ms, known_ms)
        self.unsought[event.key_digest] = self._from_ms[event.key_digest]
        return known_ms is None or at_ms < known_ms

    def since_ms(self, key_digest: str) -> int:
        """From when on what names a key is refused. Raises KeyError for one that is not erased."""
        return self._from_ms[key_digest]

    def are_beside(self, content: Mapping[str, Any]) -> bool:
        """Whether an event that is not understood names somebody who is erased."""
        return bool(self) and any(digest_of_key(key) in self._from_ms for key in keys_beside(content))

    def are_written(self, contents: Iterable[bytes]) -> bool:
        """Whether canonical contents may name somebody who is erased."""
        return any(digest_of_key(key) in self._from_ms for content in contents for key in keys_written(content))

    def _refuses(self, event: Any, received_ms: int) -> bool:
        return any(received_ms >= self._from_ms.get(key, received_ms + 1) for key in keys_in(event))

    def taken(self, event: Event, conversation: str) -> Event:
        """The event as the set may hold it: as it is, sealed, or what stands for a refused one.

        What is of no conversation ('') changes no fact of anybody and is sealed, whenever it came.
        """
        if not names_in(event):
            return event
        if conversation and self._refuses(event, to_ms(event.received_at)):
            return _refused(event)
        changes = sealed(event, conversation, self._from_ms.__contains__)
        return event.model_copy(update=changes) if changes else event

    def held(self, events: Sequence[Packed], conversation: str) -> tuple[Packed, ...] | None:
        """The same for a set that was there before; None if nothing in it changes."""
        now = tuple(self._held(event, conversation) for event in events)
        is_same = all(one is other for one, other in zip(events, now, strict=True))
        return None if is_same else tuple(sorted(now, key=_order))

    def _held(self, event: Any, conversation: str) -> Packed:
        if not names_in(event):
            return event  # type: ignore[no-any-return]
        if self._refuses(event, event.received_ms):
            return refusal(event)
        changes = sealed(event, conversation, self._from_ms.__contains__)
        return event._replace(**changes) if changes else event  # type: ignore[no-any-return]


def _order(event: Packed) -> tuple[Any, ...]:
    return event[:3]
