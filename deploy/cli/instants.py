"""Instants as they are typed."""

from datetime import UTC, datetime

from schemas.errors import UsageError
from schemas.vocabulary import to_ms


def instant_ms(text: str) -> int:
    """Milliseconds of an instant in ISO 8601; UTC where no offset stands. Raises `UsageError`."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is no instant: write 2026-10-06 or 2026-10-06T07:00:00-05:00.") from None
    return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
