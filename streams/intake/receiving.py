"""What the gateway does with a body, pure: items told apart, stamped with their receipt, admitted one by one."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from streams.core.admission import Admission, Refusal, admit, digest, read_json
from streams.intake.producer import Encoded, encode

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


class Received(NamedTuple):
    """A body's outcome: what is to be published, and one verdict an item in order of position."""

    events: list[Encoded]
    results: list[dict[str, Any]]

    @property
    def reasons(self) -> set[str]:
        """Reasons of all refusals."""
        return {result["reason"] for result in self.results if result["status"] == "refused"}


def receive(body: bytes, lines: bool, district: str, now: datetime) -> Received:
    """Judge a body: JSON (one event or an array), or one event a line if `lines`.

    Every event must be of `district`. `received_at` becomes `now`, whatever the client wrote: it says when *we* got it.
    """
    refusals: dict[int, Refusal] = {}
    items: dict[int, Any] = {}
    for position, item in _items(body, lines):
        found = item if isinstance(item, Refusal) else _misplaced(position, item, district)
        if found is not None:
            refusals[position] = found
        else:
            items[position] = {**item, "received_at": now.isoformat()} if isinstance(item, dict) else item
    if not items and not refusals:
        refusals[0] = Refusal(0, "empty", "", "the body holds no event", digest(body))
    admission = _admitted(list(items.values()))
    positions = list(items)
    whole = bool(items) and not admission.events and not admission.newer and len(admission.refused) < len(items)
    for refusal in admission.refused:
        # A refusal of the array as a whole is the verdict on each of its items.
        for index in range(len(items)) if whole else (refusal.position,):
            refusals[positions[index]] = refusal
    events = {positions[index]: encode(event) for index, event in admission.events}
    events.update((positions[n.position], Encoded(n.district, n.content)) for n in admission.newer)
    results = [
        _refused(position, items.get(position), refusals[position])
        if position in refusals
        else {"position": position, "event_id": items[position]["event_id"], "status": "accepted"}
        for position in sorted(refusals.keys() | events.keys())
    ]
    return Received([events[position] for position in sorted(events)], results)


def _items(body: bytes, lines: bool) -> Iterator[tuple[int, Any]]:
    """Position and content of each item; a `Refusal` in place of one that is not JSON."""
    if lines or not body.strip():
        for position, line in enumerate(filter(None, map(bytes.strip, body.splitlines()))):
            yield position, _parsed(line, position)
        return
    content = _parsed(body, 0)
    if isinstance(content, list):
        yield from enumerate(content)
    else:
        yield 0, content


def _parsed(text: bytes, position: int) -> Any:
    try:
        return read_json(text)
    except (ValueError, RecursionError):
        return Refusal(position, "not_json", "", "not JSON; send UTF-8 JSON", digest(text))


def _misplaced(position: int, item: Any, district: str) -> Refusal | None:
    named = item.get("district") if isinstance(item, dict) else None
    if not isinstance(named, str) or named == district:
        return None
    return Refusal(position, "foreign_district", "district", "district: this key is for another district", "")


def _admitted(items: list[Any]) -> Admission:
    return admit(json.dumps(items, separators=(",", ":")).encode()) if items else Admission([], [], [])


def _refused(position: int, item: Any, refusal: Refusal) -> dict[str, Any]:
    named = item.get("event_id") if isinstance(item, dict) else None
    return {
        "position": position,
        "event_id": named if isinstance(named, str) and _IDENTIFIER.fullmatch(named) else None,
        "status": "refused",
        "reason": refusal.reason,
        "field": refusal.field,
        "message": refusal.message,
    }
