"""The demonstration as a person opens it: four weeks of a district behind the page, and every button in a browser."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.browser.chromium import LIVE, WHOLE, Chromium, Page
from tests.browser.test_buttons import AFTER_MS, CHANGES, MOVED, TOLD, all_but_one_in_time
from tests.stack.processes import until
from tests.stack.test_demo import DISTRICT, PYTHON, Demo, own_settings

pytestmark = [pytest.mark.browser, pytest.mark.stack]
PRESSES = 3
NEVER_CLOSED = {"social-media"}


async def press(page: Page, action: str) -> int:
    """Press a button and wait until its number moved; how long that took, in ms."""
    await page.value(f"document.querySelector('[data-action={action}]').click()")
    await page.until(TOLD)
    assert "→" in await page.value(MOVED)
    after_ms: int = await page.value(AFTER_MS)
    return after_ms


def units_with_promises_due(demo: Demo) -> set[str]:
    """Units that have an open promise due on the demonstration's first day."""
    where = f"district = '{DISTRICT}' AND outcome = 'open' AND toDate(due_at, 'America/Chicago') = '2026-10-06'"
    ask = [*PYTHON, "sql", "--json", f"SELECT DISTINCT unit FROM verdicts WHERE {where}"]
    answer = subprocess.run(ask, env=demo.environment, capture_output=True, text=True, check=True)
    return {row["unit"] for row in map(json.loads, answer.stdout.splitlines())}


async def look(address: str, folder: Path) -> None:
    """Open the page, press every button, read the page to its end."""
    async with Chromium.started(folder) as browser, browser.page(address) as page:
        await page.until(LIVE)
        presses = [action for action in CHANGES if action != "snow-day" for _ in range(PRESSES)]
        taken = [(await press(page, action), action) for action in (*presses, "snow-day")]
        assert all_but_one_in_time(ms for ms, _ in taken), taken
        await page.until(WHOLE)
        tiles = "[...document.querySelectorAll('.tiles dd')].filter(tile => tile.textContent === '–').length"
        assert await page.value(tiles) == 0
        assert await page.value("document.querySelectorAll('#breaches tbody tr').length") == 10
        assert await page.value("document.querySelectorAll('#rolling tbody tr').length") == 5
        assert page.errors == []


@pytest.mark.timeout(900)
def test_every_button_of_the_demonstration_moves_its_number(tmp_path: Path) -> None:
    settings = own_settings(tmp_path / "data")
    with Demo(settings, tmp_path / "demo.log") as demo:
        demo.wait_until_shown()
        assert len(units_with_promises_due(demo)) > len(NEVER_CLOSED)
        asyncio.run(look(f"http://127.0.0.1:{settings.web_port}/", tmp_path))
        until(lambda: units_with_promises_due(demo) <= NEVER_CLOSED, "no closed office has a promise due")
        assert demo.stop() == 0
