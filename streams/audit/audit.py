"""What landed, held against what the events give: every column of every row, computed anew from the raw events.

    read      a district's events in order of conversation; never by time
    fold      slice by slice with the offline core; what is folded leaves memory, as in a worker
    compare   the slice's rows, and what was told of them, with what landed under the same names; then names that
              landed and nothing gave, days, and what was known at each hour of the last day
    re-check  what differs only because the stream ran on: its events and rows are read once more

Blocks. Raises `Unavailable` or `Refused`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice

from schemas.events import DistrictConfigured, Event
from schemas.facts import Row, row_version
from schemas.vocabulary import LATEST, to_ms
from sinks.landed import Landed
from sinks.landing import unit_rows
from sinks.reading import LandedEvent, Reader
from sinks.tables import EVENTS
from streams.audit.beside import Beside
from streams.audit.comparing import FACTS, TREE, still_named
from streams.audit.days import Days
from streams.audit.findings import Findings, Rows
from streams.audit.history import History
from streams.audit.incidents import compare_incidents
from streams.audit.promises import Span
from streams.audit.sources import Sources
from streams.core.aggregates import watched_units
from streams.core.alerting import AlertBook
from streams.core.district import DistrictState
from streams.core.parts import whole_name
from streams.core.rolling import Rolling
from streams.recovery import Log, decoded

log = logging.getLogger("cx.auditing")

CONVERSATIONS_PER_SLICE = 1_000
NAMES_PER_PAGE = 50_000
RECHECK_SECONDS = 2.0
MOST_RECHECKS = 5
DIFFERENCES_KEPT = 20
AFTER_EVERYTHING_MS = to_ms(LATEST)
ANY_VERSION = (1 << 64) - 1

Progress = Callable[[str, int, int], None]
"""Hears the district and its events and conversations so far."""


class _Folded:
    """One district's events read and folded; memory holds a slice of them, and what a merge ever named."""

    def __init__(self, district: str, events: Reader, log_of_events: Log) -> None:
        self.state = DistrictState(district)
        self.read = 0
        self.understood = 0
        self.unfoldable = 0
        self.unreadable: Counter[str] = Counter()
        self._kept: set[str] = set()
        self._events = events
        self._log = log_of_events
        self.documents: list[tuple[DistrictConfigured, int]] = []
        """Configurations that this release's workers understood, with their digests."""

    def slices(self) -> Iterator[None]:
        """Slice by slice into the state, each to be folded by `rows`."""
        for part in _slices(decoded(self._counted(), self.unreadable)):
            self.understood += len(part)
            self._take(part)
            yield

    def _counted(self) -> Iterator[LandedEvent]:
        for row in self._events.district_events([self.state.district]):
            self.read += 1
            if not row.understood:
                self._kept.add(row.event_id)
            yield row

    def _take(self, part: Iterable[tuple[Event, int | None]]) -> None:
        for event, digest in part:
            self.state.apply(event, digest)
            if isinstance(event, DistrictConfigured) and digest is not None and event.event_id not in self._kept:
                self.documents.append((event, digest))

    def rows(self, note: Callable[[DistrictState], None] | None = None) -> list[Row]:
        """The rows of all that changed; `note` sees what is kept beside them before it leaves."""
        state = self.state
        while wanted := state.returning[:CONVERSATIONS_PER_SLICE]:
            found = self._log.histories(state.district, wanted)
            for name in wanted:
                state.restore(name, found.get(name, ()))
        settled = state.settle()
        for culprit in settled.culprits:
            self.unfoldable += 1
            log.error("event %s of %s cannot be folded (%s)", culprit.event_id, state.district, culprit.error)
        if note is not None:
            note(state)
        # Alerts and windows follow from rows; kept they would fill memory.
        alerts = AlertBook(state.district)
        alerts.telling = state.alerts.telling
        state.alerts, state.rolling = alerts, Rolling(state.district)
        state.evict(AFTER_EVERYTHING_MS)
        return settled.rows

    def again(self, wanted: set[str]) -> list[Row]:
        """The rows of these conversations and of those that a merge names with them, all read whole again."""
        known: set[str] = set()
        rows: dict[str, Row] = {}
        while wanted:
            found = self._log.histories(self.state.district, sorted(wanted))
            for name in sorted(wanted):
                self.state.restore(name, found.get(name, ()))
            known |= wanted
            rows |= {row[1]: row for row in self.rows()}
            wanted = {whole_name(name)[0] for name in rows} - known
        return list(rows.values())

    def hear_again(self) -> None:
        """What the district says of itself, as it stands by now."""
        for events in self._log.histories(self.state.district, [""]).values():
            self._take(events)


