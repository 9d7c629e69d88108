"""Which numbers had been told and changed, had each event landed when it was received: `restatements`, pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from schemas.events import Event
from schemas.facts import Row, as_json
from streams.core.district import DistrictState
from streams.explaining.told import Restatement

_PLAIN = (
    "opened_at",
    "first_unit",
    "topic",
    "first_response_unit",
    "first_response_ms",
    "staff_first_response_ms",
    "first_response_business_ms",
    "first_resolution_ms",
    "first_resolution_business_ms",
)
# A clock that stands still has no due time for now: that is ordinary progress.
_PAUSED = "paused"


def _numbers(row: Row) -> dict[str, str]:
    """What a row tells, by name; the same names as in the view, instants as `as_json` has them."""
    told = as_json(row)
    if told["retracted"]:
        return {"counts": "no"}
    found = {"counts": "yes"} | {name: told[name] for name in _PLAIN}
    for wait in told["waits"]:
        found[f"wait_ms {wait['opened_by_event']}"] = wait["wait_ms"]
        found[f"wait_business_ms {wait['opened_by_event']}"] = wait["business_ms"]
    for verdict in told["verdicts"]:
        key = f"{verdict['clock']} {verdict['opened_by_event']}"
        found[f"due_at {key}"] = verdict["due_at"] or _PAUSED
        found[f"verdict unit {key}"] = verdict["unit"]
        found[f"verdict {key}"] = None if verdict["outcome"] == "open" else verdict["outcome"]
    for rating in told["ratings"]:
        found[f"rating {rating['survey']} {rating['rater']}"] = rating["score"]
        found[f"rating unit {rating['survey']} {rating['rater']}"] = rating["unit"]
    return {name: str(number) for name, number in found.items() if number is not None and number != ""}


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
                    is_open = number == "counts" or before["counts"] == now["counts"] == "yes"
                    if after != known and is_open and _PAUSED not in (after, known):
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
