"""Instants as they are typed."""

from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from schemas.district import Target, milliseconds
from schemas.errors import UsageError
from schemas.vocabulary import to_ms


def instant_ms(text: str) -> int:
    """Milliseconds of an instant in ISO 8601; UTC where no offset stands. Raises `UsageError`."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is no instant: write 2026-10-06 or 2026-10-06T07:00:00-05:00.") from None
    return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def length(text: str) -> int:
    """Milliseconds of a length as a district's document writes it: 90s, 30m, 8h. Raises `UsageError`."""
    try:
        return milliseconds(TypeAdapter(Target).validate_python(text))
    except ValidationError:
        raise UsageError(f"{text} is no length: write 90s, 30m or 8h.") from None