class _DistrictAudit:
    """One district's rows compared. `landed` reads while events are being iterated: they have a reader of their own."""

    def __init__(self, folded: _Folded, landed: Reader, sources: Sources) -> None:
        self._district = folded.state.district
        self._folded = folded
        self._landed = landed
        self._sources = sources
        self._rows = Rows()
        self._beside: Beside | None = None
        self._days: Days | None = None
        self._history: History | None = None

    def run(self, found: Findings, progress: Progress, recheck_seconds: float, differences_kept: int) -> None:
        """Audit the district and add to what was found."""
        with ExitStack() as held:
            if self._sources.landed is None:
                self._compare_all(progress)
            else:
                landed = held.enter_context(closing(self._sources.landed()))
                self._open(landed)
                self._history = History(self._district, self._sources.landed, self._rows)
                self._compare_all(progress)
                self._compare_later(landed)
            self._recheck_late(recheck_seconds)
            self._look_for_erased(recheck_seconds)
        self._tell(found, differences_kept)

    def _open(self, landed: Landed) -> None:
        start, now_ms = landed.start(self._district), self._sources.now_ms()
        span = Span(now_ms - self._sources.alerts_ms, min(start.clock_ms, now_ms), now_ms)
        self._beside = Beside(landed, self._rows, self._folded.state, span)
        self._days = Days(landed, self._rows, self._folded.documents, self._folded.state, start)

    def _compare_all(self, progress: Progress) -> None:
        folded, history = self._folded, self._history
        for _ in folded.slices():
            rows = folded.rows(None if history is None else history.note)
            if self._days is not None:
                self._days.count(rows)
            self._compare(rows)
            progress(self._district, folded.read, self._rows.number(FACTS))
        self._look_for_extra()
        self._compare_district()
        if self._days is not None:
            now_ms = self._sources.now_ms()
            self._days.compare(now_ms, now_ms - self._sources.facts_ms)

    def _compare_later(self, landed: Landed) -> None:
        """What was known at each hour, then what was told of it."""
        if self._history is None or (state := self._history.compare()) is None:
            return
        clock_ms = self._history.minutes[-1].at_ms
        units, reach_ms = watched_units(state.configuration)
        watched = self._landed.rolling_since(self._district, units, clock_ms - reach_ms) if units else []
        compare_incidents(state, landed.incidents(self._district), watched, clock_ms, self._rows)

    def _tell(self, found: Findings, differences_kept: int) -> None:
        # Asked last: what leaves is marked before it goes, and may have been read in part.
        retired = {name for _, name in self._landed.retired([self._district])}
        self._rows.leave_out(retired)
        folded = self._folded
        found.not_understood += folded.read - folded.understood - folded.unreadable.total()
        found.retired += len(retired)
        found.districts += 1
        found.events += folded.read
        found.unreadable += folded.unreadable.total() + folded.unfoldable
        found.add(self._rows, differences_kept)

    def _compare(self, rows: Sequence[Row], also: Iterable[str] = ()) -> None:
        """Compare these rows, and names that nothing gave, with what landed."""
        recomputed = {row[1]: row for row in rows}
        names = recomputed.keys() | set(also)
        landed = {row[1]: row for row in self._landed.facts(self._district, list(names))}
        for name in names:
            self._rows.rejudge(FACTS, name, landed.get(name), recomputed.get(name))
        if self._beside is not None:
            self._beside.compare(rows, names)

    def _look_for_extra(self) -> None:
        after = ""
        while names := self._names(after):
            self._compare([], [name for name in names if not self._rows.is_seen(FACTS, name)])
            after = names[-1]

    def _names(self, after: str) -> list[str]:
        if self._beside is not None:
            return self._beside.names(after, NAMES_PER_PAGE)
        return self._landed.outdated(self._district, ANY_VERSION, after, NAMES_PER_PAGE)

    def _compare_district(self) -> None:
        """The unit tree, and the configurations it comes from."""
        configuration = self._folded.state.configuration
        newest, version = configuration.newest, row_version(configuration.count, 0)
        recomputed = {row.unit: row for row in (unit_rows(newest, version) if newest is not None else [])}
        landed = {row.unit: row for row in self._landed.units(self._district)}
        for unit in recomputed.keys() | landed.keys():
            self._rows.rejudge(TREE, unit, landed.get(unit), recomputed.get(unit))
        if self._beside is not None:
            self._beside.compare_documents(self._folded.documents)

    def _look_for_erased(self, recheck_seconds: float) -> None:
        """No event may name who was erased; rows that the stream is about to rewrite are waited for."""
        for look in range(MOST_RECHECKS):
            if look:
                time.sleep(recheck_seconds)
            left = [erasure for table, erasure in self._landed.still_named(self._district) if table == EVENTS.name]
            if not left:
                return
        for erasure in left:
            self._rows.say(EVENTS.name, erasure.key_digest, 0, [still_named(erasure)])

    def _recheck_late(self, recheck_seconds: float) -> None:
        """Look again at what may only have been late, until nothing of it moves: each look is a race anew.

        What landed anew at each look is left aside, and counted.
        """
        late = self._rows.late_verdicts()
        for _ in range(MOST_RECHECKS):
            if not late:
                return
            time.sleep(recheck_seconds)
            self._recheck()
            before, late = late, self._rows.late_verdicts()
            if late == before:
                return
        self._rows.leave_out_moving(before)

    def _recheck(self) -> None:
        """Read late conversations whole again and compare with what stands by now; so the unit tree."""
        self._folded.hear_again()
        late = iter(self._rows.late())
        while some := list(islice(late, CONVERSATIONS_PER_SLICE)):
            wanted = {whole_name(name)[0] for name in some}
            # One that a merge names may have come after everything was read.
            wanted = wanted if self._beside is None else self._beside.together(wanted)
            self._compare(self._folded.again(wanted), some)
        self._compare_district()


