"""The page's server without a browser: who is answered, what is said when ClickHouse is away, what viewers cost."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from dashboards.live.page import FILES, is_own_host, live
from dashboards.live.readings import FRESH_SECONDS, Shared
from dashboards.now import FIRST_VIEW
from dashboards.panels import BELOW
from deploy.local.machine import free_ports
from schemas.clock import Clock
from schemas.facts import NAMES
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing
from streams.intake.past import FILE, Past
from streams.present import wall_ms
from tests.dashboards.test_now import SAMPLE, land
from tests.sinks.samples import NOW_MS, conversation

Look = Callable[[aiohttp.ClientSession], Awaitable[None]]


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the page's application while it is served."""
    runner = web.AppRunner(live(settings), access_log=None)
    await runner.setup()
    (port,) = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        await runner.cleanup()


def look_at(settings: Settings, look: Look) -> None:
    """Run a look at the served application."""

    async def whole() -> None:
        async with served(settings) as session:
            await look(session)

    asyncio.run(whole())


def nowhere() -> Settings:
    """Settings of a ClickHouse that nobody runs."""
    return Settings(clickhouse=f"127.0.0.1:{free_ports(1)[0]}")


@pytest.mark.parametrize(
    ("host", "bind", "own"),
    [
        ("127.0.0.1:18080", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST:1", "127.0.0.1", True),
        ("[::1]:18080", "127.0.0.1", True),
        ("127.0.0.9", "127.0.0.1", True),
        ("rebound.example", "127.0.0.1", False),
        ("127.0.0.1.rebound.example:18080", "127.0.0.1", False),
        ("localhost.rebound.example", "127.0.0.1", False),
        ("192.0.2.7", "127.0.0.1", False),
        ("192.0.2.7:18080", "192.0.2.7", True),
        ("192.0.2.8", "::", True),
        ("rebound.example", "::", False),
        ("", "127.0.0.1", False),
        ("a b", "127.0.0.1", False),
        ("127.0.0.1:port", "127.0.0.1", False),
    ],
)
def test_only_hosts_of_this_machine_are_its_own(host: str, bind: str, own: bool) -> None:
    assert is_own_host(host, bind) is own


def test_a_foreign_host_name_is_refused_on_every_path() -> None:
    async def look(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/page.js", "/api/now", "/metrics"):
            async with session.get(path, headers={"Host": "rebound.example"}) as answer:
                assert answer.status == 421
                assert "127.0.0.1" in await answer.text()

    look_at(nowhere(), look)


def test_the_page_runs_nothing_from_elsewhere() -> None:
    text = (FILES / "index.html").read_text()
    assert not re.search(r"https?://|<style|style=|\son[a-z]+=|<script>", text)
    for name in ("page.js", "page.css"):
        assert not re.search(r"https?://|innerHTML|eval\(|@import", (FILES / name).read_text())

    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/") as answer:
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy

    look_at(nowhere(), look)


def test_a_clickhouse_that_is_away_is_one_sentence() -> None:
    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/now") as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            found = await answer.json()
        assert "does not answer" in found["error"]
        assert "Traceback" not in found["error"]

    look_at(nowhere(), look)


def test_a_past_that_comes_in_is_told_of_the_simulated_district_alone(clickhouse: Settings, tmp_path: Path) -> None:
    land(clickhouse, [])
    past = Past(district=SAMPLE.district, days=28, sent=70_000, landed=9_500, total=70_000)
    found = []

    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/now") as answer:
            found.append((answer.status, (await answer.json()).get("past")))

    past.write(clickhouse.model_copy(update={"data": tmp_path}))
    for simulated in (SAMPLE.district, "another", None):
        look_at(clickhouse.model_copy(update={"data": tmp_path, "simulated": simulated}), look)
    own = clickhouse.model_copy(update={"data": tmp_path, "simulated": SAMPLE.district})
    Past.forget(own)
    look_at(own, look)
    (tmp_path / FILE).write_text("{")
    look_at(own, look)
    assert found == [(200, past.model_dump()), (200, None), (200, None), (200, None), (503, None)]


def test_missing_tables_are_said_too(empty_clickhouse: Settings) -> None:
    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/now") as answer:
            assert answer.status == 503
            assert "./cx migrate" in (await answer.json())["error"]

    look_at(empty_clickhouse, look)


def test_an_empty_database_answers_without_a_district(clickhouse: Settings) -> None:
    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/now") as answer:
            found = await answer.json()
        assert (answer.status, found["districts"], found["district"]) == (200, [], None)
        assert {panel["rows"] == [] for panel in found["panels"].values()} == {True}

    look_at(clickhouse, look)


def test_districts_are_told_apart_and_unknown_ones_refused(clickhouse: Settings) -> None:
    sink = ClickHouseSink(clickhouse)
    rows = [conversation("d", "a", 1), conversation("e", "a", 1), conversation("e", "b", 1)]
    linked = NAMES.index("linked")
    sink.land(Landing(NOW_MS, conversations=[(*row[:linked], 1, *row[linked + 1 :]) for row in rows]))
    sink.close()

    async def look(session: aiohttp.ClientSession) -> None:
        for district, count in (("d", 1), ("e", 2)):
            async with session.get("/api/now", params={"district": district}) as answer:
                found = await answer.json()
            assert found["district"]["district"] == district
            assert found["district"]["conversations"] == count
            assert list(found["panels"]) == [panel.name for panel in FIRST_VIEW]
            async with session.get("/api/below", params={"district": district}) as answer:
                found = await answer.json()
            assert found["panels"]["totals"]["rows"][0]["conversations"] == count
            assert list(found["panels"]) == [panel.name for panel in BELOW]
        async with session.get("/api/now", params={"district": "x' OR 1"}) as answer:
            assert answer.status == 404

    look_at(clickhouse, look)


def test_many_viewers_cost_one_reading(clickhouse: Settings) -> None:
    sink = ClickHouseSink(clickhouse)
    sink.land(Landing(NOW_MS, conversations=[conversation("d", "a", 1)]))
    sink.close()

    async def one(session: aiohttp.ClientSession) -> int:
        async with session.get("/api/now") as answer:
            await answer.read()
            return answer.status

    async def look(session: aiohttp.ClientSession) -> None:
        started = time.monotonic()
        assert await asyncio.gather(*(one(session) for _ in range(40))) == [200] * 40
        lasted = time.monotonic() - started
        async with session.get("/metrics") as answer:
            metrics = await answer.text()
        readings = re.search(r'cx_web_readings_total{end="answered"} ([0-9.]+)', metrics)
        assert readings is not None
        # Two questions, and requests may straddle the end of the time that one answer lasts.
        assert float(readings[1]) <= 2 * (1 + lasted / FRESH_SECONDS)

    look_at(clickhouse, look)


def test_an_answer_is_shared_while_it_is_fresh_and_asked_again_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[asyncio.Future[int]] = []
    now = [0.0]
    monkeypatch.setattr("dashboards.live.readings.time", SimpleNamespace(monotonic=lambda: now[0]))

    def answer() -> asyncio.Future[int]:
        asked.append(asyncio.get_running_loop().create_future())
        return asked[-1]

    async def whole() -> None:
        shared = Shared()
        first, second = (asyncio.create_task(shared.ask("q", answer, 0.05)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        asked[0].set_result(1)
        assert await second == 1
        now[0] = 0.05
        assert await shared.ask("q", answer, 0.05) == 1
        now[0] = 0.06
        third = asyncio.create_task(shared.ask("q", answer, 0.05))
        await asyncio.sleep(0)
        asked[1].set_exception(OSError("away"))
        with pytest.raises(OSError, match="away"):
            await third

    asyncio.run(whole())
    assert len(asked) == 2


def test_another_version_is_asked_at_once_and_an_older_one_takes_what_is_there() -> None:
    asked: list[asyncio.Future[int]] = []

    async def whole() -> None:
        twice = asyncio.Event()

        def answer() -> asyncio.Future[int]:
            asked.append(asyncio.get_running_loop().create_future())
            if len(asked) == 2:
                twice.set()
            return asked[-1]

        shared = Shared()
        first = asyncio.create_task(shared.ask("q", answer, 60.0, version=1))
        await asyncio.sleep(0)
        second = asyncio.create_task(shared.ask("q", answer, 60.0, version=2))
        await asyncio.sleep(0)
        asked[0].set_result(1)
        assert await first == 1
        await twice.wait()
        asked[1].set_result(2)
        assert await second == 2
        assert await shared.ask("q", answer, 60.0, version=1) == 2

    asyncio.run(asyncio.wait_for(whole(), 30))
    assert len(asked) == 2


def test_an_answer_waits_for_what_lands(clickhouse: Settings) -> None:
    sink = ClickHouseSink(clickhouse)
    sink.land(Landing(NOW_MS, conversations=[conversation("d", "a", 1)]))

    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/now", params={"district": "d"}) as answer:
            mark = (await answer.json())["mark"]
        waiting = asyncio.create_task(_marked(session, mark))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await asyncio.to_thread(sink.land, Landing(NOW_MS + 1, conversations=[conversation("d", "b", 1)]))
        assert await waiting != mark

    async def _marked(session: aiohttp.ClientSession, mark: str) -> str:
        async with session.get("/api/now", params={"district": "d", "after": mark}) as answer:
            found: str = (await answer.json())["mark"]
            return found

    look_at(clickhouse, look)
    sink.close()


def test_the_page_is_told_of_a_clock_of_its_own(clickhouse: Settings) -> None:
    clock = Clock(origin_ms=NOW_MS, started_ms=wall_ms(), speed=60.0)

    async def look(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/now") as answer:
            found = await answer.json()
        assert found["clock"] == {"speed": 60.0}
        assert NOW_MS <= found["now_ms"] < wall_ms() * 60

    look_at(clickhouse.model_copy(update={"clock": clock}), look)
