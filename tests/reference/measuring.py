"""Measures over facts as `./cx fold` prints them, from the text of the definitions: one question, one loop.

Each unit's number is counted anew from its facts and all below it. Shares are (hits, of); lengths are milliseconds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from fractions import Fraction
from math import asin, ceil, floor, sin, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from schemas.district import District, Goal
from schemas.vocabulary import UNROUTED, to_ms

Fact = dict[str, Any]
Share = tuple[int, int]
Range = tuple[float, float] | None
HOUR, MINUTE = 3_600_000, 60_000
SCHOOL_DAY, Z = 8 * HOUR, 1.959963984540054
SCORES = ("satisfaction", "courtesy", "communication", "responsiveness", "environment", "trust")
REPLIES = ("first_reply", "next_reply")


def instant(text: str | None) -> int | None:
    """Milliseconds of an instant in a fact."""
    return None if text is None else to_ms(datetime.fromisoformat(text))


def known(text: str) -> int:
    """The same of one that is always there."""
    return to_ms(datetime.fromisoformat(text))


@dataclass(frozen=True)
class Question:
    """The facts of one district, and what is asked: at which instant, over how long, T in ms (None: a school day)."""

    facts: Sequence[Fact]
    document: District
    at: int
    length: int
    within: int | None

    def counting(self) -> list[Fact]:
        """Facts that are not retracted."""
        return [fact for fact in self.facts if not fact["retracted"]]

    def holds(self, moment: int | None) -> bool:
        """Whether an instant lies in the window."""
        return moment is not None and self.at - self.length <= moment < self.at

    def under(self, unit: str) -> set[str]:
        """The unit and all below it."""
        above = {UNROUTED: self.document.district}
        above |= {each.unit: parent for each, parent in self.document.walk()}
        found = set()
        for code in (*above, self.document.district):
            line = [code]
            while line[-1] in above:
                line.append(above[line[-1]])
            if unit in line:
                found.add(code)
        return found

    def directly_below(self, unit: str) -> list[str]:
        """The units one step below."""
        below = [each.unit for each, parent in self.document.walk() if parent == unit]
        return [*below, UNROUTED] if unit == self.document.district else below

    def unit(self, code: str) -> str:
        """Where a fact of this unit counts."""
        return code if code in self.under(self.document.district) else UNROUTED

    def zone(self, unit: str) -> ZoneInfo:
        """The time zone of a unit's calendar."""
        above = {each.unit: (each.calendar, parent) for each, parent in self.document.walk()}
        named = None
        while named is None and unit in above:
            named, unit = above[unit]
        named = named or self.document.calendar
        return ZoneInfo(self.document.calendars[named].time_zone if named else "UTC")


# Shares and what they are made of.


def answered_within(asked: Question, unit: str) -> Share:
    """The share answered within T; in a window shorter than T the reply promises due in it, by due time."""
    if asked.length < (SCHOOL_DAY if asked.within is None else asked.within):
        return _promises(asked, unit, REPLIES, linked_only=False)
    return decided_within(asked, unit)


def decided_within(asked: Question, unit: str) -> Share:
    """Waits whose time was over in the window, answered by then."""
    hits = of = 0
    for fact in asked.counting():
        for wait in fact["waits"]:
            if asked.unit(wait["unit"]) not in asked.under(unit) or wait["live"]:
                continue
            opened, ended = known(wait["opened_at"]), instant(wait["ended_at"])
            until = instant(wait["school_day_at"]) if asked.within is None else opened + asked.within
            if not asked.holds(until):
                continue
            if wait["outcome"] == "withdrawn" and ended is not None and until is not None and ended <= until:
                continue
            of += 1
            hits += wait["outcome"] == "answered" and ended is not None and until is not None and ended <= until
    return hits, of


def promises_met(asked: Question, unit: str) -> Share:
    """Promises due in the window: those kept of those kept or broken by its end."""
    return _promises(asked, unit, None)


