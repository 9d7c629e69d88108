"""ClickHouse killed in the middle: what was read is kept, nothing is acknowledged, everything lands in the end."""

import json
import signal
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.machine import free_ports
from deploy.local.steps import create_topics
from schemas.settings import Settings
from sinks.migrate import migrate
from tests.contract.native_server import PASSWORD, LocalServer
from tests.fixtures_stack import Workers
from tests.stack.processes import all_landed, committed, ends, facts, until
from tests.stack.test_stream import Writer, assert_nothing_is_acknowledged_ahead, histories, offline

pytestmark = pytest.mark.stack


def test_a_clickhouse_that_is_down_is_waited_for(servers: Settings, tmp_path: Path) -> None:
    everything = histories(districts=6, conversations=10)
    parts = list(everything.items())
    database = LocalServer(tmp_path).wait_ready()
    settings = servers.model_copy(
        update={
            "clickhouse": f"127.0.0.1:{database.port}",
            "clickhouse_password": SecretStr(PASSWORD),
            "topic_prefix": "outage.",
            "metrics_port": free_ports(1)[0],
            "flush_seconds": 0.2,
        }
    )
    create_topics(settings)
    migrate(settings)
    writer, workers = Writer(settings), Workers(settings)
    try:
        workers.start().wait_ready()
        for district, events in parts[:2]:
            writer.write(district, json.dumps(events).encode())
        until(lambda: all_landed(settings), "the first part")
        assert database.stop(signal.SIGKILL) != 0
        before = committed(settings)
        for district, events in parts[2:]:
            writer.write(district, json.dumps(events).encode())
        workers.start()
        until(lambda: sum(ends(settings).values()) == len(parts), "all messages in Kafka")
        assert committed(settings) == before
        database = LocalServer(tmp_path, database.port).wait_ready()
        until(lambda: all_landed(settings), "the rest")
        assert_nothing_is_acknowledged_ahead(settings, writer)
        assert facts(settings) == offline(everything)
    finally:
        workers.end()
        writer.close()
        database.stop(signal.SIGKILL)
