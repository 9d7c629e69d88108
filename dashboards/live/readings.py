"""The panels read from ClickHouse: in threads of their own, at most once a second whatever the number of viewers."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from clickhouse_driver import Client

from dashboards.live.metrics import WebMetrics
from dashboards.panels import DISTRICTS, OF_A_DISTRICT
from dashboards.present import instants, sentence
from dashboards.shown import Panel
from schemas.errors import CxError
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from streams.present import now_ms

THREADS = 2
FRESH_SECONDS = 0.5

_DOCUMENT = """
SELECT document FROM districts WHERE district = %(district)s
ORDER BY (revision, occurred_at, event_id) DESC LIMIT 1
"""

Record = dict[str, Any]


class Shared:
    """One running or recent answer for each question, given to everybody who asks meanwhile. One event loop only."""

    def __init__(self, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._fresh_seconds = fresh_seconds
        self._asked: dict[Hashable, asyncio.Future[Any]] = {}
        self._fresh_until: dict[Hashable, float] = {}

    async def ask(self, question: Hashable, answer: Callable[[], asyncio.Future[Any]]) -> Any:
        """The answer to a question: a failure is shared like a success, and as long."""
        held = self._asked.get(question)
        if held is None or (held.done() and time.monotonic() > self._fresh_until[question]):
            self._fresh_until[question] = math.inf
            held = self._asked[question] = answer()
            held.add_done_callback(partial(self._answered, question, time.monotonic()))
        # One viewer that leaves must not cancel what the others wait for.
        return await asyncio.shield(held)

    def _answered(self, question: Hashable, started: float, _answer: asyncio.Future[Any]) -> None:
        # A slow answer is kept as long as it took, so that viewers never keep ClickHouse busy more than half the time.
        now = time.monotonic()
        self._fresh_until[question] = now + max(self._fresh_seconds, now - started)


class Readings:
    """Reads panels; every thread has its own connection. Made and closed inside the event loop."""

    def __init__(self, settings: Settings, metrics: WebMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._shared = Shared()
        self._pool = ThreadPoolExecutor(THREADS, "panels")
        self._local = threading.local()
        self._clients: list[Client] = []

    async def districts(self) -> list[Record]:
        """Every known district. Raises `Unavailable` or `Refused`."""
        found: list[Record] = await self._shared.ask(None, lambda: self._submit(self._districts))
        return found

    async def of_district(self, district: str) -> Record:
        """All panels of one known district, by name, as they were at `now_ms`. Raises `Unavailable` or `Refused`."""
        found: Record = await self._shared.ask(district, lambda: self._submit(self._panels, district))
        return found

    async def with_questions(self, work: Callable[..., Any]) -> Any:
        """Run `work(ask, document)` on a thread that may ask; `ask(district, sql)` gives the first row or None."""
        return await self._submit(work, self._first, self.document)

    def _first(self, district: str, sql: str) -> Record | None:
        with errors_mapped(self._settings):
            rows, columns = self._client().execute(sql, {"district": district}, with_column_types=True)
        return dict(zip([name for name, _ in columns], rows[0], strict=True)) if rows else None

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def _districts(self) -> list[Record]:
        return self._read(DISTRICTS, {})

    def _panels(self, district: str) -> Record:
        seen_ms = now_ms(self._settings)
        document = self.document(district)
        parameters: dict[str, Any] = {"district": district, **instants(document, seen_ms)}
        with self._metrics.reading_seconds.time():
            panels = {panel.name: self._read(panel, parameters) for panel in OF_A_DISTRICT}
        self._metrics.readings.labels("answered").inc()
        (first,) = panels["now"]
        return {"now_ms": seen_ms, "sentence": sentence(first, panels["units"]), "panels": panels}

    def document(self, district: str) -> str | None:
        """The district's newest document as JSON, None without one. Blocks; on one of this object's threads only."""
        with errors_mapped(self._settings):
            rows = self._client().execute(_DOCUMENT, {"district": district})
        return rows[0][0] if rows else None

    def _read(self, panel: Panel, parameters: dict[str, Any]) -> list[Record]:
        names = [column.name for column in panel.columns]
        try:
            with errors_mapped(self._settings):
                rows = self._client().execute(panel.sql, parameters)
        except CxError:
            self._metrics.readings.labels("failed").inc()
            raise
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _client(self) -> Client:
        held: Client | None = getattr(self._local, "client", None)
        if held is None:
            held = self._local.client = connect(self._settings)
            self._clients.append(held)
        return held

    async def close(self) -> None:
        """End the threads; a query under way is cut by closing its connection."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.disconnect()
        await asyncio.to_thread(self._pool.shutdown)
