"""Codes and identifiers as they are typed."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.errors import UsageError
from schemas.vocabulary import Code, Identifier


def code(text: str) -> str:
    """A code. Raises `UsageError`."""
    return _checked(Code, text, "code: lower-case letters, digits and . _ -, at most 64")


def alert_key(text: str) -> str:
    """What may be an alert's key. Raises `UsageError`."""
    return _checked(Identifier, text, "alert's key: `./cx alerts ls` shows them")


def check_known(districts: Iterable[str], known: Iterable[str], besides: str = "") -> None:
    """Raise `UsageError` for districts that are not among the known ones; `besides` tells where else one looked."""
    if unknown := sorted(set(districts) - set(known)):
        raise UsageError(f"There are no events of {', '.join(unknown)}{besides}.")


def _checked(kind: Any, text: str, what: str) -> str:
    try:
        checked: str = TypeAdapter(kind).validate_python(text)
    except ValidationError:
        raise UsageError(f"{text} is no {what}.") from None
    return checked
