"""The words that events, configuration and facts share: one name per thing, closed lists, constrained identifiers.

No type here can hold a sentence: identifiers and codes have patterns without spaces, everything else is a closed list.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

SCHEMA_VERSION = 1
UNROUTED = "unrouted"
MOST_WORDS = 8
_LONG_NUMBER = re.compile(r"[0-9]{6,}|[0-9]{3}[ .-][0-9]{3,}")
CODE_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"

LABEL_PATTERN = r"^[^\x00-\x1f\x7f@?!;]{1,60}$"


def _is_a_name(label: str) -> str:
    """A unit's name and no message: few words, no number that could be a telephone's."""
    if len(label.split()) > MOST_WORDS or _LONG_NUMBER.search(label):
        raise ValueError(f"is a name of at most {MOST_WORDS} words, without long numbers")
    return label


Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"),
    Field(description="identifier of the source system: letters, digits and . _ : / -, at most 128"),
]
Code = Annotated[
    str,
    StringConstraints(pattern=CODE_PATTERN),
    Field(description="code: lower-case letters, digits and . _ -, at most 64"),
]
Pseudonym = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{16,64}$"),
    Field(description="keyed pseudonym of a person within the district: 16 to 64 hexadecimal digits"),
]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(description="SHA-256 in hexadecimal")]
LanguageTag = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"), Field(description="BCP 47 language tag")
]
Label = Annotated[
    str,
    StringConstraints(pattern=LABEL_PATTERN, strip_whitespace=True),
    AfterValidator(_is_a_name),
    Field(description="display name of an organisational unit or item, at most 60 characters; never a person's"),
]

Channel = Literal["phone", "email", "web", "social", "in_person"]
Stakeholder = Literal["student", "parent", "prospective_family", "staff", "community", "unknown"]
InquiryKind = Literal["question", "concern", "request", "comment", "compliment", "unknown"]
Generation = Literal[
    "silent", "baby_boomer", "generation_x", "millennial", "generation_z", "generation_alpha", "unknown"
]
Priority = Literal["low", "normal", "high", "critical"]
CriticalCategory = Literal["safety", "health", "discrimination", "legal", "media", "none"]
OpenedBy = Literal["customer", "staff"]
Contact = Literal["message", "answered_live", "missed_call", "voicemail", "turned_away"]
Visit = Literal["requested", "offered", "refused", "none"]
Author = Literal["human", "bot", "automation", "campaign", "automatic_acknowledgement"]
Actor = Literal["customer", "staff", "automation"]
Status = Literal["pending", "on_hold", "resolved", "reopened", "withdrawn"]
Theme = Literal[
    "service_driven", "understanding", "positive_patient_professional", "exceeding_expectations", "reflective"
]
PromiseClock = Literal["first_reply", "next_reply", "resolution", "ownership", "periodic_update"]

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = EARLIEST
_MILLISECOND = timedelta(milliseconds=1)
_OUT_OF_RANGE = "must lie between the years 1970 and 2199"


def _utc_milliseconds(value: datetime) -> datetime:
    """The same instant in UTC, cut to whole milliseconds, so that equal instants have one spelling."""
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise ValueError(_OUT_OF_RANGE) from None
    if not EARLIEST <= utc < LATEST:
        raise ValueError(_OUT_OF_RANGE)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000) if utc.microsecond % 1000 else utc


Instant = Annotated[
    AwareDatetime, AfterValidator(_utc_milliseconds), Field(description="ISO 8601 with an offset or Z; kept in ms")
]


def to_ms(value: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC of an aware datetime."""
    return (value - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """The aware UTC datetime of whole milliseconds since 1970-01-01 UTC; exact, no float is involved."""
    return _EPOCH + timedelta(milliseconds=value)
