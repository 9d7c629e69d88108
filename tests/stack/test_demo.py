"""`./cx demo` from nothing: a simulated past, a district that lives, an event of one's own, a start that goes on."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.local.identity import Identity
from deploy.local.machine import free_ports
from deploy.local.state import DataDirectory, child_environment
from schemas.settings import Settings
from schemas.vocabulary import from_ms, to_ms
from streams.intake.demonstration import Demonstration
from streams.intake.simulator import sample_district
from tests.stack.processes import until

pytestmark = pytest.mark.stack
PYTHON = [sys.executable, "-m", "deploy.cli"]
START_SECONDS = 300.0
DISTRICT = sample_district().district
OPENS_MS = Demonstration.of(sample_district()).opens_ms
# The clock's last note before the stop may be so old.
LOST_MS = 10_000
READY = "Ctrl-C stops everything"


def own_settings(data: Path) -> Settings:
    """Settings of a stack of the test's own."""
    kafka, controller, clickhouse, web, metrics = free_ports(5)
    return Settings(
        data=data,
        kafka_port=kafka,
        kafka_controller_port=controller,
        clickhouse_port=clickhouse,
        web_port=web,
        metrics_port=metrics,
        partitions=8,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A stack of the test's own."""
    return own_settings(tmp_path / "data")


class Demo:
    """One run of the demo, ended by its process id."""

    def __init__(self, settings: Settings, log: Path, speed: int = 1) -> None:
        self.settings = settings
        self.log = log
        self._started = time.monotonic()
        self.environment = {**os.environ, **child_environment(settings)}
        # Without a password of its own, as a person starts it.
        del self.environment["CX_CLICKHOUSE_PASSWORD"]
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [*PYTHON, "demo", "--speed", str(speed)], env=self.environment, stdout=out, stderr=out
            )

    def wait_until_shown(self) -> None:
        """Until it says what to try."""
        until(lambda: self.process.poll() is not None or READY in self.said, "the demo is ready", START_SECONDS)
        assert self.process.poll() is None, self.said

    @property
    def lasted_ms(self) -> float:
        """How long it has run."""
        return (time.monotonic() - self._started) * 1000

    @property
    def said(self) -> str:
        """All it has printed."""
        return self.log.read_text()

    def children(self) -> list[Identity]:
        """The stack's processes."""
        state = DataDirectory(self.settings).running()
        assert state is not None
        return [child.identity for child in state.children.values() if child.identity]

    def stop(self) -> int:
        """End it as a terminal that closes would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()


def answered(settings: Settings, method: str, path: str, *sent: Any) -> tuple[int, Any]:
    """Status and JSON of the web process's answer; `sent` is a body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.web_port, timeout=30)
    try:
        connection.request(method, path, *sent)
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def page(settings: Settings, part: str = "now") -> dict[str, Any]:
    """What the live page gets: the first view, or what stands `below`."""
    status, found = answered(settings, "GET", f"/api/{part}")
    assert status == 200, found
    content: dict[str, Any] = found
    return content


def past_of(settings: Settings) -> dict[str, Any] | None:
    """How far the past has come in, as the page says, once there is a page."""
    try:
        status, content = answered(settings, "GET", "/api/now")
    except OSError:
        return None
    found: dict[str, Any] | None = content["past"] if status == 200 else None
    return found


def totals(settings: Settings) -> dict[str, Any]:
    """The page's totals."""
    found: dict[str, Any] = page(settings, "below")["panels"]["totals"]["rows"][0]
    return found


def post_own_event(demo: Demo) -> None:
    """Make a key as the demo says, and send one inquiry with it."""
    made = subprocess.run(
        [*PYTHON, "district", "key", DISTRICT], env=demo.environment, capture_output=True, text=True, check=True
    )
    event = {
        "kind": "inquiry",
        "event_id": "own-1",
        "conversation": "own-1",
        "source": "try",
        "district": DISTRICT,
        "unit": "dispatch",
        "channel": "web",
        "topic": "own-topic",
        "occurred_at": from_ms(page(demo.settings)["now_ms"]).isoformat(),
    }
    headers = {"Authorization": f"Bearer {made.stdout.strip()}", "Content-Type": "application/json"}
    status, found = answered(demo.settings, "POST", "/v1/events", json.dumps(event), headers)
    assert (status, found["accepted"]) == (202, 1)


def silenced_until_ms(demo: Demo) -> int:
    """Hear no more of a unit for an hour, from a second terminal; until when, by the demonstration's clock."""
    what = ["alerts", "silence", "--district", DISTRICT, "--unit", "dispatch", "--for", "1h"]
    command = [*PYTHON, *what, "--who", "ops", "--why", "planned-work", "--json"]
    made = subprocess.run(command, env=demo.environment, capture_output=True, text=True, check=True)
    return to_ms(datetime.fromisoformat(json.loads(made.stdout)["until"]))


def newest_topics(settings: Settings) -> list[str]:
    """Topics of the newest arrivals."""
    return [row["topic"] for row in page(settings, "below")["panels"]["newest"]["rows"]]


@pytest.mark.timeout(900)
def test_the_demo_lives_takes_events_stops_and_goes_on(settings: Settings, tmp_path: Path) -> None:
    with Demo(settings, tmp_path / "first.log") as first:
        until(lambda: bool(past_of(settings)), "the page says that the past is coming in", START_SECONDS)
        first.wait_until_shown()
        found = page(settings)
        assert found["past"] is None
        assert "simulated" in found["district"]["label"]
        assert found["clock"] == {"speed": 1.0}
        assert 0 <= found["now_ms"] - OPENS_MS <= first.lasted_ms
        history = totals(settings)["conversations"]
        assert history > 15_000
        until(lambda: bool(totals(settings)["conversations"] > history), "the district lives")
        post_own_event(first)
        until(lambda: "own-topic" in newest_topics(settings), "the event stands on the page")
        assert 0 <= silenced_until_ms(first) - OPENS_MS - 3_600_000 <= first.lasted_ms
        children = first.children()
        assert len(children) == 4
        before = totals(settings)["conversations"]
        stopped_ms = page(settings)["now_ms"]
        assert first.stop() == 0
    assert not any(child.is_alive() for child in children)
    assert re.search(r"The data lie in .*data \(\d+ MB\)", first.said)
    with Demo(settings, tmp_path / "second.log") as second:
        second.wait_until_shown()
        assert "going on with" in second.said
        assert "bringing in" not in second.said
        assert page(settings)["now_ms"] >= stopped_ms - LOST_MS
        assert totals(settings)["conversations"] >= before
        assert second.stop() == 0
    assert "Traceback" not in first.said + second.said
