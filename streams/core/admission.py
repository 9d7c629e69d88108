"""From a Kafka message's bytes to valid events; what cannot be taken is refused item by item, with field and reason.

Reasons: too_large, not_json, not_an_event, unknown_kind, missing_field, invalid_field, foreign_district, future_time,
empty, internal. A refusal never carries the payload, only its digest.
"""

import json
import re
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.document import Place, reasons
from schemas.events import EVENT, EVENTS, KINDS, Event
from schemas.vocabulary import CODE_PATTERN, SCHEMA_VERSION, to_ms
from streams.core.harmless import LARGEST_EVENT, is_harmless

FUTURE_MS = 300_000
LARGEST_MESSAGE = 8_000_000
MOST_EVENTS = 20_000
LONGEST_INTEGER = 30
_CODE = re.compile(CODE_PATTERN)
_FIELD, _PSEUDONYM = re.compile(r"[a-z_][a-z0-9_]{0,31}"), re.compile(r"[0-9a-f]{16,}")
# What every event carries, whatever its schema.
FRAME = ("event_id", "district", "source", "occurred_at", "received_at", "schema_version", "conversation")


class Refusal(NamedTuple):
    """Why one item of a message was not taken; `position` is its place in the array, 0 for a single event."""

    position: int
    reason: str
    field: str
    message: str
    digest: str
    district: str = ""
    kind: str = ""


class Newer(NamedTuple):
    """An event of a newer schema whose kind or fields we do not know: kept as it is, not folded."""

    position: int
    district: str
    conversation: str
    event_id: str
    kind: str
    occurred_at: str
    received_at: str
    schema_version: int
    content: bytes


class Admission(NamedTuple):
    """What a message held: events with their index in it, events of a newer schema, refusals."""

    events: list[tuple[int, Event]]
    newer: list[Newer]
    refused: list[Refusal]

    @property
    def district(self) -> str:
        """The district of the message, empty if nothing was taken."""
        if self.events:
            return self.events[0][1].district
        return self.newer[0].district if self.newer else ""


def digest(payload: bytes) -> str:
    """SHA-256 of a payload in hexadecimal."""
    return sha256(payload).hexdigest()


def admit(message: bytes | None) -> Admission:
    """Read one message: an event or an array of one district's events. Never raises for bad input."""
    if not message:
        return Admission([], [], [Refusal(0, "empty", "", "the message is empty", digest(b""))])
    payload = message
    if len(payload) > LARGEST_MESSAGE:
        text = f"{len(payload)} bytes are more than {LARGEST_MESSAGE}; send smaller arrays"
        return Admission([], [], [Refusal(0, "too_large", "", text, digest(payload))])
    if payload[:1] == b"[":
        try:
            events = EVENTS.validate_json(payload)
        except Exception:  # noqa: BLE001 -- whichever item it was, only that one is refused
            return _one_by_one(payload)
        if len(events) > MOST_EVENTS:
            return _one_by_one(payload)
        return _settle(list(enumerate(events)), [], [])
    try:
        return _settle([(0, EVENT.validate_json(payload))], [], [])
    except Exception:  # noqa: BLE001 -- refused with its reason below
        return _one_by_one(payload)


