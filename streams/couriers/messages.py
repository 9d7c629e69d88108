"""What people read of an alert: what, where, how long, which promise, and where to look. Pure."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from string import Template
from typing import Any
from urllib.parse import urlencode

from schemas.alerts import (
    AT_RISK,
    BREACHED,
    CORRECTED,
    ESCALATED_50,
    ESCALATED_100,
    MET_LATE,
    RESOLVED,
)
from schemas.incidents import IncidentTransition
from schemas.transitions import Transition, as_json
from schemas.vocabulary import from_ms
from streams.incident_words import sentence

_SLACK = '{"text": "${text}", "unfurl_links": false}'
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
MOST_LINES = 50
_WORDS: Mapping[str, str] = {
    AT_RISK: "A promise is at risk",
    BREACHED: "A promise is broken",
    ESCALATED_50: "A broken promise still waits, half its time over",
    ESCALATED_100: "A broken promise still waits, twice its time used",
    MET_LATE: "A broken promise was met late",
    RESOLVED: "A promise is no longer at stake",
    CORRECTED: "What was said of a promise was wrong",
}


def subject(transition: Transition) -> str:
    """Such as `A promise is broken: first reply`; of an incident, its sentence."""
    if isinstance(transition, IncidentTransition):
        return sentence(transition)
    return f"{_WORDS[transition.base]}: {transition.clock.replace('_', ' ')}"


def how_long(length_ms: int) -> str:
    """A length as people say it, in its two largest parts: 2 d 3 h, 4 h 10 min, 45 s."""
    seconds = max(0, length_ms) // 1000
    parts: list[str] = []
    for name, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {name}")
    return " ".join([*parts, f"{seconds} s"][:2]) if parts else f"{seconds} s"


def fields(told: Transition, page: str) -> dict[str, str]:
    """The fields of `schemas.receivers.FIELDS`; times in UTC, as no unit's clock is known here."""
    found = {
        "what": subject(told),
        "how_long": f"{how_long(_open_ms(told))} since {_instant(_began_ms(told))}",
        "link": f"{page}?{urlencode({'district': told.district})}",
        "key": told.key,
        "district": told.district,
        "transition": told.transition,
        "at": from_ms(told.at).isoformat(timespec="milliseconds"),
    }
    if isinstance(told, IncidentTransition):
        found |= {"unit": told.unit, "promise": "", "conversation": ""}
        lines = ["{what}.", "For {how_long}.", "{link}"]
    else:
        due = f", due {_instant(told.due_at)}" if told.due_at is not None else ""
        found |= {"unit": told.owner or told.unit, "promise": told.promise + due, "conversation": told.conversation}
        found["what"] = ("Critical. " if told.critical else "") + found["what"]
        lines = ["{what}, {where}.", "For {how_long}. Promise: {promise}.", "Conversation {conversation}. {link}"]
    found["where"] = f"{found['unit']} in {told.district}"
    return found | {"text": "\n".join(lines).format(**found)}


def _began_ms(told: Transition) -> int:
    return told.began_at if isinstance(told, IncidentTransition) else told.started_at


def _open_ms(told: Transition) -> int:
    return (told.ended_at or told.at) - _began_ms(told)


def _instant(at_ms: int) -> str:
    return from_ms(at_ms).strftime("%Y-%m-%d %H:%M UTC")


def group_fields(alerts: Sequence[Transition], page: str) -> dict[str, str]:
    """The same of many alerts told at once."""
    each = [fields(alert, page) for alert in alerts]
    lines = [f"{one['what']}, {one['where']}, for {one['how_long']}, {one['conversation']}" for one in each]
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    what = f"{len(alerts)} alerts, more than a day's share"
    districts = ", ".join(sorted({alert.district for alert in alerts}))
    text = "\n".join([f"{what}, in {districts}.", *lines[:MOST_LINES], *more, each[-1]["link"]])
    return each[-1] | {"what": what, "where": districts, "text": text, "key": group_key(alerts), "conversation": ""}


def group_key(alerts: Sequence[Transition]) -> str:
    """The idempotency key of these alerts in one message."""
    keys = "\0".join(alert.idempotency_key for alert in alerts)
    return f"group-{blake2b(keys.encode(), digest_size=16).hexdigest()}"


def idempotency_key(alerts: Sequence[Transition]) -> str:
    """The same for every attempt to tell these."""
    return alerts[0].idempotency_key if len(alerts) == 1 else group_key(alerts)


def shown(alerts: Sequence[Transition], page: str) -> dict[str, str]:
    """The fields of one alert, or of several told at once."""
    return fields(alerts[0], page) if len(alerts) == 1 else group_fields(alerts, page)


def _whole(alert: Transition, page: str) -> dict[str, Any]:
    """Everything of an alert: its columns, and the words people read."""
    words = fields(alert, page)
    return (
        as_json(alert)
        | {name: words[name] for name in ("what", "where", "how_long", "text", "link")}
        | {"open_ms": _open_ms(alert)}
    )


def body(template: str, alerts: Sequence[Transition], page: str) -> bytes:
    """The JSON a webhook gets: `json`, `slack`, or a template whose fields stand within quotes."""
    if template != "json":
        escaped = {name: json.dumps(value)[1:-1] for name, value in shown(alerts, page).items()}
        return Template(_SLACK if template == "slack" else template).substitute(escaped).encode()
    if len(alerts) == 1:
        return json.dumps(_whole(alerts[0], page)).encode()
    words = group_fields(alerts, page)
    told = {name: words[name] for name in ("what", "where", "text", "link")}
    told["idempotency_key"] = group_key(alerts)
    return json.dumps(told | {"alerts": [_whole(alert, page) for alert in alerts]}).encode()
