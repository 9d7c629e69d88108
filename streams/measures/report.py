"""All measures of a district's facts at an instant, by unit: a parent's are of its own facts and its children's."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.core.configuration import Configuration
from streams.measures import distributions, owners, promises, ratings_shown, returns, satisfaction, surveys, waits
from streams.measures.consistency import Funnel, between_units, funnel
from streams.measures.distributions import Distribution, DistributionResult, Ended
from streams.measures.facts import Fact
from streams.measures.moments import Moments
from streams.measures.owners import Owners, OwnersResult
from streams.measures.promises import Promises, PromisesResult
from streams.measures.ratings_shown import CoverageShown, Item
from streams.measures.republication import Rolling
from streams.measures.returns import Openings, Returns, ReturnsResult
from streams.measures.satisfaction import Satisfaction
from streams.measures.surveys import Coverage
from streams.measures.units import below, by_unit, own
from streams.measures.waits import AnsweredWithin, Backlog, BacklogResult, Limit, WithinResult
from streams.measures.windows import Window, window


class Ask(NamedTuple):
    """What is asked: the instant, the window that ends there, T, and the unit whose own team asks (empty: nobody's)."""

    at_ms: int
    window: str = "28d"
    limit: Limit = Limit(86_400_000)
    own_team: str = ""


class Uncounted(NamedTuple):
    """Ratings that are counted and not averaged."""

    late: int
    unlinked: int


class Consistency(NamedTuple):
    """Of the units directly below: the share of variance of first responses between them, the funnel of `within`."""

    between: float | None
    funnel: Funnel | None


class UnitReport(NamedTuple):
    """The measures of one unit; `own_items`: those that the district added; `uncounted` None: its own team's alone."""

    window: Window
    items: dict[str, Item]
    own_items: dict[str, Item]
    coverage: CoverageShown
    uncounted: Uncounted | None
    within: WithinResult
    backlog: BacklogResult
    promises: PromisesResult
    owners: OwnersResult
    returns: ReturnsResult
    distributions: dict[str, DistributionResult]
    consistency: Consistency


def measure(facts: Sequence[Fact], configuration: Configuration, ask: Ask) -> dict[str, UnitReport]:
    """Every unit's report, in the order of `Configuration.units`. Raises `ValueError` for a window that is none."""
    windows = _windows(configuration, ask)
    made = _Measured(facts, configuration, ask, windows.__getitem__)
    mine = ratings_shown.team(configuration, ask.own_team)
    rolling = Rolling(ask.window, windows.__getitem__, configuration.clock)
    asked = ratings_shown.Asked(configuration, rolling, ask.at_ms, mine)
    items, own_items = ratings_shown.items(facts, asked), ratings_shown.own_items(facts, asked)
    covered = ratings_shown.coverage(made.coverage, configuration, mine)
    return {
        unit: UnitReport(
            windows[unit],
            items[unit],
            own_items[unit],
            covered[unit],
            made.uncounted(unit) if unit in mine else None,
            made.within[unit].result(),
            made.backlog[unit].result(),
            made.promises[unit].result(),
            made.owners[unit].result(),
            made.returns[unit].result(),
            {kind: made.lengths[kind][unit].result() for kind in distributions.KINDS},
            made.consistency(unit),
        )
        for unit in configuration.units()
    }


def _windows(configuration: Configuration, ask: Ask) -> dict[str, Window]:
    starts = configuration.newest.school_year_starts if configuration.newest else "07-01"
    return {unit: window(ask.window, ask.at_ms, configuration.clock(unit), starts) for unit in configuration.units()}


class _Measured:
    """Every family's accumulators by unit."""

    def __init__(
        self, facts: Sequence[Fact], configuration: Configuration, ask: Ask, window_of: Callable[[str], Window]
    ) -> None:
        openings = Openings()
        for fact in facts:
            openings.add(fact)
        self._below = below(configuration)
        self.ratings = by_unit(configuration, lambda u: Satisfaction(window_of(u)), satisfaction.credited(facts))
        self.coverage = by_unit(configuration, lambda u: Coverage(window_of(u)), surveys.credited(facts))
        self.within = by_unit(configuration, lambda u: AnsweredWithin(window_of(u), ask.limit), waits.credited(facts))
        self.backlog = by_unit(configuration, lambda _: Backlog(), waits.open_at(facts, ask.at_ms))
        self.promises = by_unit(configuration, lambda u: Promises(window_of(u)), promises.credited(facts))
        self.owners = by_unit(configuration, lambda u: Owners(window_of(u)), owners.credited(facts))
        self.returns = by_unit(configuration, lambda u: Returns(window_of(u)), returns.credited(facts, openings))
        self.lengths = {
            kind: by_unit(configuration, lambda u: Distribution(window_of(u)), distributions.credited(facts, kind))
            for kind in distributions.KINDS
        }
        first = [*distributions.credited(facts, "first_response")]
        self._moments = by_unit(configuration, lambda u: _Lengths(window_of(u)), first)
        self._own_moments = own(configuration, lambda u: _Lengths(window_of(u)), first)

    def uncounted(self, unit: str) -> Uncounted:
        """Late and unlinked ratings of a unit."""
        found = self.ratings[unit]
        return Uncounted(found.late, found.unlinked)

    def consistency(self, unit: str) -> Consistency:
        """How alike the units directly below are; the unit's own facts are a group beside them."""
        groups = {other: self._moments[other].moments for other in self._below[unit]}
        groups[unit] = self._own_moments[unit].moments
        counts = {other: (self.within[other].answered, self.within[other].decided) for other in self._below[unit]}
        return Consistency(between_units(groups), funnel(counts))


class _Lengths:
    """Mean and variance of the lengths of a window."""

    __slots__ = ("_window", "moments")

    def __init__(self, within: Window) -> None:
        self._window = within
        self.moments = Moments()

    def add(self, ended: Ended) -> None:
        """Count a length of the window."""
        if self._window.holds(ended.at_ms):
            self.moments.add(ended.length_ms)

    def merge(self, other: "_Lengths") -> None:
        """Count everything that the other counted."""
        self.moments.merge(other.moments)
