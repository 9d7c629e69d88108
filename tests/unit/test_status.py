"""What `./cx status` tells of a worker and of the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.local.machine import LEAST_FREE_BYTES
from deploy.local.status import StackStatus, worker_condition
from schemas.settings import Settings
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