def _promises(asked: Question, unit: str, clocks: Sequence[str] | None, linked_only: bool = True) -> Share:
    met = missed = 0
    for fact in asked.counting():
        for verdict in fact["verdicts"] if fact["linked"] or not linked_only else ():
            wanted = clocks is None or verdict["clock"] in clocks
            if not wanted or asked.unit(verdict["unit"]) not in asked.under(unit):
                continue
            if not asked.holds(instant(verdict["due_at"])) or verdict["outcome"] == "cancelled":
                continue
            ended, last = instant(verdict["ended_at"]), instant(verdict["breach_at"])
            if ended is not None and ended <= asked.at and (last is None or ended <= last):
                met += 1
            elif last is not None and last < asked.at:
                missed += 1
    return met, met + missed


def owned_within_minute(asked: Question, unit: str) -> Share:
    """Inquiries whose minute was over in the window, owned by then."""
    hits = of = 0
    for fact in asked.counting():
        if fact["inquiries"] and fact["linked"] and asked.unit(fact["first_unit"]) in asked.under(unit):
            until = known(fact["opened_at"]) + MINUTE
            if asked.holds(until):
                owned = instant(fact["first_owned_at"])
                of += 1
                hits += owned is not None and owned <= until
    return hits, of


def _resolves(asked: Question, unit: str) -> Iterator[tuple[Fact, list[Any]]]:
    """Conversations of a unit with those of their resolves whose seventh school day ended in the window."""
    for fact in asked.counting():
        if fact["linked"] and asked.unit(fact["unit"]) in asked.under(unit):
            over = [each for each in fact["resolutions"] if asked.holds(instant(each["watched_until"]))]
            if over:
                yield fact, over


def reopened(asked: Question, unit: str) -> Share:
    """Of the conversations resolved, those opened again within seven school days."""
    hits = of = 0
    for _, over in _resolves(asked, unit):
        of += 1
        hits += any(
            each["reopened_at"] is not None and known(each["reopened_at"]) < known(each["watched_until"])
            for each in over
        )
    return hits, of


def repeated(asked: Question, unit: str) -> Share:
    """Of those with person and topic known, those whose person opened another of the topic in seven school days."""
    hits = of = 0
    for fact, over in _resolves(asked, unit):
        if fact["person"] and fact["topic"]:
            same = [
                known(other["opened_at"])
                for other in asked.counting()
                if other["inquiries"] and (other["person"], other["topic"]) == (fact["person"], fact["topic"])
            ]
            of += 1
            hits += any(
                known(each["resolved_at"]) < opened < known(each["watched_until"]) for each in over for opened in same
            )
    return hits, of


# Ratings.


def ratings(asked: Question, unit: str, item: str) -> list[tuple[int, int]]:
    """(instant, value) of every rating of an item that is neither late nor without its inquiry, whenever given."""
    column = "score" if item == "satisfaction" else item
    return [
        (known(given["rated_at"]), given[column])
        for fact in asked.counting()
        if fact["linked"]
        for given in fact["ratings"]
        if asked.unit(given["unit"]) in asked.under(unit) and not given["late"] and given[column] is not None
    ]


def own_item(asked: Question, unit: str, item: str) -> list[tuple[int, int]]:
    """The same of an item that the district added."""
    return [
        (known(fact["ratings"][given["rating"]]["rated_at"]), given["score"])
        for fact in asked.counting()
        if fact["linked"]
        for given in fact["items"]
        if given["item"] == item
        if asked.unit(given["unit"]) in asked.under(unit) and not fact["ratings"][given["rating"]]["late"]
    ]


def values_now(asked: Question, values: list[tuple[int, int]]) -> list[int]:
    """Those in the window now."""
    return [value for moment, value in values if asked.holds(moment)]


def published(asked: Question, values: list[tuple[int, int]]) -> list[int] | None:
    """Those in the window just after the last tenth one that came or left; None before the first ten."""
    changes = sorted(change for moment, _ in values for change in (moment, moment + asked.length) if change < asked.at)
    shown: int | None = None
    waiting = 0
    for number, change in enumerate(changes):
        waiting += 1
        # What happens in one instant is published together.
        if waiting >= 10 and (number + 1 == len(changes) or changes[number + 1] != change):
            shown, waiting = change + 1, 0
    if shown is None:
        return None
    return [value for moment, value in values if shown - asked.length <= moment < shown]


