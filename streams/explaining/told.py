"""What an explanation holds: frozen, JSON-able, every number beside what made it so.

Instants (`_at`) are ISO 8601 UTC, lengths (`_ms`) milliseconds; names are those of `schemas.facts`.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer


def _spelled(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


At = Annotated[datetime, PlainSerializer(_spelled, when_used="json")]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Told):
    """One value of an event that a correction or a failed delivery replaced."""

    by_event: str
    field: str
    before: str
    after: str


class Step(_Told):
    """One event and what it did; `ignored` says why it ends or opens nothing, empty if it counts."""

    at: At
    received_at: At
    event: str
    kind: str
    source: str
    merged_from: str = ""
    did: list[str] = []
    ignored: str = ""
    changes: list[Change] = []


class Slice(_Told):
    """A piece of a wait: whose it was, and whether it counted as business time; `why` it did not.

    `since_revision`: the configuration revision by which a closed date was first known, null where the week decides.
    """

    started_at: At
    ended_at: At
    unit: str
    calendar: str
    counted: bool
    why: str
    length_ms: int
    since_revision: int | None = None
    since_event: str = ""
    since_at: At | None = None


class Wait(_Told):
    """A wait as the fact row has it, cut into slices; of an open one the slices reach to `until_at`, null: not cut."""

    number: int
    opened_at: At
    opened_by_event: str
    ended_at: At | None
    ended_by_event: str
    outcome: str
    unit: str
    replied_by: str
    wait_ms: int | None
    business_ms: int | None
    until_at: At | None
    messages: int
    redials: int
    live: bool
    slices: list[Slice]


class Policy(_Told):
    """What a revision of the configuration promised; `promise` is empty where it promised nothing."""

    revision: int
    from_at: At
    promise: str
    target: str
    hours: str
    decided: bool


class Pause(_Told):
    """Time in which the customer was waited for; null: still."""

    started_at: At
    ended_at: At | None


class Clock(_Told):
    """A promise clock as the fact row has it, every policy it met while it ran, and why it came out so."""

    clock: str
    promise: str
    revision: int
    unit: str
    opened_by_event: str
    started_at: At
    at_risk_at: At | None
    due_at: At | None
    breach_at: At | None
    escalated_50_at: At | None
    escalated_100_at: At | None
    ended_at: At | None
    paused_ms: int
    outcome: str
    pauses: list[Pause]
    policies: list[Policy]
    why: list[str]


class Rating(_Told):
    """A score that counts, or was only counted as late."""

    rated_at: At
    survey: str
    score: int
    unit: str
    edits: int
    late: bool


class HandOff(_Told):
    """A change of school or department."""

    at: At
    from_department: str
    to_department: str
    unit: str
    bounce: bool


class Number(_Told):
    """A number of the fact row that is not of a single wait."""

    name: str
    value_ms: int


class Part(_Told):
    """One row of facts: a conversation, or a later part of its thread."""

    conversation: str
    version: int
    counts: bool
    merged_into: str
    continues: str
    events: int
    conflicts: int
    opened_at: At
    opened_by: str
    status: str
    channel: str
    topic: str
    unit: str
    department: str
    numbers: list[Number]
    notes: list[str]
    steps: list[Step]
    waits: list[Wait]
    clocks: list[Clock]
    ratings: list[Rating]
    handoffs: list[HandOff]


class Revision(_Told):
    """A configuration of the district; `newest` is the one whose units and calendars count for all time."""

    revision: int
    event: str
    from_at: At
    received_at: At
    newest: bool


class Restatement(_Told):
    """A number that had been told and changed; instants and lengths in ms as text. `after` is empty: it is no more."""

    at: At
    conversation: str
    number: str
    before: str
    after: str
    by_events: list[str]
    by_configurations: list[str]
    redefined: bool


class Explanation(_Told):
    """Everything that made one conversation's numbers."""

    district: str
    conversation: str
    time_zone: str
    definition_version: int
    configurations: int
    revisions: list[Revision]
    parts: list[Part]
    restatements: list[Restatement]
