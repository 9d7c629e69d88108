"""The goals and the rollout of a district's document, measured: what a goal may name, where each stands."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from schemas.district import Goal
from streams.core.configuration import Configuration
from streams.core.intervals import Interval, Share
from streams.measures.facts import Fact
from streams.measures.goals import GlidePath, Progress, progress
from streams.measures.ratings_shown import Item
from streams.measures.report import Ask, UnitReport, measure
from streams.measures.satisfaction import ANSWERED, SCORED
from streams.measures.training import Impact, ImpactResult, Observed, Wave, plan
from streams.measures.waits import NOT_ASKED, ONE_SCHOOL_DAY, Limit, judged
from streams.measures.windows import HOUR_MS, Window

WEEK_MS = 168 * HOUR_MS
_WITHIN = re.compile(r"answered_within_(?:([1-9][0-9]{0,3})([hd])|(school_day))")


class Value(NamedTuple):
    """What a goal is held against."""

    value: float | None
    interval: Interval | None


NOTHING = Value(None, None)


def _of_share(found: Share) -> Value:
    return Value(found.share, found.interval)


def _mean(item: Item) -> Value:
    return Value(item.scores.mean, item.scores.interval) if item.scores else NOTHING


def _hours(length_ms: float | None, interval: Interval | None = None) -> Value:
    if length_ms is None:
        return NOTHING
    known = Interval(interval.low / HOUR_MS, interval.high / HOUR_MS) if interval else None
    return Value(length_ms / HOUR_MS, known)


def _mean_of(item: str) -> Callable[[UnitReport], Value]:
    return lambda report: _mean(report.items[item])


METRICS: dict[str, Callable[[UnitReport], Value]] = {
    **{f"{item}_mean": _mean_of(item) for item in SCORED},
    "satisfaction_high": lambda r: _of_share(s.high) if (s := r.items["satisfaction"].scores) else NOTHING,
    "satisfaction_low": lambda r: _of_share(s.low) if (s := r.items["satisfaction"].scores) else NOTHING,
    "was_answered": lambda r: _of_share(a) if (a := r.items[ANSWERED].answered) else NOTHING,
    "promises_met": lambda r: _of_share(r.promises.met),
    "owned_within_minute": lambda r: _of_share(r.owners.within_minute),
    "reopen_rate": lambda r: _of_share(r.returns.reopened),
    "repeat_contact_rate": lambda r: _of_share(r.returns.repeated),
    "first_response_median_hours": lambda r: _hours(
        r.distributions["first_response"].median_ms, r.distributions["first_response"].interval
    ),
    "first_response_mean_hours": lambda r: _hours(r.distributions["first_response"].mean_ms),
}


def limit_of(written: str) -> Limit | None:
    """T of `24h`, `3d` or `school_day`; None if it is written otherwise."""
    found = _WITHIN.fullmatch(f"answered_within_{written}")
    if not found:
        return None
    return ONE_SCHOOL_DAY if found[3] else Limit(int(found[1]) * {"h": 1, "d": 24}[found[2]] * HOUR_MS)


class GoalReport(NamedTuple):
    """A goal and its progress; None: it names a metric that is none of `METRICS` and not `answered_within_…`."""

    goal: Goal
    progress: Progress | None


def goals(
    facts: Sequence[Fact], configuration: Configuration, ask: Ask, measured: Mapping[str, UnitReport]
) -> list[GoalReport]:
    """Every goal of the newest document against `measured`, what `measure` gave; measured anew where T is another."""
    newest = configuration.newest
    reports = {ask.limit: measured}
    found = []
    for goal in newest.goals if newest else ():
        limit = limit_of(goal.metric.removeprefix("answered_within_")) or ask.limit
        if limit not in reports:
            reports[limit] = measure(facts, configuration, ask._replace(limit=limit))
        unit = goal.unit or configuration.units()[0]
        found.append(GoalReport(goal, _progress(goal, reports[limit][unit], configuration, ask.at_ms)))
    return found


def _progress(goal: Goal, report: UnitReport, configuration: Configuration, at_ms: int) -> Progress | None:
    if _WITHIN.fullmatch(goal.metric):
        known = _of_share(report.within.answered)
    elif goal.metric in METRICS:
        known = METRICS[goal.metric](report)
    else:
        return None
    clock = configuration.clock(goal.unit or configuration.units()[0])
    starts, ends = (clock.start_of(date.fromisoformat(day)) for day in (goal.starts, goal.ends))
    return progress(GlidePath(goal.baseline, goal.target, starts, ends), at_ms, known.value, known.interval)


def rollout(facts: Sequence[Fact], configuration: Configuration, ask: Ask) -> dict[str, ImpactResult]:
    """Of each wave begun: what it did to the share answered within T, by when waits opened, up to that instant.

    Before and after are as many weeks; waits whose time is not over do not count.
    """
    newest = configuration.newest
    clock = configuration.clock(configuration.units()[0])
    waves = {
        wave.wave: Wave(clock.start_of(date.fromisoformat(wave.starts)), frozenset(wave.units))
        for wave in (newest.rollout if newest else ())
    }
    return _impacts(waves, _observed(facts, configuration, ask), configuration, ask.at_ms)


def trainings(
    facts: Sequence[Fact], configuration: Configuration, ask: Ask, held: Mapping[str, Mapping[str, Wave]]
) -> dict[str, ImpactResult]:
    """The same of each day of each training, against those that had not had this training.

    `held`: what `Trainings.sessions` gives. A training of several days has a result a day, under its code and the date.
    """
    observed = _observed(facts, configuration, ask)
    found: dict[str, ImpactResult] = {}
    for training, days in held.items():
        named = {training if len(days) == 1 else f"{training} {day}": wave for day, wave in days.items()}
        found |= _impacts(named, observed, configuration, ask.at_ms)
    return found


def _impacts(
    waves: Mapping[str, Wave], observed: Sequence[Observed], configuration: Configuration, at_ms: int
) -> dict[str, ImpactResult]:
    found = {}
    for name, wave in waves.items():
        if wave.began_ms < at_ms:
            impact = Impact(plan(configuration, list(waves.values()), wave, _span(wave, at_ms)))
            for value in observed:
                impact.add(value)
            found[name] = impact.result()
    return found


def _span(wave: Wave, at_ms: int) -> Window:
    return Window(2 * wave.began_ms - at_ms - WEEK_MS, at_ms)


def _observed(facts: Sequence[Fact], configuration: Configuration, ask: Ask) -> list[Observed]:
    return [
        Observed(configuration.known_unit(wait.unit), wait.opened_ms, int(verdict == "in_time"))
        for fact in facts
        for wait in fact.waits
        if not wait.live and wait.outcome not in NOT_ASKED
        if (verdict := judged(wait, ask.limit, ask.at_ms)) in ("in_time", "late")
    ]
