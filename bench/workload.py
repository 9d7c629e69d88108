"""The benchmarks' input: one district's ordinary conversations, the same for the same arguments."""

import json
from typing import Any

from schemas.district import District
from schemas.events import EVENT, Event
from schemas.vocabulary import from_ms

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
EVENTS_PER_CONVERSATION = 3
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


def document(district: str, targets: tuple[str, str] = ("4h", "16h")) -> District:
    """A district of one department with a reply and a resolution promise in office hours."""
    reply, done = targets
    return District.model_validate(
        {
            "district": district,
            "calendar": "office",
            "calendars": {
                "office": {"time_zone": "America/Chicago", "week": {day: ["07:30-16:00"] for day in WEEKDAYS}}
            },
            "units": [{"unit": "transportation", "level": "department"}],
            "promises": [
                {"promise": "reply", "clock": "first_reply", "target": reply},
                {"promise": "done", "clock": "resolution", "target": done},
            ],
        }
    )


def configured(district: str, targets: tuple[str, str] = ("4h", "16h")) -> Event:
    """The configuration as an event before all others."""
    moment = from_ms(0).isoformat()
    content = {
        "kind": "district_configured",
        "event_id": "configuration",
        "district": district,
        "source": "bench",
        "occurred_at": moment,
        "received_at": moment,
        "revision": 1,
        "configuration": document(district, targets).model_dump(mode="json"),
    }
    return EVENT.validate_json(json.dumps(content))


def _event(district: str, number: int, kind: str, at_ms: int, **more: Any) -> dict[str, Any]:
    moment = from_ms(at_ms).isoformat()
    return {
        "kind": kind,
        "event_id": f"{kind[:3]}-{number}",
        "district": district,
        "source": "crm",
        "occurred_at": moment,
        "received_at": moment,
        "conversation": f"conversation-{number}",
        **more,
    }


def _conversation(
    district: str, number: int, start_ms: int = START_MS, step_ms: int = MINUTE_MS
) -> list[dict[str, Any]]:
    opened = start_ms + number * step_ms
    replied = opened + (5 + number % 600) * MINUTE_MS
    return [
        inquiry(district, number, opened),
        _event(district, number, "reply", replied, channel="email", unit="transportation"),
        _event(district, number, "status_changed", replied + 30 * MINUTE_MS, status="resolved"),
    ]


def inquiry(district: str, number: int, at_ms: int) -> dict[str, Any]:
    """An inquiry of a conversation of its own that comes in at an instant."""
    asked = {"unit": "transportation", "topic": "bus-late", "stakeholder": "parent", "person": f"{number:016x}"}
    return _event(district, number, "inquiry", at_ms, channel="email", **asked)


def history(
    district: str, conversations: int, start_ms: int = START_MS, step_ms: int = MINUTE_MS
) -> list[dict[str, Any]]:
    """Three events for each conversation, in order of event time; conversations begin so many ms apart."""
    numbers = range(conversations)
    events = [event for number in numbers for event in _conversation(district, number, start_ms, step_ms)]
    return sorted(events, key=lambda event: str(event["occurred_at"]))


def messages(district: str, conversations: int, size: int) -> list[bytes]:
    """The same in arrays of `size` events."""
    events = history(district, conversations)
    return [json.dumps(events[i : i + size]).encode() for i in range(0, len(events), size)]


def open_messages(district: str, conversations: int, size: int) -> list[bytes]:
    """Arrays of inquiries that nobody answered."""
    events = [_conversation(district, number)[0] for number in range(conversations)]
    return [json.dumps(events[i : i + size]).encode() for i in range(0, len(events), size)]
