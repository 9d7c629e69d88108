"""Random but valid histories of one district: every kind of event, on whole minutes, around changes of the clocks."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st

from schemas.district import District
from schemas.events import EVENT, Event

DISTRICT = "demo"
WEEK = ("mon", "tue", "wed", "thu", "fri")
CALENDARS: dict[str, Any] = {
    "office": {
        "time_zone": "America/Chicago",
        "week": {day: ["07:30-12:00", "12:30-16:00"] for day in WEEK},
        "days": {"2026-03-08": ["01:30-03:30"], "2026-11-01": ["00:45-02:15"]},
    },
    "always": {"time_zone": "America/Chicago", "week": {day: ["00:00-24:00"] for day in (*WEEK, "sat", "sun")}},
    "east": {"time_zone": "America/New_York", "week": {day: ["08:00-17:00"] for day in ("tue", "thu", "sat")}},
    "island": {"time_zone": "Australia/Lord_Howe", "week": {day: ["22:00-24:00"] for day in WEEK}},
}
UNITS: list[dict[str, Any]] = [
    {"unit": "a", "level": "department", "units": [{"unit": "a1", "level": "team", "calendar": "east"}]},
    {"unit": "b", "level": "department", "calendar": "island"},
    {"unit": "line", "level": "department", "calendar": "always"},
    {"unit": "s", "level": "school", "units": [{"unit": "s1", "level": "department"}]},
]
UNIT = st.sampled_from(["a", "a", "a1", "b", "line", "s", "s1", DISTRICT, "gone"])
TOPIC = st.sampled_from(["bus", "grades"])
PERSON = st.sampled_from(["ab" * 8, "cd" * 8])
PROMISES: list[dict[str, Any]] = [
    {"promise": "first-bus", "clock": "first_reply", "target": "1h", "topics": ["bus"], "units": ["a", "s1"]},
    {"promise": "first", "clock": "first_reply", "target": "4h"},
    {"promise": "next", "clock": "next_reply", "target": "80m", "hours": "calendar"},
    {"promise": "done-urgent", "clock": "resolution", "target": "4h", "priorities": ["high"], "channels": ["phone"]},
    {"promise": "done", "clock": "resolution", "target": "8h"},
    {"promise": "owned", "clock": "ownership", "target": "1h"},
    {"promise": "told", "clock": "periodic_update", "target": "8h"},
]
ROUTES: list[dict[str, Any]] = [
    {"unit": "b", "topics": ["bus"], "touch_points": ["desk"]},
    {"unit": "a1", "channels": ["phone"], "stakeholders": ["parent"]},
    {"unit": "s", "topics": ["grades"]},
]
BASES = [datetime(2026, 3, 6, 12, tzinfo=UTC), datetime(2026, 10, 30, 12, tzinfo=UTC)]
KINDS = [
    *["inquiry"] * 5,
    *["reply"] * 4,
    *["status_changed"] * 3,
    *["transfer", "rating", "correction", "merge"] * 2,
    *["unmerge", "spam", "not_spam", "delivery_failed", "deleted", "link", "survey_offered"],
]
CHANNEL = st.sampled_from(["phone", "email"])
VISIT = st.sampled_from(["requested", "offered", "refused"])
EVENT_ID = st.integers(1, 12).map(lambda number: f"e{number:02d}")


def _rarely(often: Any, seldom: list[Any], weight: int = 4) -> st.SearchStrategy[Any]:
    return st.sampled_from([*[often] * weight, *seldom])


_INQUIRY = st.fixed_dictionaries(
    {"channel": CHANNEL, "needs_reply": _rarely(True, [False]), "automatic": _rarely(False, [True], 6)},
    optional={
        "unit": UNIT,
        "topic": TOPIC,
        "stakeholder": st.just("parent"),
        "priority": st.sampled_from(["high", "low"]),
        "critical_category": _rarely("none", ["safety", "media"]),
        "contact": st.sampled_from(["missed_call", "voicemail", "answered_live", "turned_away"]),
        "queue_seconds": st.integers(0, 4).map(lambda number: number * 300.0),
        "reachable": _rarely(True, [False], 2),
        "opened_by": _rarely("customer", ["staff"], 2),
        "visit": VISIT,
        "person": PERSON,
        "staff": PERSON,
    },
)
_REPLY = st.fixed_dictionaries(
    {"channel": CHANNEL, "author": _rarely("human", ["bot", "automatic_acknowledgement"])},
    optional={
        "unit": UNIT,
        "public": _rarely(True, [False], 2),
        "delivered": _rarely(True, [False], 2),
        "staff": PERSON,
        "visit": VISIT,
    },
)
_PILLARS = st.fixed_dictionaries({}, optional={"courtesy": st.integers(1, 10), "environment": st.integers(1, 10)})
_RATING = st.fixed_dictionaries(
    {"score": st.integers(1, 10)},
    optional={
        "rater": PERSON,
        "survey": st.just("other"),
        "pillars": _PILLARS,
        "trust": st.integers(1, 10),
        "answered": st.booleans(),
        "items": st.dictionaries(st.sampled_from(["food", "signs"]), st.integers(1, 10)),
    },
)
_STATUS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(
            ["resolved", "resolved", "resolved", "pending", "pending", "on_hold", "reopened", "withdrawn"]
        )
    },
    optional={"staff": PERSON},
)
_TRANSFER = st.fixed_dictionaries({}, optional={"unit": UNIT, "staff": PERSON, "from_bot": st.booleans()})
_INTO = st.fixed_dictionaries({"into": st.sampled_from(["c1", "c2", "c3"])})


@st.composite
def _corrections(draw: st.DrawFn, moments: st.SearchStrategy[datetime]) -> dict[str, Any]:
    fields: dict[str, Any] = {"corrects": draw(st.one_of(st.none(), EVENT_ID))}
    for name, values in (("unit", UNIT), ("topic", TOPIC), ("needs_reply", st.booleans())):
        if draw(st.booleans()):
            fields[name] = draw(values)
    if fields["corrects"] and (len(fields) == 1 or draw(st.integers(0, 3)) == 0):
        fields["time"] = draw(moments).isoformat()
    return fields if len(fields) > 1 else fields | {"topic": draw(TOPIC)}


@cache
def _fields(kind: str, base: datetime) -> st.SearchStrategy[dict[str, Any]]:
    moments = _moments(base)
    due = moments.map(lambda moment: moment.isoformat())
    known: dict[str, st.SearchStrategy[dict[str, Any]]] = {
        "inquiry": st.one_of(_INQUIRY, _INQUIRY, st.builds(_promised, _INQUIRY, st.one_of(due, st.none()))),
        "reply": _REPLY,
        "rating": _RATING,
        "status_changed": _STATUS,
        "transfer": _TRANSFER,
        "correction": _corrections(moments),
        "merge": _INTO,
        "unmerge": _INTO,
        "survey_offered": st.fixed_dictionaries({}, optional={"person": PERSON}),
        "delivery_failed": st.fixed_dictionaries({"reply": EVENT_ID}),
        "link": st.fixed_dictionaries(
            {"linked_to": st.sampled_from(["x1", "x2"]), "relation": st.sampled_from(["continues", "related"])}
        ),
    }
    return known.get(kind, st.just({}))


def _promised(fields: dict[str, Any], due_at: str | None) -> dict[str, Any]:
    return fields | {"due_at": due_at}


@cache
def _moments(base: datetime) -> st.SearchStrategy[datetime]:
    """Mostly within four days, some minutes apart or at once; some weeks later, around what ends after days."""
    near = st.integers(0, 4 * 24 * 6).map(lambda number: number * 10)
    close = st.integers(0, 8)
    far = st.builds(lambda days, minutes: days * 1440 + minutes, st.integers(4, 60), st.integers(0, 1439))
    return st.one_of(close, near, near, far).map(lambda number: base + timedelta(minutes=number))


@st.composite
def _scenes(draw: st.DrawFn, base: datetime) -> list[tuple[str, datetime]]:
    """What chance alone hardly brings together: kinds and moments of a talk, or of ratings long after resolves."""
    if draw(st.booleans()):
        kinds = ["inquiry", "reply", "reply", "reply", "inquiry"]
        gaps = [0, 3, draw(st.sampled_from([1, 4, 9])), draw(st.integers(0, 6)), draw(st.integers(1, 6))]
    else:
        kinds = ["inquiry", "status_changed", "status_changed", "rating", "rating"]
        gaps = [0, 30, *(draw(st.integers(0, 20)) * 1440 for _ in range(3))]
    moment, found = base, []
    for kind, gap in zip(kinds, gaps, strict=True):
        moment += timedelta(minutes=gap)
        found.append((kind, moment))
    return found


def configuration(revision: int, fields: dict[str, Any]) -> District:
    """The district of the histories with some parts replaced."""
    document = {
        "district": DISTRICT,
        "revision": revision,
        "calendar": "office",
        "calendars": CALENDARS,
        "units": UNITS,
        "promises": PROMISES,
        "routing": ROUTES,
    }
    return District.model_validate(document | fields)


@st.composite
def _edits(draw: st.DrawFn, base: datetime) -> dict[str, Any]:
    """Some closures, units without their children, other promises."""
    first = (base + timedelta(days=draw(st.integers(0, 5)))).date()
    closed = [f"{first}/{first + timedelta(days=draw(st.integers(0, 2)))}"]
    promises = [dict(promise) for promise in PROMISES if draw(st.integers(0, 3))]
    for promise in promises:
        promise["target"] = draw(st.sampled_from([promise["target"], promise["target"], "20m", "20h"]))
    units = UNITS if draw(st.integers(0, 3)) else [*UNITS[1:], {"unit": "a", "level": "school"}]
    known = {"a", "b", "line", "s", "s1", *(["a1"] if units is UNITS else [])}
    return {
        "calendars": CALENDARS | {"office": CALENDARS["office"] | {"closed": closed}},
        "promises": promises,
        "units": units,
        "routing": [route for route in ROUTES if route["unit"] in known][draw(st.integers(0, 2)) :],
    }


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> list[Event]:
    """Up to three conversations that may become one, with conflicts of content and edits of the configuration."""
    base = draw(st.sampled_from(BASES))
    moments = _moments(base)
    events = [_first(base)] if draw(st.integers(0, 7)) else []
    for revision in range(2, 2 + draw(st.sampled_from([0, 0, 0, 1, 2]))):
        event_id = f"configuration-{revision if draw(st.integers(0, 3)) else 1}"
        events.append(_configured(revision, draw(_edits(base)), draw(moments), event_id))
    planned = draw(_scenes(base)) if draw(st.integers(0, 2)) == 0 else []
    for number in range(1, 1 + max(draw(st.integers(1, most)), len(planned))):
        kind, moment = planned[number - 1] if number <= len(planned) else (draw(st.sampled_from(KINDS)), draw(moments))
        event = {
            "kind": kind,
            "event_id": f"e{number:02d}" if draw(st.integers(0, 7)) else draw(EVENT_ID),
            "conversation": "c1" if number <= len(planned) else draw(st.sampled_from(["c1", "c1", "c1", "c2", "c3"])),
            "source": draw(st.sampled_from(["crm", "phone"])),
            "occurred_at": moment.isoformat(),
        }
        if draw(st.integers(0, 3)) == 0:
            event["touch_point"] = "desk"
        events.append(_event(event | draw(_fields(kind, base))))
    for key in draw(st.lists(PERSON, max_size=2, unique=True)) if draw(st.integers(0, 2)) == 0 else []:
        events.insert(draw(st.integers(0, len(events))), erasure(key, draw(moments)))
    return events


def erasure(key: str, moment: datetime) -> Event:
    """The erasure of a person's key."""
    digest = sha256(key.encode()).hexdigest()
    frame = {"kind": "erased", "event_id": f"erased-{digest[:8]}", "source": "cx", "key_digest": digest}
    return _event(frame | {"occurred_at": moment.isoformat()})


@cache
def _first(base: datetime) -> Event:
    return _configured(1, {}, base - timedelta(days=30))


def _configured(revision: int, fields: dict[str, Any], moment: datetime, event_id: str = "configuration-1") -> Event:
    return _event(
        {
            "kind": "district_configured",
            "event_id": event_id,
            "source": "cx",
            "occurred_at": moment.isoformat(),
            "revision": revision,
            "configuration": configuration(revision, fields).model_dump(mode="json"),
        }
    )


def _event(content: dict[str, Any]) -> Event:
    whole = {"district": DISTRICT, "received_at": content["occurred_at"]} | content
    return EVENT.validate_json(json.dumps(whole))
