"""What lands and is published of alerts: one record per transition, of a promise clock or of another kind.

The key of a promise's alert is made of {district, conversation, clock, event that opened the wait} and of nothing that
a hand-off or an edited policy changes: unit and promise are annotations. Instants are milliseconds UTC. What a kind
does not have is empty. docs/alerts.md explains each transition.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from schemas.facts import CODE, COUNT, FLAG, INSTANT, Column
from schemas.records import as_object, of_object

PROMISE = "promise"
EVERYBODY = "everybody"
"""The recipient of what no chain of the district's document is for."""
QUIET, SILENCED, ACKNOWLEDGED, INHIBITED = "quiet", "silenced", "acknowledged", "incident"

AT_RISK, BREACHED, ESCALATED_50, ESCALATED_100 = "at_risk", "breached", "escalated_50", "escalated_100"
MET_LATE, RESOLVED, CORRECTED = "met_late", "resolved", "corrected"
STEPS = (AT_RISK, BREACHED, ESCALATED_50, ESCALATED_100)
"""What becomes true of a promise while it waits, in this order."""
ENDS = (MET_LATE, RESOLVED)
_RELEASED = "_released"
TRANSITIONS = tuple(f"{each}{after}" for each in (*STEPS, *ENDS, CORRECTED) for after in ("", _RELEASED))
"""Every transition of a promise's alert, in the order in which one revision says them."""

ALERT = (
    Column("district", CODE, "district"),
    Column("key", "String", "digest of what never changes of it; of a promise: district, conversation, clock, opener"),
    Column("kind", CODE, "what it is about: promise"),
    Column("revision", COUNT, "times it was corrected before"),
    Column(
        "transition",
        CODE,
        "at_risk, breached, escalated_50, escalated_100, met_late (kept, but late), resolved (over otherwise), "
        "corrected (what this revision said never was); with _released: muted by quiet hours and told at their end",
    ),
    Column("at", INSTANT, "when: the instant of the facts, or when it became known (corrected)"),
    Column("conversation", "String", "conversation"),
    Column("clock", CODE, "first_reply, next_reply, resolution, ownership or periodic_update"),
    Column("unit", CODE, "unit that owned the conversation when the clock started"),
    Column("owner", CODE, "unit that has the conversation as far as was known; decides whom to tell"),
    Column("promise", CODE, "name of the policy"),
    Column("opened_by_event", "String", "event that opened the wait"),
    Column("started_at", INSTANT, "start of the clock"),
    Column("due_at", f"Nullable({INSTANT})", "the clock reaches the target"),
    Column("breach_at", f"Nullable({INSTANT})", "the last instant that keeps the promise; null: it stands still"),
    Column("ended_at", f"Nullable({INSTANT})", "end of the clock; null unless the alert is over"),
    Column("notify", FLAG, "1: receivers are told; 0: too old when it was found, muted, or nobody's business"),
    Column("critical", FLAG, "1: of critical priority or category; no quiet hours, no grouping"),
    Column(
        "muted",
        CODE,
        "why nobody is told: quiet (its unit is closed), silenced, incident (it belongs to a surge); else empty",
    ),
    Column("recipients", f"Array({CODE})", "whom to tell; everybody: no chain is for it"),
    Column("grouped", f"Array({CODE})", "those of them who had enough that day and get it with others"),
)


def _completed(shown: Mapping[str, Any]) -> dict[str, Any]:
    """With what messages of an earlier release do not have."""
    absent = {"kind": PROMISE, "critical": 0, "muted": "", "recipients": [EVERYBODY], "grouped": []}
    return absent | {"owner": shown["unit"]} | dict(shown)


class AlertTransition(NamedTuple):
    """A row of `alerts` and a message on `cx.alerts`; columns as in `ALERT`, instants in ms."""

    district: str
    key: str
    kind: str
    revision: int
    transition: str
    at: int
    conversation: str
    clock: str
    unit: str
    owner: str
    promise: str
    opened_by_event: str
    started_at: int
    due_at: int | None
    breach_at: int | None
    ended_at: int | None
    notify: int
    critical: int
    muted: str
    recipients: tuple[str, ...]
    grouped: tuple[str, ...]

    @property
    def base(self) -> str:
        """The transition it tells of: of one that was released, the one that had been muted."""
        return self.transition.removesuffix(_RELEASED)

    @property
    def is_release(self) -> bool:
        """Whether it tells at last what quiet hours muted."""
        return self.transition.endswith(_RELEASED)

    def released(self, at_ms: int) -> "AlertTransition":
        """The same, told when quiet hours end."""
        return self._replace(transition=f"{self.transition}{_RELEASED}", at=at_ms, muted="")

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this transition, whoever sends it."""
        return f"{self.key}-{self.revision}-{self.transition}"


def alert_key(district: str, conversation: str, clock: str, event_id: str) -> str:
    """Identity of one clock's alert, 32 hexadecimal digits; stable for ever."""
    return blake2b("\0".join((district, conversation, clock, event_id)).encode(), digest_size=16).hexdigest()


def as_json(transition: AlertTransition) -> dict[str, Any]:
    """A transition as an object: instants in ISO 8601, with its idempotency key."""
    shown = {"idempotency_key": transition.idempotency_key} | as_object(ALERT, transition)
    return shown | {"notify": bool(transition.notify), "critical": bool(transition.critical)}


def from_json(shown: Mapping[str, Any]) -> AlertTransition:
    """The transition that `as_json` shows as this object, also as an earlier release showed it.

    Raises `KeyError` or `ValueError` for anything else.
    """
    return of_row(of_object(ALERT, _completed(shown)))


def of_row(values: Iterable[Any]) -> AlertTransition:
    """The transition of a row of `alerts`, whatever sequences and flags came as."""
    one = AlertTransition(*values)
    notify, critical = int(one.notify), int(one.critical)
    recipients, grouped = tuple(one.recipients), tuple(one.grouped)
    return one._replace(notify=notify, critical=critical, recipients=recipients, grouped=grouped)
