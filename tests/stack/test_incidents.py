"""A breakdown on the real stack, workers killed while it goes on: one incident, each transition once everywhere."""

import json
import time
from collections import Counter
from contextlib import closing

import pytest

from schemas.clock import Clock
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from sinks.connection import connect
from tests.core.openings_made import UNITS
from tests.fixtures_stack import Workers
from tests.golden import ms
from tests.receiver import Receiver
from tests.stack.processes import committed_alerts, until
from tests.stack.test_stream import Writer

pytestmark = pytest.mark.stack

MINUTE_MS = 60_000
MORNING = ms("2026-10-06 07:00")
PROMISE = {"promise": "soon", "clock": "first_reply", "target": "2m", "hours": "calendar"}
RULE = {"window": "5m", "least": 20, "usual": 1.0}
Said = tuple[str, int, int]


def event(kind: str, event_id: str, at_ms: int, **more: object) -> bytes:
    at = from_ms(at_ms).isoformat()
    frame = {"kind": kind, "event_id": event_id, "district": "d", "source": "line", "occurred_at": at}
    return json.dumps(frame | {"received_at": at} | more).encode()


def calls(first_minute: int, minutes: int, a_minute: int) -> list[bytes]:
    return [
        event(
            "inquiry",
            f"e-{minute}-{number}",
            MORNING + minute * MINUTE_MS + number * 1_000,
            conversation=f"c-{minute}-{number}",
            channel="phone",
            contact="missed_call",
            unit="dispatch",
            topic="bus-late",
        )
        for minute in range(first_minute, first_minute + minutes)
        for number in range(a_minute)
    ]


def clock(minute: int) -> str:
    """A clock that stands at a minute of the morning, or nearly so."""
    return str(Clock(MORNING + minute * MINUTE_MS, time.time_ns() // 1_000_000, 0.01))


def landed(settings: Settings) -> Counter[Said]:
    with connect(settings) as client:
        return Counter(client.execute("SELECT transition, step, notify FROM incidents"))


def told(settings: Settings) -> Counter[Said]:
    """What a reader of committed messages finds of incidents on `cx.alerts`."""
    found = committed_alerts(settings, "d")
    return Counter((one["transition"], one["step"], int(one["notify"])) for one in found if one.get("step") is not None)


def test_a_breakdown_is_one_incident_whatever_dies_meanwhile(stream: Settings, workers: Workers) -> None:
    document = {"district": "d", "units": UNITS[:1], "promises": [PROMISE], "surges": {"topics": RULE, "posts": None}}
    with Receiver() as receiver, closing(Writer(stream)) as writer:
        webhook = {"CX_WEBHOOK": receiver.address}
        worker = workers.start(CX_CLOCK=clock(6), **webhook).wait_ready()
        writer.write("d", event("district_configured", "c", MORNING - 1, revision=1, configuration=document))
        for call in calls(0, 5, 15):
            writer.write("d", call)
        until(lambda: ("opened", 0, 1) in landed(stream), "an incident")
        worker.kill()
        for call in calls(5, 5, 30):
            writer.write("d", call)
        worker = workers.start(CX_CLOCK=clock(10), **webhook).wait_ready()
        until(lambda: ("grown", 4, 1) in landed(stream), "an incident that grows")
        worker.kill()
        workers.start(CX_CLOCK=clock(40), **webhook).wait_ready()
        grown = [("grown", step, 1) for step in (2, 4, 8)]
        expected = Counter([("opened", 0, 1), *grown, ("closed", 0, 1)])
        until(lambda: landed(stream).keys() >= expected.keys(), "the end of the incident")
        assert landed(stream) == told(stream) == expected
        with connect(stream) as client:
            query = "SELECT count(), countIf(notify = 1) FROM alerts FINAL WHERE transition = 'breached'"
            ((broken, sent),) = client.execute(query)
            ((keys, about, unit),) = client.execute("SELECT uniq(key), any(about), any(unit) FROM incidents")
        # All of them break their promise and nobody is told of any: of the incident everybody is.
        assert (broken, sent) == (225, 0)
        assert (keys, about, unit) == (1, "bus-late", "dispatch")
        until(lambda: any('"closed"' in call.body.decode() for call in receiver.calls), "a post of its end")
        bodies = [json.loads(call.body) for call in receiver.calls]
        assert {body["idempotency_key"].split("-")[0] for body in bodies} == {bodies[0]["key"]}
        assert bodies[0]["what"].startswith("A surge: ")
