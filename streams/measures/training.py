"""The effect of a training, or of a rollout's wave: difference in differences. Definitions: "training impact".

(after − before) of the trained − (after − before) of the not yet trained, in the same school-calendar weeks, so that
what happened to everybody (a snow week, a new phone system) is taken out.
"""

from collections.abc import Collection, Iterable
from math import sqrt
from typing import NamedTuple

from streams.core.business_time import BusinessClock
from streams.core.configuration import Configuration
from streams.core.intervals import Interval, around
from streams.measures.moments import Moments
from streams.measures.windows import Window, school_weeks

LEAST = 30
INSUFFICIENT = "insufficient data"
CELLS = ("trained_before", "trained_after", "others_before", "others_after")


class ImpactResult(NamedTuple):
    """The effect in the values' unit (below 0: lengths became shorter) and its 95 % interval, or why there is none."""

    n: dict[str, int]
    means: dict[str, float | None]
    effect: float | None
    interval: Interval | None
    reason: str


class Plan(NamedTuple):
    """What is compared: which units are trained, which are not yet, and the weeks before and after."""

    trained: frozenset[str]
    others: frozenset[str]
    before: tuple[Window, ...]
    after: tuple[Window, ...]


class Observed(NamedTuple):
    """A value of a unit at an instant: a length in ms, a score, 0 or 1."""

    unit: str
    at_ms: int
    value: int


class Impact:
    """The four cells of a comparison."""

    __slots__ = ("_plan", "cells")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.cells = {cell: Moments() for cell in CELLS}

    def add(self, observed: Observed) -> None:
        """Count a value, if its unit and week belong to the comparison."""
        plan = self._plan
        who = "trained" if observed.unit in plan.trained else "others" if observed.unit in plan.others else ""
        for when, weeks in (("before", plan.before), ("after", plan.after)):
            if who and any(week.holds(observed.at_ms) for week in weeks):
                self.cells[f"{who}_{when}"].add(observed.value)

    def merge(self, other: "Impact") -> None:
        """Count everything that the other counted."""
        for cell, moments in self.cells.items():
            moments.merge(other.cells[cell])

    def result(self) -> ImpactResult:
        """The effect, if each of the four cells has thirty values."""
        found = {cell: moments.result() for cell, moments in self.cells.items()}
        n, means = {cell: r.n for cell, r in found.items()}, {cell: r.mean for cell, r in found.items()}
        trained_before, trained_after, others_before, others_after = (r.mean or 0.0 for r in found.values())
        if min(n.values()) < LEAST:
            return ImpactResult(n, means, None, None, INSUFFICIENT)
        effect = trained_after - trained_before - (others_after - others_before)
        error = sqrt(sum((r.variance or 0.0) / r.n for r in found.values()))
        return ImpactResult(n, means, effect, around(effect, error), "")


class Wave(NamedTuple):
    """When a training was held or a rollout's wave began, and for which units."""

    began_ms: int
    units: frozenset[str]


def plan(configuration: Configuration, waves: Collection[Wave], wave: Wave, span: Window) -> Plan:
    """The comparison of one of the waves, with the weeks of a span.

    A unit is trained with all below it, from the first wave that names it on. Units trained by another wave within the
    span or before it are left out; the others are all that nobody had trained when the span ended. Weeks are those in
    which every unit compared has a school day, as many before as after; the week in which the wave began is left out.
    """
    began: dict[str, int] = {}
    for each in waves:
        for unit in configuration.units():
            if not each.units.isdisjoint(configuration.path(unit)):
                began[unit] = min(each.began_ms, began.get(unit, each.began_ms))
    trained = [unit for unit, at_ms in began.items() if at_ms == wave.began_ms]
    trained = [unit for unit in trained if not wave.units.isdisjoint(configuration.path(unit))]
    others = [unit for unit in configuration.units() if began.get(unit, span.end_ms) >= span.end_ms]
    weeks = _common_weeks(dict.fromkeys(map(configuration.clock, (*trained, *others))), span)
    before = [week for week in weeks if week.end_ms <= wave.began_ms]
    after = [week for week in weeks if week.start_ms >= wave.began_ms]
    count = min(len(before), len(after))
    return Plan(frozenset(trained), frozenset(others), tuple(before[len(before) - count :]), tuple(after[:count]))


def _common_weeks(clocks: Iterable[BusinessClock], span: Window) -> list[Window]:
    """The weeks that have a school day in every calendar, in the first one's local time."""
    found = [school_weeks(span, clock) for clock in clocks]
    return [week for monday, week in found[0].items() if all(monday in weeks for weeks in found)] if found else []
