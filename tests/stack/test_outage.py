"""ClickHouse killed in the middle: what was read is kept, nothing is acknowledged, everything lands in the end."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.machine import free_ports
from deploy.local.steps import create_topics
from schemas.alerts import MET_LATE, STEPS
from schemas.settings import Settings
from sinks.connection import connect
from sinks.migrate import migrate
from tests.contract.native_server import PASSWORD, LocalServer
from tests.fixtures_stack import Workers
from tests.receiver import Receiver
from tests.stack.processes import all_landed, committed, ends, facts, until
from tests.stack.test_alerts import Feed, rows
from tests.stack.test_stream import Writer, assert_nothing_is_acknowledged_ahead, histories, offline

pytestmark = pytest.mark.stack


def prepared(servers: Settings, database: LocalServer, prefix: str) -> Settings:
    """Settings of a pipeline of its own, with a ClickHouse that may be killed."""
    settings = servers.model_copy(
        update={
            "clickhouse": f"127.0.0.1:{database.port}",
            "clickhouse_password": SecretStr(PASSWORD),
            "topic_prefix": prefix,
            "metrics_port": free_ports(1)[0],
            "flush_seconds": 0.2,
        }
    )
    create_topics(settings)
    migrate(settings)
    return settings


def test_a_clickhouse_that_is_down_is_waited_for(servers: Settings, tmp_path: Path) -> None:
    everything = histories(districts=6, conversations=10)
    parts = list(everything.items())
    database = LocalServer(tmp_path).wait_ready()
    settings = prepared(servers, database, "outage.")
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


def test_alerts_go_out_while_clickhouse_is_down_and_land_once_when_it_is_back(
    servers: Settings, tmp_path: Path
) -> None:
    database = LocalServer(tmp_path).wait_ready()
    settings = prepared(servers, database, "outage-alerts.")
    workers, feed = Workers(settings), Feed(settings)
    try:
        with Receiver() as receiver:

            def told(conversation: str) -> list[str]:
                bodies = [json.loads(call.body) for call in receiver.calls]
                return [body["transition"] for body in bodies if body["conversation"] == conversation]

            def all_told(conversation: str) -> bool:
                return told(conversation) == list(STEPS)

            workers.start(CX_WEBHOOK=receiver.address).wait_ready()
            feed.add("inquiry", "before")
            until(lambda: told("before") == list(STEPS), "a promise broken while all is well")
            assert database.stop(signal.SIGKILL) != 0
            for name in ("first", "second"):
                feed.add("inquiry", name)
                until(partial(all_told, name), "a promise broken while ClickHouse is down")
            feed.add("reply", "first")
            until(lambda: told("first") == [*STEPS, MET_LATE], "its end")
            database = LocalServer(tmp_path, database.port).wait_ready()
            until(lambda: all_landed(settings), "all of it")
        expected = {(name, step, 1) for name in ("before", "first", "second") for step in STEPS}
        until(lambda: rows(settings).keys() == expected | {("first", MET_LATE, 1)}, "every alert in the table")
        # What landed in the moment of the kill, unacknowledged, lands again over itself.
        with connect(settings) as client:
            ((found, different),) = client.execute(
                "SELECT count(), uniqExact(conversation, transition) FROM alerts FINAL"
            )
        assert (found, different) == (len(expected) + 1,) * 2
    finally:
        workers.end()
        feed.close()
        database.stop(signal.SIGKILL)
