"""Facts computed anew from the events in ClickHouse, and landed where they differ, while the stream runs.

    choose    a district's conversations with an event of the span, in order of name, slice by slice
    read      all events of a slice, and of all that a merge ever named with it: a fold has the whole set; nothing of a
              conversation whose events left by retention
    fold      with all configurations and erasures of the district, as a worker does; no slice is kept for the next
    compare   with the rows that stand and their newest versions: equal ones stay, and a row that counts more than was
              read is never replaced
    land      the others, in the place of those of the same version; a row of a higher version that the stream lands
              meanwhile stands, whoever comes last
    note      how far it came: cut off, the next call goes on there

It makes no alerts and no rolling rows. Blocks; raises `Unavailable` or `Refused`, and may be repeated then.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.events import DistrictConfigured, Erased, Event, Merge, Unmerge
from schemas.facts import DEFINITION_VERSION, NAMES, Row, row_version
from sinks.landing import Erasure, Landing, Sink, configuration_row, unit_rows
from sinks.reading import Reader
from sinks.replays import Place, Replays, Span
from streams.core.district import DistrictState
from streams.core.merging import Links
from streams.core.parts import whole_name
from streams.forgetting import forget_again
from streams.recovery import decoded

log = logging.getLogger("cx.replaying")

CONVERSATIONS_PER_SLICE = 2_000
NAMES_PER_PAGE = 50_000
LOOKS = 3
LOOK_AGAIN_SECONDS = 0.5
_NAME, _RETRACTED = NAMES.index("conversation"), NAMES.index("retracted")
_DEFINITION, _CONFIGURATIONS, _EVENTS = map(NAMES.index, ("definition_version", "configurations", "events"))
LANDED, UNCHANGED, NEWER, INCOMPLETE = "landed", "unchanged", "newer", "incomplete"
# What becomes of a row that two tables say different things of: the last of these.
_KINDS = (UNCHANGED, LANDED, INCOMPLETE, NEWER)

Progress = Callable[[str, int, int], None]
"""Hears the district, its conversations so far, and how many there are."""


@dataclass(slots=True)
class Replayed:
    """What a replay did, in rows of facts unless said otherwise.

    `newer`: a row of a newer release stands; `incomplete`: the row that stands counts events or configurations that
    could not be read, and stays; `unreadable`: events that cannot be read or folded; `units`: rows of trees landed;
    `configurations`: rows of `districts` landed; `recovered`: events that Kafka had and ClickHouse lacked.
    """

    districts: int = 0
    conversations: int = 0
    events: int = 0
    landed: int = 0
    unchanged: int = 0
    newer: int = 0
    incomplete: int = 0
    unreadable: int = 0
    units: int = 0
    configurations: int = 0
    recovered: int = 0
    resumed: bool = False


class Tools(NamedTuple):
    """What a replay works with; `now_ms` stamps what lands."""

    reader: Reader
    store: Replays
    sink: Sink
    now_ms: Callable[[], int]


class Journal:
    """How far one replay came. A replay that was cut off goes on, one that was finished begins anew."""

    def __init__(self, key: str, tools: Tools, fresh: bool = False) -> None:
        self._key = f"definition {DEFINITION_VERSION}, {key}"
        self._tools = tools
        places = tools.store.places(self._key)
        whole = places.get("")
        self.resumed = whole is not None and not whole.finished and not fresh
        self._started = whole.started_at if whole is not None and self.resumed else tools.now_ms()
        self._places = {part: place for part, place in places.items() if place.started_at == self._started}
        if not self.resumed:
            self._places = {}
            self.note("", "", 0)

    def reached(self, part: str) -> tuple[str, bool]:
        """Where a part goes on, and whether nothing is left of it."""
        place = self._places.get(part)
        return ("", False) if place is None else (place.after, bool(place.finished))

    def note(self, part: str, after: str, finished: int) -> None:
        """Write down how far a part came; '' stands for the replay as a whole."""
        self._tools.store.note(Place(self._key, part, self._started, after, finished, self._tools.now_ms()))


class Refold:
    """One district's conversations folded anew from whole sets, and landed where that changes a row."""

    def __init__(self, district: str, tools: Tools, found: Replayed) -> None:
        self._district = district
        self._tools = tools
        self._found = found
        self._rules: list[tuple[Event, int | None]] = []
        self._rules_known = -1
        self._links = Links()
        for one, other in tools.store.merges(district):
            self._links.add(one, other)
        self._parts: dict[str, list[str]] = {}
        for name in tools.store.parts(district):
            self._parts.setdefault(whole_name(name)[0], []).append(name)
        self._done: set[str] = set()

    def land(self, names: Iterable[str]) -> None:
        """Fold these conversations with those that a merge names with them, and land what differs."""
        judged: dict[str, tuple[str, Row]] = {}
        unreadable = Counter[str]()
        wanted = {name for name in names if name not in self._done}
        for look in range(LOOKS):
            if not wanted:
                break
            if look:
                time.sleep(LOOK_AGAIN_SECONDS)
            judged |= self._judged(self._fold(wanted, Counter() if look else unreadable))
            # What seems to be too little may be what the stream landed since it was read.
            wanted = {whole_name(name)[0] for name, (kind, _) in judged.items() if kind == INCOMPLETE}
        # Asked last: what leaves is marked before it goes, and may have been read in part.
        retired = self._tools.reader.retired_of(self._district, {whole_name(name)[0] for name in judged})
        judged = {name: found for name, found in judged.items() if whole_name(name)[0] not in retired}
        rows, at_ms = [row for kind, row in judged.values() if kind == LANDED], self._tools.now_ms()
        new = self._tools.store.mend(self._district, rows, at_ms)
        self._tools.sink.land(Landing(at_ms, conversations=new))
        self._erase_again()
        self._count(judged, unreadable)

    def again(self) -> None:
        """Have conversations that a merge names folded once more, though they were."""
        self._done.clear()

    def land_district(self) -> None:
        """Land the unit tree of the newest configuration, and the configurations, where they are not what stands."""
        self._land_configurations()
        self._read_rules()
        state = self._state()
        newest, version = state.configuration.newest, row_version(state.configuration.count, 0)
        standing = self._tools.reader.units(self._district)
        made = sorted(unit_rows(newest, version) if newest is not None else [], key=lambda row: row.unit)
        if made and made != standing and all(row.version <= version for row in standing):
            self._tools.sink.land(Landing(self._tools.now_ms(), units=made))
            self._found.units += len(made)

    def _land_configurations(self) -> None:
        """Of those that a worker understood: only they have a row."""
        landed = list(self._tools.reader.configurations([self._district]))
        kept = {row.event_id for row in landed if not row.understood}
        events = decoded((row for row in landed if row.event_id not in kept), Counter())
        made = [
            configuration_row(event, digest)
            for event, digest in events
            if isinstance(event, DistrictConfigured) and digest is not None
        ]
        self._found.configurations += self._tools.store.mend_configurations(self._district, made)

    def _count(self, judged: dict[str, tuple[str, Row]], unreadable: Counter[str]) -> None:
        kinds = Counter(kind for kind, _ in judged.values())
        found = self._found
        found.landed += kinds[LANDED]
        found.unchanged += kinds[UNCHANGED]
        found.newer += kinds[NEWER]
        found.incomplete += kinds[INCOMPLETE]
        found.unreadable += unreadable.total()

    def rules(self) -> list[tuple[Event, int | None]]:
        """Configurations and erasures of the district with the digests they landed with."""
        self._read_rules()
        return self._rules

    def _read_rules(self) -> None:
        """Configurations and erasures, read again when there are more of them."""
        known = self._tools.store.rules(self._district)
        if known != self._rules_known:
            events = decoded(self._tools.reader.events_of(self._district, [""]), Counter())
            self._rules = [each for each in events if isinstance(each[0], DistrictConfigured | Erased)]
            self._rules_known = known

    def _state(self) -> DistrictState:
        state = DistrictState(self._district)
        for event, digest in self._rules:
            state.apply(event, digest)
        return state

    def _fold(self, names: Iterable[str], unreadable: Counter[str]) -> list[Row]:
        self._read_rules()
        state = self._state()
        together = self._together(names)
        read: set[str] = set()
        while wanted := together - read:
            for event, digest in decoded(self._tools.reader.events_of(self._district, sorted(wanted)), unreadable):
                state.apply(event, digest)
                self._found.events += 1
                if isinstance(event, Merge | Unmerge):
                    self._links.add(event.conversation, event.into)
            read |= wanted
            together = self._together(together)
        self._done |= {name for name in together if name in self._links}
        state.landed_parts(part for name in together for part in self._parts.get(name, ()))
        settled = state.settle()
        for culprit in settled.culprits:
            unreadable[self._district] += 1
            log.error("event %s of %s cannot be folded (%s)", culprit.event_id, self._district, culprit.error)
        return settled.rows

    def _together(self, names: Iterable[str]) -> set[str]:
        return {each for name in names for each in (self._links.together(name) if name in self._links else (name,))}

    def _judged(self, rows: Sequence[Row]) -> dict[str, tuple[str, Row]]:
        names = [row[_NAME] for row in rows]
        standing = {row[_NAME]: row for row in self._tools.reader.facts(self._district, names)}
        newest = {row[_NAME]: row for row in self._tools.store.newest(self._district, names)}
        return {
            name: (max((_kind(row, stands.get(name)) for stands in (standing, newest)), key=_KINDS.index), row)
            for name, row in zip(names, rows, strict=True)
        }

    def _erase_again(self) -> None:
        """Whoever was erased while these rows were made may be in them."""
        known = {rule.key_digest for rule, _ in self._rules if isinstance(rule, Erased)}
        erased = self._tools.reader.erased([self._district]).get(self._district, {})
        if late := erased.keys() - known:
            erasures = [Erasure(self._district, digest, erased[digest]) for digest in sorted(late)]
            self._tools.sink.land(Landing(self._tools.now_ms(), erasures=erasures))


