"""The local stack by its command line: ready, durable, clean at the end, no orphans after a kill."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.local.identity import Identity
from deploy.local.machine import free_ports
from deploy.local.state import DataDirectory, child_environment, effective_settings, python_command
from deploy.local.status import StackStatus
from deploy.local.supervisor import Stack
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS
from sinks.connection import connect
from tests.stack.ports import taken_port

pytestmark = pytest.mark.stack
SERVERS = "kafka,clickhouse"
PATIENCE = 60.0


@dataclass(frozen=True)
class Machine:
    """One data directory with free ports of its own, driven as a person would."""

    settings: Settings

    @classmethod
    def make(cls, folder: Path) -> "Machine":
        names = ("kafka_port", "kafka_controller_port", "clickhouse_port", "web_port", "metrics_port")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        return cls(Settings.model_validate({"data": folder / "data", "partitions": 3, **ports}))

    def cx(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            python_command("deploy.cli", *arguments),
            env=child_environment(self.settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def up(self, parts: str = SERVERS) -> None:
        done = self.cx("up", "--detach", "--only", parts)
        assert done.returncode == 0, done.stderr

    def status(self) -> StackStatus:
        return StackStatus.model_validate_json(self.cx("status", "--json").stdout)

    def gets_healthy(self) -> bool:
        """Whether it is, or will be: on a busy machine a server may answer a look too late."""
        return eventually(lambda: self.status().is_healthy)

    def processes(self) -> list[Identity]:
        """The supervisor, then its children."""
        state = DataDirectory(self.settings).running()
        assert state is not None
        children = [child.identity for child in state.children.values() if child.identity]
        return [state.supervisor, *children]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine.make(tmp_path)
    yield machine
    machine.cx("down", "--purge")


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true within a generous time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def write(settings: Settings, word: str) -> None:
    """Leave a word in Kafka and in ClickHouse."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_address, max_request_size=12_000_000)
    producer.send(DEAD_LETTERS, word.encode(), partition=1).get(timeout=30)
    producer.close()
    with connect(settings) as client:
        client.execute("CREATE TABLE IF NOT EXISTS word (word String) ENGINE = MergeTree ORDER BY word")
        client.execute("INSERT INTO word VALUES", [(word,)])


def read(settings: Settings) -> tuple[list[str], list[str]]:
    """The words in Kafka and in ClickHouse."""
    partition = TopicPartition(DEAD_LETTERS, 1)
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_address, auto_offset_reset="earliest")
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    words: list[str] = []
    while len(words) < end:
        words += [record.value.decode() for record in consumer.poll(1_000).get(partition, [])]
    consumer.close()
    with connect(settings) as client:
        return words, [word for (word,) in client.execute("SELECT word FROM word ORDER BY word")]


def test_data_outlive_the_stack_and_nothing_else_does(machine: Machine) -> None:
    machine.up()
    status = machine.status()
    assert (status.phase, set(status.parts)) == ("ready", {"kafka", "clickhouse"})
    assert machine.gets_healthy()
    settings = effective_settings(machine.settings)
    large = "x" * 11_000_000
    write(settings, large)
    before = machine.processes()
    before[0].send(signal.SIGTERM)
    assert eventually(lambda: not any(process.is_alive() for process in before))
    assert machine.cx("status").returncode == 4

    machine.up()
    assert read(settings) == ([large], [large])
    before = machine.processes()
    assert machine.cx("down").returncode == 0
    assert not any(process.is_alive() for process in before)
    assert machine.cx("down", "--purge").returncode == 0
    assert not machine.settings.data.exists()


def test_what_dies_is_started_again_and_nothing_outlives_a_kill(machine: Machine) -> None:
    machine.up("clickhouse")
    machine.processes()[1].send(signal.SIGKILL)
    assert eventually(lambda: machine.status().parts["clickhouse"].restarts == 1 and machine.status().is_healthy)
    left = machine.processes()
    left[0].send(signal.SIGKILL)
    assert eventually(lambda: not any(process.is_alive() for process in left))
    machine.up("clickhouse")
    assert machine.gets_healthy()


def test_two_stacks_side_by_side_and_only_one_in_a_directory(machine: Machine, tmp_path: Path) -> None:
    machine.up("clickhouse")
    second = machine.cx("up", "--only", "clickhouse")
    assert second.returncode == EnvironmentProblem.exit_code
    assert "already runs" in second.stderr
    with Stack(Machine.make(tmp_path / "other").settings, parts=("clickhouse",)) as stack:
        write_settings = stack.settings
        with connect(write_settings, "default") as client:
            assert client.execute("SELECT 1") == [(1,)]
    assert machine.gets_healthy()
    assert DataDirectory(write_settings).supervisor() is None


@pytest.mark.parametrize("detached", [False, True])
def test_a_taken_port_is_one_sentence(tmp_path: Path, detached: bool) -> None:
    with taken_port() as port:
        machine = Machine(Settings(data=tmp_path / "data", clickhouse_port=port))
        done = machine.cx("up", "--only", "clickhouse", *(["--detach"] if detached else []))
    assert done.returncode == EnvironmentProblem.exit_code
    assert "set CX_CLICKHOUSE_PORT to a free port" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_it_starts_leaves_nothing(machine: Machine) -> None:
    process = subprocess.Popen(
        python_command("deploy.cli", "up", "--only", "clickhouse"),
        env=child_environment(machine.settings),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    data = DataDirectory(machine.settings)

    def has_child() -> bool:
        state = data.running()
        return state is not None and any(child.identity for child in state.children.values())

    assert eventually(has_child)
    left = machine.processes()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 130)
    assert "Traceback" not in errors
    assert not any(identity.is_alive() for identity in left)


def test_a_configured_server_is_looked_at_and_not_started(machine: Machine, tmp_path: Path) -> None:
    machine.up("clickhouse")
    mine = effective_settings(machine.settings)
    host, port = mine.clickhouse_address
    changes = {"data": tmp_path / "other", "clickhouse": f"{host}:{port}"}
    other = Machine(mine.model_copy(update=changes))
    other.up("clickhouse")
    status = json.loads(other.cx("status", "--json").stdout)
    assert status["parts"]["clickhouse"]["pid"] is None
    assert status["parts"]["clickhouse"]["health"] == "healthy"
    assert other.cx("down", "--purge").returncode == 0
    assert machine.gets_healthy()
