"""Who owned a conversation at an instant, and the time that passed in the owners' hours."""

from schemas.events import Inquiry, Transfer
from schemas.vocabulary import UNROUTED
from tests.reference.hours import DAY, MINUTE
from tests.reference.reading import Item, is_reply, opening
from tests.reference.setting import Setting


class Owners:
    """The owners of a conversation, one after another; the first one owns everything before as well."""

    def __init__(self, items: list[Item], setting: Setting) -> None:
        self.setting = setting
        first = opening(items)
        self.changes: list[tuple[int, str]] = []
        for item in items:
            unit = None
            if item is first and isinstance(item.event, Inquiry):
                unit = self._of_opening(items, item)
            elif isinstance(item.event, Transfer) and item.event.unit is not None:
                unit = setting.unit(item.event.unit)
            if unit is not None and (not self.changes or self.changes[-1][1] != unit):
                self.changes.append((item.at, unit))

    def _of_opening(self, items: list[Item], first: Item) -> str | None:
        """Where the opening goes: nowhere if a known unit had it before; else back to who wrote, if not routed."""
        before = [item for item in items if item.at < first.at]
        handed = [item.event.unit for item in before if item.event.kind == "transfer"]
        if any(unit is not None and self.setting.known(unit) for unit in handed):
            return None
        unit = self.setting.route(first.event, first.at)
        written = [self.setting.unit(item.event.unit) for item in before if is_reply(item)]
        return written[0] if written and first.event.unit is None and unit == UNROUTED else unit

    @property
    def first(self) -> str:
        """The first owner."""
        return self.changes[0][1] if self.changes else UNROUTED

    @property
    def last(self) -> str:
        """The owner now."""
        return self.changes[-1][1] if self.changes else UNROUTED

    def at(self, at: int) -> str:
        """The owner at an instant."""
        owner = self.first
        for changed, unit in self.changes:
            if changed <= at:
                owner = unit
        return owner

    def pieces(self, start: int, end: int | None) -> list[tuple[int, int | None, str]]:
        """`[start, end)` cut where the owner changes; an end that is none stays so."""
        cuts = [each for each in self.changes[1:] if start < each[0] and (end is None or each[0] < end)]
        begins = [(start, self.at(start)), *cuts]
        ends = [*(changed for changed, _ in cuts), end]
        return [(begin, until, unit) for (begin, unit), until in zip(begins, ends, strict=True)]

    def business(self, start: int, end: int) -> int:
        """Time within `[start, end)`, each minute in the hours of its owner."""
        return sum(self.setting.hours(unit).elapsed(a, b) for a, b, unit in self.pieces(start, end) if b is not None)

    def minutes(self, day: int) -> list[bool]:
        """Whether the owner was open, for each minute of a UTC day."""
        found: list[bool] = []
        for start, end, unit in self.pieces(day * DAY, (day + 1) * DAY):
            if end is not None:
                found += self.setting.hours(unit).minutes(day)[
                    (start - day * DAY) // MINUTE : (end - day * DAY) // MINUTE
                ]
        return found
