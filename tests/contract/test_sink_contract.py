"""What every sink and reader must do, run on the one in memory and on the real ClickHouse engine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from schemas.facts import CONVERSATION, Column
from schemas.naming import hashes_of
from schemas.rolling import ROLLING, ROLLING_SLICES, Published, RollingRow
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, Sink
from sinks.memory import MemorySink
from sinks.reading import ClickHouseReader, Reader
from sinks.tables import TABLES, Table
from streams.core.departed import Departed
from tests.sinks.samples import (
    NOW_MS,
    alert,
    configuration,
    conversation,
    dead_letter,
    event,
    everything,
    incident,
    rolling,
    rolling_slice,
    units,
)

LATER_MS = NOW_MS + 60_001


class Ask(Protocol):
    """All rows of a table that count, in the order of its key, times in ms."""

    def __call__(self, table: str) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class Pair:
    """A sink, the reader of the same data, and a look at the tables."""

    sink: Sink
    reader: Reader
    rows: Ask


def _raw(column: Column) -> str:
    """An expression for a column whose instants come as ms."""
    if "DateTime64" not in column.type:
        return f"`{column.name}`"
    convert = "toUnixTimestamp64Milli"
    if column.type.startswith("Array"):
        return f"arrayMap(x -> {convert}(x), `{column.name}`)"
    return f"{convert}(`{column.name}`)"


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _table_rows(settings: Settings, table: Table) -> list[dict[str, Any]]:
    columns = ", ".join(_raw(column) for column in table.columns)
    with connect(settings) as client:
        found = client.execute(f"SELECT {columns} FROM {table.name} FINAL ORDER BY {', '.join(table.order_by)}")
    rows = [dict(zip(table.names, map(_tuples, row), strict=True)) for row in found]
    for row in rows:
        if isinstance(row.get("content"), str):
            row["content"] = row["content"].encode()
    return rows


@pytest.fixture(params=["memory", "clickhouse"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """The same contract on both."""
    if request.param == "memory":
        memory = MemorySink()
        yield Pair(memory, memory, memory.rows)
        return
    settings: Settings = request.getfixturevalue("clickhouse")
    tables = {table.name: table for table in TABLES}
    sink, reader = ClickHouseSink(settings), ClickHouseReader(settings)
    yield Pair(sink, reader, lambda name: _table_rows(settings, tables[name]))
    sink.close()
    reader.close()


def test_every_value_comes_back_as_it_was_landed(pair: Pair) -> None:
    landed = [conversation("d", f"c{seed:02}", seed, seed % 2, seed=seed) for seed in range(24)]
    pair.sink.land(Landing(NOW_MS, conversations=landed))
    names = [column.name for column in CONVERSATION]
    for table in ("conversations", "conversation_versions"):
        rows = pair.rows(table)
        assert [tuple(row[name] for name in names) for row in rows] == landed
        assert {row["landed_at"] for row in rows} == {NOW_MS}


def test_facts_are_read_back_as_the_core_made_them(pair: Pair) -> None:
    landed = [conversation("d", f"c{seed:02}", seed, seed % 2, seed=seed) for seed in range(24)]
    older = conversation("d", "c05", 4, seed=99)
    pair.sink.land(Landing(NOW_MS, conversations=[*landed, older, conversation("e", "c01", 1)]))
    assert list(pair.reader.facts("d", ["c07", "c05", "c05", "unknown"])) == [landed[5], landed[7]]
    assert list(pair.reader.facts("d", [row[1] for row in landed])) == landed


def test_the_unit_tree_that_counts_is_read_back(pair: Pair) -> None:
    newest = units("d", ["north"], 2)
    pair.sink.land(Landing(NOW_MS, units=[*units("d", ["gone", "north"], 1), *newest, *units("e", ["x"], 1)]))
    assert pair.reader.units("d") == sorted(newest, key=lambda row: row.unit)
    assert pair.reader.units("unknown") == []
    assert pair.reader.unit_versions(["d", "e", "unknown"]) == {"d": 2, "e": 1}
    assert pair.reader.unit_versions([]) == {}


def test_every_rolling_value_comes_back_as_it_was_landed(pair: Pair) -> None:
    landed = [rolling("d", f"u{seed:02}", seed=seed) for seed in range(12)]
    pair.sink.land(Landing(NOW_MS, rolling=landed))
    names = [column.name for column in ROLLING]
    assert [tuple(row[name] for name in names) for row in pair.rows("rolling")] == landed


def test_every_slice_comes_back_as_it_was_landed_first(pair: Pair) -> None:
    landed = [rolling_slice("d", f"t{seed:02}", seed=seed) for seed in range(12)]
    pair.sink.land(Landing(NOW_MS, slices=landed))
    pair.sink.land(Landing(LATER_MS, slices=[rolling_slice("d", "t03", seed=99)]))
    names = [column.name for column in ROLLING_SLICES]
    assert [tuple(row[name] for name in names) for row in pair.rows("rolling_slices")] == landed


def test_a_rolling_row_stays_as_it_was_known_first(pair: Pair) -> None:
    first, again, next_one = rolling("d", "a", seed=1), rolling("d", "a", seed=2), rolling("d", "a", LATER_MS, seed=3)
    pair.sink.land(Landing(NOW_MS, rolling=[first]))
    pair.sink.land(Landing(LATER_MS, rolling=[again, next_one]))
    assert [(row["at"], row["inquiries"]) for row in pair.rows("rolling")] == [
        (NOW_MS, first.inquiries),
        (LATER_MS, next_one.inquiries),
    ]


def test_what_was_published_is_read_back_of_the_newest_rows_that_landed_first(pair: Pair) -> None:
    def row(unit: str, at_ms: int, seed: int) -> RollingRow:
        return rolling("d", unit, at_ms, seed)._replace(window="28d")

    newest = [row("d", LATER_MS, 3), row("north", LATER_MS, 4)]
    pair.sink.land(Landing(NOW_MS, rolling=[row("d", NOW_MS, 1), row("gone", NOW_MS, 2)]))
    pair.sink.land(Landing(LATER_MS, rolling=[*newest, rolling("d", "south", LATER_MS, 5), rolling("e", "e")]))
    pair.sink.land(Landing(LATER_MS + 1, rolling=[row("north", LATER_MS, 6)]))
    assert pair.reader.published(["d", "e", "unknown"]) == [
        Published("d", r.unit, r.ratings, r.published_at, r.published_ratings, r.changes) for r in newest
    ]


def test_all_tables_get_their_rows(pair: Pair) -> None:
    landing = everything()
    pair.sink.land(landing)
    assert len(pair.rows("dead_letters")) == 2
    assert [row["unit"] for row in pair.rows("rolling")] == ["d", "north"]
    assert [row["value"] for row in pair.rows("rolling_slices")] == ["bus"]
    assert len(pair.rows("districts")) == 1
    assert [row["unit"] for row in pair.rows("units")] == ["d", "north"]
    assert pair.rows("units")[1]["path"] == ("north", "d")
    first = pair.rows("events")[0]
    assert (first["conversation"], first["offset"], first["content"]) == ("", 2**40, landing.events[2].content)


def test_landing_the_same_again_changes_nothing(pair: Pair) -> None:
    pair.sink.land(everything())
    before = {table.name: pair.rows(table.name) for table in TABLES}
    pair.sink.land(everything())
    assert {table.name: pair.rows(table.name) for table in TABLES} == before


def test_a_part_that_landed_before_does_not_disturb_the_whole(pair: Pair) -> None:
    landing = everything()
    pair.sink.land(replace(landing, conversations=(), units=()))
    pair.sink.land(landing)
    assert pair.reader.versions_of("d", ["a", "x"]) == {"a": (landing.conversations[0][2], 0)}
    assert pair.reader.versions_of("e", ["x"]) == {"x": (landing.conversations[1][2], 1)}


def test_the_first_landing_of_a_version_and_of_a_dead_letter_survives(pair: Pair) -> None:
    pair.sink.land(everything(LATER_MS))
    pair.sink.land(everything(NOW_MS))
    pair.sink.land(everything(LATER_MS))
    for table in ("conversation_versions", "dead_letters", "alerts", "incidents"):
        assert {row["landed_at"] for row in pair.rows(table)} == {NOW_MS}


def test_names_of_rows_have_the_same_hash_here_and_there(pair: Pair) -> None:
    """Also of what no identifier holds; of a part only the name tells, and only while it counts."""
    names = ["a", "", "é ü", "x" * 100]
    rows = [conversation("d", name, 1) for name in names]
    parts = [conversation("d", "a~2", 3), conversation("d", "a~3", 2, 1)]
    pair.sink.land(Landing(NOW_MS, conversations=[*rows, *parts, conversation("e", "b", 7)]))
    found = pair.reader.landed_names(["d", "e", "f"])
    assert sorted(found) == ["d", "e"]
    assert sorted(map(tuple, found["d"].hashes.tolist())) == sorted(map(tuple, hashes_of(names).tolist()))
    assert (list(found["d"].parts), found["d"].lowest) == (["a~2"], rows[0][2])
    assert found["e"].hashes.tolist() == hashes_of(["b"]).tolist()
    departed = Departed()
    departed.add_all(found["d"].hashes)
    assert (all(name in departed for name in names), "b" in departed, len(departed)) == (True, False, len(names))


def test_any_number_of_conversations_is_asked_for_at_once(pair: Pair) -> None:
    names = [f"c{number:04d}" for number in range(2_500)]
    pair.sink.land(Landing(NOW_MS, conversations=[conversation("d", name, 1) for name in [*names, "c0007~2"]]))
    assert sorted(pair.reader.versions_of("d", names[:2_400])) == sorted([*names[:2_400], "c0007~2"])


def test_every_version_is_kept_and_the_highest_counts(pair: Pair) -> None:
    versions = [conversation("d", "a", events, events == 3, seed=events) for events in (2, 3, 1)]
    for at_ms, row in zip((NOW_MS, NOW_MS + 1, NOW_MS + 2), versions, strict=True):
        pair.sink.land(Landing(at_ms, conversations=[row]))
    assert pair.reader.versions_of("d", ["a"]) == {"a": (versions[1][2], 1)}
    assert [row["events"] for row in pair.rows("conversations")] == [versions[1][6]]
    assert [row["version"] for row in pair.rows("conversation_versions")] == sorted(row[2] for row in versions)


def test_of_equal_events_the_first_received_counts_and_other_content_stays_beside_it(pair: Pair) -> None:
    pair.sink.land(Landing(NOW_MS, [event("d", "a", "e1", 9, NOW_MS), event("d", "a", "e1", 2**64 - 1)]))
    pair.sink.land(Landing(LATER_MS, [event("d", "a", "e1", 9, NOW_MS - 50), event("d", "a", "e1", 9, LATER_MS)]))
    found = list(pair.reader.district_events(["d"]))
    assert [(row.digest, row.received_at_ms) for row in found] == [(9, NOW_MS - 50), (2**64 - 1, NOW_MS)]
    assert found[0].content == event("d", "a", "e1", 9).content


def test_the_first_receipt_of_a_configuration_counts(pair: Pair) -> None:
    pair.sink.land(Landing(NOW_MS, configurations=[configuration("d", 2, LATER_MS), configuration("d", 1)]))
    pair.sink.land(Landing(NOW_MS, configurations=[configuration("d", 2, NOW_MS)]))
    assert [(row["revision"], row["received_at"]) for row in pair.rows("districts")] == [(1, NOW_MS), (2, NOW_MS)]


def test_a_larger_set_of_configurations_replaces_the_units(pair: Pair) -> None:
    pair.sink.land(Landing(NOW_MS, units=units("d", ["north", "south"], 2)))
    pair.sink.land(Landing(NOW_MS, units=units("d", ["north"], 1)))
    assert [(row["unit"], row["version"]) for row in pair.rows("units")] == [("d", 2), ("north", 2), ("south", 2)]


def test_events_are_read_whole_ordered_and_only_of_what_was_asked(pair: Pair) -> None:
    rows = [event(d, c, f"e{i}") for i in (3, 1, 2) for c in ("b", "", "a") for d in ("e", "d", "f")]
    pair.sink.land(Landing(NOW_MS, rows))
    found = list(pair.reader.district_events(["f", "d", "d", "unknown"]))
    keys = [(row.district, row.conversation, row.event_id) for row in found]
    assert keys == [(d, c, f"e{i}") for d in ("d", "f") for c in ("", "a", "b") for i in (1, 2, 3)]
    assert found[0] == ("d", "", "e1", 7, "inquiry", 1, NOW_MS, rows[0].content)
    some = [(row.conversation, row.event_id) for row in pair.reader.events_of("d", ["", "b", "unknown"])]
    assert some == [(c, f"e{i}") for c in ("", "b") for i in (1, 2, 3)]
    assert pair.reader.districts() == ["d", "e", "f"]


def test_alerts_are_read_back_as_they_were_told_and_once(pair: Pair) -> None:
    told = [alert("d", "k1"), alert("d", "k1", "corrected"), alert("d", "k1", "breached", 1), alert("e", "k2")]
    pair.sink.land(Landing(NOW_MS, alerts=told))
    pair.sink.land(Landing(LATER_MS, alerts=told[:2]))
    assert sorted(pair.reader.alerts(["d", "unknown"])) == sorted(told[:3])
    assert pair.reader.alerts([]) == []


def test_incidents_are_read_back_as_they_were_told_and_once(pair: Pair) -> None:
    told = [
        incident("d", "k1"),
        incident("d", "k1", "grown", step=2),
        incident("d", "k1", "grown", step=4),
        incident("d", "k1", "closed"),
        incident("d", "k1", "opened", 1),
        incident("e", "k2"),
    ]
    pair.sink.land(Landing(NOW_MS, incidents=told))
    pair.sink.land(Landing(LATER_MS, incidents=told[:2]))
    assert sorted(pair.reader.incidents(["d", "unknown"])) == sorted(told[:5])
    assert pair.reader.incidents([]) == []


def test_rolling_rows_are_read_back_as_they_landed_by_unit_and_time(pair: Pair) -> None:
    rows = [rolling("d", unit, at, seed) for seed, at in enumerate((NOW_MS, LATER_MS)) for unit in ("d", "north", "x")]
    pair.sink.land(Landing(LATER_MS, rolling=[*rows, rolling("e", "north")]))
    assert pair.reader.rolling_since("d", ["north", "d"], NOW_MS) == [row for row in rows if row.unit != "x"]
    assert pair.reader.rolling_since("d", ["north"], NOW_MS + 1) == [rows[4]]


def test_reading_nothing_gives_nothing(pair: Pair) -> None:
    assert list(pair.reader.district_events([])) == []
    assert list(pair.reader.events_of("d", [])) == []
    assert list(pair.reader.district_events(["d"])) == []
    assert pair.reader.versions_of("d", ["a"]) == {}
    assert pair.reader.versions_of("d", []) == {}
    assert pair.reader.landed_names(["d"]) == {}
    assert pair.reader.districts() == []


def test_a_reader_left_in_the_middle_can_read_on(pair: Pair) -> None:
    pair.sink.land(Landing(NOW_MS, [event("d", "a", f"e{number:05}") for number in range(2_000)]))
    started = iter(pair.reader.district_events(["d"]))
    assert next(started).event_id == "e00000"
    del started
    assert len(list(pair.reader.events_of("d", ["a"]))) == 2_000


def test_more_keys_than_one_query_takes(pair: Pair) -> None:
    names = [f"conversation/{number:0100}" for number in range(2_500)]
    pair.sink.land(Landing(NOW_MS, [event("d", name, "e1") for name in names]))
    assert [row.conversation for row in pair.reader.events_of("d", names)] == names


def test_a_closed_sink_lands_again(pair: Pair) -> None:
    pair.sink.close()
    pair.sink.land(Landing(NOW_MS, dead_letters=[dead_letter(1)]))
    assert len(pair.rows("dead_letters")) == 1
