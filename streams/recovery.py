"""State of partitions rebuilt from ClickHouse: all events of their districts, never a time range.

Blocks; run it in a thread. What it finds behind its events is marked to be landed again, and counted.
"""

import gc
import logging
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from operator import attrgetter, itemgetter
from types import MappingProxyType

import numpy as np
from pydantic import ValidationError

from schemas.alerts import AlertTransition
from schemas.errors import Unavailable
from schemas.events import EVENT, LOGGED, Event, canonical
from schemas.facts import DEFINITION_VERSION, row_version
from schemas.incidents import IncidentTransition
from schemas.naming import hashes_of
from schemas.rolling import RollingRow
from schemas.topics import partition_of
from schemas.transitions import Transition
from schemas.vocabulary import from_ms
from sinks.landing import UnitRow, unit_rows
from sinks.reading import Key, LandedEvent, LandedNames, LandedVersion, Reader
from streams.core.aggregates import watched_units
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.arrival import Undecoded
from streams.core.district import DistrictState
from streams.core.packed import REFUSED, digest_of
from streams.core.parts import whole_name
from streams.core.windows import DAY_MS, reach_ms

log = logging.getLogger("cx.recovery")

CHUNK = 1_000
# So few are read at once, whether they are wanted or not.
FEW = 1_000
# A merge ties conversations together; what is refused counts apart.
AT_ONCE = frozenset(("merge", "unmerge", REFUSED))
# What was told since then counts in somebody's day: `streams.core.telling`.
COUNTED_MS = 3 * DAY_MS


@dataclass(slots=True)
class Recovered:
    """Districts' states by partition, and what it took."""

    states: dict[int, dict[str, DistrictState]]
    events: int = 0
    repaired: int = 0
    told: dict[int, list[Transition]] = field(default_factory=dict)
    """Alerts that stand on `cx.alerts` and did not land, by partition."""
    units: dict[int, list[UnitRow]] = field(default_factory=dict)
    """Unit trees that landed as an earlier release makes them, or not at all, by partition."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Events that landed and cannot be read back, by district: never in normal operation."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without cyclic garbage collection: what is built here stays, and to walk it again and again costs a fifth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@_uncollected()
def recover(
    numbers: Sequence[int],
    partitions: int,
    reader: Reader,
    now_ms: int,
    told: Mapping[int, Sequence[Transition]] = MappingProxyType({}),
) -> Recovered:
    """Rebuild the states of these partitions, with the conversations that stand at an instant; others are departed.

    A conversation stands if anything of it may lie within a window of its district, or may still happen by itself.
    `told`: what was told last, by partition, whether it landed or not.
    Raises `Unavailable` if ClickHouse is away or a set came incomplete.
    """
    found = Recovered({number: {} for number in numbers})
    states = _configured(found, partitions, reader)
    districts = list(states)
    kept = _standing(found, states, reader, now_ms)
    versions = reader.versions_of({name: state.conversations for name, state in states.items()})
    names, unit_versions = reader.landed_names(districts), reader.unit_versions(districts)
    running = _running(reader.running(districts, now_ms - NOTIFY_WITHIN_MS))
    for district, published in groupby(reader.published(districts), attrgetter("district")):
        states[district].rolling.publishing.known(published)
    said = _said(found, (*_alerts(reader, states, now_ms, told), *reader.incidents(districts)), told)
    # Asked last: what leaves is marked before it goes, and may have been read in part.
    retired = set(reader.retired(districts))
    for district, conversation in retired:
        states[district].retire(conversation)
    lacking = _lacking(retired, kept, found.unreadable)
    for number, owned in found.states.items():
        for district, state in owned.items():
            state.clean()
            before = said.get(district, ())
            state.alerts.known(one for one in before if isinstance(one, AlertTransition))
            state.watching.known(one for one in before if isinstance(one, IncidentTransition))
            if district in names:
                _let_depart(state, names[district])
            behind = _behind(state, versions.get(district, {}), lacking.get(district, frozenset()))
            state.refill(running.get(district, ()), behind)
            state.rolling.prune(now_ms, state.configuration)
            state.watching.refill(_watched(state, reader, now_ms))
            found.repaired += len(behind)
            if tree := _tree_behind(state, unit_versions.get(district, 0)):
                found.units.setdefault(number, []).extend(tree)
    return found


def _configured(found: Recovered, partitions: int, reader: Reader) -> dict[str, DistrictState]:
    """Into `found`, and by name in order: the state of each district of its partitions, with its configuration."""
    owner = {district: partition_of(district, partitions) for district in reader.districts()}
    # Also one of which nothing stands: it has to know who left.
    states = {name: DistrictState(name) for name in sorted(owner) if owner[name] in found.states}
    for name, state in states.items():
        found.states[owner[name]][name] = state
    for event, digest in decoded(reader.configurations(list(states)), Counter()):
        states[event.district].apply(event, digest)
    return states


def _standing(found: Recovered, states: Mapping[str, DistrictState], reader: Reader, now_ms: int) -> Counter[Key]:
    """Into the states: every event of what stands. Returns the `kept` of `decoded`."""
    reaches: dict[int, list[str]] = {}
    for name, state in states.items():
        reaches.setdefault(reach_ms(state.configuration, now_ms), []).append(name)
    kept = Counter[Key]()
    for since_ms, some in reaches.items():
        aside: list[LandedEvent] = []
        for (district, conversation), rows in groupby(reader.standing_events(some, since_ms), itemgetter(0, 1)):
            whole = tuple(rows)
            found.events += len(whole)
            if not conversation:
                # They come first: who is erased is known before anything that may name them.
                _apply(states, decoded(whole, found.unreadable, kept))
            elif _may_wait(whole):
                contents = tuple([row.content for row in whole])
                states[district].conversations.hold(conversation, Undecoded(contents, partial(_read, whole)))
            else:
                aside += whole
        _apply(states, decoded(aside, found.unreadable, kept))
    return kept


def _apply(states: Mapping[str, DistrictState], events: Iterable[tuple[Event, int | None]]) -> None:
    for event, digest in events:
        states[event.district].apply(event, digest)


def _may_wait(whole: Sequence[LandedEvent]) -> bool:
    """Whether a conversation's events say nothing before they are decoded, and are as many as they will be then."""
    return all(row.understood and row.kind not in AT_ONCE for row in whole) and len(
        {row.event_id for row in whole}
    ) == len(whole)


