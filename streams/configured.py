"""A district's document as the event that puts it into the log."""

from datetime import datetime
from hashlib import sha256

from schemas.district import District
from schemas.events import DistrictConfigured

SOURCE = "cx"


def configured(document: District, at: datetime) -> DistrictConfigured:
    """The `district_configured` event of a document; equal documents have equal event ids. `at` is aware."""
    content = sha256(document.model_dump_json().encode()).hexdigest()
    return DistrictConfigured(
        kind="district_configured",
        event_id=f"configuration:{content[:32]}",
        district=document.district,
        source=SOURCE,
        occurred_at=at,
        received_at=at,
        revision=document.revision,
        configuration=document,
    )
