"""ClickHouse for tests: the real engine as a process of the test session, a fresh migrated database for each test."""

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
def clickhouse_template(clickhouse_server: LocalServer) -> Template:
    """What the migrations make on that server."""
    return Template(_settings(clickhouse_server, "default"))


@pytest.fixture
def empty_clickhouse(clickhouse_server: LocalServer) -> Iterator[Settings]:
    """Settings of a database that does not exist yet; dropped after the test."""
    settings = _settings(clickhouse_server, f"cx_test_{next(_NUMBERS)}")
    yield settings
    with connect(settings, "default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {settings.clickhouse_database}")


@pytest.fixture
def clickhouse(empty_clickhouse: Settings, clickhouse_template: Template) -> Settings:
    """Settings of a fresh database with all tables."""
    clickhouse_template.copy(empty_clickhouse)
    return empty_clickhouse


@pytest.fixture
def query(clickhouse: Settings) -> Iterator[Callable[..., list[tuple[object, ...]]]]:
    """Ask the test's database: `query(text, parameters)` gives rows."""

    def ask(text: str, parameters: dict[str, object] | None = None) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = client.execute(text, parameters)
        return rows

    client: Client
    with connect(clickhouse) as client:
        yield ask
