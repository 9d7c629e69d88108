"""Sums and histograms by unit, channel and window, made of columns of contributions with numpy.

A cell is `unit place · channels + channel`. Windows nest, so a contribution is put into its smallest window, its band,
and the bands are added up; parents are their own contributions and their children's.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.rolling import WINDOWS
from schemas.vocabulary import UNROUTED
from streams.core.configuration import Configuration
from streams.core.histogram import BUCKETS, STARTS

Ints = NDArray[np.int64]
BANDS = len(WINDOWS)
NEVER_MS = 1 << 62

_LENGTHS: Ints = np.array(list(WINDOWS.values()), dtype=np.int64)
_STARTS: Ints = np.array(STARTS, dtype=np.int64)
_ABSENT = -1


class Tree:
    """A configuration's units, each after its parent; `paths` are the places from a unit upwards, filled with −1."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.units = configuration.units()
        self.place = {unit: place for place, unit in enumerate(self.units)}
        routes = [[self.place[above] for above in configuration.path(unit)] for unit in self.units]
        depth = max(map(len, routes))
        self.paths: Ints = np.array([[*route, *[_ABSENT] * (depth - len(route))] for route in routes], dtype=np.int64)
        # Deepest first, so that a child is complete before it is added to its parent.
        self.upwards = [(route[0], route[1]) for route in reversed(routes) if len(route) > 1]

    def places(self, units: list[str]) -> Ints:
        """Where these units stand; one that the configuration does not know stands at `unrouted`."""
        unrouted = self.place[UNROUTED]
        return np.array([self.place.get(unit, unrouted) for unit in units], dtype=np.int64)


def band_of(at_ms: Ints, now_ms: int) -> Ints:
    """The smallest window each instant lies in; `BANDS` if in none: too long ago, at `now_ms` or after."""
    age = now_ms - at_ms
    band: Ints = np.searchsorted(_LENGTHS, age, side="left")
    band[age < 1] = BANDS
    return band


class Board:
    """Sums of one instant, one grid (band, unit, channel) for each measure added."""

    def __init__(self, tree: Tree, channels: int) -> None:
        self._tree = tree
        self._channels = channels
        self._cells = len(tree.units) * channels
        self._grids: list[Ints] = []
        self._oldest: Ints = np.full(self._cells, NEVER_MS, dtype=np.int64)

    def add(self, cell: Ints, band: Ints, amounts: Ints | None = None) -> None:
        """The next measure: how many, or the exact sum of amounts. Bands outside every window count nowhere."""
        grid = np.zeros((BANDS + 1) * self._cells, dtype=np.int64)
        np.add.at(grid, band * self._cells + cell, 1 if amounts is None else amounts)
        self._grids.append(grid[: BANDS * self._cells].reshape(BANDS, len(self._tree.units), self._channels))

    def oldest(self, cell: Ints, at_ms: Ints) -> None:
        """Keep the earliest instant of each cell, whatever the window."""
        np.minimum.at(self._oldest, cell, at_ms)

    def totals(self) -> tuple[Ints, Ints]:
        """By unit, channel and window: measures (…, measure), and the oldest (unit, channel) or `NEVER_MS`.

        Parents hold their children's; channel 0 is all of them, the others follow in order.
        """
        sums: Ints = np.cumsum(np.stack(self._grids), axis=1)
        oldest = self._oldest.reshape(len(self._tree.units), self._channels).copy()
        for child, parent in self._tree.upwards:
            sums[:, :, parent] += sums[:, :, child]
            np.minimum(oldest[parent], oldest[child], out=oldest[parent])
        whole = np.concatenate((sums.sum(axis=3, keepdims=True), sums), axis=3)
        return whole.transpose(2, 3, 1, 0), np.concatenate((oldest.min(axis=1, keepdims=True), oldest), axis=1)


class Spread(NamedTuple):
    """Histograms one after another; that of row r is `buckets[starts[r]:starts[r + 1]]`, `counts` alike."""

    starts: list[int]
    buckets: tuple[int, ...]
    counts: tuple[int, ...]

    def of(self, row: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Buckets and counts of a row."""
        start, end = self.starts[row], self.starts[row + 1]
        return self.buckets[start:end], self.counts[start:end]


def spread(tree: Tree, channels: int, columns: tuple[Ints, Ints, Ints]) -> Spread:
    """Histograms of (cell, band, length in ms); rows are numbered by unit, channel (0: all) and window."""
    keys = _keys(tree, channels, columns)
    keys.sort()
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    rows, buckets = np.divmod(keys[first], BUCKETS)
    counts = np.diff(first, append=len(keys))
    number = len(tree.units) * (channels + 1) * BANDS
    starts = np.searchsorted(rows, np.arange(number + 1))
    return Spread(starts.tolist(), tuple(buckets.tolist()), tuple(counts.tolist()))


def _keys(tree: Tree, channels: int, columns: tuple[Ints, Ints, Ints]) -> Ints:
    """`row · BUCKETS + bucket` for every row that a length belongs to: each unit above it, its channel and all."""
    cell, band, length_ms = columns
    order = np.argsort(band, kind="stable")
    ends = np.searchsorted(band[order], np.arange(BANDS), side="right").tolist()
    order = order[: ends[-1]]
    unit, channel = np.divmod(cell[order], channels)
    bucket = np.searchsorted(_STARTS, length_ms[order], side="right") - 1
    keys: list[Ints] = []
    for level in range(tree.paths.shape[1]):
        above = tree.paths[unit, level]
        for shown in (0, channel + 1):
            base = (above * (channels + 1) + shown) * BANDS * BUCKETS + bucket
            base[above == _ABSENT] = _ABSENT
            for window, end in enumerate(ends):
                part = base[:end]
                keys.append(part[part >= 0] + window * BUCKETS)
    return np.concatenate(keys)
