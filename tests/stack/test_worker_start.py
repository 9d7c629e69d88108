"""A worker that cannot work ends before it joins its group: those that work do not stop for it."""

import os
import subprocess
import sys
from typing import Any

import pytest
from kafka import KafkaAdminClient

from deploy.local.machine import free_ports
from deploy.local.state import child_environment
from schemas.settings import Settings
from tests.fixtures_stack import Workers
from tests.stack.processes import PATIENCE

pytestmark = pytest.mark.stack


def ended(settings: Settings, port: int) -> tuple[int, str]:
    """Exit code and last words of a worker that is to end by itself."""
    command = [sys.executable, "-m", "deploy.cli", "worker", "--metrics-port", str(port)]
    environment = {**os.environ, **child_environment(settings)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
    return done.returncode, done.stderr


def group(settings: Settings) -> dict[str, Any]:
    """The workers' group as Kafka describes it."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address)
    try:
        found: dict[str, Any] = admin.describe_groups([settings.workers_group])[settings.workers_group]
    finally:
        admin.close()
    return found


def test_a_port_that_is_taken_is_said_and_the_group_does_not_hear_of_it(stream: Settings, workers: Workers) -> None:
    healthy = workers.start().wait_ready()
    before = group(stream)
    code, said = ended(stream, healthy.port)
    assert code == 3
    assert said.startswith(f"cx: Port {healthy.port} on 127.0.0.1 cannot be used for the worker")
    assert "Traceback" not in said
    assert group(stream) == before
    assert before["group_state"] == "Stable"


def test_topics_that_nobody_made_are_said(stream: Settings) -> None:
    lost = stream.model_copy(update={"topic_prefix": "nobody-made-it."})
    code, said = ended(lost, free_ports(1)[0])
    assert code == 5
    assert "no such topic: nobody-made-it.cx.alerts, nobody-made-it.cx.dead-letters, nobody-made-it.cx.events" in said
    assert group(lost)["members"] == []