def _read(whole: Sequence[LandedEvent]) -> Iterator[tuple[Event, int]]:
    """The events of a conversation that was held back; what cannot be read is logged and left out."""
    return ((event, digest) for (event, digest) in decoded(whole, Counter()) if digest is not None)


def _running(rows: Iterable[Key]) -> dict[str, list[str]]:
    """Names by district, in the same order."""
    found: dict[str, list[str]] = {}
    for district, name in rows:
        found.setdefault(district, []).append(name)
    return found


def _alerts(
    reader: Reader, states: Mapping[str, DistrictState], now_ms: int, told: Mapping[int, Sequence[Transition]]
) -> Iterator[AlertTransition]:
    """What was said of the conversations that are held, and of those it may still matter for; with all their parts.

    The rest is read back with its conversation: it may be told of nothing before.
    """
    lately = {
        (one.district, whole_name(one.conversation)[0])
        for transitions in told.values()
        for one in transitions
        if isinstance(one, AlertTransition)
    }
    whole: list[str] = []
    for district, rows in groupby(reader.alerted(sorted(states), now_ms - COUNTED_MS), itemgetter(0)):
        own = list(rows)
        held = states[district].conversations
        wanted = [name for _, name, matters in own if matters or name in held or (district, name) in lately]
        if len(own) <= FEW or 2 * len(wanted) > len(own):
            whole.append(district)
        else:
            yield from reader.alerts_of(district, wanted)
    yield from reader.alerts(whole)


def _said(
    found: Recovered, landed: Iterable[Transition], told: Mapping[int, Sequence[Transition]]
) -> dict[str, list[Transition]]:
    """Everything that was ever said, by district; what did not land is to land now."""
    said: dict[str, dict[str, Transition]] = {}
    for alert in landed:
        said.setdefault(alert.district, {})[alert.idempotency_key] = alert
    for number, alerts in told.items():
        for alert in alerts:
            # Its district may have nothing in ClickHouse yet.
            found.states[number].setdefault(alert.district, DistrictState(alert.district))
            known = said.setdefault(alert.district, {})
            if alert.idempotency_key not in known:
                known[alert.idempotency_key] = alert
                found.told.setdefault(number, []).append(alert)
    return {district: list(alerts.values()) for district, alerts in said.items()}


def _watched(state: DistrictState, reader: Reader, now_ms: int) -> list[RollingRow]:
    """The rolling rows that landed lately of what a district watches."""
    units, reach_ms = watched_units(state.configuration)
    return reader.rolling_since(state.district, units, now_ms - reach_ms) if units else []


