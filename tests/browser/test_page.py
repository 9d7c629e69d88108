"""The live page in a real browser, over the real engine: its numbers, its explanations, its behaviour in bad times."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from dashboards.live.page import live
from dashboards.now import NOW
from dashboards.panels import DEPARTMENTS
from deploy.local.machine import free_ports
from schemas.facts import row_version
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing, configuration_row, unit_rows
from streams.core.district import DistrictState
from streams.intake import boston311
from streams.intake.past import Past
from tests.browser.chromium import DARK, LIGHT, LIVE, PHONE, WHOLE, Chromium, Page
from tests.sinks.samples import NOW_MS

pytestmark = pytest.mark.browser
METRICS = "Object.fromEntries([...document.querySelectorAll('#totals dd')].map(d => [d.dataset.metric, d.textContent]))"
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"
TIP = "!document.getElementById('tip').hidden && document.getElementById('tip').textContent"
POINTED = """(e => {
    e.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
    return e.dataset.explained;
})(document.querySelector('%s'))"""
ACTIVE = "(({dataset}) => [dataset.metric, dataset.explained])(document.activeElement)"


def land_excerpt(settings: Settings) -> None:
    """The excerpt's facts, as a worker would land them."""
    state = DistrictState(boston311.DISTRICT)
    event = boston311.configuration()
    applied = state.apply(event)
    with boston311.EXCERPT.open(encoding="utf-8") as lines:
        for request in boston311.requests(lines):
            assert isinstance(request, boston311.Request)
            for each in request.events:
                state.apply(each)
    sink = ClickHouseSink(settings)
    sink.land(
        Landing(
            NOW_MS,
            conversations=state.settle().rows,
            configurations=[configuration_row(event, applied.digest)],
            units=unit_rows(event.configuration, row_version(1, 0)),
        )
    )
    sink.close()


