"""What an event of a newer schema may bring along, as nobody here knows its fields: nothing that could be a text or
name a person, and not much of it.

A sentence, a mail address and a telephone number are told by their spelling. Pseudonyms pass, as in any event.
"""

import re
from math import isfinite
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.vocabulary import Label

LARGEST_EVENT = 16_384
DEEPEST = 24
_LABEL: TypeAdapter[str | None] = TypeAdapter(Label | None)
_WORD = re.compile(r"[A-Za-z0-9._:/+-]{0,128}")
_TELEPHONE = re.compile(r"\+?[0-9](?:[./-]?[0-9]){6,14}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_harmless(value: Any, depth: int = 0) -> bool:
    """Whether no string in it could be a sentence, a mail address or a telephone number, and no number is none."""
    if depth > DEEPEST:
        return False
    if isinstance(value, dict):
        return all(
            is_harmless(name, depth) and (_is_label(item) if name == "label" else is_harmless(item, depth + 1))
            for name, item in value.items()
        )
    if isinstance(value, list):
        return all(is_harmless(item, depth + 1) for item in value)
    if isinstance(value, float):
        return isfinite(value)
    return not isinstance(value, str) or _is_word(value)


def _is_word(text: str) -> bool:
    if _WORD.fullmatch(text) is None:
        return False
    return _TELEPHONE.fullmatch(text) is None or _DATE.fullmatch(text) is not None


def _is_label(value: Any) -> bool:
    """Whether it is the display name that a newer configuration may hold, as today's may."""
    try:
        _LABEL.validate_python(value)
    except ValidationError:
        return False
    return True
