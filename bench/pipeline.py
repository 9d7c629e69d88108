"""The whole way, Kafka to ClickHouse, through one worker: events per second from the first message to the last row."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.workload import configured, messages
from deploy.local.health import http_is_ready
from deploy.local.machine import free_ports
from deploy.local.state import child_environment, python_command
from deploy.local.supervisor import Stack
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from sinks.connection import connect
from sinks.migrate import migrate
from streams.intake.producer import EventProducer, encode

DISTRICT = "bench"
CONVERSATIONS = 20_000
EVENTS_PER_MESSAGE = 500
PATIENCE = 300.0


def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise EnvironmentProblem(f"The benchmark waited {PATIENCE:.0f} s for {what}.")
        time.sleep(0.05)


def _landed(settings: Settings) -> int:
    with connect(settings) as client:
        return int(
            client.execute("SELECT countDistinct(conversation) FROM conversations WHERE status = 'resolved'")[0][0]
        )


def measure() -> dict[str, float]:
    """Start a stack of its own in a temporary directory, send, wait, stop."""
    batch = messages(DISTRICT, CONVERSATIONS, EVENTS_PER_MESSAGE)
    kafka, controller, clickhouse, metrics = free_ports(4)
    with tempfile.TemporaryDirectory(prefix="cx-bench-") as folder:
        settings = Settings(
            data=Path(folder) / "data",
            kafka_port=kafka,
            kafka_controller_port=controller,
            clickhouse_port=clickhouse,
            metrics_port=metrics,
        )
        with Stack(settings, ("kafka", "clickhouse")) as stack:
            migrate(stack.settings)
            seconds = _through_a_worker(stack.settings, batch)
    count = CONVERSATIONS * 3
    return {"events": count, "seconds": round(seconds, 3), "pipeline_events_per_s": round(count / seconds)}


def _through_a_worker(settings: Settings, batch: list[bytes]) -> float:
    environment = {**os.environ, **child_environment(settings)}
    log = Path(settings.data) / "logs" / "bench-worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            python_command("deploy.cli", "worker"), env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _until(lambda: http_is_ready("127.0.0.1", settings.metrics_port, "/ready"), "a worker that is ready")
        with EventProducer(settings) as producer:
            producer.publish(DISTRICT, encode(configured(DISTRICT)).content).result(30)
            started = time.perf_counter()
            for message in batch:
                producer.publish(DISTRICT, message)
            _until(lambda: _landed(settings) >= CONVERSATIONS, "all rows")
            return time.perf_counter() - started
    finally:
        worker.terminate()
        worker.wait(30)
