"""Servers away for long or without room: bounded memory, no loss, nobody silently out of its group, all of it told."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.local.machine import free_ports
from deploy.local.status import stack_status
from deploy.local.steps import create_topics
from deploy.local.supervisor import Stack
from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.connection import connect
from sinks.migrate import migrate
from streams.app import EXIT_UNFORESEEN
from tests.contract.native_server import PASSWORD, LocalServer
from tests.fixtures_stack import Workers
from tests.stack.processes import WorkerProcess, all_landed, committed, ends, facts, until
from tests.stack.small_disk import SmallDisk, SmallKafka
from tests.stack.test_rebalance import members
from tests.stack.test_stream import Writer, assert_nothing_is_acknowledged_ahead, histories, offline

pytestmark = pytest.mark.stack

BUFFER = 1_000
SESSION_SECONDS = 6.0
MESSAGES = 1_600
# In a process of its own: the client leaves sockets behind where nobody listens any more.
SENDING = """
import sys
from kafka import KafkaProducer
KafkaProducer(bootstrap_servers=sys.argv[1], acks="all").send(sys.argv[2], bytes(100_000), partition=0).get(600)
"""


class Scene:
    """A pipeline on a ClickHouse of its own, whose buffer is full before everything is read."""

    def __init__(self, servers: Settings, tmp_path: Path) -> None:
        self._folder = tmp_path
        self.database = LocalServer(tmp_path).wait_ready()
        self.settings = servers.model_copy(
            update={
                "clickhouse": f"127.0.0.1:{self.database.port}",
                "clickhouse_password": SecretStr(PASSWORD),
                "topic_prefix": f"{tmp_path.name.replace('_', '-').lower()}.",
                "flush_seconds": 0.2,
                "buffer_events": BUFFER,
                "session_seconds": SESSION_SECONDS,
                # The client asks on for partitions of which nothing waits: with one it asks for none.
                "partitions": 1,
            }
        )
        create_topics(self.settings)
        migrate(self.settings)
        self.writer, self.workers = Writer(self.settings), Workers(self.settings)
        self.everything = histories(districts=4, conversations=MESSAGES // 16)

    def take_away(self) -> None:
        """Kill ClickHouse, then write every event as a message of its own."""
        self.database.stop(signal.SIGKILL)
        for district, events in self.everything.items():
            for each in events:
                self.writer.write(district, json.dumps(each).encode())
        assert sum(ends(self.settings).values()) == MESSAGES

    def bring_back(self) -> None:
        """Start ClickHouse on its data, and wait until all has landed."""
        self.database = LocalServer(self._folder, self.database.port).wait_ready()
        until(lambda: all_landed(self.settings), "everything that was written")
        assert_nothing_is_acknowledged_ahead(self.settings, self.writer)
        assert facts(self.settings) == offline(self.everything)

    def end(self) -> None:
        """End everything of its own."""
        self.workers.end()
        self.writer.close()
        self.database.stop(signal.SIGKILL)


@pytest.fixture
def scene(servers: Settings, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(servers, tmp_path)
    yield made
    made.end()


def stalled(worker: WorkerProcess, **labels: str) -> float:
    return worker.value("cx_stalled_seconds", **labels)


def test_a_worker_whose_buffer_is_full_stops_reading_says_so_and_stays_in_its_group(scene: Scene) -> None:
    worker = scene.workers.start().wait_ready()
    assigned = worker.value("cx_partitions_assigned_total")
    scene.take_away()
    until(lambda: worker.value("cx_reading_paused") == 1, "a pause")
    read = worker.value("cx_messages_total")
    assert BUFFER <= worker.value("cx_buffer_events") < BUFFER + 10
    until(lambda: stalled(worker, step="landing", why="clickhouse") > 2 * SESSION_SECONDS, "a stall past its session")
    assert worker.value("cx_messages_total") == read < MESSAGES
    assert (members(scene.settings), committed(scene.settings)) == (1, {})
    scene.bring_back()
    until(lambda: stalled(worker) == 0, "the end of the stall")
    assert worker.value("cx_reading_paused") == 0
    assert worker.value("cx_messages_total") >= MESSAGES
    # It never had to be given its partitions again.
    assert worker.value("cx_partitions_assigned_total") == assigned


def test_a_worker_that_left_its_group_ends_itself_and_the_next_one_catches_up(scene: Scene) -> None:
    worker = scene.workers.start("tests.faults.impatient_worker").wait_ready()
    scene.take_away()
    until(lambda: worker.process.poll() is not None, "the end of a worker without partitions")
    assert worker.process.returncode == EXIT_UNFORESEEN
    assert "left its group" in worker.log.read_text()
    again = scene.workers.start()
    until(lambda: stalled(again, step="recovery", why="clickhouse") > 0, "a recovery that waits")
    scene.bring_back()
    assert again.process.poll() is None


def test_a_full_disk_is_told_and_waited_for(tmp_path: Path) -> None:
    kafka, controller, metrics = free_ports(3)
    (tmp_path / "small").mkdir()
    everything = histories(districts=6, conversations=10)
    parts = list(everything.items())
    with SmallDisk(tmp_path / "small") as disk:
        settings = Settings(
            data=tmp_path / "data",
            kafka_port=kafka,
            kafka_controller_port=controller,
            metrics_port=metrics,
            partitions=4,
            clickhouse=f"127.0.0.1:{disk.server.port}",
            clickhouse_password=SecretStr(PASSWORD),
        )
        with Stack(settings, ("kafka", "clickhouse", "worker")) as stack:
            writer = Writer(stack.settings)
            for district, events in parts[:2]:
                writer.write(district, json.dumps(events).encode())
            until(lambda: all_landed(stack.settings), "the first part")
            before, landed = committed(stack.settings), facts(stack.settings)
            disk.fill()
            for district, events in parts[2:]:
                writer.write(district, json.dumps(events).encode())
            until(
                lambda: "the disk is full" in " ".join(stack_status(settings).sentences()), "a full disk that is told"
            )
            until(lambda: _health(settings) == ("healthy", "unhealthy"), "a worker that is not well, its server is")
            assert (committed(stack.settings), facts(stack.settings)) == (before, landed)
            disk.free()
            until(lambda: all_landed(stack.settings), "the rest")
            assert_nothing_is_acknowledged_ahead(stack.settings, writer)
            assert facts(stack.settings) == offline(everything)
            until(lambda: stack_status(settings).is_healthy, "a worker that is well")
            assert stack_status(settings).parts["worker"].restarts == 0
            writer.close()


def test_a_kafka_that_is_down_is_told_and_come_back_to(servers: Settings, tmp_path: Path) -> None:
    kafka, controller = free_ports(2)
    own = Settings(data=tmp_path, kafka_port=kafka, kafka_controller_port=controller, partitions=4)
    everything = histories(districts=4, conversations=5)
    parts = list(everything.items())
    with Stack(own, ("kafka",)) as stack:
        clickhouse = {name: getattr(servers, name) for name in ("clickhouse_port", "clickhouse_password")}
        settings = stack.settings.model_copy(update={**clickhouse, "clickhouse_database": "without_kafka"})
        create_topics(settings)
        migrate(settings)
        workers = Workers(settings)
        running = [workers.start().wait_ready()]
        _write(settings, parts[:2])
        until(lambda: all_landed(settings), "the first part")
        _kill_kafka(stack)
        until(lambda: stalled(running[0], step="group", why="kafka") > 0, "a group that does not answer")
        until(lambda: _is_back(stack), "Kafka")
        _write(settings, parts[2:])
        until(lambda: _landed_by(workers, running) and all_landed(settings), "the rest")
        assert facts(settings) == offline(everything)
        until(lambda: stalled(running[-1]) == 0, "the end of the stall")
        workers.end()
        with connect(settings, "default") as client:
            client.execute("DROP DATABASE without_kafka")


def test_a_kafka_whose_disk_is_full_is_told_and_caught_up_with(servers: Settings, tmp_path: Path) -> None:
    kafka, controller = free_ports(2)
    own = Settings(data=tmp_path / "small", kafka_port=kafka, kafka_controller_port=controller, partitions=4)
    everything = histories(districts=4, conversations=20)
    parts = list(everything.items())
    with SmallKafka(own) as small, ExitStack() as held:
        clickhouse = {name: getattr(servers, name) for name in ("clickhouse_port", "clickhouse_password")}
        settings = own.model_copy(update={**clickhouse, "clickhouse_database": "small_kafka"})
        migrate(settings)
        workers = Workers(settings)
        held.callback(workers.end)
        running = [workers.start().wait_ready()]
        _write(settings, parts[:2])
        until(lambda: all_landed(settings), "the first part")
        landed = facts(settings)
        small.fill()
        sending = subprocess.Popen([sys.executable, "-c", SENDING, settings.kafka_address, settings.topic(EVENTS)])
        held.callback(sending.kill)
        until(lambda: small.health == "down", "a broker that has no room")
        until(lambda: stalled(running[0], step="group", why="kafka") > 0, "a group that does not answer")
        assert facts(settings) == landed
        small.free()
        until(lambda: small.health == "healthy", "a broker that has room again")
        sending.kill()
        sending.wait()
        _write(settings, parts[2:])
        until(lambda: _landed_by(workers, running) and all_landed(settings), "the rest")
        assert facts(settings) == offline(everything)
        workers.end()
        with connect(settings, "default") as client:
            client.execute("DROP DATABASE small_kafka")


def _health(settings: Settings) -> tuple[str, str]:
    """Of ClickHouse and of the worker."""
    parts = stack_status(settings).parts
    return parts["clickhouse"].health, parts["worker"].health


def _kill_kafka(stack: Stack) -> None:
    state = stack.data.read()
    identity: Any = state.children["kafka"].identity if state else None
    identity.send(signal.SIGKILL)


def _is_back(stack: Stack) -> bool:
    stack.tick()
    state = stack.data.read()
    return state is not None and state.children["kafka"].state == "ready"


def _write(settings: Settings, parts: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """Over a connection of its own: the client leaves sockets behind where nobody listens any more."""
    writer = Writer(settings)
    for district, events in parts:
        writer.write(district, json.dumps(events).encode())
    writer.close()


def _landed_by(workers: Workers, running: list[WorkerProcess]) -> bool:
    """Start another where one ended itself because nobody gave it partitions for a minute, as a supervisor does."""
    if running[-1].process.poll() is not None:
        assert running[-1].process.returncode == EXIT_UNFORESEEN
        running.append(workers.start())
    return True
