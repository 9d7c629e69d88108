"""The buttons of a demonstration in a real browser: each says which number it moved, and the page shows it moved.

What is said holds whoever else moves the same number meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from dashboards.live.actions import action_routes
from dashboards.live.page import live
from dashboards.live.presses import Presses, State
from deploy.local.machine import free_ports
from schemas.clock import Clock
from schemas.events import EVENTS, DistrictConfigured, Reply, canonical
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing, configuration_row
from streams.configured import configured
from streams.core.packed import digest_of
from streams.intake.producer import Written, encode
from streams.present import now_ms, wall_ms
from tests.browser.chromium import LIVE, Chromium, Page
from tests.dashboards.test_now import SAMPLE, TUESDAY, inquiry, ms, rating, reply
from tests.landed import LandingLog

pytestmark = pytest.mark.browser
MOVED = "document.getElementById('moved').textContent"
TOLD = f"!{MOVED}.includes('so far') && ({MOVED}.includes('→') || {MOVED}.includes('unchanged'))"
LIT = "document.querySelector('.tiles .moved [data-metric]')?.dataset.metric"
TILE = "document.querySelector('.tiles [data-metric=%s]').textContent"
PRESS = "document.querySelector('[data-action=%s]').click()"
OF_REPLIES = {"channel", "unit"}
CHANGES = {
    "ask": ("asked_today", "Asked today: 1 → 2."),
    "answer": ("answered_today", "Answered today: 0 → 1."),
    "rate": ("ratings", "Ratings: 10 → 11."),
    "breakdown": ("open_waits", "Open waits: 1 → 61."),
    "snow-day": ("due_today", "→ 0."),
}


def message(*contents: dict[str, Any]) -> bytes:
    """An array of events."""
    events = EVENTS.validate_python(list(contents), strict=False)
    return b"[" + b",".join(encode(each).content for each in events) + b"]"


def spam(name: str) -> bytes:
    """A conversation that was spam."""
    content = {**reply(name, "2026-10-06T10:00:00-05:00"), "kind": "spam", "event_id": f"{name}-spam"}
    return message({field: value for field, value in content.items() if field not in OF_REPLIES})


def begin(log: LandingLog) -> None:
    """A configured district with one answered, rated family and one that waits."""
    event = configured(SAMPLE, from_ms(TUESDAY).replace(day=1))
    log.publish(SAMPLE.district, b"[" + encode(event).content + b"]")
    contents = [
        inquiry("had", "2026-10-05T10:00:00-05:00"),
        reply("had", "2026-10-05T11:00:00-05:00"),
        *[rating("had", number) for number in range(10)],
        inquiry("other", "2026-10-05T12:00:00-05:00"),
        reply("other", "2026-10-05T13:00:00-05:00"),
        inquiry("waits", "2026-10-06T09:30:00-05:00"),
    ]
    for content in contents:
        log.publish(SAMPLE.district, message(content))


class HeldLog:
    """A `Publisher` that acknowledges at once; what it got lands when it is released, and at once if not `holds`."""

    def __init__(self, log: LandingLog, settings: Settings, holds: bool) -> None:
        self.log = log
        self.settings = settings
        self.holds = holds
        self.held: list[bytes] = []

    def publish(self, _district: str, payload: bytes) -> "Future[Written]":
        """Take an array of events."""
        self.held.append(payload)
        if not self.holds:
            self.release()
        acknowledged: Future[Written] = Future()
        acknowledged.set_result(Written(0, 0))
        return acknowledged

    def flush(self, timeout: float) -> None:
        """Nothing is ever under way."""

    def release(self, *others: bytes) -> None:
        """Land all of it, together with others' messages."""
        for payload in (*self.held, *others):
            self.log.take(payload)
        self.held.clear()
        self.log.land()


Look = Callable[[Page, HeldLog], Awaitable[None]]
Visit = Callable[..., None]


@pytest.fixture
def visit(clickhouse: Settings, tmp_path: Path) -> Visit:
    """Look at the page of a demonstration whose clock shows a time; `holds`: presses land when they are released."""

    def run(look: Look, at_ms: int = TUESDAY, holds: bool = False) -> None:
        settings = clickhouse.model_copy(update={"clock": Clock(at_ms, wall_ms()), "simulated": SAMPLE.district})
        landing = LandingLog(settings, partial(now_ms, settings))
        begin(landing)
        log = HeldLog(landing, settings, holds)
        (port,) = free_ports(1)

        async def whole() -> None:
            application = live(settings)
            application.add_routes(action_routes(settings, log))
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
                async with Chromium.started(tmp_path) as browser, browser.page(f"http://127.0.0.1:{port}/") as page:
                    await page.until(LIVE)
                    await look(page, log)
                    assert page.errors == []
            finally:
                await runner.cleanup()
                landing.close()

        asyncio.run(whole())

    return run


