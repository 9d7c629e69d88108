"""A changed calendar over four weeks of a district: for how long a worker's loop stands still, and until when.

A whole worker without servers, so that what is measured is its own: what lands is dropped. Seconds of the loop's thread
(`_cpu_ms`) compare best on a machine that others use too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import NoReturn

from prometheus_client import CollectorRegistry

from schemas.district import District
from schemas.errors import EnvironmentProblem
from schemas.topics import EVENTS, partition_of
from schemas.transitions import Transition
from schemas.vocabulary import from_ms, to_ms
from sinks.landing import DeadLetterRow, Landing
from sinks.memory import MemorySink
from streams.configured import configured
from streams.core.configuration import Configuration
from streams.cuts import Delivery, Forward
from streams.frozen_heap import freeze_survivors
from streams.intake.producer import encode
from streams.intake.simulator import Span, sample_district, simulate
from streams.intake.simulator_batches import arrays
from streams.intake.simulator_parameters import default_parameters
from streams.metrics import WorkerMetrics
from streams.partition import Partition
from streams.recovery import Log, Recovered
from streams.stand import Membership, Stand
from streams.surroundings import FlushPolicy, Surroundings
from streams.worker import Worker

PARTITIONS = 64
SPAN = Span(to_ms(datetime(2026, 9, 8, 5, tzinfo=UTC)), to_ms(datetime(2026, 10, 6, 17, tzinfo=UTC)), 1)
EVENTS_PER_MESSAGE = 500
BLOCK_MS = 5.0
ROUNDS = 3
LOOKS = 300_000


class _Nothing:
    """Servers that take everything and keep nothing."""

    def land(self, landing: Landing) -> None:
        """Part of a sink."""

    def close(self) -> None:
        """Part of a sink."""

    def dead_letters(self, rows: Sequence[DeadLetterRow]) -> None:
        """Part of an outlet."""

    def begin(self, landed: Mapping[int, int]) -> None:
        """Part of an outlet."""

    def alerts(self, _rows: Sequence[Transition], _membership: Membership) -> Mapping[int, int]:
        """Part of an outlet."""
        return {}

    def landed(self, ends: Mapping[int, int]) -> None:
        """Part of an outlet."""

    def forward(self, messages: Sequence[Forward]) -> None:
        """Part of an outlet."""

    def catch_up(self, _district: str, _configuration: Configuration, _upto_ms: int) -> bool:
        """Daily cells."""
        return True

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> Mapping[int, int]:
        """Kafka's part."""
        return {delivery.partition: delivery.offset + 1 for delivery in deliveries}


def _die(reason: str) -> NoReturn:
    raise RuntimeError(reason)


def _surroundings() -> Surroundings:
    nothing, empty = _Nothing(), MemorySink()
    return Surroundings(
        sink=nothing,
        outlet=nothing,
        cells=nothing,
        stands=lambda numbers: {number: Stand(None) for number in numbers},
        recover=lambda stands: Recovered({number: {} for number in stands}),
        acknowledge=nothing.acknowledge,
        current=lambda _delivery: True,
        caught_up=lambda _number: True,
        now_ms=lambda: SPAN.end_ms,
        log=Log(lambda: empty),
        die=_die,
        halt=_die,
    )


class _Blocks:
    """How long each turn of the event loop took, of those that took longer than a few milliseconds."""

    def __init__(self) -> None:
        self.wall_ms: list[float] = []
        self.cpu_ms: list[float] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch every turn of the running loop."""
        loop = asyncio.get_running_loop()
        goes_on, before = True, (time.perf_counter(), time.thread_time())

        def turn() -> None:
            nonlocal before
            now = time.perf_counter(), time.thread_time()
            wall, cpu = ((after - since) * 1e3 for after, since in zip(now, before, strict=True))
            if wall > BLOCK_MS:
                self.wall_ms.append(wall)
                self.cpu_ms.append(cpu)
            before = now
            if goes_on:
                loop.call_soon(turn)

        loop.call_soon(turn)
        try:
            yield
        finally:
            goes_on = False


def _closed(document: District, revision: int) -> District:
    """One more day on which every office is closed."""
    content = document.model_dump(mode="json")
    for calendar in content["calendars"].values():
        calendar["closed"] = [*calendar["closed"], f"2026-09-{8 + revision:02d}"]
    return District.model_validate(content | {"revision": document.revision + revision})


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(LOOKS):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise EnvironmentProblem("The benchmark's worker came to no end.")


async def _lived(worker: Worker, number: int, document: District) -> None:
    worker.assign({number})
    await _until(lambda: worker.ready)
    await worker.receive(Delivery(number, 0, encode(configured(document, from_ms(SPAN.start_ms))).content, 0))
    for offset, (_, text) in enumerate(arrays(simulate(document, default_parameters(), SPAN), EVENTS_PER_MESSAGE), 1):
        await worker.receive(Delivery(number, offset, text.encode(), 0))
        if offset % 10 == 0:
            await worker.flush()
    await worker.flush()


async def _swept(worker: Worker, partition: Partition, message: bytes, blocks: _Blocks) -> float:
    """Seconds from a changed configuration until nothing is left of the earlier one."""
    running = asyncio.ensure_future(worker.run())
    async with blocks.watching():
        started = time.perf_counter()
        await worker.receive(Delivery(partition.number, 1_000_000, message, 0))
        await _until(lambda: not (partition.waiting or partition.stale))
        seconds = time.perf_counter() - started
    running.cancel()
    return seconds


async def _measured() -> dict[str, float]:
    document = sample_district()
    partitions: list[Partition] = []

    def make(number: int) -> Partition:
        partitions.append(Partition(number, PARTITIONS, EVENTS))
        return partitions[-1]

    policy = FlushPolicy(seconds=1.0, events=50_000, buffer=200_000, quiet=0)
    worker = Worker(_surroundings(), policy, WorkerMetrics(CollectorRegistry()), make)
    await _lived(worker, partition_of(document.district, PARTITIONS), document)
    blocks, seconds = _Blocks(), []
    for revision in range(1, ROUNDS + 1):
        content = encode(configured(_closed(document, revision), from_ms(SPAN.end_ms))).content
        seconds.append(await _swept(worker, partitions[0], content, blocks))
    return {
        "conversations": sum(len(state.conversations) for state in partitions[0].states.values()),
        "settled_s": round(median(seconds), 2),
        "blocks": len(blocks.wall_ms),
        **_spread("block_ms", blocks.wall_ms),
        **_spread("block_cpu_ms", blocks.cpu_ms),
    }


def _spread(name: str, values: list[float]) -> dict[str, float]:
    found = (median(values), quantiles(values, n=20)[-1], max(values))
    return {f"{name}_{of}": round(value, 1) for of, value in zip(("median", "p95", "max"), found, strict=True)}


def measure() -> dict[str, float]:
    """Milliseconds of the turns longer than a few, seconds until all is settled; over several closures."""
    freeze_survivors()
    return asyncio.run(_measured())