def _integer(digits: str) -> int | float:
    """An integer, or infinity for one that no field takes: Python refuses to read thousands of digits."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else float("inf")


def read_json(payload: bytes) -> Any:
    """`json.loads` that reads a number of thousands of digits as infinity, which no field takes."""
    return json.loads(payload, parse_int=_integer)


def _one_by_one(payload: bytes) -> Admission:
    try:
        parsed = read_json(payload)
    except (ValueError, RecursionError) as error:
        place = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        return Admission([], [], [Refusal(0, "not_json", "", f"not JSON{place}; send UTF-8 JSON", digest(payload))])
    items = parsed if isinstance(parsed, list) else [parsed]
    if not items or len(items) > MOST_EVENTS:
        reason = "too_large" if items else "empty"
        text = f"an array holds 1 to {MOST_EVENTS} events, this one {len(items)}"
        return Admission([], [], [Refusal(0, reason, "", text, digest(payload))])
    events: list[tuple[int, Event]] = []
    newer: list[Newer] = []
    refused: list[Refusal] = []
    for index, item in enumerate(items):
        found = _single(index, item)
        if isinstance(found, Refusal):
            refused.append(found)
        elif isinstance(found, Newer):
            newer.append(found)
        else:
            events.append((index, found))
    return _settle(events, newer, refused)


def _single(index: int, item: Any) -> Event | Newer | Refusal:
    encoded = json.dumps(item, separators=(",", ":")).encode("utf-8", "replace")
    try:
        return EVENT.validate_json(encoded)
    except ValidationError as error:
        newer = _newer(index, item, encoded)
        if newer is not None:
            return newer
        field, reason, text = _first_problem(item, error)
        return Refusal(index, reason, field, text, digest(encoded), *_named(item))
    except Exception as error:  # noqa: BLE001 -- a defect of ours costs this item only
        text = f"checking the event failed ({type(error).__name__}); please report it with its digest"
        return Refusal(index, "internal", "", text, digest(encoded), *_named(item))


def _named(item: Any) -> tuple[str, str]:
    """District and kind of a refused item, each only if it is well formed: anything else may be content."""
    if not isinstance(item, dict):
        return "", ""
    district, kind = item.get("district"), item.get("kind")
    named = district if isinstance(district, str) and _CODE.fullmatch(district) else ""
    return named, kind if isinstance(kind, str) and kind in KINDS else ""


def _newer(index: int, item: Any, encoded: bytes) -> Newer | Refusal | None:
    """A newer producer's event, if what every event carries is sound; unknown kinds and fields are its right."""
    version = item.get("schema_version") if isinstance(item, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version <= SCHEMA_VERSION:
        return None
    frame = {name: item[name] for name in FRAME if name in item}
    frame["kind"] = "spam" if "conversation" in frame else "heartbeat"
    try:
        event = EVENT.validate_json(json.dumps(frame))
    except ValidationError:
        return None
    kind = item.get("kind")
    if not isinstance(kind, str) or not kind.isascii() or not kind.isidentifier() or len(kind) > 64:
        return None
    rest = {name: value for name, value in item.items() if name not in FRAME}
    if to_ms(event.occurred_at) > to_ms(event.received_at) + FUTURE_MS:
        return None
    if (harmful := next((name for name, value in rest.items() if not is_harmless({name: value})), None)) is not None:
        field = _spelled((harmful,))
        text = f"{field}: of a newer schema; it may hold codes and numbers, no sentence, address or telephone number"
        return Refusal(index, "invalid_field", field, text, digest(encoded), *_named(item))
    # A newer configuration is as large as the district is.
    if len(encoded) > LARGEST_EVENT and kind != "district_configured":
        text = f"{len(encoded)} bytes are more than {LARGEST_EVENT}, which an event of a newer schema may have"
        return Refusal(index, "too_large", "", text, digest(encoded), *_named(item))
    return Newer(
        index,
        event.district,
        getattr(event, "conversation", ""),
        event.event_id,
        kind,
        event.occurred_at.isoformat(),
        event.received_at.isoformat(),
        version,
        encoded,
    )


def _first_problem(item: Any, error: ValidationError) -> tuple[str, str, str]:
    if not isinstance(item, dict):
        return "", "not_an_event", "an event is a JSON object"
    kind = error.errors(include_input=False, include_context=False, include_url=False)[0]["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        missing = kind == "union_tag_not_found"
        text = "kind: " + ("field required" if missing else "not one of the kinds that ./cx schema lists")
        return "kind", "missing_field" if missing else "unknown_kind", text
    if kind == "json_invalid":
        return "", "not_json", "not Unicode text (a lone surrogate), or nested too deep"
    place, why = reasons(error)[0]
    field = _spelled(place[1:] if place and place[0] in KINDS else place)
    return field, "missing_field" if kind == "missing" else "invalid_field", f"{field}: {why}"


def _spelled(place: Place) -> str:
    """A place within an event; a name that is not ours may be content, so it is not repeated."""
    return ".".join(str(part) if isinstance(part, int) or _is_field(part) else "?" for part in place)


def _is_field(name: str) -> bool:
    """Whether it is spelled as our fields are, and not as a person's key or name."""
    return _FIELD.fullmatch(name) is not None and _PSEUDONYM.fullmatch(name) is None


def _settle(events: list[tuple[int, Event]], newer: list[Newer], refused: list[Refusal]) -> Admission:
    """Refuse what belongs to another district than the first event, and what happened after it was received.

    That holds for the time of a correction as for the event's own: it becomes the instant that counts.
    """
    if not events and not newer:
        return Admission([], [], refused)
    district = min([(i, e.district) for i, e in events[:1]] + [(n.position, n.district) for n in newer[:1]])[1]
    kept: list[tuple[int, Event]] = []
    for index, event in events:
        problem = _misplaced(event, district)
        if problem is None:
            kept.append((index, event))
        else:
            reason, field, text = problem
            encoded = event.__pydantic_serializer__.to_json(event, exclude_defaults=True)
            refused.append(Refusal(index, reason, field, text, digest(encoded), event.district, event.kind))
    stray = [n for n in newer if n.district != district]
    refused.extend(
        Refusal(n.position, "foreign_district", "district", "district: not the array's", digest(n.content), n.district)
        for n in stray
    )
    return Admission(kept, [n for n in newer if n.district == district], refused)


def _misplaced(event: Event, district: str) -> tuple[str, str, str] | None:
    if event.district != district:
        return "foreign_district", "district", "district: a message holds the events of one district only"
    if event.occurred_at > event.received_at and to_ms(event.occurred_at) > to_ms(event.received_at) + FUTURE_MS:
        return "future_time", "occurred_at", "occurred_at: more than 5 minutes after received_at; check the clock"
    corrected = event.time if event.kind == "correction" else None
    if corrected is not None and to_ms(corrected) > to_ms(event.received_at) + FUTURE_MS:
        return "future_time", "time", "time: more than 5 minutes after received_at; it has not happened yet"
    return None
