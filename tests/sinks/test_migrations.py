"""Migrations: up, down and up again, printable, repeatable, and no drift between SQL, declared tables and inserts."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.errors import Refused, UsageError
from schemas.settings import Settings
from sinks.connection import connect
from sinks.migrate import Migration, migrate, migrations, plan, read_migration
from sinks.tables import TABLES

NEWEST = len(migrations())
VIEWS = {"current_conversations", "current_units", "ratings", "segments", "verdicts", "waits"}
VIEWS |= {"conversations_from_versions", "repeat_contacts", "resolutions", "restatements"}
VIEWS |= {"items", "transfers", "unlinked_ratings", "dead_letter_states"}
HINDSIGHT = {"waits", "segments", "ratings", "verdicts", "items", "resolutions", "transfers"}
PARAMETERISED = {f"{name}_as_known" for name in HINDSIGHT | {"conversations", "repeat_contacts", "unlinked_ratings"}}
VIEWS |= PARAMETERISED


def _described(settings: Settings) -> dict[str, list[tuple[str, str]]]:
    with connect(settings) as client:
        names = [name for (name,) in client.execute("SHOW TABLES")]
        # A view with a parameter has no columns until it is asked.
        words = {name: "SHOW CREATE TABLE" if name in PARAMETERISED else "DESCRIBE TABLE" for name in names}
        return {name: [row[:2] for row in client.execute(f"{word} {name}")] for name, word in words.items()}


def _keys(settings: Settings) -> dict[str, tuple[str, str, str]]:
    query = (
        "SELECT name, engine_full, sorting_key, partition_key FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    with connect(settings) as client:
        return {
            name: (re.match(r"\w+\([^)]*\)", engine)[0], key, by)  # type: ignore[index]
            for name, engine, key, by in client.execute(query)
        }


def test_up_down_up(empty_clickhouse: Settings) -> None:
    up = migrate(empty_clickhouse)
    after_up = _described(empty_clickhouse)
    down = migrate(empty_clickhouse, to=0)
    assert set(_described(empty_clickhouse)) == {"schema_migrations"}
    again = migrate(empty_clickhouse)
    assert _described(empty_clickhouse) == after_up
    assert set(after_up) == {table.name for table in TABLES} | VIEWS | {"schema_migrations"}
    assert [statement for migration in migrations() for statement in migration.up] == again == up[-len(again) :]
    assert [statement for migration in reversed(migrations()) for statement in migration.down] == down


def test_each_migration_goes_back_to_what_was_before(empty_clickhouse: Settings) -> None:
    upwards = []
    for to in range(NEWEST + 1):
        migrate(empty_clickhouse, to=to)
        upwards.append(_described(empty_clickhouse))
    for to in reversed(range(NEWEST)):
        migrate(empty_clickhouse, to=to)
        assert _described(empty_clickhouse) == upwards[to], to


def test_tables_columns_and_inserts_do_not_drift(empty_clickhouse: Settings) -> None:
    migrate(empty_clickhouse)
    live = _described(empty_clickhouse)
    keys = _keys(empty_clickhouse)
    for table in TABLES:
        assert live[table.name] == [(column.name, column.type) for column in table.columns]
        assert keys[table.name] == (table.engine, ", ".join(table.order_by), "")
        assert table.replaced_by in table.names
        with connect(empty_clickhouse) as client:
            columns = re.findall(r"`([^`]+)`", table.insert)
            assert columns == [name for name, _ in live[table.name]]
            client.execute(table.insert, [])


def test_a_dry_run_tells_everything_and_changes_nothing(empty_clickhouse: Settings) -> None:
    told = migrate(empty_clickhouse, dry_run=True)
    with connect(empty_clickhouse, "default") as client:
        assert (empty_clickhouse.clickhouse_database,) not in client.execute("SHOW DATABASES")
    assert told[0].startswith("CREATE DATABASE")
    assert migrate(empty_clickhouse) == told
    assert migrate(empty_clickhouse, dry_run=True) == migrate(empty_clickhouse) == []
    back = migrate(empty_clickhouse, to=0, dry_run=True)
    assert "events" in _described(empty_clickhouse)
    assert migrate(empty_clickhouse, to=0) == back


def test_a_run_cut_off_in_the_middle_is_finished_by_the_next(empty_clickhouse: Settings) -> None:
    migrate(empty_clickhouse, to=1)
    with connect(empty_clickhouse) as client:
        client.execute(migrations()[1].up[0])
    migrate(empty_clickhouse)
    assert set(_described(empty_clickhouse)) >= VIEWS


def test_several_at_once_end_in_the_same_tables(empty_clickhouse: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: migrate(empty_clickhouse), range(4)))
    assert migrate(empty_clickhouse) == []
    assert set(_described(empty_clickhouse)) >= VIEWS


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(UsageError, match=f"no migration {NEWEST + 1}"):
        migrate(Settings(), to=NEWEST + 1)


def _migration(number: int, digest: str = "a") -> Migration:
    return Migration(number, "m", ("up",), ("down",), digest)


def test_tables_of_a_newer_version_or_an_edited_migration_are_refused() -> None:
    known = [_migration(1), _migration(2)]
    with pytest.raises(Refused, match="migration 3"):
        plan(known, {1: "a", 2: "a", 3: "a"}, 2)
    with pytest.raises(Refused, match="changed after"):
        plan(known, {1: "b"}, 2)


def test_a_gap_is_filled_and_only_what_lies_beyond_goes_back() -> None:
    known = [_migration(number) for number in (1, 2, 3)]
    steps = [(step.migration.number, step.forwards) for step in plan(known, {1: "a", 3: "a"}, 2)]
    assert steps == [(3, False), (2, True)]


@pytest.mark.parametrize("text", ["", "SELECT 1;\n-- up\nA;\n-- down\nB;\n", "-- up\nA;\n"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0001_x.sql"
    path.write_text(text)
    with pytest.raises(UsageError, match="no migration"):
        read_migration(path)


def test_numbers_without_gaps(tmp_path: Path) -> None:
    (tmp_path / "0002_x.sql").write_text("-- why\n\n-- up\nA;\n\n-- down\nB;\n")
    with pytest.raises(UsageError, match="without a gap"):
        migrations(tmp_path)
