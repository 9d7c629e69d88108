"""Erased persons: events keep what happened, and no longer say who it was.

A key is known by its digest only. The person becomes nobody; a rater or a member of staff becomes a token of one byte
within the conversation, so that two raters stay two and hundreds of people share each token.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from schemas.events import Event
from streams.core.packed import Packed

FIELDS = ("person", "staff", "rater")


def digest_of_key(pseudonym: str) -> str:
    """SHA-256 of a pseudonym in hexadecimal, as `erased.key_digest` has it."""
    return sha256(pseudonym.encode()).hexdigest()


def names_in(event: Event | Packed) -> list[str]:
    """The fields of an event that hold a pseudonym."""
    return [field for field in FIELDS if getattr(event, field, None)]


def _token(pseudonym: str, conversation: str) -> str:
    return f"{sha256(f'{conversation}/{digest_of_key(pseudonym)}'.encode()).digest()[0]:016x}"


def sealed(event: Any, conversation: str, is_erased: Callable[[str], bool]) -> dict[str, Any]:
    """The new values of an event's fields whose key is erased; empty if none is."""
    return {
        field: None if field == "person" else _token(getattr(event, field), conversation)
        for field in names_in(event)
        if is_erased(digest_of_key(getattr(event, field)))
    }


def sealed_content(content: dict[str, Any], conversation: str, is_erased: Callable[[str], bool]) -> dict[str, Any]:
    """The same of an event's canonical content: an erased person's field is left out, as its default is."""
    changed = dict(content)
    for field in FIELDS:
        key = content.get(field)
        if isinstance(key, str) and is_erased(digest_of_key(key)):
            changed[field] = _token(key, conversation)
            if field == "person":
                del changed[field]
    return changed
