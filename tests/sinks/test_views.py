"""The views: what counts, and the nested groups unfolded."""

from collections.abc import Callable

from schemas.facts import GROUPS, NAMES, row_version
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing
from tests.sinks.samples import ENTRIES, NOW_MS, conversation, units

Query = Callable[..., list[tuple[object, ...]]]


def _land(settings: Settings, *landings: Landing) -> None:
    sink = ClickHouseSink(settings)
    for landing in landings:
        sink.land(landing)
    sink.close()


def test_retracted_conversations_and_old_versions_count_nowhere(clickhouse: Settings, query: Query) -> None:
    rows = [conversation("d", "a", 1), conversation("d", "b", 1), conversation("d", "c", 1)]
    newer = [conversation("d", "a", 2, seed=2), conversation("d", "b", 2, retracted=1)]
    _land(clickhouse, Landing(NOW_MS, conversations=rows), Landing(NOW_MS, conversations=newer))
    found = query("SELECT conversation, version FROM current_conversations ORDER BY conversation")
    assert found == [("a", row_version(1, 2)), ("c", row_version(1, 1))]
    for view in GROUPS:
        assert query(f"SELECT DISTINCT conversation FROM {view} WHERE conversation = 'b'") == []


def test_unfolded_entries_carry_the_conversations_dimensions(clickhouse: Settings, query: Query) -> None:
    row = conversation("d", "a", 1)
    _land(clickhouse, Landing(NOW_MS, conversations=[row, conversation("d", "empty", 1, seed=8)]))
    values = dict(zip(NAMES, row, strict=True))
    for view, columns in GROUPS.items():
        assert query(f"SELECT count() FROM {view} WHERE conversation = 'a'") in ([(ENTRIES,)], [(0,)])
        unfolded = query(f"SELECT unit, owner, department, channel, topic FROM {view} WHERE conversation = 'a'")
        expected = [
            (unit, values["unit"], values["department"], values["channel"], values["topic"])
            for unit in values[f"{view}.unit"]
        ]
        assert sorted(map(str, unfolded)) == sorted(map(str, expected))
        for column in columns:
            query(f"SELECT {column.name.partition('.')[2]} FROM {view}")


def test_units_of_an_older_configuration_are_not_current(clickhouse: Settings, query: Query) -> None:
    first = Landing(NOW_MS, units=units("d", ["north", "south"], 1))
    _land(clickhouse, first, Landing(NOW_MS, units=units("d", ["south", "west"], 2)), first)
    assert query("SELECT unit, revision FROM current_units ORDER BY unit") == [("d", 2), ("south", 2), ("west", 2)]
    _land(clickhouse, Landing(NOW_MS, units=units("d", [], 3)))
    assert query("SELECT unit FROM current_units") == [("d",)]
