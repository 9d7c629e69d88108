"""The buttons of a demonstration: who may press them, and which events leave."""

import asyncio
import json
from contextlib import closing
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dashboards.live.actions import action_routes
from dashboards.live.page import live
from deploy.local.machine import free_ports
from schemas.clock import Clock
from schemas.settings import Settings
from schemas.vocabulary import to_ms
from streams.intake.closing import LandedDocuments
from streams.intake.memory import MemoryLog
from streams.intake.producer import Publisher
from streams.present import wall_ms
from tests.dashboards.test_now import SAMPLE, TUESDAY, inquiry, land, reply
from tests.landed import LandingLog

PRESS = "0123456789abcdef"


def post(settings: Settings, log: Publisher, action: str, origin: str | None = None) -> tuple[int, Any]:
    """Status and answer of one press, whose events leave through `log`; `origin` is the page's own unless given."""

    async def whole() -> tuple[int, Any]:
        application = live(settings)
        application.add_routes(action_routes(settings, log))
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        (port,) = free_ports(1)
        base = f"http://127.0.0.1:{port}"
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            path = f"{base}/api/demo/{action}?district={SAMPLE.district}&press={PRESS}"
            headers = {"Origin": base if origin is None else origin}
            async with aiohttp.ClientSession() as session, session.post(path, headers=headers) as answer:
                return answer.status, await answer.json()
        finally:
            await runner.cleanup()

    return asyncio.run(whole())


def press(settings: Settings, action: str, origin: str | None = None) -> tuple[int, Any, list[dict[str, Any]]]:
    """Status, answer and published events of one press."""
    log = MemoryLog()
    status, found = post(settings, log, action, origin)
    return status, found, [event for texts in log.messages.values() for text in texts for event in json.loads(text)]


@pytest.fixture
def demo(clickhouse: Settings) -> Settings:
    """A demonstration with one answered and one waiting family."""
    waiting, answered = "2026-10-06T09:00:00-05:00", "2026-10-05T10:00:00-05:00"
    land(clickhouse, [inquiry("waits", waiting), inquiry("had", answered), reply("had", answered)])
    return clickhouse.model_copy(update={"clock": Clock(TUESDAY, wall_ms()), "simulated": SAMPLE.district})


def test_without_a_clock_of_its_own_there_are_no_buttons(clickhouse: Settings) -> None:
    status, _, events = press(clickhouse, "ask")
    assert (status, events) == (404, [])


@pytest.mark.parametrize("origin", ["", "null", "http://elsewhere.example", "http://127.0.0.1"])
def test_a_page_from_elsewhere_cannot_press(demo: Settings, origin: str) -> None:
    status, _, events = press(demo, "ask", origin)
    assert (status, events) == (403, [])


@pytest.mark.parametrize(
    ("action", "kinds", "metric"),
    [
        ("ask", ["inquiry"], "asked_today"),
        ("answer", ["reply"], "answered_today"),
        ("rate", ["rating"], "ratings"),
        ("breakdown", ["inquiry"] * 60, "open_waits"),
        ("snow-day", ["district_configured"], "due_today"),
    ],
)
def test_a_press_publishes_its_events(demo: Settings, action: str, kinds: list[str], metric: str) -> None:
    status, found, events = press(demo, action)
    assert (status, found["metric"]) == (200, metric)
    assert [event["kind"] for event in events] == kinds
    assert len({event["event_id"] for event in events}) == len(kinds)
    named = {"answer": "waits", "rate": "had"}
    if action in named:
        assert events[0]["conversation"] == named[action]


def test_a_silenced_feed_says_itself_that_it_is_not_healthy(demo: Settings) -> None:
    status, found, (event,) = press(demo, "silence")
    assert (status, "metric" in found, "fell silent" in found["said"]) == (200, False, True)
    assert (event["kind"], event["source"], event["healthy"]) == ("heartbeat", "mailbox", False)
    log = LandingLog(demo, lambda: TUESDAY)
    log.take(json.dumps([event]).encode())
    log.land()
    log.close()
    with closing(LandedDocuments(demo, SAMPLE.district)) as landed:
        assert landed.silences() == [("mailbox", to_ms(datetime.fromisoformat(event["occurred_at"])))]


def test_nothing_to_answer_is_said(clickhouse: Settings) -> None:
    land(clickhouse, [])
    settings = clickhouse.model_copy(update={"clock": Clock(TUESDAY, wall_ms()), "simulated": SAMPLE.district})
    status, found, events = press(settings, "answer")
    assert (status, events) == (200, [])
    assert ("nothing" in found["said"], "metric" in found) == (True, False)


@pytest.mark.parametrize("at", ["2026-10-11T10:00:00-05:00", "2026-11-26T10:00:00-06:00"])
def test_on_a_day_that_is_closed_as_it_is_no_snow_day_is_declared(demo: Settings, at: str) -> None:
    settings = demo.model_copy(update={"clock": Clock(to_ms(datetime.fromisoformat(at)), wall_ms())})
    status, found, events = press(settings, "snow-day")
    assert (status, events) == (200, [])
    assert ("closed today as it is" in found["said"], "metric" in found) == (True, False)


@pytest.mark.parametrize("name", ["", "0123", "x" * 16, "0" * 33])
def test_a_press_has_a_name(demo: Settings, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("tests.dashboards.test_actions.PRESS", name)
    status, _, events = press(demo, "ask")
    assert (status, events) == (400, [])


def test_only_the_simulated_district_may_be_acted_on(demo: Settings) -> None:
    other = demo.model_copy(update={"simulated": "elsewhere"})
    status, found, events = press(other, "ask")
    assert (status, events) == (403, [])
    assert "simulated" in found["error"]
