"""What of a unit's ratings may be shown outside the owning team: the scores of a minute, replaced in steps of ten.

Definitions: "small numbers". What was published stays what it was, whatever comes late or is taken back: the last row
that landed says what that is, and how many ratings have entered or left the window since. A minute's changes are the
scores that became more or fewer. Two ratings of the same score that pass each other within a minute are not noticed,
so the next value never comes too early.
"""

from collections.abc import Iterable, Iterator

from schemas.rolling import ALL_CHANNELS, Published, RollingRow

STEP = 10
WINDOW = "28d"


class Publishing:
    """What is published of each unit of a district; rows of other windows and of single channels publish nothing."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, Published] = {}

    def known(self, published: Iterable[Published]) -> None:
        """Go on from what the newest rows that landed say, one of each unit."""
        self._last = {one.unit: one for one in published}

    def publish(self, rows: Iterable[RollingRow]) -> Iterator[RollingRow]:
        """The rows of the next minute, with what is published from it on."""
        for row in rows:
            yield self._published(row) if row.window == WINDOW and row.channel == ALL_CHANNELS else row

    def _published(self, row: RollingRow) -> RollingRow:
        last = self._last.get(row.unit)
        if last is None:
            last = Published(row.district, row.unit, (0,) * len(row.ratings), None, (), 0)
        changes = last.changes + sum(abs(now - before) for now, before in zip(row.ratings, last.ratings, strict=True))
        if changes >= STEP:
            last = last._replace(published_at=row.at, published_ratings=row.ratings)
            changes = 0
        last = self._last[row.unit] = last._replace(ratings=row.ratings, changes=changes)
        return row._replace(
            published_at=last.published_at, published_ratings=last.published_ratings, changes=last.changes
        )
