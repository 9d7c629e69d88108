"""A rolling value of ratings is published anew only when ⌊(entered + left) / 10⌋ grows. Definitions: "small numbers".

So two published values never differ by one person. What enters and leaves is counted from the first rating on, and the
value shown is that of the moment after the last tenth change.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

from schemas.rolling import SCHOOL_DAYS, SEVEN
from streams.core.business_time import BusinessClock
from streams.measures.facts import Fact, Given
from streams.measures.satisfaction import Scores, ScoresResult
from streams.measures.windows import Window, rolling_ms

STEP = 10
Scored = Callable[[Given], int | None]
Leaving = Callable[[int], int | None]


class Stay(NamedTuple):
    """A value in a rolling window: in it at every instant x with entered < x ≤ left; `left_ms` None: it stays."""

    entered_ms: int
    left_ms: int | None
    value: int


class Stays:
    """The values that were ever in a rolling window."""

    __slots__ = ("stays",)

    def __init__(self) -> None:
        self.stays: list[Stay] = []

    def add(self, stay: Stay) -> None:
        """Count one value."""
        self.stays.append(stay)

    def merge(self, other: "Stays") -> None:
        """Count everything that the other counted."""
        self.stays.extend(other.stays)

    def published_ms(self, now_ms: int, step: int = STEP) -> int | None:
        """The instant whose value is published at `now_ms`: just after the last tenth change; None before the first.

        Changes of one instant are published together, and the next ten are counted from there.
        """
        changes = [stay.entered_ms for stay in self.stays]
        changes += [stay.left_ms for stay in self.stays if stay.left_ms is not None]
        past = sorted(change for change in changes if change < now_ms)
        published: int | None = None
        counted = 0
        while counted + step <= len(past):
            published = past[counted + step - 1] + 1
            counted = bisect_left(past, published)
        return published

    def values(self, at_ms: int) -> Iterator[int]:
        """The values in the window at an instant, in no order."""
        for stay in self.stays:
            if stay.entered_ms < at_ms and (stay.left_ms is None or at_ms <= stay.left_ms):
                yield stay.value

    def scores(self, at_ms: int) -> ScoresResult:
        """The statistics of the values at an instant, if they are scores."""
        made = Scores()
        for value in self.values(at_ms):
            made.add(value)
        return made.result()


def leaving(name: str, clock: BusinessClock) -> Leaving:
    """When what enters a window of this name leaves it; the local hour, day, week, month and year are never left."""
    length_ms = rolling_ms(name)

    def after_length(entered_ms: int) -> int | None:
        return None if length_ms is None else entered_ms + length_ms

    def after_school_days(entered_ms: int) -> int | None:
        end_ms = clock.after_school_days(entered_ms, SEVEN)
        return None if end_ms is None else clock.start_of(clock.local_date(end_ms - 1)) - 1

    return after_school_days if name == SCHOOL_DAYS else after_length


class Rolling(NamedTuple):
    """A rolling window by its name, and for each unit its window now and its clock."""

    name: str
    window: Callable[[str], Window]
    clock: Callable[[str], BusinessClock]


def scored(item: str) -> Scored:
    """What a rating says of an item of `satisfaction.ITEMS`; of "answered?" 1 or 0."""
    return attrgetter("score" if item == "satisfaction" else item)


def credited(facts: Iterable[Fact], score: Scored, rolling: Rolling) -> Iterator[tuple[str, Stay]]:
    """The stays of an item's scores, late and unlinked ratings left out; `score` is None where it was not answered.

    In a window that is never left only what lies in it counts: what came before is another window's.
    """
    whole = rolling.name != SCHOOL_DAYS and rolling_ms(rolling.name) is None
    leave: dict[str, Leaving] = {}
    for fact in facts:
        for given in fact.ratings if fact.linked else ():
            value = score(given)
            if given.late or value is None or (whole and not rolling.window(given.unit).holds(given.rated_ms)):
                continue
            if given.unit not in leave:
                leave[given.unit] = leaving(rolling.name, rolling.clock(given.unit))
            yield given.unit, Stay(given.rated_ms, leave[given.unit](given.rated_ms), value)
