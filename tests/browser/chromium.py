"""A headless Chromium driven over its DevTools protocol: pages read, keys pressed, pictures taken, errors heard.

async with Chromium.started(folder) as browser:
    async with browser.page(PHONE) as page: ...
"""

import asyncio
import base64
import itertools
import json
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

LIVE = "document.body?.dataset.state === 'live'"
WHOLE = f"{LIVE} && !document.getElementById('below').hidden"
START_SECONDS = 60.0
WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.1
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def chromium_path() -> str | None:
    """Where Chromium is, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass(frozen=True, slots=True)
class View:
    """What a page is looked at with; sizes in CSS pixels."""

    width: int
    height: int
    dark: bool = False
    phone: bool = False


LIGHT = View(1280, 900)
DARK = View(1280, 900, dark=True)
PHONE = View(390, 844, phone=True)


@dataclass(slots=True)
class Page:
    """One open tab; `errors` are the console's errors and uncaught exceptions since its opening."""

    socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._waiting[number], WAIT_SECONDS)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    async def listen(self) -> None:
        """Hand answers to those who wait, and keep errors; until the tab is closed."""
        async for message in self.socket:
            content = json.loads(message.data)
            if "id" in content:
                waiting = self._waiting.pop(content["id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(content)
            else:
                self._hear(content["method"], content["params"])

    def _hear(self, method: str, said: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
            self.errors.append(json.dumps(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")

    async def look_with(self, view: View) -> None:
        """Set size, touch and colour scheme."""
        metrics = {"width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": view.phone}
        await self.send("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if view.dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as JSON would carry it."""
        found = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def until(self, expression: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an expression is true."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            if await self.value(f"Boolean({expression})"):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"never true: {expression}; errors of the page: {self.errors}")

    async def press(self, key: str) -> None:
        """Press and release one key by its name (`ArrowDown`)."""
        for kind in ("rawKeyDown", "keyUp"):
            code = {"Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[key]
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def picture(self, height: int) -> bytes:
        """The page from its top down to `height`, as PNG."""
        width = await self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = await self.send("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(taken["data"])


@dataclass(slots=True)
class Chromium:
    """The browser's process; pages are opened over its local debugging port."""

    port: int
    session: aiohttp.ClientSession

    @classmethod
    @asynccontextmanager
    async def started(cls, folder: Path) -> AsyncIterator[Self]:
        """Start it with a profile of its own in `folder`, and end it and its children afterwards."""
        path = chromium_path()
        if path is None:
            raise FileNotFoundError("chromium is not installed: apt-get install chromium")
        with (folder / "chromium.log").open("w") as log:
            command = [path, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 -- returns at once
        try:
            async with aiohttp.ClientSession() as session:
                port = await asyncio.to_thread(_port, folder / "profile" / "DevToolsActivePort", process)
                yield cls(port, session)
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, WAIT_SECONDS)

    @asynccontextmanager
    async def page(self, url: str, view: View = LIGHT) -> AsyncIterator[Page]:
        """Open a tab on `url`, seen with `view`."""
        base = f"http://127.0.0.1:{self.port}/json"
        async with self.session.put(f"{base}/new?about:blank") as answer:
            target = await answer.json()
        async with self.session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            for domain in ("Page", "Runtime", "Log"):
                await page.send(f"{domain}.enable")
            # Only the tab in front gets focus events, unless each is told that it is.
            await page.send("Emulation.setFocusEmulationEnabled", enabled=True)
            await page.look_with(view)
            await page.send("Page.navigate", url=url)
            yield page
        await listening


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that the browser chose, once it has written it down. Blocks."""
    deadline = time.monotonic() + START_SECONDS
    while not file.exists() or not file.read_text().strip():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"chromium did not start: see {file.parent.parent / 'chromium.log'}")
        time.sleep(LOOK_SECONDS)
    return int(file.read_text().splitlines()[0])
