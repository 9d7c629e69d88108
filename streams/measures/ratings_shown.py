"""The ratings of every unit as they may be shown at an instant: no small numbers, values in steps of ten."""

from collections.abc import Collection, Mapping, Sequence
from operator import methodcaller
from typing import NamedTuple

from streams.core.configuration import Configuration
from streams.core.intervals import Share, share
from streams.measures.facts import Fact
from streams.measures.republication import Rolling, Scored, Stays, credited, scored
from streams.measures.satisfaction import ANSWERED, ITEMS, SCORED, ScoresResult
from streams.measures.small_numbers import THRESHOLD, State, states
from streams.measures.surveys import Coverage, CoverageResult
from streams.measures.units import below, by_unit


class Item(NamedTuple):
    """An item of a unit. `published_ms`: the instant whose value it is; the rest is None unless it is shown."""

    state: State
    published_ms: int | None
    scores: ScoresResult | None
    answered: Share | None


class CoverageShown(NamedTuple):
    """The coverage of a unit; None unless it is shown."""

    state: State
    coverage: CoverageResult | None


ANSWER = scored(ANSWERED)
HIDDEN = Item("withheld", None, None, None)


def team(configuration: Configuration, unit: str) -> frozenset[str]:
    """A unit and all units below it: those whose ratings its own team sees as they are. None for no unit."""
    return frozenset(other for other in configuration.units() if unit in configuration.path(other))


class Asked(NamedTuple):
    """What is asked of the ratings of all units; `own` units' values are those of now, whatever they hold."""

    configuration: Configuration
    rolling: Rolling
    now_ms: int
    own: Collection[str] = ()


def items(facts: Sequence[Fact], asked: Asked) -> dict[str, dict[str, Item]]:
    """Every item of `ITEMS` of every unit."""
    return _by_unit(facts, asked, {**{name: scored(name) for name in SCORED}, ANSWERED: ANSWER})


def own_items(facts: Sequence[Fact], asked: Asked) -> dict[str, dict[str, Item]]:
    """The items that the district added, of every unit: those of its document, then others that came, by name."""
    newest = asked.configuration.newest
    declared = [item.item for item in newest.items] if newest else []
    given = {code for fact in facts for rating in fact.ratings for code, _ in rating.items}
    codes = dict.fromkeys([*(code for code in declared if code not in ITEMS), *sorted(given)])
    return _by_unit(facts, asked, {code: methodcaller("item", code) for code in codes})


def _by_unit(facts: Sequence[Fact], asked: Asked, scores: Mapping[str, Scored]) -> dict[str, dict[str, Item]]:
    configuration, rolling, now_ms, own = asked
    found: dict[str, dict[str, Item]] = {unit: {} for unit in configuration.units()}
    for name, score in scores.items():
        stays = by_unit(configuration, lambda _: Stays(), credited(facts, score, rolling))
        published = {unit: now_ms if unit in own else held.published_ms(now_ms) for unit, held in stays.items()}
        n = {unit: sum(1 for _ in held.values(now_ms)) for unit, held in stays.items()}
        small = [unit for unit, held in stays.items() if _count(held, published[unit]) < THRESHOLD]
        for unit, state in states(below(configuration), n, small, own).items():
            found[unit][name] = _item(score is ANSWER, state, stays[unit], published[unit])
    return found


def _count(held: Stays, at_ms: int | None) -> int:
    return 0 if at_ms is None else sum(1 for _ in held.values(at_ms))


def _item(is_yes_or_no: bool, state: State, held: Stays, at_ms: int | None) -> Item:
    if state != "shown" or at_ms is None:
        return HIDDEN._replace(state=state)
    if is_yes_or_no:
        values = list(held.values(at_ms))
        return Item(state, at_ms, None, share(sum(values), len(values)))
    return Item(state, at_ms, held.scores(at_ms), None)


def coverage(
    found: dict[str, Coverage], configuration: Configuration, own: Collection[str] = ()
) -> dict[str, CoverageShown]:
    """The coverage of every unit, under the same rule for small numbers; it tells how many rated, not how."""
    results = {unit: measure.result() for unit, measure in found.items()}
    shown = states(below(configuration), {unit: result.ratings for unit, result in results.items()}, (), own)
    return {unit: CoverageShown(state, results[unit] if state == "shown" else None) for unit, state in shown.items()}
