"""What lands and is published of incidents: one record per transition of a surge, a silent feed or a rolling value.

The key is made of {district, unit, metric, what it is about, window, instant it began} and never changes afterwards,
whatever comes late. Instants and lengths are milliseconds, UTC.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from schemas.facts import CODE, COUNT, FLAG, INSTANT, LENGTH, Column
from schemas.records import as_object, of_object

SURGE, SILENCE, VALUE = "surge", "silence", "value"
INCIDENTS = (SURGE, SILENCE, VALUE)
OPENED, GROWN, CLOSED, CORRECTED = "opened", "grown", "closed", "corrected"
INQUIRIES = "inquiries"
"""How many inquiries about a topic came to a unit."""
PEOPLE = "people"
"""How many distinct people wrote under a social post."""
SIGNS = "signs"
"""Signs of life of a source: its events and heartbeats."""
KINDS = {INQUIRIES: SURGE, PEOPLE: SURGE, SIGNS: SILENCE}

INCIDENT = (
    Column("district", CODE, "district"),
    Column("key", "String", "digest of district, unit, metric, what it is about, window and the instant it began"),
    Column("revision", COUNT, "times it had ended or was corrected before, and then was there again"),
    Column("transition", CODE, "opened, grown, closed, or corrected (it never was)"),
    Column("step", COUNT, "grown: 2, 4, 8, …: so many times what opened it; else 0"),
    Column("at", INSTANT, "when: event time, or when it became known (corrected)"),
    Column("kind", CODE, "surge, silence, or value (a rolling value beyond its level)"),
    Column("metric", CODE, "inquiries (of a topic), people (under a post), signs (of a source), or a rolling value"),
    Column("about", CODE, "topic, post, source, or name of the watch"),
    Column("unit", CODE, "unit that it is in; the district for a source"),
    Column("window_ms", LENGTH, "window in which it is counted; 0: none"),
    Column("began_at", INSTANT, "the inquiry that was too much, the last sign of life, the first minute beyond"),
    Column("ended_at", f"Nullable({INSTANT})", "end; null until it is closed"),
    Column("observed", "Float64", "surge: inquiries or people that belong to it so far; value: the value"),
    Column("expected", "Float64", "what was usual in its window, or the level that a value must keep"),
    Column("notify", FLAG, "1: receivers are told; 0: too old when it was found, muted, or nobody's business"),
    Column("muted", CODE, "why nobody is told: silenced, acknowledged (it has only grown); else empty"),
    Column("recipients", f"Array({CODE})", "whom to tell; everybody: no chain is for its unit"),
)


class IncidentTransition(NamedTuple):
    """A row of `incidents` and a message on `cx.alerts`; columns as in `INCIDENT`, instants in ms."""

    district: str
    key: str
    revision: int
    transition: str
    step: int
    at: int
    kind: str
    metric: str
    about: str
    unit: str
    window_ms: int
    began_at: int
    ended_at: int | None
    observed: float
    expected: float
    notify: int = 0
    muted: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this transition, whoever sends it."""
        return f"{self.key}-{self.revision}-{self.transition}" + (f"-{self.step}" if self.step else "")


def incident_key(district: str, what: tuple[str, str, str], window_ms: int, began_ms: int) -> str:
    """Identity of an incident, 32 hexadecimal digits; `what` is its unit, its metric and what it is about."""
    parts = "\0".join((district, *what, str(window_ms), str(began_ms)))
    return blake2b(parts.encode(), digest_size=16).hexdigest()


def as_json(transition: IncidentTransition) -> dict[str, Any]:
    """A transition as an object: instants in ISO 8601, with its idempotency key."""
    shown = {"idempotency_key": transition.idempotency_key} | as_object(INCIDENT, transition)
    return shown | {"notify": bool(transition.notify)}


def from_json(shown: Mapping[str, Any]) -> IncidentTransition:
    """The transition that `as_json` shows as this object. Raises `KeyError` or `ValueError` for anything else."""
    return of_row(of_object(INCIDENT, shown))


def of_row(values: Iterable[Any]) -> IncidentTransition:
    """The transition whose columns these are, instants in ms, as a database or a message gives them."""
    one = IncidentTransition._make(values)
    return one._replace(notify=int(one.notify), recipients=tuple(one.recipients))
