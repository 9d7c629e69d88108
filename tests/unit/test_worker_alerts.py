"""When a worker says that a promise is broken, and that it says it once."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from schemas.errors import Unavailable
from schemas.rolling import RollingRow
from sinks.memory import MemorySink
from streams.core.publishing import Publishing
from tests.golden import History, district, ms
from tests.unit.test_worker import SlowSink, World, delivery

PROMISE = {"promise": "reply", "clock": "first_reply", "target": "1s", "hours": "calendar"}
BROKEN_MS = ms("2026-10-06 10:00") + 1_001
AT_RISK = ("at_risk", BROKEN_MS - 251)
COURSE = ["at_risk", "breached", "escalated_50", "escalated_100"]


def payloads(*replies: str) -> list[bytes]:
    history = History()
    history.configured(district(promises=[PROMISE]))
    history.add("inquiry", "2026-10-06 10:00")
    for reply in replies:
        history.add("reply", reply)
    return [event.model_dump_json(exclude_defaults=True).encode() for event in history.events]


async def given(world: World, *replies: str) -> None:
    await world.assigned()
    for offset, payload in enumerate(payloads(*replies)):
        await world.worker.receive(delivery(offset, payload))


def landed(world: World) -> list[tuple[Any, ...]]:
    return [(row["transition"], row["at"]) for row in world.sink.rows("alerts")]


def test_a_promise_breaks_without_any_message_and_is_told_once() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.now_ms = BROKEN_MS - 1
        await given(world)
        await world.worker.flush()
        assert landed(world) == [AT_RISK]
        world.now_ms = BROKEN_MS
        await world.worker.flush()
        await world.worker.flush()
        assert landed(world) == [AT_RISK, ("breached", BROKEN_MS - 1)]
        assert world.steps == [
            *("alerts 1, landed 0", "acknowledge 2, landed 2"),
            *("alerts 1, landed 2", "acknowledge 0, landed 2"),
        ]
        assert world.told == ["at_risk", "breached"]
        assert world.registry.get_sample_value("cx_alerts_total", {"transition": "breached"}) == 1

    asyncio.run(scene())


def test_while_messages_wait_the_clock_is_that_of_the_last_one_applied() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.live = False
        world.now_ms = BROKEN_MS + 3_600_000
        await given(world)
        await world.worker.flush()
        assert landed(world) == []
        world.live = True
        await world.worker.flush()
        assert sorted(transition for transition, _ in landed(world)) == sorted(COURSE)

    asyncio.run(scene())


def test_a_replay_of_history_lands_alerts_and_tells_nobody() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.live = False
        world.now_ms = ms("2026-11-06 10:00")
        await given(world, "2026-10-06 10:30")
        await world.worker.flush()
        assert sorted(transition for transition, _ in landed(world)) == sorted([*COURSE, "met_late"])
        assert world.told == []

    asyncio.run(scene())


def test_kafka_gets_alerts_once_while_clickhouse_is_away() -> None:
    async def scene() -> None:
        world = World(MemorySink(failures=[("alerts", Unavailable("away", 0.01))] * 2))
        world.now_ms = BROKEN_MS
        await given(world)
        await world.worker.flush()
        assert [step for step in world.steps if "alerts" in step] == ["alerts 2, landed 0"]
        assert world.told == ["at_risk", "breached"]

    asyncio.run(scene())


def test_rolling_rows_are_made_once_each_full_minute_and_only_live() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.live = False
        world.now_ms = BROKEN_MS
        await given(world)
        await world.worker.flush()
        assert world.sink.rows("rolling") == []
        world.live = True
        for later in (0, 20_000, 70_000):
            world.now_ms = BROKEN_MS + later
            await world.worker.flush()
        minute = BROKEN_MS // 60_000 * 60_000
        assert {row["at"] for row in world.sink.rows("rolling")} == {minute, minute + 60_000}

    asyncio.run(scene())


def test_the_next_owner_repeats_nothing_and_goes_on() -> None:
    async def scene() -> None:
        sink = MemorySink()
        first = World(sink)
        first.now_ms = BROKEN_MS
        await given(first)
        await first.worker.flush()
        second = World(sink)
        second.now_ms = BROKEN_MS + 60_000
        await second.assigned()
        await second.worker.flush()
        assert second.told == COURSE[2:]
        reply = payloads("2026-10-06 10:01")[-1]
        await second.worker.receive(delivery(2, reply))
        await second.worker.flush()
        assert second.told == [*COURSE[2:], "met_late"]
        assert sorted(transition for transition, _ in landed(second)) == sorted([*COURSE, "met_late"])

    asyncio.run(scene())


def test_the_next_owner_knows_the_clocks_that_still_run() -> None:
    async def scene() -> None:
        sink = MemorySink()
        first = World(sink)
        await given(first)
        await first.worker.flush()
        second = World(sink)
        second.now_ms = BROKEN_MS
        await second.assigned()
        await second.worker.flush()
        assert second.told == ["at_risk", "breached"]

    asyncio.run(scene())


def test_what_was_told_before_a_crash_lands_and_can_be_taken_back() -> None:
    async def scene() -> None:
        first = World(MemorySink(failures=[("events", ZeroDivisionError("a crash before anything landed"))]))
        first.now_ms = BROKEN_MS
        await given(first)
        with pytest.raises(ZeroDivisionError):
            await first.worker.flush()
        assert [alert.transition for alert in first.published] == ["at_risk", "breached"]
        second = World(MemorySink())
        second.published_before = first.published
        second.now_ms = BROKEN_MS + 1
        await given(second, "2026-10-06 10:00")
        await second.worker.flush()
        assert [alert.transition for alert in second.published] == ["corrected"]
        assert sorted(transition for transition, _ in landed(second)) == ["at_risk", "breached", "corrected"]
        assert second.told == ["corrected"]

    asyncio.run(scene())


def test_a_worker_that_lost_its_partitions_lands_and_acknowledges_nothing_and_starts_over() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.now_ms = BROKEN_MS
        world.fenced = True
        await given(world)
        await world.worker.flush()
        assert (world.sink.rows("events"), world.steps, world.told) == ([], [], [])
        assert world.value("cx_flushes_fenced_total") == 1
        assert not world.worker.ready
        assert not world.worker.holds
        await world.worker.flush()
        assert world.acknowledged == []
        world.fenced = False
        await given(world)
        await world.worker.flush()
        assert world.acknowledged == [0, 1]
        assert world.told == ["at_risk", "breached"]

    asyncio.run(scene())


def test_rolling_rows_are_made_beside_the_event_loop() -> None:
    class Watched(Publishing):
        threads: list[int] = []  # noqa: RUF012 -- of this test alone

        def publish(self, rows: Iterable[RollingRow]) -> Iterator[RollingRow]:
            for row in super().publish(rows):
                self.threads.append(threading.get_ident())
                yield row

    async def scene() -> None:
        world = World(MemorySink())
        await given(world)
        for state in world.partition.states.values():
            state.rolling.publishing = Watched()
        world.now_ms = BROKEN_MS
        await world.worker.flush()
        assert len(Watched.threads) == len(world.sink.rows("rolling")) > 0
        assert threading.get_ident() not in Watched.threads

    asyncio.run(scene())


def test_daily_cells_catch_up_live_with_what_has_landed_piece_by_piece() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.live, world.pieces = False, 3
        world.now_ms = BROKEN_MS
        await given(world)
        await world.worker.flush()
        assert world.caught_up == []
        world.live = True
        for _ in range(4):
            world.now_ms += 1_000
            await world.worker.flush()
        assert world.caught_up == [("demo", BROKEN_MS + later) for later in (1_000, 2_000, 3_000)]
        world.caught_up.clear()
        for minutes in (9, 11, 59, 71):
            world.now_ms = ms("2026-10-06 10:00") + minutes * 60_000
            await world.worker.flush()
        # Nothing landed since, so its turn comes with everybody's, in the next hour.
        assert world.caught_up == [("demo", ms("2026-10-06 11:11"))]

    asyncio.run(scene())


def test_daily_cells_catch_up_when_something_changed_and_before_it_is_acknowledged() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.now_ms = ms("2026-10-06 10:01")
        await given(world)
        await world.worker.flush()
        assert (len(world.caught_up), world.acknowledged_then, len(world.acknowledged)) == (1, 0, 2)
        world.now_ms = ms("2026-10-06 10:12")
        await world.worker.receive(delivery(2, payloads("2026-10-06 10:05")[-1]))
        await world.worker.flush()
        assert [upto_ms for _, upto_ms in world.caught_up] == [ms("2026-10-06 10:01"), ms("2026-10-06 10:12")]
        assert (world.acknowledged_then, len(world.acknowledged)) == (2, 3)

    asyncio.run(scene())


def test_daily_cells_of_partitions_that_were_lost_meanwhile_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.worker.REVOKE_SECONDS", 0.01)

    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        world.now_ms = ms("2026-10-06 10:01")
        await given(world)
        flush = asyncio.ensure_future(world.worker.flush())
        await asyncio.to_thread(sink.was_asked.wait)
        await world.worker.revoke()
        sink.may_go_on.set()
        await flush
        assert world.caught_up == []

    asyncio.run(scene())


def test_daily_cells_that_cannot_catch_up_hold_up_nothing() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.now_ms, world.cells_away = ms("2026-10-06 10:01"), True
        await given(world)
        await world.worker.flush()
        assert (len(world.caught_up), world.acknowledged) == (1, [0, 1])
        world.cells_away = False
        await world.worker.flush()
        await world.worker.flush()
        assert len(world.caught_up) == 2

    asyncio.run(scene())
