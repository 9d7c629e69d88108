"""Every unit's measure: that of its own facts, merged with those of the units below it."""

from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeVar

from streams.core.configuration import Configuration

Entry_contra = TypeVar("Entry_contra", contravariant=True)


class Measure(Protocol[Entry_contra]):
    """What accumulates: made empty, then `add` and `merge` in any order; `result()` is each measure's own."""

    def add(self, entry: Entry_contra) -> None:
        """Count one entry."""

    def merge(self, other: Self) -> None:
        """Count everything that the other counted."""


E = TypeVar("E")
M = TypeVar("M", bound=Measure)  # type: ignore[type-arg]


def by_unit(configuration: Configuration, make: Callable[[str], M], credited: Iterable[tuple[str, E]]) -> dict[str, M]:
    """The measure of each unit, with all below it; `make` gives a unit's empty one, an entry counts for one unit.

    A unit that the configuration does not name is `unrouted`, which lies below the district.
    """
    found = own(configuration, make, credited)
    for unit in reversed(list(found)):
        above = configuration.path(unit)[1:2]
        if above:
            found[above[0]].merge(found[unit])
    return found


def own(configuration: Configuration, make: Callable[[str], M], credited: Iterable[tuple[str, E]]) -> dict[str, M]:
    """The measure of each unit's own facts, without those below; in the order of `Configuration.units`."""
    found = {unit: make(unit) for unit in configuration.units()}
    for unit, entry in credited:
        found[configuration.known_unit(unit)].add(entry)
    return found


def below(configuration: Configuration) -> dict[str, tuple[str, ...]]:
    """The units directly below each unit, in the order of the document; `unrouted` lies below the district."""
    units = configuration.units()
    found: dict[str, list[str]] = {unit: [] for unit in units}
    for unit in units:
        for above in configuration.path(unit)[1:2]:
            found[above].append(unit)
    return {unit: tuple(children) for unit, children in found.items()}
