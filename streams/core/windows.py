"""Sums and histograms by unit, facet and window, made of columns of contributions with numpy.

A facet is one way of cutting a unit's facts: a channel, all of them, a topic. The windows of elapsed time nest, so a
contribution is put into the smallest that holds it and these are added up; the last seven school days stand beside
them, each contribution's by the calendar of its own unit. Parents are their own contributions and their children's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.rolling import SCHOOL_DAYS, SEVEN, WINDOWS
from schemas.vocabulary import UNROUTED
from streams.core.configuration import Configuration
from streams.core.histogram import BUCKETS, STARTS

Ints = NDArray[np.int64]
NEVER_MS = 1 << 62
DAY_MS = 86_400_000
HORIZON_MS = 35 * DAY_MS

_ABSENT = -1
_HALF = 1 << 31
_STARTS: Ints = np.array(STARTS, dtype=np.int64)


class Tree:
    """A configuration's units by place, each after its parent; `paths` lead from a unit upwards, filled with −1."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.units = configuration.units()
        self._place = {unit: place for place, unit in enumerate(self.units)}
        self._clocks = [configuration.clock(unit) for unit in self.units]
        routes = [[self._place[above] for above in configuration.path(unit)] for unit in self.units]
        depth = max(map(len, routes))
        self.paths: Ints = np.array([route + [_ABSENT] * (depth - len(route)) for route in routes], dtype=np.int64)
        # Deepest first, so that a child is complete before it is added to its parent.
        self.upwards = [(route[0], route[1]) for route in reversed(routes) if len(route) > 1]

    def places(self, units: Sequence[str]) -> Ints:
        """Where these units stand; one that the configuration does not know stands at `unrouted`."""
        unrouted = self._place[UNROUTED]
        return np.array([self._place.get(unit, unrouted) for unit in units], dtype=np.int64)

    def since(self, now_ms: int, school_days: int) -> Ints:
        """By place, the start of the so-manyth last school day of a unit."""
        return np.array([clock.since_school_days(now_ms, school_days) for clock in self._clocks], dtype=np.int64)

    def horizon(self, now_ms: int) -> Ints:
        """By place, the instant before which nothing of a unit counts in any window: 35 days or eight school days."""
        return np.minimum(self.since(now_ms, SEVEN + 1), now_ms - HORIZON_MS)


def reach_ms(configuration: Configuration, now_ms: int) -> int:
    """The instant before which nothing of a district counts in any window."""
    return int(Tree(configuration).horizon(now_ms).min())


class Log(NamedTuple):
    """Contributions of one kind: unit's place, the facets each counts in (one array each), instant, and two values."""

    unit: Ints
    facets: tuple[Ints, ...]
    at_ms: Ints
    first: Ints
    second: Ints

    def where(self, chosen: NDArray[np.bool]) -> "Log":
        """Those chosen by a mask."""
        places = np.flatnonzero(chosen)
        facets = tuple(facet[places] for facet in self.facets)
        return Log(self.unit[places], facets, self.at_ms[places], self.first[places], self.second[places])


class Windows:
    """The windows that end at an instant: names of `schemas.rolling.WINDOWS`, ascending, then `7sd` if wanted."""

    def __init__(self, names: Sequence[str], now_ms: int, tree: Tree) -> None:
        self.names = names
        self.now_ms = now_ms
        self.lengths: Ints = np.array([WINDOWS[name] for name in names if name != SCHOOL_DAYS], dtype=np.int64)
        self._since = tree.since(now_ms, SEVEN) if SCHOOL_DAYS in names else None

    def slots(self, unit: Ints, at_ms: Ints) -> tuple[Ints, Ints]:
        """Which contributions count, and where: the smallest of the nested windows, and `7sd`; some stand twice."""
        age = self.now_ms - at_ms
        slot: Ints = np.searchsorted(self.lengths, age, side="left")
        index = np.flatnonzero((age > 0) & (slot < len(self.lengths)))
        if self._since is None:
            return index, slot[index]
        recent = np.flatnonzero((age > 0) & (at_ms >= self._since[unit]))
        return np.concatenate((index, recent)), np.concatenate(
            (slot[index], np.full(len(recent), len(self.lengths), dtype=np.int64))
        )

    def always(self, count: int) -> tuple[Ints, Ints]:
        """As `slots`, of so many contributions that count in every window."""
        index = np.arange(count)
        slot = np.zeros(count, dtype=np.int64)
        if self._since is None:
            return index, slot
        return np.concatenate((index, index)), np.concatenate((slot, slot + len(self.lengths)))


class Entries(NamedTuple):
    """Where contributions count: unit, facet, window, and which contribution it is, in order of windows."""

    unit: Ints
    facet: Ints
    slot: Ints
    which: Ints


class Counted(NamedTuple):
    """Every row that a contribution counts in, one entry each: parents', wider windows'."""

    row: Ints
    which: Ints


