"""`./cx web` as a process: it answers, ends when told, and says in one sentence that its port is taken."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.health import http_is_ready
from deploy.local.machine import free_ports
from deploy.local.state import child_environment
from schemas.settings import Settings
from tests.stack.processes import until

COMMAND = [sys.executable, "-m", "deploy.cli", "web"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A web process with neither Kafka nor ClickHouse."""
    web, kafka, clickhouse = free_ports(3)
    return Settings(data=tmp_path, web_port=web, kafka=f"127.0.0.1:{kafka}", clickhouse=f"127.0.0.1:{clickhouse}")


def _environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **child_environment(settings)}


@pytest.fixture
def web(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """The running process; killed if a test leaves it."""
    process = subprocess.Popen(COMMAND, env=_environment(settings), stderr=subprocess.PIPE, text=True)
    until(lambda: http_is_ready("127.0.0.1", settings.web_port, "/healthz"), "the web process answers")
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def _status(settings: Settings, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", settings.web_port, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_page_and_intake_answer_and_sigterm_ends_them(settings: Settings, web: "subprocess.Popen[str]") -> None:
    asked = [("GET", "/"), ("GET", "/metrics"), ("POST", "/v1/events"), ("GET", "/api/now"), ("GET", "/nothing")]
    assert [_status(settings, *each) for each in asked] == [200, 200, 401, 503, 404]
    web.send_signal(signal.SIGTERM)
    _, said = web.communicate(timeout=30)
    assert web.returncode == 0
    assert "Traceback" not in said


@pytest.mark.usefixtures("web")
def test_a_taken_port_is_one_sentence(settings: Settings) -> None:
    second = subprocess.run(
        COMMAND, env=_environment(settings), capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 3
    assert f"Port {settings.web_port}" in second.stderr
    assert second.stderr.count("\n") == 1
