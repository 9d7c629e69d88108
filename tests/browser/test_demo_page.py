"""The demonstration as a person opens it: four weeks of a district behind the page, and every button in a browser."""

import asyncio
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from dashboards.incidents import INCIDENTS as PANEL
from schemas.alerts import AT_RISK, BREACHED, MET_LATE
from streams.intake.staged import NAME
from tests.browser.chromium import LIVE, WHOLE, Chromium, Page
from tests.browser.test_buttons import CHANGES, MOVED, TOLD
from tests.stack.processes import until
from tests.stack.test_demo import DISTRICT, PYTHON, Demo, own_settings

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.timed]
PRESSES = 3
AFTER_MS = "Number(document.getElementById('moved').dataset.afterMs)"
LONGEST_MS = 2_000
# A feed is silent two to three minutes of the clock after the press.
SPEED = 5
SILENCED = f"{MOVED}.includes('fell silent')"
INCIDENTS = "[...document.querySelectorAll('#incidents tbody tr')].map(row => row.innerText)"
SURGES = f"{INCIDENTS}.filter(row => row.includes('inquiries: bus-late'))"
COUNT = "Number([...document.querySelectorAll('#incidents tbody tr')].find(row => row.innerText.includes('bus-late'))"
COUNT += f".children[{[column.name for column in PANEL.columns].index('observed')}].textContent.replace(',', ''))"
SAID = "document.getElementById('messages').textContent"
PATIENCE_SECONDS = 180.0
APART = ("snow-day", "breakdown")
NEVER_CLOSED = {"social-media"}


async def press(page: Page, action: str) -> int:
    """Press a button and wait until its number moved; how long that took, in ms."""
    await page.value(f"document.querySelector('[data-action={action}]').click()")
    await page.until(TOLD)
    assert "→" in await page.value(MOVED)
    after_ms: int = await page.value(AFTER_MS)
    return after_ms


def all_but_one_in_time(taken: Iterable[int]) -> bool:
    """Whether presses moved their number within two seconds; the machine may be busy with other work during one."""
    return sorted(taken)[-2] < LONGEST_MS


def units_with_promises_due(demo: Demo) -> set[str]:
    """Units that have an open promise due on the demonstration's first day, but for dates that somebody named."""
    where = f"district = '{DISTRICT}' AND outcome = 'open' AND toDate(due_at, 'America/Chicago') = '2026-10-06'"
    ask = [*PYTHON, "sql", "--json", f"SELECT DISTINCT unit FROM verdicts WHERE {where} AND promise != 'source'"]
    answer = subprocess.run(ask, env=demo.environment, capture_output=True, text=True, check=True)
    return {row["unit"] for row in map(json.loads, answer.stdout.splitlines())}


def told_of(demo: Demo, conversation: str) -> set[str]:
    """What receivers are told of one conversation."""
    where = f"district = '{DISTRICT}' AND conversation = '{conversation}' AND notify = 1"
    ask = [*PYTHON, "sql", "--json", f"SELECT transition FROM alerts WHERE {where}"]
    answer = subprocess.run(ask, env=demo.environment, capture_output=True, text=True, check=True)
    return {row["transition"] for row in map(json.loads, answer.stdout.splitlines())}


async def press_silence(address: str, folder: Path) -> None:
    """A button that moves no number: it says what happens."""
    async with Chromium.started(folder) as browser, browser.page(address) as page:
        await page.until(LIVE)
        await page.value("document.querySelector('[data-action=silence]').click()")
        await page.until(SILENCED)


async def watch_surge(page: Page) -> list[tuple[int, str]]:
    """Calls come in: one incident, whose count grows with what comes, in the words that people get."""
    taken = [await press(page, "breakdown")]
    await page.until(f"{SURGES}.length === 1")
    before = await page.value(COUNT)
    taken += [await press(page, "breakdown") for _ in range(PRESSES - 1)]
    await page.until(f"{COUNT} > {before}")
    assert await page.value(f"{SURGES}.length") == 1
    assert "A surge" in await page.value(SAID)
    return [(each, "breakdown") for each in taken]


async def look(address: str, folder: Path) -> None:
    """Open the page, press every button that moves a number, read the page to its end."""
    async with Chromium.started(folder) as browser, browser.page(address) as page:
        await page.until(LIVE)
        taken = await watch_surge(page)
        presses = [action for action in CHANGES if action not in APART for _ in range(PRESSES)]
        taken += [(await press(page, action), action) for action in (*presses, "snow-day")]
        await page.until(f"{INCIDENTS}.some(row => row.includes('silent: mailbox'))", PATIENCE_SECONDS)
        await page.until(f"{SAID}.includes('A feed is silent: mailbox')")
        await page.until(WHOLE)
        tiles = "[...document.querySelectorAll('.tiles dd')].filter(tile => tile.textContent === '–').length"
        assert await page.value(tiles) == 0
        assert await page.value("document.querySelectorAll('#breaches tbody tr').length") == 10
        assert await page.value("document.querySelectorAll('#rolling tbody tr').length") == 5
        assert page.errors == []
        assert all_but_one_in_time(ms for ms, _ in taken), taken


@pytest.mark.timeout(900)
def test_every_button_of_the_demonstration_does_what_it_says(tmp_path: Path) -> None:
    settings = own_settings(tmp_path / "data")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Demo(settings, tmp_path / "demo.log", SPEED) as demo:
        demo.wait_until_shown()
        address = f"http://127.0.0.1:{settings.web_port}/"
        # First, as it takes longest to be told.
        asyncio.run(press_silence(address, first))
        until(lambda: told_of(demo, f"{NAME}-0") == {AT_RISK, BREACHED, MET_LATE}, "a promise breaks and is met")
        assert len(units_with_promises_due(demo)) > len(NEVER_CLOSED)
        asyncio.run(look(address, second))
        until(lambda: units_with_promises_due(demo) <= NEVER_CLOSED, "no closed office has a promise due")
        assert demo.stop() == 0
