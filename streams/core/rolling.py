"""Rolling windows of one district: what each conversation contributes, and the rows made of all contributions.

A conversation's contributions are kept together and replaced as a whole, so late events, corrections and retractions
need no undoing. Windows, parents and histograms are made with numpy when rows are asked for.
"""

from array import array
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.facts import NAMES, Row
from schemas.rolling import ALL_CHANNELS, SCORES, WINDOWS, RollingRow
from schemas.vocabulary import Channel
from streams.core.configuration import Configuration
from streams.core.publishing import Publishing
from streams.core.windows import NEVER_MS, Board, Ints, Spread, Tree, band_of, spread

DAY_MS = 86_400_000
HORIZON_MS = 35 * DAY_MS
PRUNE_EVERY_MS = DAY_MS // 24
CHANNELS: tuple[str, ...] = ("", *get_args(Channel))
SHOWN: tuple[str, ...] = (ALL_CHANNELS, *CHANNELS)

INQUIRY, WAIT, FIRST_RESPONSE, RATING, PROMISE = range(5)
PENDING, MET, MISSED = range(3)
_OUTCOMES = {"open": PENDING, "met": MET, "missed": MISSED}
_CHANNEL = {channel: number for number, channel in enumerate(CHANNELS)}
_CHANNEL_COLUMN = NAMES.index("channel")
_WIDTH = 4
_PLACE_BITS, _CHANNEL_BITS = 6, 3


# Kind, unit, instant and two values, which mean: inquiry: nothing; wait (by its opening): end or `NEVER_MS`, 1 if it
# is reply time; first response: calendar ms, business ms; rating: score; promise (by its due time): last instant that
# meets it or `NEVER_MS`, outcome.
Contribution = tuple[int, str, int, int, int]


def _picked(*names: str) -> Callable[[Row], tuple[Any, ...]]:
    return itemgetter(*map(NAMES.index, names))


_NATURE = _picked("retracted", "linked", "inquiries", "opened_by", "contact", "unit", "opened_at")
_FIRST = _picked("first_response_unit", "first_response_at", "first_response_ms", "first_response_business_ms")
_WAITS = _picked("waits.unit", "waits.opened_at", "waits.ended_at", "waits.outcome", "waits.live")
_RATINGS = _picked("ratings.unit", "ratings.rated_at", "ratings.score", "ratings.late")
_VERDICTS = _picked("verdicts.unit", "verdicts.due_at", "verdicts.breach_at", "verdicts.outcome")


def contributions(row: Row) -> Iterator[Contribution]:
    """What a row of facts contributes; nothing if it is retracted or holds nothing but ratings."""
    retracted, linked, inquiries, opened_by, contact, owner, opened_ms = _NATURE(row)
    if retracted or not linked:
        return
    if inquiries:
        yield INQUIRY, owner, opened_ms, 0, 0
    unit, answered_ms, calendar_ms, business_ms = _FIRST(row)
    if answered_ms is not None and opened_by == "customer" and contact != "answered_live":
        yield FIRST_RESPONSE, unit, answered_ms, calendar_ms, business_ms
    for unit, wait_ms, ended_ms, outcome, live in zip(*_WAITS(row), strict=True):
        if ended_ms is not None:
            yield WAIT, unit, wait_ms, ended_ms, int(outcome == "answered" and not live)
        elif outcome == "open":
            yield WAIT, unit, wait_ms, NEVER_MS, 0
    for unit, rated_ms, score, late in zip(*_RATINGS(row), strict=True):
        if not late:
            yield RATING, unit, rated_ms, score, 0
    for unit, due_ms, breach_ms, outcome in zip(*_VERDICTS(row), strict=True):
        if due_ms is not None and outcome in _OUTCOMES:
            yield PROMISE, unit, due_ms, NEVER_MS if breach_ms is None else breach_ms, _OUTCOMES[outcome]


class _Log(NamedTuple):
    """Columns of contributions of one kind; `cell` as in `streams.core.windows`."""

    cell: Ints
    at_ms: Ints
    first: Ints
    second: Ints

    def where(self, chosen: NDArray[np.bool]) -> "_Log":
        """Those chosen by a mask."""
        places = np.flatnonzero(chosen)
        return _Log(*(column[places] for column in self))