def _kind(row: Row, standing: Row | None) -> str:
    """What becomes of a row, given the one that stands."""
    if standing is None:
        is_nothing = row[_RETRACTED] and whole_name(row[_NAME])[1] > 1
        return UNCHANGED if is_nothing else LANDED
    if standing[_DEFINITION] > DEFINITION_VERSION:
        return NEWER
    # A higher definition version would win with fewer events too: that is never a better row.
    if standing[_EVENTS] > row[_EVENTS] or standing[_CONFIGURATIONS] > row[_CONFIGURATIONS]:
        return INCOMPLETE
    return UNCHANGED if standing == row else LANDED


def replay(districts: Sequence[str], span: Span, tools: Tools, journal: Journal, progress: Progress) -> Replayed:
    """Replay the span's conversations of these districts (none named: all that have events), one after the other."""
    found = Replayed(resumed=journal.resumed)
    for district in sorted(set(districts)) or tools.reader.districts():
        after, finished = journal.reached(district)
        if not finished:
            _replay_district(district, span, after, (tools, journal, found), progress)
        found.districts += 1
    journal.note("", "", 1)
    return found


def _replay_district(
    district: str, span: Span, after: str, context: tuple[Tools, Journal, Replayed], progress: Progress
) -> None:
    tools, journal, found = context
    done, total = 0, tools.store.count(district, span, after)
    progress(district, done, total)
    # A replay that was cut off may have landed what it had no time to make anonymous again.
    forget_again(tools.reader, tools.sink, district, tools.now_ms)
    refold = Refold(district, tools, found)
    refold.land_district()
    while names := tools.store.names(district, span, after, NAMES_PER_PAGE):
        for begin in range(0, len(names), CONVERSATIONS_PER_SLICE):
            some = names[begin : begin + CONVERSATIONS_PER_SLICE]
            refold.land(some)
            after = some[-1]
            journal.note(district, after, 0)
            done += len(some)
            found.conversations += len(some)
            progress(district, done, max(done, total))
    journal.note(district, after, 1)
