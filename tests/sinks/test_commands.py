"""`./cx migrate` and `./cx sql` as a person types them, against the real engine."""

import json

import pytest

from deploy.cli.main import main
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing
from sinks.migrate import migrations
from tests.contract.native_server import free_port
from tests.sinks.samples import NOW_MS, conversation, everything

REFUSED = 5
UNAVAILABLE = 4
USAGE = 2


@pytest.fixture
def configured(empty_clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The environment points to a database of this test."""
    assert empty_clickhouse.clickhouse is not None
    monkeypatch.setenv("CX_CLICKHOUSE", empty_clickhouse.clickhouse)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", empty_clickhouse.clickhouse_password.get_secret_value())
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", empty_clickhouse.clickhouse_database)
    return empty_clickhouse


@pytest.fixture
def filled(configured: Settings) -> Settings:
    """The same with some facts."""
    assert main(["migrate"]) == 0
    sink = ClickHouseSink(configured)
    sink.land(everything())
    sink.close()
    return configured


@pytest.mark.usefixtures("configured")
def test_migrate_prints_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "would be executed" in told.err
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == told.out
    assert all(statement + ";" in told.out for migration in migrations() for statement in migration.up)
    assert main(["migrate", "--to", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["dry_run"] is False
    back = [statement for migration in reversed(migrations()) if migration.number > 1 for statement in migration.down]
    assert result["statements"] == back
    assert main(["migrate", "--to", "99"]) == USAGE
    assert "no migration 99" in capsys.readouterr().err


@pytest.mark.usefixtures("filled")
def test_sql_shows_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["sql", "SELECT unit, path, version FROM current_units ORDER BY unit"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("unit", "version", "north", '["north", "d"]'))
    assert main(["sql", "SELECT 'a\x1b[31mb' AS x, NULL AS y"]) == 0
    out = capsys.readouterr().out
    assert "\x1b[31mb" not in out
    assert "null" in out


@pytest.mark.usefixtures("filled")
def test_sql_writes_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    text = "SELECT district, landed_at, verdicts.due_at AS due, [1.5, NULL] AS x FROM conversations ORDER BY district"
    assert main(["sql", text, "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["district"], second["district"]) == ("d", "e")
    assert first["landed_at"] == "2025-10-09T08:53:20.123Z"
    assert first["x"] == [1.5, None]
    assert all(due is None or due.endswith("Z") for due in first["due"] + second["due"])


@pytest.mark.usefixtures("filled")
def test_sql_keeps_a_table_readable(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["sql", "SELECT number FROM numbers(1001)"]) == 0
    assert "first 1000 rows" in capsys.readouterr().err
    assert main(["sql", "CREATE TABLE t (a UInt8) ENGINE = Memory"]) == 0
    assert "no rows" in capsys.readouterr().err


def test_a_failure_is_one_sentence_and_an_exit_code(
    configured: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate"]) == 0
    capsys.readouterr()
    assert main(["sql", "SELEC 1"]) == REFUSED
    assert main(["sql", "SELECT * FROM nothing"]) == REFUSED
    monkeypatch.setenv("CX_CLICKHOUSE", f"127.0.0.1:{free_port()}")
    assert main(["sql", "SELECT 1"]) == UNAVAILABLE
    assert main(["migrate"]) == UNAVAILABLE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("cx: ClickHouse at") for line in lines)
    assert configured.clickhouse_password.get_secret_value() not in "".join(lines)


def test_the_hand_over_to_the_current_row_goes_with_the_version(filled: Settings) -> None:
    sink = ClickHouseSink(filled)
    sink.land(Landing(NOW_MS, conversations=[conversation("d", "z", 1)]))
    sink.close()
    assert main(["sql", "SELECT throwIf(count() != 1) FROM conversations WHERE conversation = 'z'", "--json"]) == 0
