"""What `./cx status` tells of a worker and of the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from deploy.cli.stack import _show
from deploy.local.group import GroupStatus, group_status
from deploy.local.health import KAFKA_LIMITS, kafka_is_ready
from deploy.local.machine import LEAST_FREE_BYTES
from deploy.local.status import PartStatus, StackStatus, worker_condition
from schemas.settings import Settings
from tests.stack.ports import taken_port
from tests.unit.test_stalls import stalled


@contextmanager
def serving(text: str) -> Iterator[int]:
    """Something that answers every GET with a text; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/state" else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_worker_tells_how_it_is() -> None:
    with serving(stalled(35).model_dump_json()) as port:
        assert worker_condition(Settings(metrics_port=port)) == stalled(35)


@pytest.mark.parametrize("text", ["null", "", "no JSON", '{"partitions": 4}'])
def test_one_that_does_not_say_is_nothing_to_tell_of(text: str) -> None:
    with serving(text) as port:
        assert worker_condition(Settings(metrics_port=port)) is None


def test_nobody_there_is_nothing_to_tell_of(closed_port: int) -> None:
    assert worker_condition(Settings(metrics_port=closed_port)) is None


def status(running: bool, free_bytes: int | None) -> StackStatus:
    return StackStatus(
        running=running,
        phase="ready",
        data=Path("data"),
        data_bytes=0,
        free_bytes=free_bytes,
        pid=None,
        parts={},
        worker=stalled(35) if running else None,
    )


def test_the_status_tells_what_the_worker_says_and_a_disk_that_is_nearly_full() -> None:
    assert status(True, LEAST_FREE_BYTES).sentences() == [
        "worker: landing stalled for 35 s: connection refused",
        "worker: buffer 83%: 500 of 600 events wait to land",
    ]
    assert status(True, 12_000_000).sentences()[-1] == "disk: 12 MB are free in data"
    assert status(False, 12_000_000).sentences() == []
    assert status(False, None).sentences() == []


def group(**changes: Any) -> GroupStatus:
    """Two workers that have everything."""
    healthy = GroupStatus(
        state="Stable", workers=2, partitions=8, unowned=0, behind=0, furthest=None, furthest_behind=0
    )
    return healthy.model_copy(update=changes)


def together(found: GroupStatus | None, *names: str) -> StackStatus:
    """The status of a stack with these parts, all of them well."""
    part = PartStatus(
        state="ready", health="healthy", address="", pid=1, restarts=0, last_exit=None, seconds=1.0, log=None
    )
    return status(True, None).model_copy(update={"group": found, "parts": dict.fromkeys(names, part), "worker": None})


def test_partitions_that_no_worker_owns_are_no_health_where_workers_should_run() -> None:
    alone = group(workers=1, unowned=4)
    assert together(alone, "kafka", "worker").ailing == ["partitions without a worker"]
    assert not together(alone, "kafka", "worker").is_healthy
    assert not together(group(state="Empty", workers=0, unowned=8), "kafka", "worker").is_healthy
    assert together(alone, "kafka").is_healthy
    # While they are shared anew nobody owns them, and what is behind is told only.
    assert together(group(state="PreparingRebalance", workers=0, unowned=8), "kafka", "worker").is_healthy
    assert together(group(behind=9_999, furthest=3, furthest_behind=9_000), "kafka", "worker").is_healthy
    assert together(None, "kafka", "worker").is_healthy


def test_the_group_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    _show(together(group(unowned=1, behind=9_999, furthest=3, furthest_behind=9_000), "worker"))
    told = capsys.readouterr().out
    assert "workers: 2 with 7 of 8 partitions, 9,999 messages behind, 9,000 of them in partition 3\n" in told
    assert "not healthy: partitions without a worker" in told
    assert str(group(state="PreparingRebalance")).endswith("; partitions are being shared anew")


def test_a_kafka_that_is_away_says_nothing_of_the_group(closed_port: int) -> None:
    assert group_status(Settings(kafka_port=closed_port)) is None


def test_a_kafka_that_listens_and_says_nothing_is_given_up_long_before_a_client_would_give_up() -> None:
    assert all(limit < KafkaAdminClient.DEFAULT_CONFIG[name] / 2 for name, limit in KAFKA_LIMITS.items())
    with taken_port() as port:
        settings = Settings(kafka_port=port)
        assert not kafka_is_ready(settings)
        assert group_status(settings) is None
