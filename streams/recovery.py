"""State of partitions rebuilt from ClickHouse: all events of their districts, never a time range.

Blocks; run it in a thread. What it finds behind its events is marked to be landed again, and counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import ValidationError

from schemas.errors import Unavailable
from schemas.events import EVENT, EVENTS, Event
from schemas.facts import DEFINITION_VERSION
from schemas.topics import partition_of
from schemas.vocabulary import from_ms
from sinks.reading import Key, LandedEvent, LandedVersion, Reader
from streams.core.district import DistrictState

CHUNK = 1_000


@dataclass(slots=True)
class Recovered:
    """Districts' states by partition, and what it took."""

    states: dict[int, dict[str, DistrictState]]
    events: int = 0
    repaired: int = 0


def recover(numbers: Sequence[int], partitions: int, reader: Reader) -> Recovered:
    """Rebuild the states of these partitions. Raises `Unavailable` if ClickHouse is away or a set came incomplete."""
    found = Recovered({number: {} for number in numbers})
    owner = {district: partition_of(district, partitions) for district in reader.districts()}
    districts = sorted(district for district, number in owner.items() if number in found.states)
    if not districts:
        return found
    for event in _events(reader.district_events(districts)):
        states = found.states[owner[event.district]]
        state = states.get(event.district)
        if state is None:
            state = states[event.district] = DistrictState(event.district)
        state.apply(event)
        found.events += 1
    landed = reader.versions(districts)
    for states in found.states.values():
        for state in states.values():
            state.clean()
            found.repaired += _compare(state, landed)
    return found


def _events(rows: Iterable[LandedEvent]) -> Iterator[Event]:
    stored = (row for row in rows)
    while chunk := list(islice(stored, CHUNK)):
        parts = [_whole(row) for row in chunk if row.understood]
        if parts:
            yield from EVENTS.validate_json(b"[" + b",".join(parts) + b"]")
        for row in chunk:
            if not row.understood:
                # Kept by an older release; this one may know what it means by now.
                try:
                    yield EVENT.validate_json(_whole(row))
                except ValidationError:
                    continue


def _whole(row: LandedEvent) -> bytes:
    received = from_ms(row.received_at_ms).isoformat(timespec="milliseconds")
    return row.content[:-1] + b',"received_at":"' + received.encode() + b'"}'


def _compare(state: DistrictState, landed: Mapping[Key, LandedVersion]) -> int:
    """Mark conversations whose landed row is older than their set; a set smaller than its row was not read whole."""
    behind = []
    for conversation in state.conversations:
        found = landed.get((state.district, conversation))
        version = found.version if found is not None else 0
        own = state.version(conversation)
        if version > own and version >> 48 <= DEFINITION_VERSION:
            raise Unavailable(f"the events of {state.district} came back incomplete; they are read again", 2.0)
        if version < own:
            behind.append(conversation)
    state.touch(behind)
    return len(behind)
