"""Which values of earlier events a correction or a failed delivery replaced, one change after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.vocabulary import from_ms
from streams.core.corrections import corrected
from streams.core.packed import Correction, Mark, Packed
from streams.explaining.steps import Done
from streams.explaining.told import Change
from streams.explaining.words import value


def _changes_others(event: Packed) -> bool:
    return type(event) is Correction or (type(event) is Mark and event.kind == "delivery_failed")


def effect(correction: Correction, changes: Mapping[str, Sequence[Change]]) -> Done:
    """What a correction did, of its conversation's changes."""
    did = [
        f"{changed}: {change.field} {change.before} → {change.after}"
        for changed, of_event in changes.items()
        for change in of_event
        if change.by_event == correction.event_id
    ]
    wanted = correction.corrects or "the opening inquiry"
    return Done(did, "" if did else f"changes nothing: {wanted} is not known, or has these values already")


def changes_of(events: Sequence[Packed]) -> dict[str, list[Change]]:
    """By the changed event's id: each change in the order in which it applies; `events` as they came, in order."""
    found: dict[str, list[Change]] = {}
    known = [event for event in events if not _changes_others(event)]
    before = {event.event_id: event for event in known}
    for change in filter(_changes_others, events):
        known = sorted([*known, change], key=lambda event: event[:3])
        after = {event.event_id: event for event in corrected(known)}
        for event_id, old in before.items():
            found.setdefault(event_id, []).extend(_differences(old, after[event_id], change.event_id))
        before = after
    return {event_id: changes for event_id, changes in found.items() if changes}


def _differences(old: Packed, new: Packed, by_event: str) -> list[Change]:
    return [
        Change(by_event=by_event, field="time", before=_time(before), after=_time(after))
        if field == "at_ms"
        else Change(by_event=by_event, field=field, before=value(before), after=value(after))
        for field, before, after in zip(old._fields, old, new, strict=True)
        if before != after
    ]


def _time(at_ms: Any) -> str:
    return from_ms(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
