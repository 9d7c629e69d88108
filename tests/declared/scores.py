"""Surveys and scores: how often, how late, how high, and what moves them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from math import log2, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from streams.intake.simulator_parameters import Parameters
from streams.intake.simulator_world import World
from tests.declared.lengths import length, spreading, top
from tests.declared.measuring import Declared, Measured, average, exponential, share
from tests.declared.stories import Event, Story
from tests.simulated import ms

DAY_MS, MINUTE_MS = 86_400_000, 60_000
LATE_DAYS = 28
MOST_DOUBLINGS = 3.0
"""No wait costs or gains more points than three, whatever a doubling costs; the measured ones stay within."""


class Rated(NamedTuple):
    """A first rating and what moves its score: doublings of the wait, hand-offs, the unit."""

    event: Event
    unit: str
    doublings: float
    handoffs: int


class Fit(NamedTuple):
    """Least squares within units: points per doubling and per hand-off, their errors, the rest's deviation."""

    doubling: float
    handoff: float
    doubling_error: float
    handoff_error: float
    rest: float

    def level(self, one: Rated) -> float:
        """The score freed from wait and hand-offs."""
        return float(one.event["score"]) - self.moved(one)

    def moved(self, one: Rated) -> float:
        """Points that wait and hand-offs brought."""
        return self.doubling * one.doublings + self.handoff * one.handoffs


def surveys(told: list[Story]) -> Iterator[Measured]:
    """Offers, answers, edits, late ones, and how long people take."""
    resolved = [s for s in told if s.is_answered and s.resolutions]
    offered = [s for s in resolved if s.survey]
    yield share("ratings.offered", len(offered), len(resolved))
    given = [s for s in offered if len(s.survey) > 1]
    yield share("ratings.given", len(given), len(offered))
    yield share("ratings.edited", sum(len(s.survey) > 2 for s in given), len(given))
    late = [ms(s.survey[1]) - ms(s.resolutions[-1]) > LATE_DAYS * DAY_MS for s in given]
    yield share("ratings.late", sum(late), len(given))
    days = [
        (ms(s.survey[1]) - ms(s.survey[0]) - MINUTE_MS) / DAY_MS
        for s, is_late in zip(given, late, strict=True)
        if not is_late
    ]
    yield exponential("ratings.days", days)
    ratings = [event for s in given for event in s.survey[1:]]
    for item in ("pillars", "trust", "answered"):
        yield share(f"ratings.{item}_given", sum(item in event for event in ratings), len(ratings))


def rated(told: list[Story], world: World, parameters: Parameters) -> list[Rated]:
    """First ratings, with what moved them."""
    minutes: dict[str, float] = {str(name): value for name, value in parameters.speed.reply_minutes.items()}
    urgent: dict[str, float] = {str(name): value for name, value in parameters.speed.urgent.items()}
    found = []
    for story in told:
        if len(story.survey) > 1 and story.resolutions:
            doublings = 0.0
            if story.answers:
                last = story.answers[-1]
                urgency = urgent.get(story.opening.get("priority", ""), 1.0)
                taken = length(world, last) / minutes[last.channel] / urgency
                doublings = log2(taken) if taken > 0 else -MOST_DOUBLINGS
            unit = top(world, story.resolutions[-1]["unit"])
            found.append(Rated(story.survey[1], unit, doublings, len(story.hops)))
    return found


def fitted(ratings: list[Rated]) -> Fit:
    """What a doubling and a hand-off cost, by least squares about the averages of units."""
    units: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for one in ratings:
        units[one.unit].append((one.doublings, one.handoffs, one.event["score"]))
    rows = []
    for found in units.values():
        middle = [fmean(column) for column in zip(*found, strict=True)]
        rows += [tuple(value - m for value, m in zip(row, middle, strict=True)) for row in found]
    xx, xh, hh = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    xy, hy = (sum(row[i] * row[2] for row in rows) for i in (0, 1))
    whole = xx * hh - xh * xh
    doubling, handoff = (xy * hh - hy * xh) / whole, (hy * xx - xy * xh) / whole
    rest = sqrt(sum((row[2] - doubling * row[0] - handoff * row[1]) ** 2 for row in rows) / (len(rows) - len(units)))
    return Fit(doubling, handoff, rest * sqrt(hh / whole), rest * sqrt(xx / whole), rest)


def scores(told: list[Story], world: World, parameters: Parameters) -> Iterator[Measured]:
    """The mean, what moves it, how extreme people are, pillars and trust."""
    ratings = [one for one in rated(told, world, parameters) if abs(one.doublings) <= MOST_DOUBLINGS]
    fit = fitted(ratings)
    yield Measured(
        "ratings.per_doubling", -fit.doubling, lambda d: d("ratings.per_doubling"), lambda _: fit.doubling_error
    )
    yield Measured("ratings.per_handoff", -fit.handoff, lambda d: d("ratings.per_handoff"), lambda _: fit.handoff_error)
    units: defaultdict[str, list[float]] = defaultdict(list)
    for one in ratings:
        units[one.unit].append(fit.level(one))
    others = {unit: found for unit, found in units.items() if unit not in parameters.units and len(found) > 4}
    between = spreading(others, fit.rest)
    yield Measured("ratings.mean", between.level, lambda d: d("ratings.mean"), lambda _: between.error)
    yield Measured(
        "between_units.courtesy", between.spread, lambda d: d("between_units.courtesy"), lambda _: between.spread_error
    )
    for unit in parameters.units:
        yield _courtesy(f"units.{unit}.courtesy", fmean(units[unit]) - between.level, fit.rest / sqrt(len(units[unit])))
    levels = {unit: fmean(found) for unit, found in units.items()}
    yield from _given(ratings, fit, levels, parameters)


def _courtesy(name: str, points: float, error: float) -> Measured:
    return Measured(name, points, lambda declared: declared(name), lambda _: error)


def _as_declared(name: str) -> Callable[[Declared], float]:
    return lambda declared: declared(name)


def _given(ratings: list[Rated], fit: Fit, levels: dict[str, float], parameters: Parameters) -> Iterator[Measured]:
    means = [levels[one.unit] + fit.moved(one) for one in ratings]
    shares = [(min(max(m, 1.0), 10.0) - 1) / 9 for m in means]
    usual = fmean(s**9 + (1 - s) ** 9 for s in shares)
    extremes = sum(one.event["score"] in (1, 10) for one in ratings)
    yield share("ratings.extreme", extremes, len(ratings), lambda d: d("ratings.extreme") * (1 - usual) + usual)
    items = [(f"ratings.pillars.{name}", name) for name in parameters.ratings.pillars]
    for place, name in [*items, ("ratings.trust", "")]:
        gained = []
        for one, m in zip(ratings, means, strict=True):
            # Where no score of the scale is out of reach, the mean is what it leans to.
            leaning = (m + one.event["score"]) / 2
            given = one.event.get("pillars", {}).get(name) if name else one.event.get("trust")
            if given is not None and 3 <= leaning <= 8.5:
                gained.append(given - leaning)
        yield average(place, gained, stdev(gained), _as_declared(place))