@asynccontextmanager
async def served(settings: Settings, port: int) -> AsyncIterator[str]:
    """The page's address while it is served."""
    runner = web.AppRunner(live(settings), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


Look = Callable[[Chromium, str], Awaitable[None]]
Visit = Callable[[Look], None]


@pytest.fixture
def visit(clickhouse: Settings, tmp_path: Path) -> Visit:
    """Run a look at the page of this test's database."""

    async def whole(look: Look) -> None:
        (port,) = free_ports(1)
        async with Chromium.started(tmp_path) as browser, served(clickhouse, port) as url:
            await look(browser, url)

    def run(look: Look) -> None:
        asyncio.run(whole(look))

    return run


def unlike(found: dict[str, str], expected: dict[str, str]) -> dict[str, tuple[str | None, str]]:
    """Where the page says something else."""
    return {name: (found.get(name), value) for name, value in expected.items() if found.get(name) != value}


def test_the_numbers_of_the_excerpt_stand_on_the_page(clickhouse: Settings, visit: Visit) -> None:
    land_excerpt(clickhouse)

    async def look(browser: Chromium, url: str) -> None:
        async with browser.page(url) as page:
            await page.until(WHOLE)
            expected = {"conversations": "200", "open": "36", "met": "68", "missed": "48", "past_due": "22"}
            expected |= {"resolution_median_ms": "4 d 1 h", "first_response_median_ms": "–"}
            assert not unlike(await page.value(METRICS), expected)
            public_works = "document.querySelector('#departments [data-row=pwdx] [data-metric=met]').textContent"
            assert await page.value(public_works) == "33"
            assert await page.value("document.querySelectorAll('#newest tbody tr').length") == 15
            assert await page.value("document.querySelector('h1').textContent") == "City of Boston 311"
            newest = "document.querySelector('#newest [data-metric=opened_at]').textContent"
            assert await page.value(newest) == "Jun 28, 2015, 2:56 AM"
            assert page.errors == []

    visit(look)


# Whatever shows a figure, but for headings, labels, sentences about a panel and the hours below the chart.
FIGURES = """[...document.querySelectorAll('dd, tbody td, #sentence, #clock, #updated, svg text')]
    .filter(e => /\\d/.test(e.textContent) && !/ [AP]M$/.test(e.textContent))"""


async def _explains(page: Page) -> None:
    """Every number is explained, by pointer and by keyboard."""
    assert await page.value(f"{FIGURES}.length") > 100
    assert await page.value(f"{FIGURES}.filter(e => !e.dataset.explained).map(e => e.outerHTML)") == []
    # In a table one cell takes the focus and the arrow keys move it.
    by_tab = f"{FIGURES}.filter(e => e.tabIndex !== 0 && !e.closest('table')?.querySelector('[tabindex=\"0\"]'))"
    assert await page.value(f"{by_tab}.map(e => e.outerHTML)") == []
    await page.value("document.getElementById('sentence').focus()")
    assert "one school day" in await page.value(TIP)
    await page.press("Tab")
    open_waits = next(column for column in NOW.columns if column.name == "open_waits")
    assert open_waits.meaning in await page.value(TIP)
    await page.press("Escape")
    assert await page.value(TIP) is False
    for number in ("#now dd", "#day text[data-explained]", "#day .hit", "#breaches td, #units td", "#totals dd"):
        explained = await page.value(POINTED % number)
        assert explained, number
        assert explained == await page.value(TIP), number
    await page.value("document.querySelector('#departments td[tabindex=\"0\"]').focus()")
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        await page.press(key)
    metric, explained = await page.value(ACTIVE)
    shown = [column.name for column in DEPARTMENTS.columns if column.label != "Code"]
    assert metric == shown[2]
    assert explained == await page.value(TIP)
    assert await page.value("document.activeElement.getAttribute('aria-describedby')") == "tip"


def test_every_number_explains_itself_to_pointer_and_keyboard(clickhouse: Settings, visit: Visit) -> None:
    land_excerpt(clickhouse)

    async def look(browser: Chromium, url: str) -> None:
        async with browser.page(url) as page:
            await page.until(WHOLE)
            await _explains(page)
            assert page.errors == []

    visit(look)


def test_it_fits_a_phone_and_follows_the_colour_scheme(clickhouse: Settings, visit: Visit) -> None:
    land_excerpt(clickhouse)

    async def look(browser: Chromium, url: str) -> None:
        papers = []
        for view in (LIGHT, DARK, PHONE):
            async with browser.page(url, view) as page:
                await page.until(WHOLE)
                assert await page.value(SIDEWAYS) is False
                papers.append(await page.value("getComputedStyle(document.body).backgroundColor"))
        assert papers[0] == papers[2] != papers[1]

    visit(look)


def test_an_empty_page_says_what_to_do_and_fills_by_itself(clickhouse: Settings, visit: Visit) -> None:
    async def look(browser: Chromium, url: str) -> None:
        async with browser.page(url) as page:
            await page.until(LIVE)
            assert "./cx import" in await page.value("document.getElementById('empty').innerText")
            await asyncio.to_thread(land_excerpt, clickhouse)
            await page.until("document.querySelector('#totals [data-metric=met]')?.textContent === '68'")
            assert await page.value("document.getElementById('empty').hidden") is True
            assert page.errors == []

    visit(look)


def test_it_says_how_far_the_past_has_come_in_and_stops_when_it_is_there(clickhouse: Settings, tmp_path: Path) -> None:
    settings = clickhouse.model_copy(update={"data": tmp_path, "simulated": boston311.DISTRICT})
    past = Past(district=boston311.DISTRICT, days=28, sent=12_000)
    past.write(settings)
    shown, empty = (f"document.getElementById('{name}')" for name in ("past", "empty"))

    async def look(page: Page) -> None:
        await page.until(LIVE)
        await page.until(f"{shown}.textContent === 'The past 28 days are still coming in: 12,000 events sent so far.'")
        assert await page.value(f"[{shown}.hidden, {empty}.hidden]") == [False, True]
        await asyncio.to_thread(land_excerpt, settings)
        past.model_copy(update={"landed": 9_500, "total": 70_000}).write(settings)
        await page.until(f"{shown}.textContent === 'The past 28 days are still coming in: 9,500 of 70,000 events.'")
        Past.forget(settings)
        await page.until(f"{shown}.hidden")
        assert page.errors == []

    async def whole() -> None:
        (port,) = free_ports(1)
        async with Chromium.started(tmp_path) as browser, served(settings, port) as url, browser.page(url) as page:
            await look(page)

    asyncio.run(whole())


def test_it_says_what_is_away_and_recovers(clickhouse: Settings, tmp_path: Path) -> None:
    land_excerpt(clickhouse)
    web_port, nobody = free_ports(2)
    away = clickhouse.model_copy(update={"clickhouse": f"127.0.0.1:{nobody}"})
    problem = "document.getElementById('problem').innerText"

    async def work(browser: Chromium, opened: AsyncExitStack) -> None:
        async with served(clickhouse, web_port) as url:
            page = await opened.enter_async_context(browser.page(url))
            await page.until(WHOLE)
        await page.until("document.body.dataset.state === 'lost'")
        assert "Connection lost. Trying again" in await page.value(problem)
        async with served(away, web_port):
            await page.until(f"{problem}.includes('ClickHouse at 127.0.0.1:{nobody} does not answer')")
            assert "Traceback" not in await page.value("document.body.innerText")
            assert not unlike(await page.value(METRICS), {"met": "68"})
        async with served(clickhouse, web_port):
            await page.until(WHOLE)
            assert await page.value("document.getElementById('problem').hidden") is True

    async def whole() -> None:
        async with Chromium.started(tmp_path) as browser, AsyncExitStack() as opened:
            await work(browser, opened)

    asyncio.run(whole())
