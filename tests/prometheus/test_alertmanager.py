"""Alertmanager itself: told at once, told again and again, told of the end, and told anew after its restart."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.health import http_is_ready
from deploy.local.machine import free_ports
from schemas.alerts import AlertTransition
from schemas.settings import Settings
from streams.present import wall_ms
from tests.receiver import Receiver
from tests.sinks.samples import alert
from tests.stack.processes import until
from tests.stack.test_couriers import Writer, having, running

pytestmark = [pytest.mark.stack, pytest.mark.prometheus]


class Alertmanager:
    """A process of the test's own that posts what it notifies to a receiver; it keeps nothing over a restart."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.port, self._cluster = free_ports(2)
        self._folder = folder
        route = {"receiver": "hook", "group_by": ["key"], "group_wait": "0s", "group_interval": "1s"}
        hook = {"name": "hook", "webhook_configs": [{"url": receiver.address, "send_resolved": True}]}
        (folder / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": [hook]}))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            "prometheus-alertmanager",
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until(lambda: http_is_ready("127.0.0.1", self.port, "/-/ready"), "Alertmanager")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def active(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What fires now, by key and name."""
        address = f"http://127.0.0.1:{self.port}/api/v2/alerts?active=true"
        with urllib.request.urlopen(address, timeout=5) as answer:
            found = json.loads(answer.read())
        return {(each["labels"]["key"], each["labels"]["alertname"]): each for each in found}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: Receiver) -> Iterator[Alertmanager]:
    made = Alertmanager(tmp_path, receiver)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def writer(stream: Settings) -> Iterator[Writer]:
    made = Writer(stream)
    yield made
    made.close()


def notified(receiver: Receiver) -> set[tuple[str, str, str]]:
    """Key, name and state of everything Alertmanager told its own receiver."""
    return {
        (each["labels"]["key"], each["labels"]["alertname"], each["status"])
        for call in receiver.calls
        for each in json.loads(call.body)["alerts"]
    }


def said(key: str, transition: str) -> AlertTransition:
    made = alert("d", key, transition)
    end = wall_ms() if made.ended_at is not None else None
    return made._replace(at=wall_ms(), started_at=wall_ms() - 60_000, ended_at=end)


def test_alertmanager_knows_what_stands_and_what_is_over_also_after_its_restart(
    stream: Settings, writer: Writer, tmp_path: Path, alertmanager: Alertmanager, receiver: Receiver
) -> None:
    url = f"http://127.0.0.1:{alertmanager.port}"
    mine = {"receiver": "prometheus", "kind": "alertmanager", "url": url, "resend_seconds": 1.0}
    settings = having(stream, tmp_path, [mine])
    with running(settings) as one:
        writer.say([said("k1", "at_risk"), said("k1", "breached"), said("k2", "breached")])
        standing = {("k1", "cx_at_risk"), ("k1", "cx_breached"), ("k2", "cx_breached")}
        until(lambda: alertmanager.active().keys() == standing, "all steps that stand")
        told = alertmanager.active()["k1", "cx_breached"]
        assert told["labels"]["unit"] == "north"
        assert told["annotations"]["summary"] == "A promise is broken: first reply, south in d"
        until(lambda: {(*each, "firing") for each in standing} <= notified(receiver), "its notifications")
        writer.say([said("k1", "met_late")])
        until(lambda: alertmanager.active().keys() == {("k2", "cx_breached")}, "the end of the first")
        ended = {("k1", "cx_at_risk", "resolved"), ("k1", "cx_breached", "resolved")}
        until(lambda: ended <= notified(receiver), "the notification of its end")
        # What is not repeated is taken for over: it has to stand for longer than four times the pause.
        before = one.count("prometheus", "delivered")
        until(lambda: one.count("prometheus", "delivered") > before + 6, "being told again and again")
        until(lambda: alertmanager.active().keys() == {("k2", "cx_breached")}, "the second, which stands on")
        alertmanager.stop()
        until(lambda: one.count("prometheus", "failed") > 0, "an Alertmanager that is away")
        alertmanager.start()
        until(lambda: alertmanager.active().keys() == {("k2", "cx_breached")}, "what stands after its restart")
    with running(settings):
        # Read from the beginning: what stood before this process is told by it.
        until(lambda: alertmanager.active().keys() == {("k2", "cx_breached")}, "what stands after ours")
        writer.say([said("k2", "corrected")])
        until(lambda: alertmanager.active() == {}, "the end of the second")