# Statistics.


def wilson(share: Share) -> Range:
    """The Wilson interval of a share."""
    hits, of = share
    if not of:
        return None
    p = hits / of
    middle = (p + Z**2 / (2 * of)) / (1 + Z**2 / of)
    reach = Z / (1 + Z**2 / of) * sqrt(p * (1 - p) / of + Z**2 / (4 * of**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def mean(values: Sequence[int]) -> Fraction | None:
    """The exact mean."""
    return Fraction(sum(values), len(values)) if values else None


def variance(values: Sequence[int]) -> Fraction:
    """The variance of a sample."""
    middle = Fraction(sum(values), len(values))
    return sum((value - middle) ** 2 for value in values) / Fraction(len(values) - 1)


def mean_interval(values: Sequence[int]) -> Range:
    """The interval of a mean, from two values on."""
    if len(values) < 2:
        return None
    middle, error = float(sum(values)) / len(values), sqrt(variance(values) / len(values))
    return middle - Z * error, middle + Z * error


def quantile(values: Sequence[int], level: Fraction) -> int | None:
    """Of n values in order, number ⌊level·n⌋ from 0."""
    return sorted(values)[min(floor(level * len(values)), len(values) - 1)] if values else None


def median_interval(values: Sequence[int]) -> Range:
    """Those of n in order that stand z·√n/2 before and after the middle, rounded outwards."""
    n, ordered = len(values), sorted(values)
    reach = Z * sqrt(n) / 2
    first = floor((n - 1) / 2 - reach)
    return None if first < 0 else (ordered[first], ordered[ceil((n - 1) / 2 + reach)])


# Goals.


def first_responses(asked: Question, unit: str) -> list[int]:
    """First responses that came in the window, but for those answered live."""
    return [length for code, length in _responses(asked) if code in asked.under(unit)]


def _responses(asked: Question) -> Iterator[tuple[str, int]]:
    for fact in asked.counting():
        by_customer = fact["opened_by"] == "customer" and fact["contact"] != "answered_live"
        if fact["linked"] and by_customer and asked.holds(instant(fact["first_response_at"])):
            yield asked.unit(fact["first_response_unit"]), fact["first_response_ms"]


OF_RATINGS = {
    **{f"{item}_mean": item for item in SCORES},
    "satisfaction_high": "satisfaction",
    "satisfaction_low": "satisfaction",
    "was_answered": "answered",
}
SHARES: dict[str, Callable[[Question, str], Share]] = {
    "promises_met": promises_met,
    "owned_within_minute": owned_within_minute,
    "reopen_rate": reopened,
    "repeat_contact_rate": repeated,
}


def value(asked: Question, metric: str, unit: str, choose: Callable[..., list[int] | None]) -> tuple[Any, Range]:
    """What a goal is held against, with its interval; `choose`: which of the ratings are looked at."""
    if metric.startswith("answered_within") or metric in SHARES:
        share = SHARES.get(metric, answered_within)(asked, unit)
        return (Fraction(*share) if share[1] else None), wilson(share)
    if metric.startswith("first_response"):
        lengths = first_responses(asked, unit)
        if metric == "first_response_mean_hours":
            middle = mean(lengths)
            return (None if middle is None else middle / HOUR), None
        interval, half = median_interval(lengths), quantile(lengths, Fraction(1, 2))
        bounds = (interval[0] / HOUR, interval[1] / HOUR) if interval else None
        return (None if half is None else Fraction(half, HOUR)), bounds
    scores = choose(asked, ratings(asked, unit, OF_RATINGS[metric])) or []
    if metric.endswith("_mean"):
        return mean(scores), mean_interval(scores)
    counts = {"satisfaction_high": (8, 9, 10), "satisfaction_low": (1, 2, 3), "was_answered": (1,)}[metric]
    share = sum(score in counts for score in scores), len(scores)
    return (Fraction(*share) if scores else None), wilson(share)


def line(asked: Question, goal: Goal) -> Fraction:
    """Where the straight line from baseline to target stands."""
    zone = asked.zone(goal.unit or asked.document.district)
    starts, ends = (to_ms(datetime.combine(date.fromisoformat(day), time(), zone)) for day in (goal.starts, goal.ends))
    low, high = Fraction(goal.baseline), Fraction(goal.target)
    if asked.at <= starts:
        return low
    return high if asked.at >= ends else low + (high - low) * Fraction(asked.at - starts, ends - starts)


# Consistency and benchmark.


def steadiness(lengths: Sequence[int]) -> Fraction | None:
    """p90 ÷ median."""
    half, most = quantile(lengths, Fraction(1, 2)), quantile(lengths, Fraction(9, 10))
    return Fraction(most, half) if half and most is not None else None


def share_between(asked: Question, unit: str) -> float | None:
    """The share of the variance of first responses that lies between the units below, by variance components."""
    groups = [first_responses(asked, below) for below in asked.directly_below(unit)]
    groups.append([length for code, length in _responses(asked) if code == unit])
    cells = [group for group in groups if group]
    every = [length for group in cells for length in group]
    if len(cells) < 2 or len(every) == len(cells):
        return None
    grand = Fraction(sum(every), len(every))
    centres = [Fraction(sum(group), len(group)) for group in cells]
    among = sum(len(group) * (centre - grand) ** 2 for group, centre in zip(cells, centres, strict=True))
    inside = sum((length - centre) ** 2 for group, centre in zip(cells, centres, strict=True) for length in group)
    usual = (len(every) - Fraction(sum(len(group) ** 2 for group in cells), len(every))) / (len(cells) - 1)
    within = Fraction(inside) / (len(every) - len(cells))
    between = max(Fraction(0), (Fraction(among) / (len(cells) - 1) - within) / usual)
    return float(between / (between + within)) if between + within else None


def limits(cells: dict[str, Share]) -> dict[str, tuple[float, float, bool]] | None:
    """95 % limits of each share around the common one, wider where shares differ more than by chance."""
    found = {name: share for name, share in cells.items() if share[1]}
    if len(found) < 2:
        return None
    middle = asin(sqrt(Fraction(sum(hits for hits, _ in found.values()), sum(of for _, of in found.values()))))
    errors = {name: 1 / (2 * sqrt(of)) for name, (_, of) in found.items()}
    distances = sorted((asin(sqrt(hits / of)) - middle) / errors[name] for name, (hits, of) in found.items())
    low, high = _percentile(distances, 0.1), _percentile(distances, 0.9)
    squares = [min(max(distance, low), high) ** 2 for distance in distances]
    weights = [1 / error**2 for error in errors.values()]
    surplus = sum(squares) - (len(squares) - 1)
    spread = max(0.0, surplus / (sum(weights) - sum(weight**2 for weight in weights) / sum(weights)))
    judged = {}
    for name, (hits, of) in found.items():
        reach = Z * sqrt(errors[name] ** 2 + spread)
        ends = [sin(min(max(end, 0.0), asin(1.0))) ** 2 for end in (middle - reach, middle + reach)]
        judged[name] = (ends[0], ends[1], not ends[0] <= hits / of <= ends[1])
    return judged


def _percentile(ordered: Sequence[float], level: float) -> float:
    """Between the two nearest in order, by how far the level lies from each."""
    place = level * (len(ordered) - 1)
    before = min(floor(place), len(ordered) - 2)
    return ordered[before] + (ordered[before + 1] - ordered[before]) * (place - before)


def percentile(district: str, medians: dict[str, int]) -> Fraction:
    """100 · (below + ½ ties) ÷ N, the district itself in the group."""
    own = medians[district]
    below = sum(median < own for median in medians.values())
    ties = sum(median == own for median in medians.values())
    return 100 * (below + Fraction(ties, 2)) / len(medians)
