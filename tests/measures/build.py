"""Short histories folded into facts, and the small district's tree, for the measures' tests."""

from typing import Any

from schemas.facts import Row
from schemas.vocabulary import to_ms
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.district import DistrictState
from streams.measures.facts import Fact, read_facts
from streams.measures.windows import HOUR_MS, Window
from tests.golden import History, at, district, ms

DAY_MS = 24 * HOUR_MS
TREE = Configuration("demo", [ConfigurationEvent(1, to_ms(at("2020-01-01 00:00")), "configuration-1", district())])


def history(**more: Any) -> History:
    """An empty history of the small district."""
    made = History()
    made.configured(district(**more))
    return made


def rows(made: History) -> list[Row]:
    """Rows of facts of all conversations."""
    state = DistrictState("demo")
    for event in made.events:
        state.apply(event)
    return list(state.settle().rows)


def facts(made: History) -> list[Fact]:
    """The facts that count."""
    return list(read_facts(rows(made)))


def until(text: str, hours: float = 672) -> Window:
    """The window of so many hours that ends at a local time."""
    return Window(ms(text) - round(hours * HOUR_MS), ms(text))
