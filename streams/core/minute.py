"""The rolling rows of one instant, made of the contributions that were held then: pure, in whatever thread."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from schemas.facts import Row
from schemas.rolling import ALL_CHANNELS, ALL_WINDOWS, PILLARS, ROLLING_SLICES, SCORES, SLICE_WINDOWS, RollingRow
from streams.core.contributions import (
    CHANNELS,
    HANDOFF,
    INQUIRY,
    KINDS,
    MISSED,
    PENDING,
    PROMISE,
    RATING,
    RESPONSE,
    SCORE_BITS,
    STAKEHOLDERS,
    WAIT,
    WITHIN,
    channel_of,
    kind_of,
    stakeholder_of,
    topic_of,
    unit_of,
    unpacked,
)
from streams.core.windows import Board, Ints, Log, Spread, Tree, Windows

SHOWN = (ALL_CHANNELS, *CHANNELS)
# Of so many rows, empty ones included, the measures are made at once: some 35 MB.
MOST_ROWS = 1 << 16
Columns = dict[str, Sequence[Any]]

# Measures in the order in which `_sums` adds them; so many of one name are an array of scores, before it 'none'.
_SUMS = (
    *((name, 1) for name in ("inquiries", "open_waits")),
    *((name, 1) for name in ("first_response_count", "first_response_sum_ms", "first_response_business_sum_ms")),
    *((name, 1) for name in ("reply_count", "reply_sum_ms", "reply_business_sum_ms", "decided", "within")),
    *((name, SCORES + 1) for name in ("ratings", *PILLARS)),
    *((name, 1) for name in ("promises_pending", "promises_met", "promises_missed", "handoffs", "bounces")),
)


class Minute(NamedTuple):
    """A district's contributions as `Rolling` held them; `units` and `topics` by their numbers in the records."""

    district: str
    now_ms: int
    tree: Tree
    records: Sequence[bytes]
    units: Sequence[str]
    topics: Sequence[str]
    most_rows: int = MOST_ROWS

    def rows(self) -> list[RollingRow]:
        """Rows of `rolling`: every unit × channel × window in which something counts, and every unit × 'all'."""
        records = unpacked(self.records)
        channel = channel_of(records[:, 0])
        rows: list[RollingRow] = []
        logs = self._logs(records, (np.zeros_like(channel), channel + 1))
        for columns in self._tables(ALL_WINDOWS, len(SHOWN), logs):
            columns |= {name: [value] * len(columns["at"]) for name, value in RollingRow._field_defaults.items()}
            columns["channel"] = [SHOWN[facet] for facet in columns["facet"]]
            rows.extend(map(RollingRow._make, zip(*(columns[name] for name in RollingRow._fields), strict=True)))
        return rows

    def slices(self) -> list[Row]:
        """Rows of `rolling_slices`: every unit × topic, and unit × stakeholder, in which something counts."""
        records = unpacked(self.records)
        facets = [("topic", topic) for topic in self.topics] + [("stakeholder", who) for who in STAKEHOLDERS]
        key = records[:, 0]
        logs = self._logs(records, (topic_of(key), stakeholder_of(key) + len(self.topics)))
        rows: list[Row] = []
        for columns in self._tables(SLICE_WINDOWS, len(facets), logs):
            columns["dimension"] = [facets[facet][0] for facet in columns["facet"]]
            columns["value"] = [facets[facet][1] for facet in columns["facet"]]
            rows.extend(zip(*(columns[column.name] for column in ROLLING_SLICES), strict=True))
        return rows

    def _tables(self, names: Sequence[str], facets: int, logs: Sequence[Log]) -> Iterator[Columns]:
        """The rows' columns, some facets after the others."""
        windows = Windows(names, self.now_ms, self.tree)
        step = max(1, self.most_rows // (len(self.tree.units) * len(names)))
        for first in range(0, facets, step):
            board = Board(self.tree, windows, first, min(first + step, facets))
            yield self._columns(board, logs, every=names is ALL_WINDOWS and first == 0)

    def _logs(self, records: Ints, facets: tuple[Ints, ...]) -> list[Log]:
        """All contributions, a log for each kind in order."""
        kind = kind_of(records[:, 0])
        unit = self.tree.places(self.units)[unit_of(records[:, 0])]
        whole = Log(unit, facets, *np.ascontiguousarray(records[:, 1:].T))
        return [whole.where(kind == wanted) for wanted in range(KINDS)]

    def _columns(self, board: Board, logs: Sequence[Log], every: bool) -> Columns:
        """The columns of all rows in which something counts; `every`: and of the first facet's others."""
        spreads = dict(_added(board, logs, self.now_ms))
        sums = board.sums()
        present = np.any(sums != 0, axis=3)
        if every:
            present[:, 0] = True
        numbers = np.flatnonzero(present)
        units, facets, slots = np.unravel_index(numbers, board.shape)
        columns = _named(sums.reshape(-1, sums.shape[3])[numbers])
        columns["district"], columns["at"] = [self.district] * len(numbers), [self.now_ms] * len(numbers)
        columns["unit"] = [self.tree.units[unit] for unit in units.tolist()]
        columns["facet"] = (facets + board.first).tolist()
        columns["window"] = [board.windows.names[slot] for slot in slots.tolist()]
        since = board.oldest(_waiting(logs[WAIT], self.now_ms))[units, facets].tolist()
        open_waits = zip(since, columns["open_waits"], strict=True)
        columns["oldest_open_at"] = [at_ms if waits else None for at_ms, waits in open_waits]
        for name, spread in spreads.items():
            columns[f"{name}_buckets"], columns[f"{name}_counts"] = spread.of(numbers.tolist())
        return columns


def _named(values: Ints) -> Columns:
    """Columns of the measures of some rows by name."""
    columns: Columns = {}
    at = 0
    for name, width in _SUMS:
        columns[name] = values[:, at].tolist() if width == 1 else _scores(values[:, at + 1 : at + width])
        at += width
    columns["first_response_business_count"] = columns["first_response_count"]
    columns["reply_business_count"] = columns["reply_count"]
    columns["ratings_count"] = list(map(sum, columns["ratings"]))
    return columns


def _scores(values: Ints) -> list[tuple[int, ...]]:
    """How many of each score, a row each; few rows have any."""
    found: list[tuple[int, ...]] = [(0,) * values.shape[1]] * len(values)
    rated = np.flatnonzero(np.any(values != 0, axis=1))
    for row, scores in zip(rated.tolist(), values[rated].tolist(), strict=True):
        found[row] = tuple(scores)
    return found


def _waiting(waits: Log, now_ms: int) -> Log:
    return waits.where((waits.at_ms <= now_ms) & (waits.first > now_ms))


def _added(board: Board, logs: Sequence[Log], now_ms: int) -> Iterator[tuple[str, Spread]]:
    """Put every measure of `_SUMS` on the board; the histograms by name."""
    board.count(board.entries(logs[INQUIRY]))
    board.count(board.entries(_waiting(logs[WAIT], now_ms), always=True))
    responses = logs[RESPONSE]
    entries = board.entries(responses)
    board.count(entries)
    counted = board.counted(entries)
    for name, lengths in (("first_response", responses.first), ("first_response_business", responses.second)):
        board.total(entries, lengths)
        yield name, board.spread(counted, lengths)
    waits = logs[WAIT].where(logs[WAIT].second >= 0)
    replies = waits._replace(at_ms=waits.first)
    entries = board.entries(replies)
    board.count(entries)
    counted = board.counted(entries)
    for name, lengths in (("reply", waits.first - waits.at_ms), ("reply_business", waits.second)):
        board.total(entries, lengths)
        yield name, board.spread(counted, lengths)
    entries = board.entries(logs[WITHIN])
    board.count(entries)
    board.total(entries, logs[WITHIN].first)
    _add_ratings(board, logs[RATING])
    promises = logs[PROMISE]
    is_missed = (promises.second == PENDING) & (promises.first < now_ms)
    board.count(board.entries(promises), np.where(is_missed, MISSED, promises.second), 3)
    entries = board.entries(logs[HANDOFF])
    board.count(entries)
    board.total(entries, logs[HANDOFF].first)


def _add_ratings(board: Board, ratings: Log) -> None:
    entries = board.entries(ratings)
    for place in range(1 + len(PILLARS)):
        score = ratings.first >> SCORE_BITS * place & (1 << SCORE_BITS) - 1
        board.count(entries, score, SCORES + 1)