async def press(page: Page, action: str) -> None:
    """Press a button: the page says which number moved and shows its tile for a while."""
    metric, change = CHANGES[action]
    await page.value(PRESS % action)
    # The tile is lit for some seconds only: which one is seen in the look that sees the words.
    await page.until(f"{TOLD} && ((window.lit = {LIT}), true)")
    assert change in await page.value(MOVED)
    assert await page.value("window.lit") == metric
    await page.until("!document.querySelector('.tiles .moved')")


def test_every_button_shows_the_number_it_moved(visit: Visit) -> None:
    async def look(page: Page, _log: HeldLog) -> None:
        assert "Demo clock: Tuesday 10:0" in await page.value("document.getElementById('clock').textContent")
        for action in CHANGES:
            await press(page, action)
        assert "open promises fall due later." in await page.value(MOVED)

    visit(look)


def test_what_others_moved_is_not_taken_for_a_press(visit: Visit) -> None:
    asked = "A parent asked on the web why the bus is late."

    async def look(page: Page, log: HeldLog) -> None:
        await page.value(PRESS % "ask")
        await page.until(f"{MOVED} === '{asked}'")
        log.log.publish(SAMPLE.district, message(inquiry("one", "2026-10-06T09:50:00-05:00")))
        await page.until(f"{TILE % 'asked_today'} === '2'")
        assert await page.value(MOVED) == asked
        two, three = (inquiry(name, "2026-10-06T09:51:00-05:00") for name in ("two", "three"))
        log.release(message(two), message(three))
        await page.until(TOLD)
        assert await page.value(MOVED) == f"{asked} Asked today: 2 → 5 (this press +1, others +2)."
        await page.value(PRESS % "answer")
        await page.until(f"{MOVED} === 'A person answered the newest wait.'")
        answer = Reply.model_validate_json(log.held[0][1:-1])
        sooner = {**reply(answer.conversation, "2026-10-06T10:00:00-05:00"), "event_id": "sooner"}
        log.log.publish(SAMPLE.district, message(sooner))
        await page.until(f"{TILE % 'answered_today'} === '1'")
        log.release()
        await page.until(TOLD)
        assert (await page.value(MOVED)).endswith("Answered today: 1, unchanged.")
        await page.value(PRESS % "rate")
        await page.until(f"{MOVED} === 'A family that was answered gave a 9.'")
        log.release(spam("had"))
        await page.until(TOLD)
        assert (await page.value(MOVED)).endswith("Ratings: 10 → <10 (this press +1).")
        await page.value(PRESS % "ask")
        await page.until(f"{MOVED} === '{asked}'")
        log.release(spam("one"))
        await page.until(TOLD)
        assert await page.value(MOVED) == f"{asked} Asked today: 5 → 5 (this press +1, others −1)."

    visit(look, holds=True)


def test_numbers_read_while_a_press_lands_are_not_those_before_it(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_for = Presses.look

    async def look(page: Page, log: HeldLog) -> None:
        def overtaken(self: Presses, *asked: Any) -> dict[str, State]:
            found = look_for(self, *asked)
            if log.held and not found:
                log.release()
            return found

        monkeypatch.setattr(Presses, "look", overtaken)
        await press(page, "ask")

    visit(look, holds=True)


def test_while_a_snow_day_is_still_worked_in_it_says_so(visit: Visit) -> None:
    async def look(page: Page, log: HeldLog) -> None:
        await page.value(PRESS % "snow-day")
        await page.until(f"{MOVED}.endsWith('offices are closed.')")
        event = DistrictConfigured.model_validate_json(log.held[0][1:-1])
        sink = ClickHouseSink(log.settings)
        sink.land(Landing(TUESDAY, configurations=[configuration_row(event, digest_of(canonical(event)))]))
        sink.close()
        await page.until(f"{MOVED}.endsWith(' so far; 3 conversations are still to follow …')")
        log.release()
        await page.until(TOLD)
        assert " → 0. " in await page.value(MOVED)

    visit(look, holds=True)


def test_after_closing_time_a_snow_day_says_what_it_moves(visit: Visit) -> None:
    async def look(page: Page, _log: HeldLog) -> None:
        await page.value(PRESS % "snow-day")
        await page.until(TOLD)
        said = await page.value(MOVED)
        assert "Due today: 0, unchanged. " in said
        assert said.endswith(" open promises fall due later.")
        await page.value(PRESS % "snow-day")
        await page.until(f"{MOVED}.includes('closed today as it is')")

    visit(look, ms("2026-10-06T18:00:00-05:00"))
