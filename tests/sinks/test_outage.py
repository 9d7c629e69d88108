"""A landing that fails is tried again as it is: nothing is lost, nothing counts twice."""

import signal
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.errors import Unavailable
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.memory import MemorySink
from sinks.migrate import migrate
from sinks.reading import ClickHouseReader
from sinks.tables import TABLES
from tests.contract.native_server import PASSWORD, LocalServer
from tests.sinks.samples import everything


def test_a_killed_server_is_waited_for_and_has_kept_everything(tmp_path: Path) -> None:
    landing = everything()
    with LocalServer(tmp_path) as server:
        address = f"127.0.0.1:{server.port}"
        settings = Settings(clickhouse=address, clickhouse_password=SecretStr(PASSWORD))
        migrate(settings)
        sink, reader = ClickHouseSink(settings), ClickHouseReader(settings)
        sink.land(landing)
        server.stop(signal.SIGKILL)
        with pytest.raises(Unavailable):
            sink.land(landing)
        with pytest.raises(Unavailable):
            reader.districts()
    with LocalServer(tmp_path, server.port):
        assert reader.districts() == ["d", "e"]
        sink.land(landing)
        assert len(list(reader.district_events(["d", "e"]))) == len(landing.events)
        assert len(reader.versions_of("d", ["a"]) | reader.versions_of("e", ["x"])) == len(landing.conversations)
        sink.close()
        reader.close()


# Facts come from their versions, cells of days from facts, decisions, replays and marks of retention from commands: no
# landing writes them.
NOT_LANDED = ("conversations", "daily_cells", "daily_marks", "dead_letter_decisions", "replays", "retired")


@pytest.mark.parametrize("table", [table.name for table in TABLES if table.name not in NOT_LANDED])
def test_wherever_a_landing_breaks_off_the_next_try_completes_it(table: str) -> None:
    broken = MemorySink([(table, Unavailable("gone", 0.1))])
    whole = MemorySink()
    whole.land(everything())
    with pytest.raises(Unavailable):
        broken.land(everything())
    broken.land(everything())
    assert all(broken.rows(table.name) == whole.rows(table.name) for table in TABLES)
