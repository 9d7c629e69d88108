"""Alerts that people take on or silence, on the real stack: events in the log that the partition's owner acts on."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.cli.main import main
from deploy.local.state import child_environment
from schemas.alerts import MET_LATE, STEPS, alert_key
from schemas.clock import Clock
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from streams.present import wall_ms
from tests.fixtures_stack import Workers
from tests.golden import ms
from tests.receiver import Receiver
from tests.stack.processes import all_landed, until
from tests.stack.test_alerts import Feed, rows

pytestmark = pytest.mark.stack

PROMISE = {"promise": "soon", "clock": "first_reply", "target": "8s", "hours": "calendar"}
# After the inquiries: at risk, escalated once, escalated twice. The clock stands there, however long a step takes.
AT_RISK_MS, ONCE_MS, TWICE_MS = 7_000, 13_000, 17_000
NEVER_MS = ms("2100-01-01 00:00")
Alerts = Callable[..., list[dict[str, Any]]]
Stand = Callable[[int], str]


@pytest.fixture
def feed(stream: Settings) -> Iterator[Feed]:
    made = Feed(stream)
    made.add("district_configured", "", revision=2, configuration={"district": "d", "promises": [PROMISE]})
    yield made
    made.close()


@pytest.fixture
def alerts(stream: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Alerts:
    """`./cx alerts` on the test's pipeline: its JSON lines."""
    for name, value in child_environment(stream).items():
        if name.startswith("CX_"):
            monkeypatch.setenv(name, value)

    def run(*line: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main(["alerts", *line, "--json"]) == 0
        return [json.loads(text) for text in capsys.readouterr().out.splitlines()]

    return run


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Have commands go by a clock that stands at an instant; the clock, for a worker."""

    def at(shown_ms: int) -> str:
        clock = str(Clock(shown_ms, NEVER_MS))
        monkeypatch.setenv("CX_CLOCK", clock)
        return clock

    return at


def key_of(conversation: str, event: str) -> str:
    return alert_key("d", conversation, "first_reply", event)


def stamped(at_ms: int) -> dict[str, Any]:
    """Of an event that happened, and was received, at an instant."""
    return dict.fromkeys(("occurred_at", "received_at"), from_ms(at_ms).isoformat())


def test_what_is_taken_on_escalates_no_further_and_what_is_silenced_is_not_sent(
    stream: Settings, workers: Workers, feed: Feed, alerts: Alerts, stand: Stand
) -> None:
    with Receiver() as receiver:
        opened_ms = wall_ms()
        stand(opened_ms)
        # Events of the feed are numbered; these are its third to fifth.
        keys = {name: key_of(name, f"e{number}") for number, name in enumerate(("hushed", "taken", "left"), 3)}
        alerts("silence", keys["hushed"], "--district", "d", "--who", "ops", "--why", "planned-work", "--for", "1h")
        at_risk = stand(opened_ms + AT_RISK_MS)
        worker = workers.start(CX_WEBHOOK=receiver.address, CX_CLOCK=at_risk).wait_ready()
        for name in keys:
            feed.add("inquiry", name, **stamped(opened_ms))
        until(lambda: ("taken", "at_risk", 1) in rows(stream), "an alert to take on")
        (told,) = alerts("ack", keys["taken"], "--who", "lead", "--why", "calling-back")
        assert (told["alert"], told["district"], told["until"]) == (keys["taken"], "d", None)
        until(lambda: all_landed(stream), "what was said of them")
        # Whoever owns the partition next knows it too.
        worker.kill()
        once = stand(opened_ms + ONCE_MS)
        worker = workers.start(CX_WEBHOOK=receiver.address, CX_CLOCK=once).wait_ready()
        until(lambda: ("left", "escalated_50", 1) in rows(stream), "an escalation of what nobody took on")
        worker.kill()
        twice = stand(opened_ms + TWICE_MS)
        workers.start(CX_WEBHOOK=receiver.address, CX_CLOCK=twice).wait_ready()
        until(lambda: ("left", "escalated_100", 1) in rows(stream), "the last escalation")
        standing = {each["conversation"]: each for each in alerts("ls", "--district", "d")}
        assert {name: (each["transition"], each["acknowledged"]) for name, each in standing.items()} == {
            "hushed": ("escalated_100", ""),
            "taken": ("breached", "lead"),
            "left": ("escalated_100", ""),
        }
        assert standing["hushed"]["muted"] == "silenced"
        for name in ("taken", "hushed"):
            feed.add("reply", name, **stamped(opened_ms + TWICE_MS))
        until(lambda: {("taken", MET_LATE, 1), ("hushed", MET_LATE, 0)} <= rows(stream).keys(), "both ends")
        until(lambda: "met_late" in {json.loads(call.body)["transition"] for call in receiver.calls}, "an end told")
    expected = {("taken", step, 1) for step in ("at_risk", "breached", MET_LATE)}
    expected |= {("left", step, 1) for step in STEPS} | {("hushed", step, 0) for step in (*STEPS, MET_LATE)}
    assert rows(stream).keys() == expected
    assert set(rows(stream).values()) == {1}
    assert {json.loads(call.body)["conversation"] for call in receiver.calls} == {"taken", "left"}
