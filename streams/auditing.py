"""What landed, held against what the events give: every column of every row, computed anew from the raw events.

    read      a district's events in order of conversation; never by time
    fold      slice by slice with the offline core; what is folded leaves memory, as in a worker
    compare   the slice's rows with those that landed under the same names; then names that landed and nothing gave
    re-check  what differs only because the stream ran on: its events and rows are read once more

Blocks. Raises `Unavailable` or `Refused`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice

from schemas.events import Event
from schemas.facts import Row, row_version
from schemas.vocabulary import LATEST, to_ms
from sinks.landing import unit_rows
from sinks.reading import LandedEvent, Reader
from streams.comparing import BEHIND, EXTRA, FACTS, MISMATCH, MISSING, TREE, Difference, Table, Verdict, compare
from streams.core.alerting import AlertBook
from streams.core.district import DistrictState
from streams.core.parts import whole_name
from streams.core.rolling import Rolling
from streams.recovery import Log, decoded

log = logging.getLogger("cx.auditing")

CONVERSATIONS_PER_SLICE = 1_000
NAMES_PER_PAGE = 50_000
RECHECK_SECONDS = 2.0
DIFFERENCES_KEPT = 20
AFTER_EVERYTHING_MS = to_ms(LATEST)
ANY_VERSION = (1 << 64) - 1

Progress = Callable[[str, int, int], None]
"""Hears the district and its events and rows so far."""


@dataclass(slots=True)
class Findings:
    """An audit's result: rows by what is wrong with them, and the first differences of them.

    `conversations` and `units` are rows computed anew; `unreadable` events that landed and cannot be read or folded by
    this release; `not_understood` events kept for a newer one; `retired` conversations whose events left by retention:
    nothing can be compared with their rows.
    """

    districts: int = 0
    events: int = 0
    conversations: int = 0
    units: int = 0
    mismatches: int = 0
    missing: int = 0
    extra: int = 0
    behind: int = 0
    unreadable: int = 0
    not_understood: int = 0
    retired: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def different(self) -> int:
        """Rows that are not what the events give."""
        return self.mismatches + self.missing + self.extra + self.behind

    def add(self, verdicts: Iterable[Verdict], differences_kept: int) -> None:
        """Count a district's verdicts and keep the first differences, in order of table and name."""
        kinds = Counter[str]()
        for verdict in sorted(verdicts, key=lambda each: each.differences[0][1:4]):
            kinds[verdict.kind] += 1
            self.differences.extend(verdict.differences[: differences_kept - len(self.differences)])
        self.mismatches += kinds[MISMATCH]
        self.missing += kinds[MISSING]
        self.extra += kinds[EXTRA]
        self.behind += kinds[BEHIND]


class _Rows:
    """What was found of one district's rows, by table and name: a later look replaces an earlier one."""

    def __init__(self) -> None:
        self.compared: dict[str, set[str]] = {FACTS.name: set(), TREE.name: set()}
        self.verdicts: dict[tuple[str, str], Verdict] = {}

    def judge(self, table: Table, name: str, landed: Row | None, recomputed: Row | None) -> None:
        """Compare one row and keep what is wrong with it."""
        if recomputed is not None:
            self.compared[table.name].add(name)
        verdict = compare(table, landed, recomputed)
        if verdict is None:
            self.verdicts.pop((table.name, name), None)
        else:
            self.verdicts[table.name, name] = verdict

    def leave_out(self, retired: Container[str]) -> None:
        """Forget what is wrong with rows of these conversations."""
        for table, name in list(self.verdicts):
            if table == FACTS.name and whole_name(name)[0] in retired:
                del self.verdicts[table, name]

    @property
    def late(self) -> list[str]:
        """Names of facts that may differ because the stream ran on."""
        return [name for (table, name), verdict in self.verdicts.items() if table == FACTS.name and verdict.is_late]


