"""Surges of one district: too many inquiries about a topic in a unit, too many people under one social post.

Which surges there are is a function of the facts known and of an instant, whatever the order in which they came. A
surge begins with the inquiry that is too much (`streams.core.baseline`) for the window or for a half, a quarter or an
eighth of it, at the deepest unit that holds three quarters of that stretch: what comes at once shows in a short one
first, what rises slowly in a long one. It takes every inquiry in from a window before until it ends: when for a whole
window fewer than half of what begins one were left. What one took in counts in no other, so that a breakdown is one
surge and not one for every unit above.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.incidents import INQUIRIES, PEOPLE
from schemas.watches import SurgeRule, Surges
from streams.core.baseline import LARGEST_SHAPE, Baseline, Expected
from streams.core.configuration import Configuration
from streams.core.day_types import DayTypes, day_of
from streams.core.openings import HORIZON_S, Openings
from streams.core.windows import Ints, Tree

LOOKBACK_S = 3 * 86_400
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
PARTS = (1, 2, 4, 8)
HELD = 0.75
_ABSENT, _DISTRICT = -1, 0


class Found(NamedTuple):
    """A surge, or a silence, as the facts have it; instants in seconds UTC.

    `about`: the topic, the post, or the source. `opened_s`: when it can be known first. `ended_s` is None while it
    lasts. `joined`: when each inquiry, or person, that belongs to it came, in order; number `began_with` began it.
    """

    metric: str
    about: str
    unit: str
    window_s: int
    began_s: int
    opened_s: int
    ended_s: int | None
    expected: float
    began_with: int
    joined: tuple[int, ...]


class _Stretch(NamedTuple):
    """A window or a part of one, in seconds, and the fewest inquiries within it that can be too many."""

    length_s: int
    least: int


class _Crossing(NamedTuple):
    """The first inquiry that is too much: its second, and the seconds of the stretch that it ends."""

    second: int
    length_s: int


@lru_cache
def _stretches(rule: SurgeRule, has_seasons: bool) -> tuple[_Stretch, ...]:
    """The longest first. With seasons, what the rule's usual rate gives by chance is too much for no unit."""
    lengths = np.array([max(1, rule.window_s // part) for part in PARTS])
    many = Expected(lengths * rule.usual / HOUR_S, np.full(len(PARTS), LARGEST_SHAPE)).surprising()
    least = np.maximum(rule.least, many if has_seasons else np.zeros_like(many))
    return tuple(map(_Stretch, lengths.tolist(), least.tolist()))


class _Watch(NamedTuple):
    """A rule at an instant: what is looked at is `[since_s, now_s)`. Topics have seasons, posts have none."""

    rule: SurgeRule
    has_seasons: bool
    since_s: int
    now_s: int

    @property
    def stretches(self) -> tuple[_Stretch, ...]:
        """The window and its parts."""
        return _stretches(self.rule, self.has_seasons)

    def crossing(self, seconds: Ints, baseline: Callable[[], Baseline]) -> _Crossing | None:
        """The first of these instants, in ascending order, that is too much."""
        found = (self._crossing(seconds, stretch, baseline) for stretch in self.stretches)
        return min((one for one in found if one is not None), default=None)

    def _crossing(self, seconds: Ints, stretch: _Stretch, baseline: Callable[[], Baseline]) -> _Crossing | None:
        length, least = stretch
        first, last = np.searchsorted(seconds, (self.since_s, self.now_s)).tolist()
        before = np.searchsorted(seconds, seconds[first:last] - length, side="right")
        counts = np.arange(first, last) - before + 1
        places = np.flatnonzero(counts >= least)
        if not len(places):
            return None
        ends = seconds[first:last][places]
        expected = baseline().expected(ends, length)
        if self.has_seasons:
            seen = before[places] - np.searchsorted(seconds, ends - length - DAY_S, side="right")
            expected = expected.on_a_day_of(seen, baseline().expected(ends - length, DAY_S).mean)
        over = counts[places] >= np.maximum(least, expected.surprising())
        return _Crossing(int(ends[np.argmax(over)]), length) if over.any() else None

    def end(self, seconds: Ints, began_s: int, baseline: Callable[[], Baseline]) -> int | None:
        """The full minute at which a surge has ended: a whole window was calm."""
        window, least = self.stretches[0]
        minutes = np.arange(began_s // MINUTE_S + 1, self.now_s // MINUTE_S + 1, dtype=np.int64) * MINUTE_S
        counts = np.searchsorted(seconds, minutes) - np.searchsorted(seconds, minutes - window)
        busy = np.flatnonzero(2 * counts >= least)
        if len(busy):
            many = np.maximum(least, baseline().expected(minutes[busy], window).surprising())
            busy = busy[2 * counts[busy] >= many]
        last_busy = np.full(len(minutes), _ABSENT)
        last_busy[busy] = busy
        calm = np.arange(len(minutes)) - np.maximum.accumulate(last_busy)
        ended = np.flatnonzero(calm >= window // MINUTE_S)
        return int(minutes[ended[0]]) if len(ended) else None


class _Topic:
    """The inquiries about one topic, and the units that they belong to; those that a surge took in are not free."""

    def __init__(self, seconds: Ints, routes: Ints, made: Callable[[Ints], Baseline]) -> None:
        self.seconds = seconds
        self._routes = routes
        self._made = made
        self._free: NDArray[np.bool] = np.ones(len(seconds), dtype=np.bool)
        self._baselines: dict[int, Baseline] = {}

    def units(self, watch: _Watch) -> list[int]:
        """Units with enough inquiries to be looked at, the deepest first."""
        lately = self._routes[np.searchsorted(self.seconds, watch.since_s - watch.rule.window_s) :]
        units, counts = np.unique(lately[lately != _ABSENT], return_counts=True)
        enough = units[counts >= watch.rule.least].tolist()
        # Every unit stands after the one above it.
        return sorted(enough, reverse=True)

    def within(self, unit: int) -> NDArray[np.bool]:
        """Which belong to a unit or to one below it."""
        return np.asarray((self._routes == unit).any(axis=1))

    def free(self, unit: int) -> Ints:
        """Places of those of a unit that no surge took in."""
        return np.flatnonzero(self.within(unit) & self._free)

    def baseline(self, unit: int) -> Baseline:
        """What is usual in a unit."""
        if unit not in self._baselines:
            self._baselines[unit] = self._made(self.seconds[self.within(unit)])
        return self._baselines[unit]

    def deepest(self, unit: int, places: Ints) -> int:
        """The deepest unit from this one down that holds three quarters of these."""
        routes = self._routes[places]
        while True:
            above = np.argmax(routes == unit, axis=1)
            below = routes[np.arange(len(places)), np.maximum(above - 1, 0)][above > 0]
            if not len(below):
                return unit
            units, counts = np.unique(below, return_counts=True)
            if counts.max() < HELD * len(places):
                return unit
            unit = int(units[np.argmax(counts)])

    def take(self, places: Ints) -> None:
        """A surge takes these in."""
        self._free[places] = False


class Calendar:
    """A configuration as surges see it: units, types of days; made once for each configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self.tree = Tree(configuration)
        self.types = DayTypes(configuration)
        newest = configuration.newest
        self.rules = newest.surges if newest is not None else Surges()


class _Post(_Topic):
    """The people under one social post, wherever it went: only the district as a whole is looked at."""

    def units(self, watch: _Watch) -> list[int]:
        """The district alone."""
        return [_DISTRICT] if len(self.seconds) >= watch.rule.least else []

    def within(self, unit: int) -> NDArray[np.bool]:  # noqa: ARG002 -- whatever the unit
        """All of them: the unit only says where most of them came to."""
        return np.ones(len(self.seconds), dtype=np.bool)


class _Series:
    """A rule applied to one topic, or to one post: finds one surge after another, the one that begins first first."""

    def __init__(self, metric: str, about: str, topic: _Topic, watch: _Watch) -> None:
        self._metric = metric
        self._about = about
        self._topic = topic
        self._watch = watch

    def surges(self, tree: Tree) -> Iterator[Found]:
        """All of them; each takes its inquiries in before the next is looked for."""
        topic, watch = self._topic, self._watch
        window = watch.rule.window_s
        while (crossed := self._first()) is not None:
            unit, crossing = crossed
            free = topic.free(unit)
            seconds = topic.seconds[free]
            began_s, length = crossing
            unit = topic.deepest(unit, free[(seconds > began_s - length) & (seconds <= began_s)])
            free = topic.free(unit)
            seconds = topic.seconds[free]
            ended = watch.end(seconds, began_s, partial(topic.baseline, unit))
            until = watch.now_s if ended is None else ended
            members = free[(seconds > began_s - window) & (seconds < until)]
            topic.take(members)
            joined = topic.seconds[members]
            began_with = int(np.searchsorted(joined, began_s, side="right"))
            expected = topic.baseline(unit).expected(np.array([began_s]), window).mean[0]
            times = began_s, began_s, ended, float(expected)
            what = self._metric, self._about, tree.units[unit], window
            yield Found(*what, *times, began_with, tuple(joined.tolist()))

    def _first(self) -> tuple[int, _Crossing] | None:
        best: tuple[int, _Crossing] | None = None
        for unit in self._topic.units(self._watch):
            seconds = self._topic.seconds[self._topic.free(unit)]
            crossing = self._watch.crossing(seconds, partial(self._topic.baseline, unit))
            if crossing is not None and (best is None or crossing.second < best[1].second):
                best = unit, crossing
        return best


def surges(openings: Openings, calendar: Calendar, now_ms: int) -> list[Found]:
    """The surges of the last three days as they are known at an instant: topics first, each in order of time."""
    first_s = openings.first_second(now_ms // 1000 - HORIZON_S)
    if first_s is None:
        return []
    first_day = day_of(int(calendar.types.local(np.array([first_s]))[0]))
    now_s = now_ms // 1000
    found: list[Found] = []
    rules = calendar.rules
    for rule, search, has_seasons in ((rules.topics, _topics, True), (rules.posts, _posts, False)):
        if rule is not None:
            usual = partial(Baseline, calendar.types, usual=rule.usual, first_day=first_day)
            watch = _Watch(rule, has_seasons, now_s - LOOKBACK_S, now_s)
            for series in search(openings, calendar.tree, watch, usual):
                found.extend(series.surges(calendar.tree))
    return found


def _topics(openings: Openings, tree: Tree, watch: _Watch, usual: Callable[[Ints], Baseline]) -> Iterator[_Series]:
    """The topics that have enough inquiries within any window of the whole district."""
    columns, window = openings.topics, watch.rule.window_s
    key = columns.topic * (1 << 32) + columns.second
    counts = np.arange(len(key)) - np.searchsorted(key, key - window, side="right") + 1
    many = (counts >= watch.rule.least) & (columns.second >= watch.since_s) & (columns.second < watch.now_s)
    place = tree.places(openings.units)
    for number in np.unique(columns.topic[many]).tolist():
        part = slice(*np.searchsorted(columns.topic, (number, number + 1)).tolist())
        topic = _Topic(columns.second[part], tree.paths[place[columns.unit[part]]], usual)
        yield _Series(INQUIRIES, openings.topic(number), topic, watch)


def _posts(openings: Openings, tree: Tree, watch: _Watch, usual: Callable[[Ints], Baseline]) -> Iterator[_Series]:
    """The posts with enough people; what is usual of one is what all of the district's have together."""
    posts = openings.posts()
    everybody = np.array(sorted(each.second for people in posts.values() for each in people), dtype=np.int64)
    for post, people in posts.items():
        if len(people) >= watch.rule.least:
            routes = tree.paths[tree.places([each.unit for each in people])]
            seconds = np.array([each.second for each in people], dtype=np.int64)
            yield _Series(PEOPLE, post, _Post(seconds, routes, lambda _seconds: usual(everybody)), watch)
