"""Daily cells held against the facts that the events give.

A cell says when it was made, so it is held against what had landed by then, by the calendars that were known. What
landed since the cells were last caught up with is counted as it was known then; the rest as it is computed anew.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, islice
from typing import Any

from schemas.events import DistrictConfigured
from schemas.facts import Row
from schemas.vocabulary import from_ms
from sinks.landed import Landed, Start
from streams.audit.comparing import CELLS
from streams.audit.findings import Rows
from streams.core.configuration import Configuration
from streams.core.days import DayCells
from streams.core.district import DistrictState
from streams.core.parts import whole_name

NAMES_AT_ONCE = 1_000
# Of what was known so many times while cells were made the sums are made anew, at most.
MOST_KNOWN = 64
Documents = Sequence[tuple[DistrictConfigured, int]]
"""Configurations with their digests; those of the district itself are known before its first rows."""
Key = tuple[Any, ...]
"""Unit, channel and day."""


class Days:
    """Of one district: `count` its rows slice by slice, then `compare`."""

    def __init__(self, landed: Landed, found: Rows, documents: Documents, state: DistrictState, start: Start) -> None:
        self._landed = landed
        self._found = found
        self._documents = documents
        self._state = state
        self._start = start
        self._configured = landed.configured(state.district, start.mark_ms)
        self._moved = landed.moved(state.district, start.mark_ms) if start.mark_ms else set()
        self._tied = landed.tied(state.district)
        self._again: dict[str, Row] = {}
        self._cells: DayCells | None = None

    def count(self, rows: Iterable[Row]) -> None:
        """Count what rows come to; those that a merge names may come again and are kept."""
        gone = []
        for row in rows:
            if whole_name(row[1])[0] in self._tied:
                self._again[row[1]] = row
            elif row[1] not in self._moved:
                gone.append(row)
        if self._cells is None:
            self._cells = DayCells(self._configuration())
        self._cells.add(gone)

    def _configuration(self) -> Configuration:
        """The one by which the cells were made that were caught up with."""
        known = DistrictState(self._state.district)
        for event, digest in self._documents:
            if (event.revision, event.event_id, digest) in self._configured:
                known.apply(event, digest)
        return known.configuration

    def compare(self, now_ms: int, kept_from_ms: int) -> None:
        """Compare all cells. Without a mark nothing says what they should hold: all are left aside.

        So are those of days that retention may have removed by now, also if facts that stay contribute to them.
        """
        if self._cells is None:
            self._cells = DayCells(self._configuration())
        self._cells.add(self._unmoved())
        landed = self._landed_by_known(max(now_ms, self._start.newest_ms))
        changed = self._changed()
        # A day may begin and end within the two around it.
        kept_from = from_ms(kept_from_ms).date() + timedelta(days=2)
        whole_from = max(kept_from, self._landed.whole_from(self._state.district) or kept_from)
        own = landed.setdefault(self._start.mark_ms, {})
        anywhere = {key for stored in landed.values() for key in stored}
        for number, (known_ms, stored) in enumerate(sorted(landed.items())):
            is_clear = number < MOST_KNOWN and self._is_clear(known_ms)
            recomputed = self._cells_at(self._cells, known_ms) if is_clear or not self._start.mark_ms else {}
            wanted = recomputed.keys() - anywhere if stored is own else frozenset()
            for key in stored.keys() | wanted:
                is_aside = key in changed or key[2] < whole_from
                if not is_clear:
                    self._found.days_aside += 1
                else:
                    self._judge(stored.get(key), recomputed.get(key), is_aside)

    def _unmoved(self) -> Iterator[Row]:
        rows = chain(self._again.values(), self._landed.retired(self._state.district))
        return (row for row in rows if row[1] not in self._moved)

    def _landed_by_known(self, present_ms: int) -> dict[int, dict[Key, Row]]:
        """Cells that landed, by the last landing of facts before they were made; 0: nobody can tell."""
        mark_ms = self._start.mark_ms
        landings = [mark_ms, *(self._landed.landings(self._state.district, mark_ms) if mark_ms else ())]
        found: dict[int, dict[Key, Row]] = {}
        for row, made_ms in self._landed.cells(self._state.district):
            is_past = made_ms <= max(present_ms, mark_ms)
            known_ms = landings[max(0, bisect_right(landings, made_ms) - 1)] if is_past else 0
            found.setdefault(known_ms, {})[row[1:4]] = row
        return found

    def _judge(self, landed: Row | None, recomputed: Row | None, is_aside: bool) -> None:
        """A cell in which nothing counts is as good as none."""
        if landed is not None and not any(any(each) if isinstance(each, tuple) else each for each in landed[4:]):
            landed = None
        if not is_aside:
            self._found.judge(CELLS, landed, recomputed)
        elif landed != recomputed:
            self._found.days_aside += 1

    def _is_clear(self, known_ms: int) -> bool:
        """Whether cells were made by what was known at an instant, and by the calendars of the mark."""
        return known_ms > 0 and self._landed.configured(self._state.district, known_ms) == self._configured

    def _cells_at(self, unmoved: DayCells, at_ms: int) -> dict[Key, Row]:
        """What cells that were made at an instant should be."""
        cells = unmoved.copy()
        cells.add(self._each(self._moved, at_ms))
        return {row[1:4]: row for row in cells.cells()}

    def _changed(self) -> set[Key]:
        """Cells in which anything counts, or did, of what landed while the others were computed."""
        district = self._state.district
        cells = DayCells(self._configuration())
        cells.add(self._each(self._landed.moved(district, self._start.newest_ms) - self._moved, None))
        if len(self._configured) > 1:
            # Nothing folds them again when a calendar changes.
            cells.add(self._landed.retired(district))
        return {row[1:4] for row in cells.cells()}

    def _each(self, names: Iterable[str], at_ms: int | None) -> Iterator[Row]:
        """Versions of facts as they were known at an instant, None: all of them."""
        left = iter(sorted(names))
        while some := list(islice(left, NAMES_AT_ONCE)):
            if at_ms is None:
                yield from self._landed.all_versions(self._state.district, some)
            else:
                yield from self._landed.as_known(self._state.district, some, at_ms)
