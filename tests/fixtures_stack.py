"""Kafka and ClickHouse for tests: one local stack a session, fresh topics, group and database for each test."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from deploy.local.machine import free_ports
from deploy.local.state import child_environment
from deploy.local.steps import create_topics
from deploy.local.supervisor import Stack
from schemas.settings import Settings
from sinks.connection import connect
from tests.fixtures_clickhouse import Template
from tests.stack.processes import WorkerProcess

_NUMBERS = count(1)
PARTITIONS = 16


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of the session's Kafka and ClickHouse."""
    kafka, controller, clickhouse = free_ports(3)
    settings = Settings(
        data=tmp_path_factory.mktemp("stack"),
        kafka_port=kafka,
        kafka_controller_port=controller,
        clickhouse_port=clickhouse,
        partitions=PARTITIONS,
    )
    with Stack(settings, ("kafka", "clickhouse")) as stack:
        yield stack.settings


@pytest.fixture(scope="session")
def stack_template(servers: Settings) -> Template:
    """What the migrations make on the session's ClickHouse."""
    return Template(servers)


@pytest.fixture
def stream(servers: Settings, stack_template: Template) -> Iterator[Settings]:
    """Settings of a pipeline of its own: topics, group, database, metrics port."""
    number = next(_NUMBERS)
    settings = servers.model_copy(
        update={
            "topic_prefix": f"test-{number}.",
            "clickhouse_database": f"stream_{number}",
            "metrics_port": free_ports(1)[0],
            "flush_seconds": 0.2,
        }
    )
    create_topics(settings)
    stack_template.copy(settings)
    yield settings
    with connect(settings, "default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {settings.clickhouse_database}")


class Workers:
    """Starts worker processes and ends those still running, by their own process ids."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._started: list[WorkerProcess] = []

    def start(self, module: str = "deploy.cli", **environment: str) -> WorkerProcess:
        """Start a worker; `module` may be a test's own that breaks something before it runs one."""
        (port,) = free_ports(1)
        variables = {**os.environ, **child_environment(self.settings), **environment}
        worker = WorkerProcess(module, port, variables, self.settings.data / "logs")
        self._started.append(worker)
        return worker

    def end(self) -> None:
        """Kill what is left."""
        for worker in self._started:
            worker.kill()


@pytest.fixture
def workers(stream: Settings) -> Iterator[Workers]:
    """Worker processes of the test's pipeline."""
    made = Workers(stream)
    yield made
    made.end()
