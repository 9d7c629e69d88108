"""What a worker tells while ClickHouse takes long or is away, at whatever step of a flush."""

import asyncio
from collections.abc import Callable

import pytest

from schemas.errors import Unavailable
from sinks.landing import Landing
from sinks.memory import MemorySink
from tests.golden import History
from tests.unit.test_worker import NUMBER, SlowSink, World, delivery
from tests.unit.test_worker_alerts import AT_RISK, BROKEN_MS, given, landed, payloads

# More than there is time for.
TRIES = 1_000


async def until(holds: Callable[[], bool]) -> None:
    """Let the worker go on until something holds, for a bounded number of looks."""
    for _ in range(2_000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("never came")


def transitions(world: World) -> list[str]:
    return [alert.transition for alert in world.published]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any landing counts as one that takes long."""
    monkeypatch.setattr("streams.worker.AHEAD_SECONDS", 0.0)


async def stuck(world: World) -> "asyncio.Future[None]":
    """A flush that waits for ClickHouse, with a promise at risk told before it."""
    world.now_ms = BROKEN_MS - 1
    await given(world)
    flush = asyncio.ensure_future(world.worker.flush())
    await until(lambda: transitions(world) == ["at_risk"])
    return flush


@pytest.mark.usefixtures("at_once")
def test_promises_that_break_while_clickhouse_is_away_are_told_at_once_and_land_later() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        flush = await stuck(world)
        world.now_ms = BROKEN_MS
        await until(lambda: transitions(world) == ["at_risk", "breached"])
        assert not flush.done()
        assert sink.rows("alerts") == []
        sink.may_go_on.set()
        await flush
        # What was told ahead has not landed with it.
        assert landed(world) == [AT_RISK]
        assert world.landed_to == {NUMBER: 1}
        await world.worker.flush()
        assert landed(world) == [AT_RISK, ("breached", BROKEN_MS - 1)]
        assert transitions(world) == ["at_risk", "breached"]
        assert world.landed_to == {NUMBER: 2}

    asyncio.run(scene())


class WithoutRolling(MemorySink):
    """Takes no rolling rows until it is let."""

    is_away = True

    def land(self, landing: Landing) -> None:
        """Refuse a landing with rolling rows meanwhile."""
        if landing.rolling and self.is_away:
            raise Unavailable("away", 0.01)
        super().land(landing)


@pytest.mark.usefixtures("at_once")
def test_promises_that_break_while_only_rolling_rows_wait_are_told_at_once() -> None:
    async def scene() -> None:
        sink = WithoutRolling()
        world = World(sink)
        flush = await stuck(world)
        await until(lambda: landed(world) == [AT_RISK])
        world.now_ms = BROKEN_MS
        await until(lambda: transitions(world) == ["at_risk", "breached"])
        assert not flush.done()
        sink.is_away = False
        await flush
        await world.worker.flush()
        assert landed(world) == [AT_RISK, ("breached", BROKEN_MS - 1)]
        assert transitions(world) == ["at_risk", "breached"]

    asyncio.run(scene())


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("merged", [False, True])
def test_promises_that_break_while_a_history_is_read_back_are_told_unless_it_may_answer_them(merged: bool) -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.now_ms = BROKEN_MS - 1
        await given(world)
        await world.worker.flush()
        world.partition.states["demo"].departed.add("old")
        more = History()
        more.add("reply", "2026-10-06 10:00:01", "old", event_id="late")
        if merged:
            more.add("merge", "2026-10-06 10:00:01", "c1", into="old", event_id="together")
        for offset, event in enumerate(more.events, start=2):
            await world.worker.receive(delivery(offset, event.model_dump_json(exclude_defaults=True).encode()))
        world.unread = TRIES
        flush = asyncio.ensure_future(world.worker.flush())
        await until(lambda: world.unread < TRIES)
        world.now_ms = BROKEN_MS
        await until(lambda: world.unread < TRIES - 1 and (merged or len(world.published) > 1))
        assert not flush.done()
        assert transitions(world) == (["at_risk"] if merged else ["at_risk", "breached"])
        world.unread = 0
        await flush

    asyncio.run(scene())


@pytest.mark.usefixtures("at_once")
def test_an_answer_that_comes_meanwhile_keeps_its_promise() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        flush = await stuck(world)
        await world.worker.receive(delivery(2, payloads("2026-10-06 10:00:01")[-1]))
        world.now_ms = BROKEN_MS
        await until(lambda: transitions(world) == ["at_risk", "resolved"])
        sink.may_go_on.set()
        await flush
        assert world.acknowledged == [0, 1]
        await world.worker.flush()
        assert world.acknowledged == [0, 1, 2]
        assert [transition for transition, _ in landed(world)] == ["at_risk", "resolved"]

    asyncio.run(scene())


@pytest.mark.usefixtures("at_once")
def test_what_kafka_does_not_take_meanwhile_is_told_as_soon_as_it_does() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        flush = await stuck(world)
        world.deaf = 3
        world.now_ms = BROKEN_MS
        await until(lambda: transitions(world) == ["at_risk", "breached"])
        assert world.deaf == 0
        sink.may_go_on.set()
        await flush

    asyncio.run(scene())


@pytest.mark.usefixtures("at_once")
def test_a_worker_that_loses_its_partitions_meanwhile_says_no_more() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        flush = await stuck(world)
        world.fenced = True
        world.now_ms = BROKEN_MS
        await until(lambda: not world.worker.holds)
        sink.may_go_on.set()
        await flush
        assert transitions(world) == ["at_risk"]
        assert world.value("cx_flushes_fenced_total") == 1

    asyncio.run(scene())
