"""ClickHouse for tests: the real engine as a process of the session, migrated and empty tables for each test."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from clickhouse_driver import Client
from pydantic import SecretStr

from schemas.settings import Settings
from sinks.connection import connect
from sinks.migrate import migrate
from tests.contract.native_server import PASSWORD, LocalServer

_NUMBERS = count(1)


class Template:
    """A migrated database, copied for each test: that takes a fifth of what its migrations take."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update={"clickhouse_database": "template"})
        migrate(self._settings)

    def copy(self, settings: Settings) -> None:
        """Make the database of these settings, on the same server, as the migrations leave it."""
        with connect(self._settings) as client:
            # Such a backup lives as long as its connection.
            client.execute("BACKUP DATABASE template TO Memory('template')")
            client.execute(f"RESTORE DATABASE template AS {settings.clickhouse_database} FROM Memory('template')")


_TABLES = """
SELECT name, replaceAll(create_table_query, currentDatabase(), '') FROM system.tables
WHERE database = currentDatabase() ORDER BY name
"""
_FILLED = """
SELECT DISTINCT table FROM system.parts
WHERE active AND database = currentDatabase() AND table != 'schema_migrations'
"""


class Copies:
    """Copies of a migrated database; emptied after a test for the next one, which takes a fifth of making one."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._template = Template(_settings(server, "default"))
        self._free: list[Settings] = []
        self._tables: list[tuple[str, str]] = []

    def take(self) -> Settings:
        """Settings of a database as the migrations leave it."""
        if self._free:
            return self._free.pop()
        settings = _settings(self._server, f"cx_copy_{next(_NUMBERS)}")
        self._template.copy(settings)
        with connect(settings) as client:
            self._tables = self._tables or client.execute(_TABLES)
        return settings

    def give_back(self, settings: Settings) -> None:
        """Empty a database; drop it if the test left other tables in it than it found."""
        with connect(settings) as client:
            if client.execute(_TABLES) != self._tables:
                client.execute(f"DROP DATABASE {settings.clickhouse_database}")
                return
            for (table,) in client.execute(_FILLED):
                client.execute(f"TRUNCATE TABLE {table}")
        self._free.append(settings)


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The one server of a test run; started by the first test that needs it."""
    with LocalServer(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


def _settings(server: LocalServer, database: str) -> Settings:
    return Settings(
        clickhouse=f"127.0.0.1:{server.port}",
        clickhouse_password=SecretStr(PASSWORD),
        clickhouse_database=database,
    )


@pytest.fixture(scope="session")
def clickhouse_copies(clickhouse_server: LocalServer) -> Copies:
    """Databases with all tables on that server."""
    return Copies(clickhouse_server)


@pytest.fixture
def empty_clickhouse(clickhouse_server: LocalServer) -> Iterator[Settings]:
    """Settings of a database that does not exist yet; dropped after the test."""
    settings = _settings(clickhouse_server, f"cx_test_{next(_NUMBERS)}")
    yield settings
    with connect(settings, "default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {settings.clickhouse_database}")


@pytest.fixture
def clickhouse(clickhouse_copies: Copies) -> Iterator[Settings]:
    """Settings of a database with all tables, and nothing in them."""
    settings = clickhouse_copies.take()
    yield settings
    clickhouse_copies.give_back(settings)


@pytest.fixture
def query(clickhouse: Settings) -> Iterator[Callable[..., list[tuple[object, ...]]]]:
    """Ask the test's database: `query(text, parameters)` gives rows."""

    def ask(text: str, parameters: dict[str, object] | None = None) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = client.execute(text, parameters)
        return rows

    client: Client
    with connect(clickhouse) as client:
        yield ask
