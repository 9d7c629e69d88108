"""`./cx status` says which receiver of alerts takes nothing."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from deploy.cli.stack import _show
from deploy.local.status import ReceiverStatus, StackStatus, receivers_of
from streams.metrics import WorkerMetrics


def told() -> str:
    """The metrics of a worker with a receiver that is away, one that takes all, and one that was never told."""
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    metrics.receiver_failing.labels("chat").set(65.2)
    metrics.notifications_waiting.labels("chat").set(40)
    metrics.receiver_failing.labels("mail").set(0)
    metrics.notifications_waiting.labels("new").set(0)
    return generate_latest(registry).decode()


def test_every_receiver_is_known_from_the_metrics_of_a_worker() -> None:
    assert receivers_of(told()) == {
        "chat": ReceiverStatus(failing_seconds=65.2, waiting=40),
        "mail": ReceiverStatus(failing_seconds=0, waiting=0),
        "new": ReceiverStatus(failing_seconds=0, waiting=0),
    }
    assert receivers_of("") == {}


def test_only_a_receiver_that_takes_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _show(
        StackStatus(
            running=True,
            phase="ready",
            data=Path("data"),
            data_bytes=0,
            free_bytes=None,
            pid=1,
            parts={},
            worker=None,
            receivers=receivers_of(told()),
        )
    )
    shown = capsys.readouterr().out
    assert "the receiver chat has taken no alert for 65 s, 40 messages wait: `./cx alerts ls --undelivered`" in shown
    assert "mail" not in shown
