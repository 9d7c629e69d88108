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


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The one server of a test run; started by the first test that needs it."""
    with LocalServer(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture
def empty_clickhouse(clickhouse_server: LocalServer) -> Iterator[Settings]:
    """Settings of a database that does not exist yet; dropped after the test."""
    settings = Settings(
        clickhouse=f"127.0.0.1:{clickhouse_server.port}",
        clickhouse_password=SecretStr(PASSWORD),
        clickhouse_database=f"cx_test_{next(_NUMBERS)}",
    )
    yield settings
    with connect(settings, "default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {settings.clickhouse_database}")


@pytest.fixture
def clickhouse(empty_clickhouse: Settings) -> Settings:
    """Settings of a fresh database with all tables."""
    migrate(empty_clickhouse)
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
