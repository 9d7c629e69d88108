"""A stack of the benchmark's own, in a temporary directory on free ports, and a worker on it."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.health import http_is_ready, http_text
from deploy.local.machine import free_ports
from deploy.local.state import child_environment, python_command
from deploy.local.supervisor import Stack
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.topics import DEFAULT_PARTITIONS
from sinks.migrate import migrate

PATIENCE = 300.0


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; raises `EnvironmentProblem` if it never does."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise EnvironmentProblem(f"The benchmark waited {PATIENCE:.0f} s for {what}.")
        time.sleep(0.05)


@contextmanager
def servers(partitions: int = DEFAULT_PARTITIONS) -> Iterator[Settings]:
    """Settings of a Kafka and a ClickHouse with topics and tables."""
    kafka, controller, clickhouse, metrics = free_ports(4)
    with tempfile.TemporaryDirectory(prefix="cx-bench-") as folder:
        settings = Settings(
            data=Path(folder) / "data",
            kafka_port=kafka,
            kafka_controller_port=controller,
            clickhouse_port=clickhouse,
            metrics_port=metrics,
            partitions=partitions,
        )
        with Stack(settings, ("kafka", "clickhouse")) as stack:
            migrate(stack.settings)
            yield stack.settings


class Running:
    """A worker process that runs."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._port = port

    @property
    def is_ready(self) -> bool:
        """Whether it owns partitions and has recovered them all."""
        return http_is_ready("127.0.0.1", self._port, "/ready")

    def value(self, metric: str) -> float:
        """The sum of a metric's samples; 0 if it has none."""
        families = text_string_to_metric_families(http_text("127.0.0.1", self._port, "/metrics"))
        return sum(sample.value for family in families for sample in family.samples if sample.name == metric)


@contextmanager
def worker(settings: Settings, is_awaited: bool = True) -> Iterator[Running]:
    """A worker process, ready if it is to be awaited; ended with the block."""
    environment = {**os.environ, **child_environment(settings)}
    log = Path(settings.data) / "logs" / "bench-worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            python_command("deploy.cli", "worker"), env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    running = Running(process.pid, settings.metrics_port)
    try:
        if is_awaited:
            until(lambda: running.is_ready, "a worker that is ready")
        yield running
    finally:
        process.terminate()
        process.wait(30)
