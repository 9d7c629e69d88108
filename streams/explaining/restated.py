"""Which numbers had been told and changed, had each event landed when it was received: `restatements`, pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from schemas.events import Event
from schemas.facts import Row, as_json
from streams.core.district import DistrictState
from streams.explaining.told import Restatement

_PLAIN = (
    "opened_at",
    "first_unit",
    "channel",
    "topic",
    "first_response_unit",
    "first_response_ms",
    "first_response_business_ms",
    "staff_first_response_ms",
    "staff_first_response_business_ms",
    "first_response_last_bot_ms",
    "time_to_owner_ms",
    "first_resolution_ms",
    "first_resolution_business_ms",
    "visit_requested_at",
    "visit_offered_at",
)
_OF_RATING = ("courtesy", "communication", "responsiveness", "environment", "trust", "answered")
# A clock that stands still has no due time for now: that is ordinary progress.
_PAUSED = "paused"
# So is that the newest resolve is not the last any more.
_PASSING = "full_resolution"
Numbers = Iterator[tuple[str, Any]]


def _numbers(row: Row) -> dict[str, str]:
    """What a row tells, by name; the same names as in the view, instants as `as_json` has them.

    What is not told yet, as a wait's length while it is open, has no entry: to get one is ordinary progress.
    """
    told = as_json(row)
    if told["retracted"]:
        return {"counts": "no"}
    each = (*_plain(told), *_waits(told), *_verdicts(told), *_ratings(told), *_course(told))
    named = [(name, str(number)) for name, number in each if number is not None and number != ""]
    # Of two with one name, such as resolves of one instant, the view takes the first.
    return {"counts": "yes"} | dict(reversed(named))


def _plain(told: dict[str, Any]) -> Numbers:
    for name in _PLAIN:
        yield name, told[name]
    yield "stakeholder", told["stakeholder"].replace("unknown", "")
    for name in ("inquiries", "difficult"):
        yield name, told[name] or None
    for name in ("full_resolution_ms", "full_resolution_business_ms"):
        yield f"{name} {told['full_resolved_at']}", told[name]


def _waits(told: dict[str, Any]) -> Numbers:
    for wait in told["waits"]:
        event = wait["opened_by_event"]
        yield f"outcome {event}", "" if wait["outcome"] == "open" else wait["outcome"]
        yield f"replied_by {event}", wait["replied_by"]
        yield f"wait_ms {event}", wait["wait_ms"]
        yield f"wait_business_ms {event}", wait["business_ms"]
        yield f"school_day_at {event}", wait["school_day_at"]
    for _, segments in groupby(told["segments"], key=itemgetter("wait")):
        for number, segment in enumerate(segments, 1):
            place = f"{told['waits'][segment['wait']]['opened_by_event']} {number}"
            yield f"segment unit {place}", segment["unit"]
            yield f"segment_ms {place}", segment["segment_ms"]
            yield f"segment_business_ms {place}", segment["business_ms"]


def _verdicts(told: dict[str, Any]) -> Numbers:
    for verdict in told["verdicts"]:
        key = f"{verdict['clock']} {verdict['opened_by_event']}"
        yield f"due_at {key}", verdict["due_at"] or _PAUSED
        yield f"breach_at {key}", verdict["breach_at"] or _PAUSED
        yield f"verdict unit {key}", verdict["unit"]
        yield f"verdict {key}", "" if verdict["outcome"] == "open" else verdict["outcome"]


def _ratings(told: dict[str, Any]) -> Numbers:
    keys = [(f"{rating['survey']} {rating['rater']}", "late " if rating["late"] else "") for rating in told["ratings"]]
    for rating, (key, late) in zip(told["ratings"], keys, strict=True):
        yield f"{late}rating {key}", rating["score"]
        yield f"{late}rating unit {key}", rating["unit"]
        for name in _OF_RATING:
            yield f"{late}{name} {key}", rating[name]
    for item in told["items"]:
        key, late = keys[item["rating"]]
        yield f"{late}item {item['item']} {key}", item["score"]


def _course(told: dict[str, Any]) -> Numbers:
    for resolution in told["resolutions"]:
        at = resolution["resolved_at"]
        yield f"resolution unit {at}", resolution["unit"]
        yield f"watched_until {at}", resolution["watched_until"]
        yield f"reopened_at {at}", resolution["reopened_at"]
    for transfer in told["transfers"]:
        yield f"handoff {transfer['at']} to {transfer['to_department']}", transfer["from_department"]


def _is_restated(number: str, known: str, after: str) -> bool:
    if after == known or _PAUSED in (after, known):
        return False
    return bool(after) or not number.startswith(_PASSING)


def _received(event: Event) -> datetime:
    return event.received_at


def restated(
    district: str, events: Iterable[tuple[Event, int | None]], conversations: Sequence[str]
) -> Iterator[Restatement]:
    """Changes of numbers of these conversations (names of rows' wholes) in order of receipt.

    `events`: everything known of them and the district's own, with landed digests or None. Folds once per receipt.
    """
    state = DistrictState(district)
    told: dict[str, dict[str, str]] = {}
    pairs = sorted(events, key=lambda pair: pair[0].received_at)
    for at, received in groupby(pairs, key=lambda pair: _received(pair[0])):
        batch = list(received)
        for event, landed_digest in batch:
            state.apply(event, landed_digest)
        own = sorted({event.event_id for event, _ in batch if getattr(event, "conversation", "")})
        configured = sorted({event.event_id for event, _ in batch if event.kind == "district_configured"})
        for row in state.settle().rows:
            name = row[1]
            if name.split("~")[0] in conversations:
                now, before = _numbers(row), told.get(name, {})
                for number, known in sorted(before.items()):
                    after = now.get(number, "")
                    both = number == "counts" or before["counts"] == now["counts"] == "yes"
                    if both and _is_restated(number, known, after):
                        yield Restatement(
                            at=at,
                            conversation=name,
                            number=number,
                            before=known,
                            after=after,
                            by_events=own,
                            by_configurations=configured,
                            redefined=False,
                        )
                told[name] = now
