"""How long answers, hand-offs and resolutions take, in the business time of the unit that took so long."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from math import log, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from streams.intake.simulator_parameters import Parameters
from streams.intake.simulator_world import World
from tests.declared.habits import first_owner
from tests.declared.measuring import Measured, log_median
from tests.declared.stories import Answer, Story

MINUTE_MS = 60_000
CHANNELS = ("phone", "email", "web", "social", "in_person")
HANDOFF_SIGMA, RESOLVE_SIGMA, QUEUE_SIGMA = 0.8, 1.0, 0.8
MOST_QUEUE_SECONDS = 3600.0


class Taken(NamedTuple):
    """An answer's length: `log` of its minutes; `unit` is the unit of the top level that it counts for."""

    unit: str
    channel: str
    priority: str
    log: float


class Spreading(NamedTuple):
    """The average of many units' own averages, and how these differ, freed from the chance within units."""

    level: float
    error: float
    spread: float
    spread_error: float


def minutes(world: World, unit: str, since_ms: int, until_ms: int) -> float:
    """Business minutes of a unit between two instants."""
    return world.desks[unit].clock.elapsed(since_ms, until_ms) / MINUTE_MS


def length(world: World, answer: Answer) -> float:
    """Business minutes that an answer took."""
    return minutes(world, answer.unit, answer.asked_ms, answer.replied_ms)


def top(world: World, unit: str) -> str:
    """The school or department that a unit belongs to."""
    return world.desks[unit].path[-1]


def lengths(told: list[Story], world: World, parameters: Parameters) -> Iterator[Measured]:
    """All of `speed`, the speeds of the named units, and how the others differ."""
    taken = [
        Taken(top(world, answer.unit), answer.channel, story.opening.get("priority", ""), log(took))
        for story in told
        if story.opened_by == "customer"
        for answer in story.answers
        if (took := length(world, answer)) > 0
    ]
    usual = [one for one in taken if not one.priority]
    ordinary = [one for one in usual if one.unit not in parameters.units]
    within = within_units(ordinary)
    yield Measured("speed.spread", within, lambda d: d("speed.spread"), lambda s: s / sqrt(2 * len(ordinary)))
    by_channel = {channel: [one for one in ordinary if one.channel == channel] for channel in CHANNELS}
    levels = {channel: fmean(one.log for one in found) for channel, found in by_channel.items()}
    between = spreading(by_unit(ordinary, levels), within)
    yield Measured(
        "between_units.speed", between.spread, lambda d: d("between_units.speed"), lambda _: between.spread_error
    )
    errors = {
        name: sqrt(within**2 / len(found) + (between.spread * apart(found)) ** 2) for name, found in by_channel.items()
    }
    for channel, error in errors.items():
        yield _logged(f"speed.reply_minutes.{channel}", levels[channel], error)
    for priority in parameters.speed.urgent:
        pressing = [one for one in taken if one.priority == priority and one.unit not in parameters.units]
        error = sqrt(within**2 / len(pressing) + (between.spread * apart(pressing)) ** 2 + max(errors.values()) ** 2)
        yield _logged(f"speed.urgent.{priority}", fmean(one.log - levels[one.channel] for one in pressing), error)
    # All channels' levels share the chance of the same units; most answers are to calls and mail.
    for unit, found in by_unit(usual, levels).items():
        if unit in parameters.units:
            yield _logged(f"units.{unit}.speed", fmean(found), sqrt(within**2 / len(found) + errors["phone"] ** 2))
    yield from _around(told, world)


def _logged(name: str, value: float, error: float) -> Measured:
    return Measured(name, value, lambda declared: log(declared(name)), lambda _: error)


def within_units(taken: list[Taken]) -> float:
    """Standard deviation of lengths about the average of their unit and channel."""
    groups: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for one in taken:
        groups[one.unit, one.channel].append(one.log)
    squares = 0.0
    for found in groups.values():
        own = fmean(found)
        squares += sum((value - own) ** 2 for value in found)
    return sqrt(squares / (len(taken) - len(groups)))


def apart(taken: list[Taken]) -> float:
    """Error of the average of so many answers, where each unit has a standard deviation of one."""
    counts = Counter(one.unit for one in taken)
    return sqrt(sum(count**2 for count in counts.values())) / len(taken)


def by_unit(taken: list[Taken], levels: dict[str, float]) -> dict[str, list[float]]:
    """Lengths of each unit, less what is usual on their channel."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for one in taken:
        groups[one.unit].append(one.log - levels[one.channel])
    return groups


def spreading(groups: dict[str, list[float]], within: float) -> Spreading:
    """How units differ, given the standard deviation within them."""
    own = [fmean(found) for found in groups.values()]
    observed = stdev(own) ** 2
    by_chance = fmean(within**2 / len(found) for found in groups.values())
    spread = sqrt(max(observed - by_chance, 0.0))
    error = sqrt(observed / len(own))
    return Spreading(fmean(own), error, spread, observed * sqrt(2 / (len(own) - 1)) / (2 * max(spread, 0.01)))


def _around(told: list[Story], world: World) -> Iterator[Measured]:
    """Hand-offs, resolutions, queues."""
    handed = [
        minutes(world, hop.unit or first_owner(story, world), hop.since_ms, hop.at_ms)
        for story in told
        for hop in story.hops
    ]
    yield log_median("speed.handoff_minutes", handed, HANDOFF_SIGMA)
    resolved = [
        minutes(world, resolution["unit"], story.resolved_from_ms, at_ms)
        for story in told
        if story.is_answered and not story.is_reopened and story.answers
        for resolution, at_ms in story.resolved()
    ]
    yield log_median("speed.resolve_minutes", resolved, RESOLVE_SIGMA)
    queues = [story.opening["queue_seconds"] for story in told if story.is_live]
    yield log_median("speed.queue_seconds", [q for q in queues if q < MOST_QUEUE_SECONDS], QUEUE_SIGMA)
