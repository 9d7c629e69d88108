"""A stream that runs on while something reads."""

from collections.abc import Callable, Iterator, Sequence

from schemas.facts import Row
from schemas.settings import Settings
from sinks.reading import ClickHouseReader


class Racing(ClickHouseReader):
    """A reader during whose reading the stream runs on: something lands before the first rows are read."""

    def __init__(self, settings: Settings, land: list[Callable[[], None]]) -> None:
        super().__init__(settings)
        self._land = land

    def facts(self, district: str, names: Sequence[str]) -> Iterator[Row]:
        """As of the real one."""
        while self._land:
            self._land.pop()()
        return super().facts(district, names)