def _slices(events: Iterable[tuple[Event, int | None]]) -> Iterator[list[tuple[Event, int | None]]]:
    """Events in lists of whole conversations."""
    part: list[tuple[Event, int | None]] = []
    conversations, last = 0, ""
    for each in events:
        conversation: str = getattr(each[0], "conversation", "")
        if conversation != last:
            if conversations >= CONVERSATIONS_PER_SLICE:
                yield part
                part, conversations = [], 0
            conversations += 1
            last = conversation
        part.append(each)
    if part:
        yield part


def audit(
    districts: Sequence[str],
    sources: Sources,
    progress: Progress,
    recheck_seconds: float = RECHECK_SECONDS,
    differences_kept: int = DIFFERENCES_KEPT,
) -> Findings:
    """Audit these districts (none named: all that have events), one after the other. Blocks, also while re-checking."""
    found = Findings()
    with ExitStack() as held:
        events, landed = (held.enter_context(closing(sources.reader())) for _ in range(2))
        for district in sorted(set(districts)) or _districts(sources, landed):
            folded = _Folded(district, events, Log(sources.reader))
            _DistrictAudit(folded, landed, sources).run(found, progress, recheck_seconds, differences_kept)
    return found


def _districts(sources: Sources, reader: Reader) -> list[str]:
    """All that have events; with what lies beside the facts, all that have rows."""
    if sources.landed is None:
        return reader.districts()
    with closing(sources.landed()) as landed:
        return landed.districts()
