"""A declared number beside the one that came out, and how far apart chance may put them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import log, sqrt
from statistics import median
from typing import Any, NamedTuple

from streams.intake.simulator_parameters import Parameters

SIGMAS = 4.5
NAMES = ("topic", "kind", "training")
Declared = Callable[[str], float]
"""The declared number of a name such as `habits.spam`."""


class Measured(NamedTuple):
    """What came out for one parameter, or one cell of a mix.

    `expected` is what the declaration lets expect, `deviation` one standard deviation, given that expectation.
    """

    name: str
    value: float
    expected: Callable[[Declared], float]
    deviation: Callable[[float], float]

    def fits(self, declared: Declared) -> bool:
        """True if chance explains the difference."""
        expected = self.expected(declared)
        return abs(self.value - expected) <= SIGMAS * self.deviation(expected)

    def reads(self, declared: Declared) -> set[str]:
        """Names of the declared numbers that the expectation depends on."""
        read: set[str] = set()

        def recording(name: str) -> float:
            read.add(name)
            return declared(name)

        self.expected(recording)
        return read


def numbers(part: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a declaration with its name; list items are named by their topic, training or kind."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from numbers(value, f"{name}.{key}" if name else str(key))
    elif isinstance(part, list):
        for place, value in enumerate(part):
            yield from numbers(value, f"{name}.{label(value, place)}")
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield name, float(part)


def label(item: Any, place: int) -> str:
    """What a list's item is called."""
    if isinstance(item, dict):
        found = [str(item[key]) for key in NAMES if key in item]
        if found:
            return f"{found[-1]}-{item['days_late']}" if "days_late" in item else found[-1]
    return str(place)


def declared_numbers(parameters: Parameters) -> dict[str, float]:
    """Every number of a whole declaration by its name."""
    return dict(numbers(parameters.model_dump()))


def share(name: str, hits: int, of: int, expected: Callable[[Declared], float] | None = None) -> Measured:
    """A count of trials that came true with the declared probability, or one made of declared numbers."""
    probability = expected or (lambda declared: declared(name))

    def deviation(hoped: float) -> float:
        if not 0 < hoped < of:
            return 0.0
        return sqrt(hoped * (1 - hoped / of)) + 1 / SIGMAS

    return Measured(name, hits, lambda declared: of * probability(declared), deviation)


def mix(name: str, found: Iterable[str], cells: Sequence[str]) -> list[Measured]:
    """A count per cell of a mix whose weights are declared under `name`; anything else among them shows as a share."""
    values = list(found)

    def cell(key: str) -> Measured:
        def probability(declared: Declared) -> float:
            return declared(f"{name}.{key}") / sum(declared(f"{name}.{other}") for other in cells)

        return share(f"{name}.{key}", values.count(key), len(values), probability)

    return [cell(key) for key in cells]


def average(name: str, values: Sequence[float], spread: float, expected: Callable[[Declared], float]) -> Measured:
    """A mean of values with a known standard deviation."""
    return Measured(name, sum(values) / len(values), expected, lambda _: spread / sqrt(len(values)))


def log_median(name: str, ratios: Sequence[float], sigma: float) -> Measured:
    """Lengths that are log-normal about a declared median."""
    return average(name, [log(ratio) for ratio in ratios if ratio > 0], sigma, lambda declared: log(declared(name)))


def exponential(name: str, values: Sequence[float]) -> Measured:
    """Values that are exponential about a declared mean; the median decides, so that a few others do no harm."""
    return Measured(
        name, median(values) / log(2), lambda declared: declared(name), lambda hoped: hoped / log(2) / sqrt(len(values))
    )


def exact(name: str, value: float) -> Measured:
    """What leaves nothing to chance."""
    return Measured(name, value, lambda declared: declared(name), lambda _: 0.0)


def unfit(measured: Iterable[Measured], declared: dict[str, float]) -> set[str]:
    """Names of what did not come out as declared."""
    return {one.name for one in measured if not one.fits(declared.__getitem__)}
