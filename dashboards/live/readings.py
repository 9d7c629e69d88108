"""The panels read from ClickHouse, in threads of their own, once for all viewers.

The first view is read when something of the district has landed, which a small question finds out, and every second.
What is dear and changes seldom, rolling windows and what stands below the first view, is read one question after the
other on a thread of its own, so that nobody waits for it who pressed a button.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from clickhouse_driver import Client

from dashboards.incidents import MESSAGES, messages
from dashboards.live.presses import Presses
from dashboards.now import EVERY_UNIT, FIRST_VIEW
from dashboards.panels import BELOW, DISTRICTS
from dashboards.present import instants, sentence
from dashboards.shown import Panel
from dashboards.windows import ROLLED
from schemas.errors import CxError
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from streams.metrics import WebMetrics
from streams.present import now_ms

THREADS = 4
FRESH_SECONDS = 0.5
FRESH_BELOW_SECONDS = 5.0
FRESH_ROLLED_SECONDS = 30.0
FRESH_DISTRICTS_SECONDS = 2.0
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 1.0
QUICK_SECONDS = 0.25

_DOCUMENT = """
SELECT document FROM districts WHERE district = %(district)s
ORDER BY (revision, occurred_at, event_id) DESC LIMIT 1
"""
# A flush fills one table after another under one instant, so each has its own place in the mark.
_MARK = " UNION ALL ".join(
    f"SELECT '{table}', max(toUnixTimestamp64Milli(landed_at)), count() FROM {table} "  # noqa: S608 -- our tables
    f"WHERE district = %(district)s {more}"
    for table, more in (
        ("conversations", ""),
        ("alerts", ""),
        ("incidents", ""),
        ("districts", ""),
        ("rolling", "AND unit = %(district)s AND channel = 'all'"),
    )
)

AT_ONCE = (*(panel for panel in FIRST_VIEW if panel is not ROLLED), EVERY_UNIT, *MESSAGES)
OLDEST_ROLLED_MS = 120_000
# Panels are read beside one another: threads within a query would only be in each other's way.
_ONE_THREAD = {"max_threads": 1}

Record = dict[str, Any]


@dataclass(slots=True)
class _Held:
    """A running or given answer, and the instants of the monotonic clock that say when it may be asked again."""

    answer: asyncio.Future[Any]
    version: int
    fresh_until: float = math.inf
    rest_until: float = 0.0


class Shared:
    """One running or recent answer for each question, given to everybody who asks meanwhile. One event loop only."""

    def __init__(self) -> None:
        self._held: dict[Hashable, _Held] = {}

    async def ask(
        self,
        question: Hashable,
        answer: Callable[[], asyncio.Future[Any]],
        fresh_seconds: float = FRESH_SECONDS,
        version: int = 0,
    ) -> Any:
        """The answer to a question, begun at this version or a later one.

        A failure is shared like a success, and as long.
        """
        while True:
            held = self._held.get(question)
            if held is None or (held.answer.done() and time.monotonic() > held.fresh_until):
                break
            if held.version >= version:
                return await asyncio.shield(held.answer)
            if not held.answer.done():
                await asyncio.wait({held.answer})
            elif time.monotonic() < held.rest_until:
                await asyncio.sleep(held.rest_until - time.monotonic())
            else:
                break
        held = self._held[question] = _Held(answer(), version)
        held.answer.add_done_callback(partial(self._answered, held, time.monotonic(), fresh_seconds))
        # One viewer that leaves must not cancel what the others wait for.
        return await asyncio.shield(held.answer)

    @staticmethod
    def _answered(held: _Held, started: float, fresh_seconds: float, _answer: asyncio.Future[Any]) -> None:
        # After a slow answer there is a rest as long as it took: viewers keep ClickHouse busy half the time at most.
        now = time.monotonic()
        held.fresh_until = now + max(fresh_seconds, now - started)
        held.rest_until = now + (now - started if now - started > QUICK_SECONDS else 0.0)


class _Seen(NamedTuple):
    """What had landed of a district, of it the rolling rows, and how many such marks there were before of each."""

    mark: str
    rolling: str
    number: int
    rolled: int


class Readings:
    """Reads panels; every thread has its own connection. Made and closed inside the event loop."""

    def __init__(self, settings: Settings, metrics: WebMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._shared = Shared()
        self._seen: dict[str, _Seen] = {}
        self._rolled: dict[str, tuple[int, Record]] = {}
        self.presses = Presses()
        self._pool = ThreadPoolExecutor(THREADS, "panels")
        self._slow_pool = ThreadPoolExecutor(1, "slow-panels")
        self._local = threading.local()
        self._clients: list[Client] = []

    async def districts(self) -> list[Record]:
        """Every known district. Raises `Unavailable` or `Refused`."""
        found: list[Record] = await self._shared.ask(
            "districts", lambda: self._submit(self._read, DISTRICTS, {}), FRESH_DISTRICTS_SECONDS
        )
        return found

    async def first_view(self, district: str, after: str = "") -> Record:
        """The first view of one known district as it was at `now_ms`, with the `mark` of what had landed by then.

        `pressed`: the presses that its numbers hold; `unsure`: those of which they may hold something. Numbers made of
        rolling rows take no part in that.
        With the mark of an earlier answer as `after` it waits until something else has landed, at most a second.
        Raises `Unavailable` or `Refused`.
        """
        deadline = time.monotonic() + LONGEST_SECONDS
        seen = await self._mark(district)
        while self._mark_of(district, seen) == after and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            seen = await self._mark(district)
        rolled = await self._newest_rolled(district, seen.rolled)
        mark = self._mark_of(district, seen)
        found: Record = await self._shared.ask(
            ("first", district), lambda: self._gathered(district, AT_ONCE, self._pool), version=seen.number
        )
        panels = {**found["panels"], **rolled["panels"]}
        return {
            **found,
            "mark": mark,
            "panels": panels,
            "messages": messages(panels),
            "sentence": sentence(panels["lately"][0], panels["every_unit"]),
        }

    def _mark_of(self, district: str, seen: _Seen) -> str:
        return f"{seen.mark}.{self._rolled[district][0] if district in self._rolled else 0}"

    async def _newest_rolled(self, district: str, version: int) -> Record:
        """What is made of rolling rows: the last answer while a newer one is made, told as if it had landed."""
        asked = asyncio.ensure_future(
            self._shared.ask(
                ("rolled", district),
                lambda: self._gathered(district, (ROLLED,), self._slow_pool),
                FRESH_ROLLED_SECONDS,
                version,
            )
        )
        asked.add_done_callback(partial(self._rolled_anew, district))
        # Nobody may have looked for long: what was made then is not shown beside what is true now.
        _, last = self._rolled.get(district, (0, None))
        is_recent = last is not None and now_ms(self._settings) - last["now_ms"] <= OLDEST_ROLLED_MS
        await asyncio.wait({asked}, timeout=0 if is_recent else None)
        # One that has just failed is told; the one before would pass for the present for ever.
        return (await asked) if asked.done() else self._rolled[district][1]

    def _rolled_anew(self, district: str, asked: "asyncio.Future[Record]") -> None:
        if asked.cancelled() or asked.exception() is not None:
            return
        number, before = self._rolled.get(district, (0, {}))
        if asked.result() is not before:
            self._rolled[district] = (number + 1, asked.result())

    async def below(self, district: str) -> Record:
        """The panels below the first view, some seconds old at most. Raises `Unavailable` or `Refused`."""
        found: Record = await self._shared.ask(
            ("below", district), lambda: self._gathered(district, BELOW, self._slow_pool), FRESH_BELOW_SECONDS
        )
        return found

    async def _mark(self, district: str) -> _Seen:
        marks: dict[str, str] = await self._shared.ask(
            ("mark", district), lambda: self._submit(self._landed, district), LOOK_SECONDS / 2
        )
        before = self._seen.get(district, _Seen("", "", 0, 0))
        mark = ".".join(marks[table] for table in sorted(marks))
        if mark != before.mark:
            rolled = before.rolled + (marks["rolling"] != before.rolling)
            self._seen[district] = _Seen(mark, marks["rolling"], before.number + 1, rolled)
        return self._seen[district]

    def _landed(self, district: str) -> dict[str, str]:
        with errors_mapped(self._settings):
            rows = self._client().execute(_MARK, {"district": district})
        return {table: f"{landed_ms}-{count}" for table, landed_ms, count in rows}

    def _gathered(self, district: str, panels: Sequence[Panel], pool: ThreadPoolExecutor) -> asyncio.Future[Record]:
        return asyncio.ensure_future(self._together(district, panels, pool))

    async def _together(self, district: str, panels: Sequence[Panel], pool: ThreadPoolExecutor) -> Record:
        """Panels beside one another as far as the pool has threads, all of the same present."""
        with self._metrics.reading_seconds.time():
            seen_ms = now_ms(self._settings)
            document = await self._submit(self.document, district)
            parameters = {"district": district, **instants(document, seen_ms)}
            # First which presses the facts hold, then the numbers: these hold them too.
            pressed = await self._pressed(parameters) if panels is AT_ONCE else {}
            loop = asyncio.get_running_loop()
            reading = (loop.run_in_executor(pool, self._read, panel, parameters) for panel in panels)
            found = await asyncio.gather(*reading)
            # What landed meanwhile may be in some of the numbers and not in others.
            unsure = sorted((await self._pressed(parameters)).keys() - pressed) if panels is AT_ONCE else []
        self._metrics.readings.labels("answered").inc()
        rows = {panel.name: rows for panel, rows in zip(panels, found, strict=True)}
        return {"now_ms": seen_ms, "panels": rows, "pressed": pressed, "unsure": unsure}

    async def _pressed(self, parameters: Mapping[str, Any]) -> Record:
        ask = partial(self._asked, parameters)
        found = await self._submit(self.presses.look, parameters["district"], ask, parameters)
        return {name: state._asdict() for name, state in found.items()}

    async def with_questions(self, work: Callable[..., Any]) -> Any:
        """Run `work(ask, document)` on a thread that may ask: `ask(parameters, sql, more parameters)` gives rows."""
        return await self._submit(work, self._asked, self.document)

    def _asked(self, parameters: Mapping[str, Any], sql: str, more: Mapping[str, Any] | None = None) -> list[Record]:
        with errors_mapped(self._settings):
            rows, columns = self._client().execute(sql, {**parameters, **(more or {})}, with_column_types=True)
        return [dict(zip([name for name, _ in columns], row, strict=True)) for row in rows]

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def document(self, district: str) -> str | None:
        """The district's newest document as JSON, None without one. Blocks; on one of this object's threads only."""
        with errors_mapped(self._settings):
            rows = self._client().execute(_DOCUMENT, {"district": district})
        return rows[0][0] if rows else None

    def _read(self, panel: Panel, parameters: Mapping[str, Any]) -> list[Record]:
        names = [column.name for column in panel.columns]
        try:
            with errors_mapped(self._settings):
                rows = self._client().execute(panel.sql, parameters, settings=_ONE_THREAD)
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
        pools = (self._pool, self._slow_pool)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.disconnect()
        for pool in pools:
            await asyncio.to_thread(pool.shutdown)
