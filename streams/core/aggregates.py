"""Rolling values that must keep a level: what the watches of a district's document make of the minute's rows.

A value has to be beyond its level in every row of its time before an incident opens, and has to come back to the
watch's `until` before it ends. A share or a score is beyond only if its 95 % interval is wholly so, and nothing is
judged that is made of fewer values than the watch asks for. Ratings are those published. What is beyond since when
follows from the rows alone: after a restart the rows that landed tell it again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf, sqrt
from typing import NamedTuple

from schemas.incidents import CLOSED, OPENED, VALUE, IncidentTransition, incident_key
from schemas.rolling import ALL_CHANNELS, WINDOWS, RollingRow
from schemas.watches import Watch
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.configuration import Configuration
from streams.core.histogram import Histogram
from streams.core.intervals import around, wilson
from streams.core.telling import Telling

MINUTE_MS = 60_000
# A row may be missing where a worker was started anew; more than so many, and the time begins again.
LONGEST_GAP_MS = 10 * MINUTE_MS
HIGH = 8
Key = tuple[str, str]


class Value(NamedTuple):
    """A value with the ends of its interval, and how many values it is made of; infinite: as many as are asked for."""

    value: float
    low: float
    high: float
    n: float


def _length(count: int, buckets: tuple[int, ...], counts: tuple[int, ...], level: float) -> Value | None:
    found = Histogram.stored(buckets, counts, 0).quantile(level)
    return None if found is None else Value(found, found, found, count)


def _first(level: float) -> Callable[[RollingRow], Value | None]:
    return lambda row: _length(row.first_response_count, row.first_response_buckets, row.first_response_counts, level)


def _business(level: float) -> Callable[[RollingRow], Value | None]:
    return lambda row: _length(
        row.first_response_business_count,
        row.first_response_business_buckets,
        row.first_response_business_counts,
        level,
    )


def _reply(level: float) -> Callable[[RollingRow], Value | None]:
    return lambda row: _length(row.reply_count, row.reply_buckets, row.reply_counts, level)


def _share(hits: int, n: int) -> Value | None:
    return Value(hits / n, *wilson(hits, n), n) if n else None


def _promises(row: RollingRow) -> Value | None:
    return _share(row.promises_met, row.promises_met + row.promises_missed)


def _satisfied(row: RollingRow) -> Value | None:
    return _share(sum(row.published_ratings[HIGH - 1 :]), sum(row.published_ratings))


def _satisfaction(row: RollingRow) -> Value | None:
    n = sum(row.published_ratings)
    if n < 2:
        return None
    mean = sum(score * count for score, count in enumerate(row.published_ratings, 1)) / n
    spread = sum(count * (score - mean) ** 2 for score, count in enumerate(row.published_ratings, 1))
    return Value(mean, *around(mean, sqrt(spread / (n - 1) / n)), n)


def _count(number: float) -> Value:
    return Value(number, number, number, inf)


VALUES: Mapping[str, Callable[[RollingRow], Value | None]] = {
    "first_response_median": _first(0.5),
    "first_response_p90": _first(0.9),
    "first_response_business_median": _business(0.5),
    "first_response_business_p90": _business(0.9),
    "reply_median": _reply(0.5),
    "reply_p90": _reply(0.9),
    "oldest_wait": lambda row: _count(0 if row.oldest_open_at is None else row.at - row.oldest_open_at),
    "promises_met": _promises,
    "satisfied": _satisfied,
    "satisfaction": _satisfaction,
    "open_waits": lambda row: _count(row.open_waits),
    "inquiries": lambda row: _count(row.inquiries),
}


class _Since(NamedTuple):
    """From which row to which one a value has been beyond its level."""

    first_ms: int
    last_ms: int


class Aggregates:
    """Watched values of one district. Each (key, revision, transition) leaves it once."""

    __slots__ = ("_beyond", "_district", "_open", "_telling")

    def __init__(self, district: str, telling: Telling | None = None) -> None:
        self._district = district
        self._telling = telling or Telling(district)
        self._beyond: dict[Key, _Since] = {}
        self._open: dict[Key, IncidentTransition] = {}

    def known(self, transitions: Iterable[IncidentTransition]) -> None:
        """Take what was said before a restart, in any order."""
        told = [one for one in transitions if one.kind == VALUE]
        for one in sorted(told, key=lambda each: (each.began_at, each.transition == CLOSED)):
            if one.transition == OPENED:
                self._open[one.about, one.unit] = one
            elif (before := self._open.get((one.about, one.unit))) is not None and before.key == one.key:
                del self._open[one.about, one.unit]

    def refill(self, rows: Iterable[RollingRow], configuration: Configuration) -> None:
        """Take rows that landed before a restart, in order of time; nothing is said of them."""
        for row in rows:
            for watch in _watches(configuration):
                if _is_about(watch, row, configuration):
                    self._note(watch, row, configuration)

    def advance(
        self, rows: Iterable[RollingRow], configuration: Configuration, is_silent: bool, present_ms: int
    ) -> list[IncidentTransition]:
        """What is to be said after a minute's rows; that few inquiries come says nothing while a feed is silent."""
        chosen = {(row.unit, row.channel, row.window): row for row in rows}
        made: list[IncidentTransition] = []
        judged: set[Key] = set()
        for watch in _watches(configuration) if chosen else ():
            if is_silent and watch.metric == "inquiries" and watch.below is not None:
                judged.update(key for key in self._open if key[0] == watch.watch)
                continue
            for unit in _units(watch, configuration):
                row = chosen.get((unit, watch.channel or ALL_CHANNELS, watch.window))
                if row is not None:
                    judged.add((watch.watch, unit))
                    made.extend(self._judge(watch, row, configuration))
        at_ms = next((row.at for row in chosen.values()), None)
        if at_ms is not None:
            # What is watched no more is over, and so is what has no row any more.
            made.extend(_closed(self._open[key], at_ms, 0.0) for key in self._open.keys() - judged)
        return [self._tell(one, present_ms) for one in sorted(made, key=lambda each: (each.about, each.unit))]

    def _judge(self, watch: Watch, row: RollingRow, configuration: Configuration) -> Iterator[IncidentTransition]:
        since = self._note(watch, row, configuration)
        opened = self._open.get((watch.watch, row.unit))
        if self._telling.opens_ms(row.unit, row.at) > row.at:
            return
        value = VALUES[watch.metric](row)
        if opened is not None:
            if value is None or (value.n >= watch.least and not _beyond(watch, value, watch.end_level)):
                yield _closed(opened, row.at, value.value if value is not None else 0.0)
        elif since is not None and value is not None and row.at - since.first_ms >= watch.lasting_ms:
            what = (row.unit, watch.metric, watch.watch)
            window_ms = WINDOWS[watch.window]
            key = incident_key(self._district, what, window_ms, since.first_ms)
            about = (VALUE, watch.metric, watch.watch, row.unit, window_ms, since.first_ms)
            yield IncidentTransition(self._district, key, 0, OPENED, 0, row.at, *about, None, value.value, watch.level)

    def _note(self, watch: Watch, row: RollingRow, configuration: Configuration) -> _Since | None:
        """Since when the value has been beyond its level, this row included."""
        key = (watch.watch, row.unit)
        value = VALUES[watch.metric](row)
        is_judged = value is not None and value.n >= watch.least and _is_served(watch, row, configuration)
        if value is None or not is_judged or not _beyond(watch, value, watch.level):
            self._beyond.pop(key, None)
            return None
        before = self._beyond.get(key)
        is_on = before is not None and 0 <= row.at - before.last_ms <= LONGEST_GAP_MS
        since = self._beyond[key] = _Since(before.first_ms if before is not None and is_on else row.at, row.at)
        return since

    def _tell(self, one: IncidentTransition, present_ms: int) -> IncidentTransition:
        before = self._open.get((one.about, one.unit))
        is_audible = before is None or bool(before.notify)
        told = self._telling.of_incident(one, is_audible and one.at >= present_ms - NOTIFY_WITHIN_MS)
        if told.transition == OPENED:
            self._open[one.about, one.unit] = told
        else:
            del self._open[one.about, one.unit]
            self._beyond.pop((one.about, one.unit), None)
        return told


