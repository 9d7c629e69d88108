"""A simulated district for tests: spans by date, events as dictionaries, parameters with one part changed."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from schemas.vocabulary import to_ms
from streams.intake.simulator import Span, sample_district, simulate
from streams.intake.simulator_parameters import Parameters, default_parameters

ZONE = ZoneInfo("America/Chicago")
SAMPLE = sample_district()
DECLARED = default_parameters()


class Arrival(NamedTuple):
    """An event as it came: `received_at` in ms, its text, its content."""

    received_ms: int
    text: str
    event: dict[str, Any]


def local_ms(text: str) -> int:
    """Milliseconds of a date or time in the sample district."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC))


def ms(event: Mapping[str, Any]) -> int:
    """Event time in milliseconds."""
    return to_ms(datetime.fromisoformat(event["occurred_at"]))


def local(event: Mapping[str, Any]) -> datetime:
    """Event time in the sample district."""
    return datetime.fromisoformat(event["occurred_at"]).astimezone(ZONE)


def span(first: str, last: str, seed: int = 1) -> Span:
    """From one local date to another, the second excluded."""
    return Span(local_ms(first), local_ms(last), seed)


def run(within: Span, parameters: Parameters = DECLARED) -> list[Arrival]:
    """The sample district's events of a span."""
    return [Arrival(received, text, json.loads(text)) for received, text in simulate(SAMPLE, parameters, within)]


def events(within: Span, parameters: Parameters = DECLARED) -> list[dict[str, Any]]:
    """The same without repeated deliveries."""
    return list({arrival.event["event_id"]: arrival.event for arrival in run(within, parameters)}.values())


def changed(parameters: Parameters = DECLARED, **parts: Any) -> Parameters:
    """Parameters with other parts; a mapping changes some values of a part, anything else replaces it."""
    content = parameters.model_dump()
    for name, value in parts.items():
        part: BaseModel = getattr(parameters, name)
        content[name] = part.model_dump() | value if isinstance(value, dict) and isinstance(part, BaseModel) else value
    return Parameters.model_validate(content)


def few(inquiries: float) -> Parameters:
    """The declared parameters with so many inquiries on a school day, and six heartbeats."""
    return changed(volume={"inquiries_per_school_day": inquiries}, arrival={"heartbeat_minutes": 240})


def without_chance(parameters: Parameters = DECLARED, **habits: Any) -> Parameters:
    """Every habit of conversations off, all live answers too, except those given."""
    off = {name: 0.0 for name, value in parameters.habits.model_dump().items() if isinstance(value, float)}
    quiet = {"answered_live": {"phone": 0.0, "in_person": 0.0}, "acknowledged": {}, "bot": {}}
    return changed(parameters, habits=off | quiet | habits, incidents=[])


def openings(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The first event of each ordinary conversation, where it is a customer's."""
    for event in found:
        conversation = event.get("conversation", "")
        if event["event_id"] == f"{conversation}.1" and event["kind"] == "inquiry" and is_ordinary(conversation):
            yield event


def is_ordinary(conversation: str) -> bool:
    """True for one that no incident caused and that continues no other."""
    return conversation.count("-") == 1 and conversation[:8].isdigit()
