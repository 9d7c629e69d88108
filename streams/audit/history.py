"""Rolling rows of the last day held against what was known when they landed.

They stay as they were first known, so what they should be is made of the events that had landed by then: a district's
state is led from minute to minute as a worker's was. Looked at are the newest minute and the first of each hour, which
are those that retention keeps.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby

from schemas.facts import Row
from sinks.landed import Known, KnownEvent, Landed, Minute
from streams.audit.comparing import MINUTES, SLICES, Table
from streams.audit.findings import Rows
from streams.core.district import DistrictState
from streams.core.parts import whole_name
from streams.core.windows import DAY_MS, HORIZON_MS
from streams.recovery import decoded

HOUR_MS = 3_600_000
# A configuration of that day may have reached farther back than the newest one.
MORE_MS = 7 * DAY_MS
# A worker that went on where another one died landed what that one had not: rows of one minute of several landings.
MOST_LANDINGS = 4
_AT, _SLICE_AT = 4, 5
Landings = list[tuple[Row, int]]
"""Rows of one minute, and when each landed, ms UTC."""
Made = dict[str, Row]
"""Rows made anew, by what they are about."""


class History:
    """Of one district. `note` while its facts are made, `compare` afterwards."""

    def __init__(self, district: str, open_landed: Callable[[], Landed], found: Rows) -> None:
        self._district = district
        self._open = open_landed
        self._found = found
        self._wanted: set[str] = set()
        with closing(open_landed()) as landed:
            chosen = _chosen(landed.minutes(district))
        self.minutes = [minute for minute in chosen if minute.is_clear]
        found.minutes_aside += len(chosen) - len(self.minutes)
        self._state = DistrictState(district)
        self._events: list[KnownEvent] = []

    def note(self, state: DistrictState) -> None:
        """Take the names of conversations that may count in a window of the last day."""
        if self.minutes:
            reaching = state.rolling.reaching(self.minutes[0].at_ms - MORE_MS, state.configuration)
            for name in reaching:
                self._wanted.update(state.linked(whole_name(name)[0]))

    def compare(self) -> DistrictState | None:
        """Compare all minutes; the state as it was known at the newest one, None: there is none, or it is not clear."""
        if not self.minutes:
            return None
        is_clear = False
        instants = [minute.at_ms for minute in self.minutes]
        ends = [minute.landed_ms for minute in self.minutes[1:]]
        with ExitStack() as held:
            first, second = (held.enter_context(closing(self._open())) for _ in range(2))
            begin, end = self.minutes[0], self.minutes[-1]
            # Whatever came is a sign of its source, whether or not it counts in a window.
            span = Known(begin.at_ms - HORIZON_MS, begin.landed_ms, end.landed_ms + HOUR_MS)
            self._events = list(first.known(self._district, self._wanted, span))
            unclear = _unclear(self._events)
            self._events.reverse()
            windows = _by_minute(first.windows(self._district, instants), instants, _AT)
            slices = _by_minute(second.slices(self._district, instants), instants, _SLICE_AT)
            rows = zip(self.minutes, [*ends, span.upto_ms], windows, slices, strict=True)
            for minute, end_ms, *landed in rows:
                is_clear = not any(start <= minute.landed_ms <= end for start, end in unclear)
                is_clear = is_clear and self._compare(minute, end_ms, *landed)
                self._found.minutes_aside += not is_clear
        return self._state if is_clear else None

    def _compare(self, minute: Minute, end_ms: int, windows: Landings, slices: Landings) -> bool:
        """One minute; whatever landed of it is held against what was known by then, before the next minute's rows.

        False: it landed too often to tell.
        """
        landings = sorted({min(landed_ms, end_ms - 1) for _, landed_ms in (*windows, *slices)})
        if len(landings) > MOST_LANDINGS:
            return False
        with closing(self._open()) as landed:
            published = landed.published_before(self._district, minute.at_ms)
        for landed_ms in landings:
            self._know(landed_ms)
            self._state.rolling.publishing.known(published)
            is_last = landed_ms == landings[-1]
            made = self._state.rolling.minute(minute.at_ms, self._state.configuration)
            rows: list[Row] = list(self._state.rolling.publishing.publish(made.rows()))
            for table, own, recomputed in ((MINUTES, windows, rows), (SLICES, slices, made.slices())):
                of_landing = [row for row, at_ms in own if min(at_ms, end_ms - 1) == landed_ms]
                others = {table.subject(row) for row, _ in own} if is_last else None
                self._judge(table, of_landing, {table.subject(row): row for row in recomputed}, others)
        return True

    def _know(self, landed_ms: int) -> None:
        """Lead the state on to what had landed by an instant."""
        known = []
        while self._events and self._events[-1].landed_ms <= landed_ms:
            known.append(self._events.pop().event)
        for event, digest in decoded(known, Counter()):
            self._state.apply(event, digest)
        self._state.settle()

    def _judge(self, table: Table, landed: Iterable[Row], made: Made, others: set[str] | None) -> None:
        """Rows of one landing; `others`: names of all that landed of the minute, if nothing of it landed later."""
        for row in landed:
            self._found.judge(table, row, made.get(table.subject(row)))
        if others is not None:
            for name in made.keys() - others:
                self._found.judge(table, None, made[name])


def _chosen(minutes: Sequence[Minute]) -> list[Minute]:
    """The first of each hour, and the newest."""
    chosen = [next(some) for _, some in groupby(minutes, lambda minute: minute.at_ms // HOUR_MS)]
    return [*chosen, *(minute for minute in minutes[-1:] if minute not in chosen)]


def _by_minute(rows: Iterator[tuple[Row, int]], instants: Sequence[int], place: int) -> Iterator[Landings]:
    """The rows of each of these instants; both in order of time."""
    groups = groupby(rows, lambda each: each[0][place])
    at_ms, some = next(groups, (None, iter(())))
    for wanted_ms in instants:
        if at_ms != wanted_ms:
            yield []
            continue
        yield list(some)
        at_ms, some = next(groups, (None, iter(())))


def _unclear(events: Iterable[KnownEvent]) -> list[tuple[int, int]]:
    """Spans of time, ms UTC, of whose landings nobody can say what was known: the clock went back."""
    found: list[tuple[int, int]] = []
    latest: dict[int, int] = {}
    for known in sorted(events, key=lambda each: (each.partition, each.offset)):
        before_ms = latest.get(known.partition, known.landed_ms)
        if known.landed_ms < before_ms:
            found.append((known.landed_ms, before_ms))
        latest[known.partition] = max(before_ms, known.landed_ms)
    return found