class Log:
    """Histories read back while the stream runs. Blocks; raises `Unavailable` or `Refused`."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open_reader = open_reader

    def histories(self, district: str, conversations: Sequence[str]) -> dict[str, list[tuple[Event, int | None]]]:
        """Every event of these conversations with the digest it landed with; nothing of one that never landed."""
        with closing(self._open_reader()) as reader:
            found: dict[str, list[tuple[Event, int | None]]] = {}
            unreadable: Counter[str] = Counter()
            for event, digest in decoded(reader.events_of(district, conversations), unreadable):
                found.setdefault(getattr(event, "conversation", ""), []).append((event, digest))
            return found

    def said(self, district: str, conversations: Sequence[str]) -> dict[str, list[AlertTransition]]:
        """Every alert transition that has landed of these conversations, by conversation, with those of its parts."""
        with closing(self._open_reader()) as reader:
            found: dict[str, list[AlertTransition]] = {}
            for one in reader.alerts_of(district, conversations):
                found.setdefault(whole_name(one.conversation)[0], []).append(one)
            return found

    def outdated(self, district: str, below: int, after: str, most: int) -> list[str]:
        """As `Reader.outdated`."""
        with closing(self._open_reader()) as reader:
            return reader.outdated(district, below, after, most)

    def retired_of(self, district: str, conversations: Sequence[str]) -> set[str]:
        """As `Reader.retired_of`."""
        with closing(self._open_reader()) as reader:
            return reader.retired_of(district, conversations)

    def naming(self, district: str, key_digest: str, since_ms: int) -> list[str]:
        """As `Reader.naming`."""
        with closing(self._open_reader()) as reader:
            return reader.naming(district, key_digest, since_ms)

    def erased(self, districts: Collection[str]) -> dict[str, dict[str, int]]:
        """As `Reader.erased`."""
        with closing(self._open_reader()) as reader:
            return reader.erased(districts)


def _let_depart(state: DistrictState, landed: LandedNames) -> None:
    """Whatever has a row and was not read back has left memory; some of it may be of an earlier configuration."""
    held = hashes_of(state.conversations)
    state.departed.add_all(landed.hashes[~np.isin(landed.hashes[:, 0], held[:, 0])])
    for conversation, number in map(whole_name, landed.parts):
        if conversation not in state.conversations:
            state.departed.add(conversation, number)
    if landed.lowest < state.oldest_version:
        state.departed.swept_to = ""


def decoded(
    rows: Iterable[LandedEvent], unreadable: Counter[str], kept: Counter[Key] | None = None
) -> Iterator[tuple[Event, int | None]]:
    """Events with their digest, by which a repeated delivery is known.

    Those of a newer schema that this release cannot read are left out and counted in `kept` by (district,
    conversation), damaged ones in `unreadable` by district.
    """
    stored = iter(rows)
    while chunk := list(islice(stored, CHUNK)):
        understood = [row for row in chunk if row.understood]
        try:
            events = LOGGED.validate_json(b"[" + b",".join(map(_whole, understood)) + b"]") if understood else []
        except ValidationError:
            yield from _readable(understood, unreadable)
        else:
            yield from zip(events, (row.digest for row in understood), strict=True)
        # Kept by an older release; this one may know what it means by now.
        for row in chunk:
            if not row.understood:
                if (event := _single(row)) is not None:
                    yield event, digest_of(canonical(event))
                elif kept is not None:
                    kept[row.district, row.conversation] += 1


def _readable(rows: Iterable[LandedEvent], unreadable: Counter[str]) -> Iterator[tuple[Event, int | None]]:
    for row in rows:
        with suppress(ValidationError):
            yield LOGGED.validate_json(b"[" + _whole(row) + b"]")[0], row.digest
            continue
        unreadable[row.district] += 1
        log.error("event %s of %s cannot be read back; its conversation may lag", row.digest, row.district)


def _single(row: LandedEvent) -> Event | None:
    try:
        return EVENT.validate_json(_whole(row))
    except ValidationError:
        return None


def _whole(row: LandedEvent) -> bytes:
    received = from_ms(row.received_at_ms).isoformat(timespec="milliseconds")
    return row.content[:-1] + b',"received_at":"' + received.encode() + b'"}'


def _lacking(retired: Iterable[Key], kept: Iterable[Key], unreadable: Iterable[str]) -> dict[str, set[str]]:
    """By district, conversations whose set may be smaller than what their row counts; '' stands for all of them.

    Events left by retention, are kept for a newer release, whose worker may have folded them, or cannot be read.
    """
    found: dict[str, set[str]] = {}
    for district, conversation in (*retired, *kept, *((district, "") for district in unreadable)):
        found.setdefault(district, set()).add(conversation)
    return found


def _tree_behind(state: DistrictState, landed_version: int) -> list[UnitRow]:
    """The district's unit tree, if the one that landed is of fewer configurations or of an earlier definition."""
    newest, version = state.configuration.newest, row_version(state.configuration.count, 0)
    return unit_rows(newest, version) if newest is not None and landed_version < version else []


def _behind(state: DistrictState, landed: Mapping[str, LandedVersion], lacking: Container[str]) -> list[str]:
    """Conversations whose landed row is older than their set; a set smaller than its row was not read whole.

    `landed` by name of a row; `lacking` as of `_lacking`: such a conversation, and those merged with it, stay smaller.
    """
    behind = []
    state.landed_parts(name for name, row in landed.items() if not row.retracted)
    for conversation in state.conversations:
        found = landed.get(conversation)
        version = found.version if found is not None else 0
        own = state.version(conversation)
        is_smaller = "" in lacking or any(name in lacking for name in state.linked(conversation))
        if version > own and not is_smaller and version >> 48 <= DEFINITION_VERSION:
            raise Unavailable(f"the events of {state.district} came back incomplete; they are read again", 2.0)
        if version < own:
            behind.append(conversation)
    return behind