class _DistrictAudit:
    """One district's events folded and compared. `landed` reads while `events` is being iterated, so they are two."""

    def __init__(self, district: str, events: Reader, landed: Reader, history: Log) -> None:
        self._district = district
        self._events = events
        self._landed = landed
        self._history = history
        self._state = DistrictState(district)
        self._unreadable: Counter[str] = Counter()
        self._rows = _Rows()
        self._read = 0
        self._unfoldable = 0

    def run(self, found: Findings, progress: Progress, recheck_seconds: float, differences_kept: int) -> None:
        """Audit the district and add to what was found."""
        understood = 0
        for part in _slices(decoded(self._counted(), self._unreadable)):
            for event, digest in part:
                self._state.apply(event, digest)
            understood += len(part)
            self._compare(self._fold())
            progress(self._district, self._read, len(self._rows.compared[FACTS.name]))
        found.not_understood += self._read - understood - self._unreadable.total()
        self._look_for_extra()
        self._compare_units()
        if any(verdict.is_late for verdict in self._rows.verdicts.values()):
            time.sleep(recheck_seconds)
            self._recheck()
        # Asked last: what leaves is marked before it goes, and may have been read in part.
        retired = {name for _, name in self._landed.retired([self._district])}
        self._rows.leave_out(retired)
        found.retired += len(retired)
        found.districts += 1
        found.events += self._read
        found.unreadable += self._unreadable.total() + self._unfoldable
        found.add(self._rows.verdicts.values(), differences_kept)
        found.conversations += len(self._rows.compared[FACTS.name])
        found.units += len(self._rows.compared[TREE.name])

    def _counted(self) -> Iterator[LandedEvent]:
        for row in self._events.district_events([self._district]):
            self._read += 1
            yield row

    def _fold(self) -> list[Row]:
        """The rows of all that changed; afterwards memory holds only what a merge ever named."""
        state = self._state
        while wanted := state.returning[:CONVERSATIONS_PER_SLICE]:
            found = self._history.histories(self._district, wanted)
            for name in wanted:
                state.restore(name, found.get(name, ()))
        settled = state.settle()
        for culprit in settled.culprits:
            self._unfoldable += 1
            log.error("event %s of %s cannot be folded (%s)", culprit.event_id, self._district, culprit.error)
        # Alerts and windows follow from rows; they are not compared, and kept they would fill memory.
        state.alerts, state.rolling = AlertBook(self._district), Rolling(self._district)
        state.evict(AFTER_EVERYTHING_MS)
        return settled.rows

    def _compare(self, rows: Sequence[Row], also: Iterable[str] = ()) -> None:
        """Compare these rows, and names that nothing gave, with what landed."""
        recomputed = {row[1]: row for row in rows}
        names = recomputed.keys() | set(also)
        landed = {row[1]: row for row in self._landed.facts(self._district, list(names))}
        for name in names:
            self._rows.judge(FACTS, name, landed.get(name), recomputed.get(name))

    def _look_for_extra(self) -> None:
        after = ""
        while names := self._landed.outdated(self._district, ANY_VERSION, after, NAMES_PER_PAGE):
            self._compare([], [name for name in names if name not in self._rows.compared[FACTS.name]])
            after = names[-1]

    def _compare_units(self) -> None:
        configuration = self._state.configuration
        newest, version = configuration.newest, row_version(configuration.count, 0)
        recomputed = {row.unit: row for row in (unit_rows(newest, version) if newest is not None else [])}
        landed = {row.unit: row for row in self._landed.units(self._district)}
        for unit in recomputed.keys() | landed.keys():
            self._rows.judge(TREE, unit, landed.get(unit), recomputed.get(unit))

    def _recheck(self) -> None:
        """Read late conversations whole again and compare with what stands by now; so the unit tree."""
        for events in self._history.histories(self._district, [""]).values():
            for event, digest in events:
                self._state.apply(event, digest)
        late = iter(self._rows.late)
        while some := list(islice(late, CONVERSATIONS_PER_SLICE)):
            self._compare(self._fold_again({whole_name(name)[0] for name in some}), some)
        self._compare_units()

    def _fold_again(self, wanted: set[str]) -> list[Row]:
        """The rows of these conversations and of those that a merge names with them, all read whole again."""
        known: set[str] = set()
        rows: dict[str, Row] = {}
        while wanted:
            found = self._history.histories(self._district, sorted(wanted))
            for name in sorted(wanted):
                self._state.restore(name, found.get(name, ()))
            known |= wanted
            rows |= {row[1]: row for row in self._fold()}
            wanted = {whole_name(name)[0] for name in rows} - known
        return list(rows.values())


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
    open_reader: Callable[[], Reader],
    progress: Progress,
    recheck_seconds: float = RECHECK_SECONDS,
    differences_kept: int = DIFFERENCES_KEPT,
) -> Findings:
    """Audit these districts (none named: all that have events), one after the other. Blocks, also while re-checking."""
    found = Findings()
    with ExitStack() as held:
        events, landed = (held.enter_context(closing(open_reader())) for _ in range(2))
        for district in sorted(set(districts)) or landed.districts():
            one = _DistrictAudit(district, events, landed, Log(open_reader))
            one.run(found, progress, recheck_seconds, differences_kept)
    return found
