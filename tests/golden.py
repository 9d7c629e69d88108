"""Builders for short histories in local time, shared by the tests."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from schemas.calendar import Calendar
from schemas.district import District
from schemas.events import EVENT, Event
from schemas.facts import as_json
from streams.core.district import DistrictState

ZONE = ZoneInfo("America/Chicago")
OFFICE: dict[str, Any] = {
    "time_zone": "America/Chicago",
    "week": {day: ["07:30-16:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
    "closed": ["2026-11-26/2026-11-27"],
}
ALWAYS: dict[str, Any] = {
    "time_zone": "America/Chicago",
    "week": {day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
}
OFFICE_CALENDAR = Calendar.model_validate(OFFICE)


def at(text: str) -> datetime:
    """A local Chicago time, `2026-10-06 10:00` or with seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def ms(text: str) -> int:
    """The same in milliseconds UTC."""
    return round(at(text).timestamp() * 1000)


def district(**more: Any) -> District:
    """A small district: departments A and B, a team under A, an around-the-clock line."""
    document: dict[str, Any] = {
        "district": "demo",
        "calendar": "office",
        "calendars": {"office": OFFICE, "always": ALWAYS},
        "units": [
            {"unit": "a", "level": "department", "units": [{"unit": "a1", "level": "team"}]},
            {"unit": "b", "level": "department"},
            {"unit": "line", "level": "department", "calendar": "always"},
        ],
    }
    return District.model_validate(document | more)


class History:
    """Collects events of one district, with readable defaults and ids in order of writing."""

    def __init__(self, district: str = "demo") -> None:
        self._district = district
        self.events: list[Event] = []

    def add(self, kind: str, when: str, conversation: str = "c1", **fields: Any) -> Event:
        """Append one event at a local time; of the district itself if `conversation` is empty."""
        moment = at(when).isoformat()
        event: dict[str, Any] = {
            "kind": kind,
            "event_id": f"e{len(self.events):02d}",
            "district": self._district,
            "source": "crm",
            "occurred_at": moment,
            "received_at": moment,
            **({"conversation": conversation} if conversation else {}),
        }
        if kind in ("inquiry", "reply"):
            event["channel"] = "email"
        if kind == "inquiry":
            event["unit"] = "a"
        made = EVENT.validate_json(_json(event | fields))
        self.events.append(made)
        return made

    def configured(self, document: District, when: str = "2020-01-01 00:00") -> Event:
        """Append the configuration as an event."""
        moment = at(when).isoformat()
        event = {
            "kind": "district_configured",
            "event_id": f"configuration-{document.revision}",
            "district": self._district,
            "source": "cx",
            "occurred_at": moment,
            "received_at": moment,
            "revision": document.revision,
            "configuration": document.model_dump(mode="json"),
        }
        made = EVENT.validate_json(_json(event))
        self.events.append(made)
        return made

    def facts(self) -> list[dict[str, Any]]:
        """All fact rows as objects."""
        return fold_all(self.events)

    def fact(self) -> dict[str, Any]:
        """The only row."""
        (row,) = self.facts()
        return row


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def fold_all(events: list[Event]) -> list[dict[str, Any]]:
    """Fold events in the order given."""
    state = DistrictState("demo")
    for event in events:
        state.apply(event)
    return [as_json(row) for row in state.settle().rows]


def minutes(value: int | None) -> float | None:
    """Milliseconds as minutes."""
    return None if value is None else value / 60_000