def watched_units(configuration: Configuration) -> tuple[list[str], int]:
    """The units of which a value is watched, and how far back (ms) rows say since when one has been beyond."""
    watches = _watches(configuration)
    units = sorted({unit for watch in watches for unit in _units(watch, configuration)})
    return units, max((watch.lasting_ms for watch in watches), default=0) + LONGEST_GAP_MS


def _closed(opened: IncidentTransition, at_ms: int, value: float) -> IncidentTransition:
    at_ms = max(at_ms, opened.at)
    return opened._replace(transition=CLOSED, at=at_ms, ended_at=at_ms, observed=value)


def _watches(configuration: Configuration) -> list[Watch]:
    return configuration.newest.watches if configuration.newest is not None else []


def _units(watch: Watch, configuration: Configuration) -> list[str]:
    return watch.units or [configuration.units()[0]]


def _is_about(watch: Watch, row: RollingRow, configuration: Configuration) -> bool:
    is_of = (row.channel, row.window) == (watch.channel or ALL_CHANNELS, watch.window)
    return is_of and row.unit in _units(watch, configuration)


def _is_served(watch: Watch, row: RollingRow, configuration: Configuration) -> bool:
    """Whether it may be judged now: that few inquiries come says something only while the unit is open."""
    if watch.metric != "inquiries" or watch.below is None:
        return True
    return configuration.clock(row.unit).elapsed(row.at - MINUTE_MS, row.at) > 0


def _beyond(watch: Watch, value: Value, level: float) -> bool:
    return value.low > level if watch.above is not None else value.high < level
