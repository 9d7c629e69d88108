"""The worker with shipped fakes: gate, order of a flush, retries, and what happens when it cannot go on."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry

from schemas.errors import Fenced, Unavailable
from schemas.facts import NAMES
from schemas.topics import partition_of
from schemas.transitions import Transition
from sinks.landing import DeadLetterRow, EventRow, Landing
from sinks.memory import MemorySink
from streams.core.configuration import Configuration
from streams.cuts import Delivery, Forward
from streams.metrics import WorkerMetrics
from streams.partition import Partition
from streams.recovery import Log, Recovered, recover
from streams.stand import Membership, Stand
from streams.surroundings import FlushPolicy, Surroundings
from streams.worker import Worker
from tests.golden import History, district, ms

NUMBER = partition_of("demo", 16)


class Died(Exception):
    """Stands for the end of the process."""


class World:
    """The surroundings of one worker, each step written down in order."""

    def __init__(
        self, sink: MemorySink, buffer: int = 1_000, quiet: float = 0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.steps: list[str] = []
        self.acknowledged: list[int] = []
        self.sink = sink
        self.generation = 1
        self.away = 0
        self.now_ms = 0
        self.recovered_ms = 0
        self.unread = 0
        self.live = True
        self.told: list[str] = []
        self.pieces = 1
        self.cells_away = False
        self.acknowledged_then = 0
        self.caught_up: list[tuple[str, int]] = []
        self.published: list[Transition] = []
        self.published_before: list[Transition] = []
        self.committed: dict[int, int] = {}
        self.recovered_partitions: list[list[int]] = []
        self.fenced = False
        self.deaf = 0
        self.landed_to: dict[int, int] = {}
        self.registry = CollectorRegistry()
        around = Surroundings(
            sink=sink,
            outlet=self,
            cells=self,
            stands=self._stands,
            recover=self._recover,
            acknowledge=self._acknowledge,
            current=lambda delivery: bool(delivery.handle == self.generation),
            caught_up=lambda _number: self.live,
            now_ms=lambda: self.now_ms,
            log=Log(self._reader),
            die=self._die,
            halt=self._halt,
            monotonic=monotonic,
        )
        policy = FlushPolicy(seconds=60, events=buffer, buffer=buffer, quiet=quiet)
        self.partition = Partition(NUMBER, 16, "cx.events")
        self.worker = Worker(around, policy, WorkerMetrics(self.registry), self._make)

    def _make(self, number: int) -> Partition:
        self.partition = Partition(number, 16, "cx.events")
        return self.partition

    def value(self, metric: str) -> float | None:
        """A metric's value."""
        return self.registry.get_sample_value(metric)

    def dead_letters(self, rows: Sequence[DeadLetterRow]) -> None:
        """Part of an outlet."""
        self.steps.append(f"dead letters {len(rows)}, landed {len(self.sink.rows('events'))}")

    def catch_up(self, district: str, _configuration: Configuration, upto_ms: int) -> bool:
        """Daily cells."""
        self.caught_up.append((district, upto_ms))
        if self.cells_away:
            raise Unavailable("away", 0.01)
        self.acknowledged_then = len(self.acknowledged)
        self.pieces = max(0, self.pieces - 1)
        return not self.pieces

    def begin(self, landed: Mapping[int, int]) -> None:
        """Part of an outlet."""

    def landed(self, ends: Mapping[int, int]) -> None:
        """Part of an outlet."""
        self.landed_to = dict(ends)

    def alerts(self, rows: Sequence[Transition], _membership: Membership) -> Mapping[int, int]:
        """Part of an outlet: an offset for each transition."""
        if self.fenced:
            raise Fenced("another owns them")
        if self.deaf:
            self.deaf -= 1
            raise Unavailable("away", 0.01)
        self.published.extend(rows)
        self.told.extend(row.transition for row in rows if row.notify)
        self.steps.append(f"alerts {len(rows)}, landed {len(self.sink.rows('events'))}")
        return {NUMBER: len(self.published)}

    def forward(self, messages: Sequence[Forward]) -> None:
        """Part of an outlet."""
        self.steps.append(f"forward {len(messages)}")

    def _stands(self, numbers: Sequence[int]) -> dict[int, Stand]:
        return {number: Stand(self.committed.get(number), 0, tuple(self.published_before)) for number in numbers}

    def _recover(self, stands: Mapping[int, Stand]) -> Recovered:
        if self.away:
            self.away -= 1
            raise Unavailable("away", 0.01)
        self.recovered_partitions.append(sorted(stands))
        told = {number: stand.told for number, stand in stands.items()}
        return recover(list(stands), 16, self.sink, self.recovered_ms, told)

    def _reader(self) -> MemorySink:
        if self.unread:
            self.unread -= 1
            raise Unavailable("away", 0.01)
        return self.sink

    async def _acknowledge(self, deliveries: Sequence[Delivery]) -> Mapping[int, int]:
        self.steps.append(f"acknowledge {len(deliveries)}, landed {len(self.sink.rows('events'))}")
        mine = sorted(each[:2] for each in deliveries if each.handle == self.generation)
        self.acknowledged.extend(offset for _, offset in mine)
        done = {number: offset + 1 for number, offset in mine}
        self.committed |= done
        return done

    def _die(self, reason: str) -> NoReturn:
        self.steps.append(f"died: {reason}")
        raise Died(reason)

    def _halt(self, reason: str) -> NoReturn:
        self.steps.append(f"halted: {reason}")
        raise Died(reason)

    async def assigned(self, *numbers: int) -> None:
        """Own the partition, or these, and wait until all are let in."""
        self.worker.assign(set(numbers) or {NUMBER}, Membership(self.generation, "me"))
        await self.recovered()

    async def recovered(self) -> None:
        """Wait until all is let in."""
        await self.until(lambda: self.worker.ready)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, for a bounded number of looks."""
        for _ in range(2_000):
            if holds():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("never came")


def payloads() -> list[bytes]:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:45")
    return [event.model_dump_json(exclude_defaults=True).encode() for event in history.events]


def delivery(offset: int, payload: bytes, generation: int = 1) -> Delivery:
    return Delivery(NUMBER, offset, payload, 0, generation)


def test_a_unit_tree_that_recovery_found_behind_lands_though_nothing_comes() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        await world.assigned()
        for offset, payload in enumerate(payloads()):
            await world.worker.receive(delivery(offset, payload))
        await world.worker.flush()
        expected = world.sink.rows("units")
        older = World(MemorySink())
        older.sink.land(landing_without_units(world.sink))
        await older.assigned()
        await older.worker.flush()
        assert [row["unit"] for row in older.sink.rows("units")] == [row["unit"] for row in expected]
        assert older.acknowledged == []

    asyncio.run(scene())


def landing_without_units(sink: MemorySink) -> Landing:
    """What landed, but for the unit tree."""
    events = [EventRow(*(row[name] for name in EventRow._fields)) for row in sink.rows("events")]
    facts = [tuple(row[name] for name in NAMES) for row in sink.rows("conversations")]
    return Landing(0, events=events, conversations=facts)


def test_messages_wait_behind_the_gate_until_the_partition_is_recovered() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        world.away = 3
        world.worker.assign({NUMBER})
        for offset, payload in enumerate(payloads()):
            await world.worker.receive(delivery(offset, payload))
        assert not world.worker.ready
        assert world.worker.buffered >= 3
        await world.recovered()
        await world.worker.flush()
        assert world.acknowledged == [0, 1, 2]
        assert len(world.sink.rows("conversations")) == 1

    asyncio.run(scene())


def test_a_flush_goes_in_order_and_acknowledges_last() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        await world.assigned()
        for offset, payload in enumerate([b"not json", *payloads()]):
            await world.worker.receive(delivery(offset, payload))
        await world.worker.flush()
        assert world.steps == ["dead letters 1, landed 0", "acknowledge 4, landed 3"]

    asyncio.run(scene())


def test_a_sink_that_is_away_is_tried_again_and_nothing_is_acknowledged_before() -> None:
    async def scene() -> None:
        world = World(MemorySink(failures=[("events", Unavailable("away", 0.01))] * 2))
        await world.assigned()
        for offset, payload in enumerate(payloads()):
            await world.worker.receive(delivery(offset, payload))
        await world.worker.flush()
        assert world.steps == ["acknowledge 3, landed 3"]
        assert world.value("cx_flush_retries_total") == 2

    asyncio.run(scene())


def test_messages_of_an_earlier_assignment_are_dropped() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        await world.assigned()
        world.generation = 2
        await world.worker.receive(delivery(0, payloads()[1], generation=1))
        await world.worker.flush()
        assert world.acknowledged == []
        assert world.value("cx_messages_stale_total") == 1

    asyncio.run(scene())


def test_a_full_buffer_stops_reading_until_it_has_landed() -> None:
    async def scene() -> None:
        first = [delivery(offset, payload) for offset, payload in enumerate(payloads()[:2])]
        limit = sum(each.weight for each in first)
        world = World(MemorySink(), buffer=limit)
        await world.assigned()
        for each in first:
            await world.worker.receive(each)
        assert (world.value("cx_reading_paused"), world.worker.condition.is_reading_paused) == (0, False)
        third = asyncio.ensure_future(world.worker.receive(delivery(2, payloads()[2])))
        await world.until(lambda: world.value("cx_reading_paused") == 1)
        assert not third.done()
        assert world.worker.condition.sentences() == [
            f"buffer 100%: {limit} of {limit} events wait to land",
            "reading paused until they have landed; what comes stays in Kafka",
        ]
        await world.worker.flush()
        await third
        assert world.acknowledged == [0, 1]
        assert world.value("cx_reading_paused") == 0
        assert world.worker.condition.is_well

    asyncio.run(scene())


@pytest.mark.parametrize("is_recovered", [True, False])
def test_long_messages_fill_the_buffer_by_their_length(is_recovered: bool) -> None:
    async def scene() -> None:
        world = World(MemorySink(), buffer=1_000)
        if is_recovered:
            await world.assigned()
        else:
            world.away = 1_000
            world.worker.assign({NUMBER})
        await world.worker.receive(delivery(0, b"x" * 1_000_000))
        assert world.worker.buffered > 1_000
        second = asyncio.ensure_future(world.worker.receive(delivery(1, b"y")))
        await world.until(lambda: world.value("cx_reading_paused") == 1)
        assert not second.done()
        second.cancel()

    asyncio.run(scene())


def test_after_a_revocation_another_worker_goes_on_from_what_landed() -> None:
    async def scene() -> None:
        sink = MemorySink()
        first = World(sink)
        await first.assigned()
        for offset, payload in enumerate(payloads()[:2]):
            await first.worker.receive(delivery(offset, payload))
        await first.worker.revoke()
        assert first.acknowledged == [0, 1]
        second = World(sink)
        await second.assigned()
        await second.worker.receive(delivery(2, payloads()[2]))
        await second.worker.flush()
        (row,) = sink.rows("conversations")
        assert row["first_response_ms"] == 45 * 60_000

    asyncio.run(scene())


def test_an_unforeseen_error_ends_the_process_before_anything_is_acknowledged() -> None:
    async def scene() -> None:
        world = World(MemorySink(failures=[("events", ZeroDivisionError("a defect"))]))
        await world.assigned()
        await world.worker.receive(delivery(0, payloads()[1]))
        running = asyncio.ensure_future(world.worker.run())
        await world.worker.receive(delivery(1, payloads()[2]))
        with pytest.raises(ZeroDivisionError):
            await world.worker.flush()
        running.cancel()
        assert world.acknowledged == []

    asyncio.run(scene())


def test_a_history_that_comes_in_piece_by_piece_breaks_no_promise_meanwhile() -> None:
    async def scene() -> None:
        promises = [{"promise": "hour", "clock": "first_reply", "target": "1h"}]
        history = History()
        history.configured(district(promises=promises))
        history.add("inquiry", "2026-10-06 10:00")
        history.add("reply", "2026-10-06 10:45")
        world = World(MemorySink(), quiet=60)
        world.live, world.now_ms = True, ms("2026-10-20 10:00")
        await world.assigned()
        for offset, event in enumerate(history.events):
            payload = event.model_dump_json(exclude_defaults=True).encode()
            await world.worker.receive(delivery(offset, payload))
            await world.worker.flush()
        assert world.acknowledged == [0, 1, 2]
        assert world.sink.rows("alerts") == []

    asyncio.run(scene())


class SlowSink(MemorySink):
    """Lands when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked, self.may_go_on = Event(), Event()

    def land(self, landing: Landing) -> None:
        """Wait, then land."""
        self.was_asked.set()
        self.may_go_on.wait()
        super().land(landing)


def test_how_long_a_server_has_been_at_it_is_known() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        await world.assigned()
        await world.worker.receive(delivery(0, payloads()[1]))
        assert world.worker.attempt_seconds == 0
        flush = asyncio.ensure_future(world.worker.flush())
        await asyncio.to_thread(sink.was_asked.wait)
        first = world.worker.attempt_seconds
        await asyncio.sleep(0.002)
        assert world.worker.attempt_seconds > first
        sink.may_go_on.set()
        await flush
        assert world.worker.attempt_seconds == 0

    asyncio.run(scene())
