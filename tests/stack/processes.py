"""Worker processes and what the broker and the database say of them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.health import http_is_ready, http_text
from schemas.facts import NAMES, as_json
from schemas.settings import Settings
from schemas.topics import ALERTS, EVENTS, partition_of
from schemas.vocabulary import to_ms
from sinks.connection import connect

PATIENCE = 120.0
_NUMBERS = count(1)


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something holds; fail with its name if it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


class WorkerProcess:
    """One worker of the test's own, in its own process group."""

    def __init__(self, module: str, port: int, environment: Mapping[str, str], logs: Path) -> None:
        self.port = port
        self.log = logs / f"test-worker-{next(_NUMBERS)}.log"
        command = [sys.executable, "-m", module, "worker", "--metrics-port", str(port)]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT)

    def ready(self) -> bool:
        """Whether it owns partitions and has recovered them all."""
        assert self.process.poll() is None, f"the worker ended:\n{self.log.read_text()[-3000:]}"
        return http_is_ready("127.0.0.1", self.port, "/ready")

    def value(self, metric: str, **labels: str) -> float:
        """A metric's value, over all labels that are not given; 0 if it has none, or did not answer five times."""
        answers = (http_text("127.0.0.1", self.port, "/metrics") for _ in range(5))
        families = text_string_to_metric_families(next(filter(None, answers), ""))
        samples = [sample for family in families for sample in family.samples if sample.name == metric]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def wait_ready(self) -> "WorkerProcess":
        """Return when it is ready."""
        until(self.ready, "a worker that is ready")
        return self

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Held by a SIGSTOP for as long as the block lasts."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def leave(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


def committed(settings: Settings) -> dict[int, int]:
    """Committed offset of every partition that has one, as the broker says."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address)
    try:
        group = f"{settings.topic_prefix}{settings.group}"
        found: dict[Any, Any] = admin.list_group_offsets({group: None}).get(group, {})
    finally:
        admin.close()
    topic = settings.topic(EVENTS)
    return {tp.partition: meta.offset for tp, meta in found.items() if tp.topic == topic and meta.offset >= 0}


def ends(settings: Settings) -> dict[int, int]:
    """End offset of every partition that has a message."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_address)
    try:
        topics = [TopicPartition(settings.topic(EVENTS), number) for number in range(settings.partitions)]
        return {tp.partition: end for tp, end in consumer.end_offsets(topics).items() if end}
    finally:
        consumer.close()


def committed_alerts(settings: Settings, district: str) -> list[dict[str, Any]]:
    """What a reader of committed messages gets of a district's partition of `cx.alerts`, read to its end."""
    place = TopicPartition(settings.topic(ALERTS), partition_of(district, settings.partitions))
    found: list[dict[str, Any]] = []
    with closing(KafkaConsumer(bootstrap_servers=settings.kafka_address, isolation_level="read_committed")) as consumer:
        consumer.assign([place])
        consumer.seek_to_beginning()
        end, until_s = consumer.end_offsets([place])[place], time.monotonic() + PATIENCE
        while consumer.position(place) < end:
            assert time.monotonic() < until_s, "a reader of committed messages is stuck"
            found += [json.loads(record.value) for record in consumer.poll(500).get(place, ())]
    return found


def all_landed(settings: Settings) -> bool:
    """Whether everything written is acknowledged."""
    return committed(settings) == ends(settings)


def _raw(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_ms(value)
    return tuple(map(_raw, value)) if isinstance(value, list | tuple) else value


def facts(settings: Settings) -> list[dict[str, Any]]:
    """The rows of `conversations`, as `./cx fold` prints them."""
    names = ", ".join(f"`{name}`" for name in NAMES)
    with connect(settings) as client:
        rows = client.execute(f"SELECT {names} FROM conversations FINAL ORDER BY district, conversation")
    return [as_json(_raw(row)) for row in rows]
