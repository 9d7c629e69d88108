"""What lands and is published of alerts: one record per transition of one promise clock.

The key is made of {district, conversation, clock, event that opened the wait} and of nothing that a hand-off or an
edited policy changes: unit and promise are annotations. Instants are milliseconds UTC.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from schemas.facts import CODE, COUNT, FLAG, INSTANT, Column
from schemas.vocabulary import from_ms, to_ms

BREACHED, RESOLVED, CORRECTED = "breached", "resolved", "corrected"

ALERT = (
    Column("district", CODE, "district"),
    Column("key", "String", "digest of district, conversation, clock and the event that opened the wait"),
    Column("revision", COUNT, "times it was corrected before"),
    Column("transition", CODE, "breached, resolved (the late clock ended), corrected (the breach never was)"),
    Column("at", INSTANT, "when: breach_at, ended_at, or when it became known (corrected)"),
    Column("conversation", "String", "conversation"),
    Column("clock", CODE, "first_reply, next_reply or resolution"),
    Column("unit", CODE, "unit that owned the conversation when the clock started"),
    Column("promise", CODE, "name of the policy"),
    Column("opened_by_event", "String", "event that opened the wait"),
    Column("started_at", INSTANT, "start of the clock"),
    Column("due_at", f"Nullable({INSTANT})", "the clock reaches the target"),
    Column("breach_at", INSTANT, "the last instant that keeps the promise"),
    Column("ended_at", f"Nullable({INSTANT})", "end of the clock; null in a breach"),
    Column("notify", FLAG, "1: receivers were told; 0: too old when it was found"),
)


class AlertTransition(NamedTuple):
    """A row of `alerts` and a message on `cx.alerts`; columns as in `ALERT`, instants in ms."""

    district: str
    key: str
    revision: int
    transition: str
    at: int
    conversation: str
    clock: str
    unit: str
    promise: str
    opened_by_event: str
    started_at: int
    due_at: int | None
    breach_at: int
    ended_at: int | None
    notify: int

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this transition, whoever sends it."""
        return f"{self.key}-{self.revision}-{self.transition}"


def alert_key(district: str, conversation: str, clock: str, event_id: str) -> str:
    """Identity of one clock's alert, 32 hexadecimal digits; stable for ever."""
    return blake2b("\0".join((district, conversation, clock, event_id)).encode(), digest_size=16).hexdigest()


def as_json(transition: AlertTransition) -> dict[str, Any]:
    """A transition as an object: instants in ISO 8601, with its idempotency key."""
    shown: dict[str, Any] = {"idempotency_key": transition.idempotency_key}
    for column, value in zip(ALERT, transition, strict=True):
        if isinstance(value, int) and "DateTime64" in column.type:
            shown[column.name] = from_ms(value).isoformat(timespec="milliseconds")
        else:
            shown[column.name] = value
    shown["notify"] = bool(transition.notify)
    return shown


def from_json(shown: Mapping[str, Any]) -> AlertTransition:
    """The transition that `as_json` shows as this object. Raises `KeyError` or `ValueError` for anything else."""
    values: list[Any] = []
    for column in ALERT:
        value = shown[column.name]
        is_instant = "DateTime64" in column.type and value is not None
        values.append(to_ms(datetime.fromisoformat(value)) if is_instant else value)
    return AlertTransition(*values)._replace(notify=int(shown["notify"]))