class Spread(NamedTuple):
    """Histograms one after another; that of row r is `buckets[starts[r]:starts[r + 1]]`, `counts` alike."""

    starts: list[int]
    buckets: tuple[int, ...]
    counts: tuple[int, ...]

    def of(self, rows: Sequence[int]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Buckets and counts of each of these rows."""
        starts, buckets, counts = self
        spans = [(starts[row], starts[row + 1]) for row in rows]
        return [buckets[start:end] for start, end in spans], [counts[start:end] for start, end in spans]


class Board:
    """The measures of the facets `[first, last)` at one instant; rows are numbered by (unit, facet, window)."""

    def __init__(self, tree: Tree, windows: Windows, first: int, last: int) -> None:
        self.windows = windows
        self.first = first
        self._tree = tree
        self.shape = len(tree.units), last - first, len(windows.names)
        self._rows = len(tree.units) * (last - first) * len(windows.names)
        self._sums: list[Ints] = []

    def _row(self, unit: Ints, facet: Ints, slot: Ints | int) -> Ints:
        return (unit * self.shape[1] + facet) * self.shape[2] + slot

    def entries(self, log: Log, always: bool = False) -> Entries:
        """Where the contributions count by their instants, or in every window."""
        index, slot = self.windows.always(len(log.unit)) if always else self.windows.slots(log.unit, log.at_ms)
        order = np.argsort(slot.astype(np.int8), kind="stable")
        index, slot = index[order], slot[order]
        facets = [column[index] - self.first for column in log.facets]
        facet, index, slot = np.concatenate(facets), np.tile(index, len(facets)), np.tile(slot, len(facets))
        own = np.flatnonzero((facet >= 0) & (facet < self.shape[1]))
        return Entries(log.unit[index[own]], facet[own], slot[own], index[own])

    def _grid(self, flat: Ints) -> Ints:
        """The rows' values added up over nested windows and up the tree; the last axis holds several of a row."""
        grid = flat.reshape(*self.shape, -1)
        for slot in range(1, len(self.windows.lengths)):
            grid[:, :, slot] += grid[:, :, slot - 1]
        for child, parent in self._tree.upwards:
            grid[parent] += grid[child]
        return grid

    def count(self, entries: Entries, value: Ints | None = None, values: int = 1) -> None:
        """The next measures, one for each of so many values (of the contributions): how many."""
        row = self._row(entries.unit, entries.facet, entries.slot)
        key = row if value is None else row * values + value[entries.which]
        self._sums.append(self._grid(np.bincount(key, minlength=self._rows * values)))

    def total(self, entries: Entries, amounts: Ints) -> None:
        """The next measure: an exact sum."""
        flat = np.zeros(self._rows, dtype=np.int64)
        np.add.at(flat, self._row(entries.unit, entries.facet, entries.slot), amounts[entries.which])
        self._sums.append(self._grid(flat))

    def sums(self) -> Ints:
        """All measures in order: (unit, facet, window, measure)."""
        return np.concatenate(self._sums, axis=3)

    def oldest(self, log: Log) -> Ints:
        """The earliest instant of each (unit, facet), `NEVER_MS` without any."""
        found: Ints = np.full(self.shape[:2], NEVER_MS, dtype=np.int64)
        for column in log.facets:
            facet = column - self.first
            own = np.flatnonzero((facet >= 0) & (facet < self.shape[1]))
            np.minimum.at(found, (log.unit[own], facet[own]), log.at_ms[own])
        for child, parent in self._tree.upwards:
            np.minimum(found[parent], found[child], out=found[parent])
        return found

    def counted(self, entries: Entries) -> Counted:
        """Every row that the contributions count in."""
        rows, indices = [], []
        nested = len(self.windows.lengths)
        for level in range(self._tree.paths.shape[1]):
            above = self._tree.paths[entries.unit, level]
            some = np.flatnonzero(above >= 0)
            base, slot, index = self._row(above[some], entries.facet[some], 0), entries.slot[some], entries.which[some]
            for window in range(self.shape[2]):
                chosen = slot <= window if window < nested else slot == window
                rows.append(base[chosen] + window)
                indices.append(index[chosen])
        return Counted(np.concatenate(rows), np.concatenate(indices))

    def spread(self, counted: Counted, length_ms: Ints) -> Spread:
        """Histograms of the contributions' lengths."""
        bucket = np.searchsorted(_STARTS, length_ms, side="right") - 1
        keys = counted.row * BUCKETS + bucket[counted.which]
        if self._rows * BUCKETS < _HALF:
            # Half as wide is sorted twice as fast.
            keys = keys.astype(np.int32)
        keys.sort()
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        row, bucket = np.divmod(keys[first], BUCKETS)
        times = np.diff(first, append=len(keys))
        starts = np.searchsorted(row, np.arange(self._rows + 1))
        return Spread(starts.tolist(), tuple(bucket.tolist()), tuple(times.tolist()))