class Rolling:
    """The contributions of one district, by conversation. The same rows whatever order they came in."""

    def __init__(self, district: str) -> None:
        self.district = district
        self.publishing = Publishing()
        self._held: dict[str, bytes] = {}
        self._units: dict[str, int] = {}
        self._tree: Tree | None = None
        self._pruned_ms = -NEVER_MS

    def __len__(self) -> int:
        """Conversations that contribute."""
        return len(self._held)

    def __contains__(self, conversation: str) -> bool:
        """Whether a conversation contributes."""
        return conversation in self._held

    def replace(self, conversation: str, row: Row) -> None:
        """Let a conversation contribute what this row says, and nothing that it contributed before."""
        channel = _CHANNEL.get(row[_CHANNEL_COLUMN], 0)
        units = self._units
        record = array("q")
        for kind, unit, at_ms, first, second in contributions(row):
            number = units.setdefault(unit, len(units))
            record.extend((number << _PLACE_BITS | channel << _CHANNEL_BITS | kind, at_ms, first, second))
        if record:
            self._held[conversation] = record.tobytes()
        else:
            self.remove(conversation)

    def remove(self, conversation: str) -> None:
        """Let a conversation contribute nothing."""
        self._held.pop(conversation, None)

    def prune(self, before_ms: int) -> None:
        """Forget conversations that have ended to contribute: nothing open, and nothing since an instant."""
        if not self._held:
            return
        records = self._records()
        kind = records[:, 0] & (1 << _CHANNEL_BITS) - 1
        last = np.where(kind == WAIT, records[:, 2], records[:, 1])
        lengths = np.fromiter(map(len, self._held.values()), dtype=np.int64) // (_WIDTH * 8)
        newest = np.maximum.reduceat(last, np.cumsum(lengths) - lengths)
        names = list(self._held)
        for place in np.flatnonzero(newest < before_ms).tolist():
            del self._held[names[place]]

    def rows(self, now_ms: int, configuration: Configuration) -> list[RollingRow]:
        """The rows at an instant: every unit × channel × window in which something counts, and every unit × 'all'.

        Conversations whose last contribution lies more than 35 days back are forgotten.
        """
        if abs(now_ms - self._pruned_ms) >= PRUNE_EVERY_MS:
            self.prune(now_ms - HORIZON_MS)
            self._pruned_ms = now_ms
        if self._tree is None or self._tree.configuration is not configuration:
            self._tree = Tree(configuration)
        return _rows(self.district, now_ms, self._tree, self._logs(self._tree))

    def _records(self) -> Ints:
        return np.frombuffer(b"".join(self._held.values()), dtype=np.int64).reshape(-1, _WIDTH)

    def _logs(self, tree: Tree) -> list[_Log]:
        """All contributions, a log for each kind in order."""
        records = self._records()
        key = records[:, 0]
        kind = (key & (1 << _CHANNEL_BITS) - 1).astype(np.uint8)
        place = tree.places(list(self._units))
        logs = []
        for wanted in range(PROMISE + 1):
            own = records[np.flatnonzero(kind == wanted)]
            unit = place[own[:, 0] >> _PLACE_BITS]
            channel = own[:, 0] >> _CHANNEL_BITS & (1 << _PLACE_BITS - _CHANNEL_BITS) - 1
            logs.append(_Log(unit * len(CHANNELS) + channel, *np.ascontiguousarray(own[:, 1:].T)))
        return logs


def _rows(district: str, now_ms: int, tree: Tree, logs: list[_Log]) -> list[RollingRow]:
    sums, oldest, spreads = _measured(now_ms, tree, logs)
    shape = sums.shape[:3]
    present: NDArray[np.bool] = np.any(sums != 0, axis=3)
    present[:, 0] = True
    numbers = np.flatnonzero(present)
    values = sums.reshape(-1, sums.shape[3])[numbers].tolist()
    units, channels, windows = (part.tolist() for part in np.unravel_index(numbers, shape))
    names = list(WINDOWS)
    since = oldest[units, channels].tolist()
    rows = []
    for place, number in enumerate(numbers.tolist()):
        inquiries, waiting, n, total_ms, business_ms, replies, reply_ms, met, missed, pending, *scores = values[place]
        first, business, reply = (one.of(number) for one in spreads)
        rows.append(
            RollingRow(
                district,
                tree.units[units[place]],
                SHOWN[channels[place]],
                names[windows[place]],
                now_ms,
                inquiries,
                waiting,
                since[place] if waiting else None,
                *(n, total_ms, *first),
                *(n, business_ms, *business),
                *(replies, reply_ms, *reply),
                tuple(scores),
                sum(scores),
                met,
                missed,
                pending,
            )
        )
    return rows


def _measured(now_ms: int, tree: Tree, logs: list[_Log]) -> tuple[Ints, Ints, tuple[Spread, Spread, Spread]]:
    """Measures in the order in which `_rows` reads them, the oldest open wait, and the three histograms."""
    board = Board(tree, len(CHANNELS))
    inquiries, waits, responses, ratings, promises = logs
    board.add(inquiries.cell, band_of(inquiries.at_ms, now_ms))
    waiting = waits.where((waits.at_ms <= now_ms) & (waits.first > now_ms))
    # Open now is open in every window: the smallest band adds up into all.
    board.add(waiting.cell, np.zeros(len(waiting.cell), dtype=np.int64))
    board.oldest(waiting.cell, waiting.at_ms)
    band = band_of(responses.at_ms, now_ms)
    for amounts in (None, responses.first, responses.second):
        board.add(responses.cell, band, amounts)
    replies = waits.where(waits.second == 1)
    reply_band, reply_ms = band_of(replies.first, now_ms), replies.first - replies.at_ms
    for amounts in (None, reply_ms):
        board.add(replies.cell, reply_band, amounts)
    due_band = band_of(promises.at_ms, now_ms)
    outcome = np.where((promises.second == PENDING) & (promises.first < now_ms), MISSED, promises.second)
    for wanted in (MET, MISSED, PENDING):
        board.add(promises.cell[outcome == wanted], due_band[outcome == wanted])
    rated_band = band_of(ratings.at_ms, now_ms)
    for score in range(1, SCORES + 1):
        board.add(ratings.cell[ratings.first == score], rated_band[ratings.first == score])
    spreads = (
        spread(tree, len(CHANNELS), (responses.cell, band, responses.first)),
        spread(tree, len(CHANNELS), (responses.cell, band, responses.second)),
        spread(tree, len(CHANNELS), (replies.cell, reply_band, reply_ms)),
    )
    return *board.totals(), spreads
