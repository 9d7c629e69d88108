"""The Faust app: one ordinary agent that hands every message to the worker, and the worker's way back to Kafka.

Faust decides which partitions are ours and brings their messages; nothing is acknowledged but by the worker's flush.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, NoReturn

import faust
from aiohttp import web
from faust.tables import TableManager
from faust.types import TP
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from schemas.errors import Unavailable, UsageError
from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.clickhouse import ClickHouseSink
from sinks.daily import DailyCells
from sinks.reading import ClickHouseReader
from streams.couriers.service import Couriers
from streams.cuts import Delivery
from streams.dead_letter_watch import DeadLetterLimit, DeadLetterWatch
from streams.driver_logs import calm
from streams.fault_points import FaultFile, Reached, undisturbed
from streams.frozen_heap import freeze_survivors
from streams.metrics import WorkerMetrics
from streams.outlet import KafkaOutlet
from streams.partition import Partition
from streams.predecessors import HaltNote, Note, let_leave
from streams.present import now_ms
from streams.recovery import Log, Recovered, recover
from streams.stalls import GROUP, KAFKA
from streams.stand import Membership, Stand
from streams.surroundings import FlushPolicy, Surroundings
from streams.told import stands
from streams.worker import Worker

log = logging.getLogger("cx.app")

EXIT_UNFORESEEN = 70
EXIT_DEAD_LETTERS = 71
LARGEST_FETCH = 16 * 1024 * 1024
DAY_SECONDS = 86_400.0
UNASSIGNED_SECONDS = 60.0
STANDSTILL_SECONDS = 300.0
LAG_SECONDS = 2.0
# With a heartbeat a worker learns that another wants to join, who waits for that.
HEARTBEAT_SECONDS = 1.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def die(reason: str, code: int = EXIT_UNFORESEEN) -> NoReturn:
    """End the process at once, before anything else is acknowledged; whoever supervises it starts it again."""
    log.critical("ending the process: %s", reason)
    logging.shutdown()
    os._exit(code)


class WithoutTables(TableManager):  # type: ignore[misc]
    """Faust's own waits a second at the start for tables to be made; there are none, the state is ours."""

    async def on_start(self) -> None:
        """See Faust."""
        await self._update_channels()
        await self.recovery.start()


def make_app(settings: Settings) -> faust.App:
    """The Faust app with the settings that were found to lose nothing; see docs/architecture.md."""
    folder = Path(settings.data) / "faust"
    folder.mkdir(parents=True, exist_ok=True)
    return faust.App(
        settings.workers_group,
        broker=f"kafka://{settings.kafka_address}",
        store="memory://",
        TableManager=WithoutTables,
        datadir=str(folder),
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=LARGEST_FETCH,
        broker_max_poll_interval=DAY_SECONDS,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=min(settings.session_seconds / 4, HEARTBEAT_SECONDS),
        stream_buffer_maxsize=64,
        stream_wait_empty=False,
        web_enabled=False,
        value_serializer="raw",
    )


def fault_points(settings: Settings) -> Reached:
    """What hears of a worker's steps. Raises `UsageError` for faults with servers that are not this machine's."""
    if settings.fault_file is None:
        return undisturbed
    hosts = (settings.kafka_address.rpartition(":")[0].strip("[]"), settings.clickhouse_address[0])
    if not LOOPBACK.issuperset(hosts):
        raise UsageError("CX_FAULT_FILE is for tests with servers on 127.0.0.1 only: unset it.")
    return FaultFile(settings.fault_file)


class Process:
    """One worker process: the Faust app, the worker behind its agent, and the HTTP port for metrics."""

    def __init__(self, settings: Settings, listener: socket) -> None:
        self._settings = settings
        self._listener = listener
        self._topic = settings.topic(EVENTS)
        self._registry = CollectorRegistry()
        self._metrics = WorkerMetrics(self._registry)
        self._tasks: list[asyncio.Task[None]] = []
        self._unassigned_since: float | None = time.monotonic()
        self._acknowledged: dict[int, int] = {}
        self._received: dict[int, int] = {}
        self._reached = fault_points(settings)
        self._note = Note(settings)
        self._halted = HaltNote(settings)
        self._dead_letters = DeadLetterWatch(DeadLetterLimit(settings.dead_letter_limit), self._halted.stands)
        self._couriers = Couriers(settings, self._metrics)
        self._worker: Worker | None = None
        self.app = make_app(settings)
        self._events = self.app.topic(self._topic, value_type=bytes, internal=False)
        self._connect_signals()

    def _make_worker(self) -> Worker:
        settings, reached = self._settings, self._reached
        around = Surroundings(
            sink=ClickHouseSink(settings, reached),
            outlet=KafkaOutlet(settings),
            stands=partial(stands, settings, self._metrics.hanging),
            recover=self._recover,
            acknowledge=self._acknowledge,
            current=self._current,
            caught_up=self._caught_up,
            now_ms=partial(now_ms, settings),
            cells=DailyCells(settings),
            log=Log(partial(ClickHouseReader, settings)),
            die=die,
            halt=self._halt,
            dead_letters=self._dead_letters,
            reached=reached,
        )
        policy = FlushPolicy(
            settings.flush_seconds, settings.flush_events, settings.buffer_events, doubt=settings.session_seconds / 2
        )
        return Worker(around, policy, self._metrics, self._partition)

    def _halt(self, reason: str) -> NoReturn:
        self._halted.write()
        die(reason, EXIT_DEAD_LETTERS)

    def _partition(self, number: int) -> Partition:
        return Partition(number, self._settings.partitions, self._topic)

    def _recover(self, stands: Mapping[int, Stand]) -> Recovered:
        told = {number: stand.told for number, stand in stands.items()}
        with closing(ClickHouseReader(self._settings)) as reader:
            return recover(list(stands), self._settings.partitions, reader, now_ms(self._settings), told)

    def _connect_signals(self) -> None:
        """The agent and Faust's signals; each only hands over."""

        async def take(stream: Any) -> None:
            async for event in stream.noack().events():
                await self._receive(event.message)

        async def assigned(_app: Any, assigned: set[TP], **_: Any) -> None:
            await self._assigned(assigned)

        async def revoked(_app: Any, revoked: set[TP], **_: Any) -> None:
            await self._revoked(revoked)

        async def started(_app: Any, **_: Any) -> None:
            await self._started()

        async def stopping(_app: Any, **_: Any) -> None:
            await self._stopping()

        self.app.agent(self._events, name="events")(take)
        self.app.on_partitions_assigned.connect(assigned, weak=False)
        self.app.on_partitions_revoked.connect(revoked, weak=False)
        self.app.on_before_shutdown.connect(stopping, weak=False)
        self.app.task(started)

    async def _receive(self, message: Any) -> None:
        """Hand a message to the worker. Never raises: an exception here would have Faust acknowledge it."""
        try:
            if self._worker is None:
                die("a message came before the worker was made")
            written_ms = int((message.timestamp or 0) * 1000)
            delivery = Delivery(message.partition, message.offset, message.value, written_ms, message)
            await self._worker.receive(delivery)
            if self._current(delivery):
                self._received[delivery.partition] = delivery.offset + 1
        except Exception as error:
            log.exception("unforeseen error while taking offset %s of %s", message.offset, message.partition)
            die(f"{type(error).__name__}: {error}")

    def _current(self, delivery: Delivery) -> bool:
        """Whether a message was read under the assignment in force."""
        return bool(delivery.handle.generation_id == self.app.consumer_generation_id)

    def _caught_up(self, number: int) -> bool:
        """Whether all that stands in a partition, as of the last fetch, reached the worker."""
        tp, consumer = TP(self._topic, number), self.app.consumer
        if tp not in consumer.assignment():
            return False
        end = consumer.highwater(tp)
        # Nothing read under this assignment yet: reading starts where the group's commit stands.
        return end is not None and self._received.get(number, self._committed(tp)) >= end

    def _committed(self, tp: TP) -> int:
        """The group's commit as the consumer knows it."""
        return self.app.consumer._committed_offset[tp] or 0  # noqa: SLF001 -- there is no public way that does not wait

    async def _acknowledge(self, deliveries: Sequence[Delivery]) -> Mapping[int, int]:
        """Acknowledge in order of offset and commit; what another assignment read is left to its owner."""
        consumer = self.app.consumer
        done: dict[int, int] = {}
        for delivery in sorted(deliveries, key=lambda each: each[:2]):
            if self._current(delivery):
                consumer.ack(delivery.handle)
                done[delivery.partition] = delivery.offset + 1
        self._acknowledged |= done
        await consumer.commit()
        return done

    async def _assigned(self, assigned: set[TP]) -> None:
        numbers = {tp.partition for tp in assigned if tp.topic == self._topic}
        self._unassigned_since = None
        self._received = {}
        self._metrics.lag.clear()
        log.info("assigned %d partitions", len(numbers))
        if self._worker is None:
            self._worker = self._make_worker()
            self._spawn(self._worker.run())
        membership = self._membership()
        self._note.write(membership.member)
        self._worker.assign(numbers, membership)
        self._couriers.assign(numbers)

    def _membership(self) -> Membership:
        """Under which name the broker knows this process since the assignment in force."""
        return Membership(self.app.consumer_generation_id, self._coordinator.member_id)

    @property
    def _coordinator(self) -> Any:
        """The client's own view of its group."""
        return self.app.consumer._thread._ensure_consumer()._coordinator  # noqa: SLF001 -- there is no public way

    async def _revoked(self, _revoked: set[TP]) -> None:
        self._unassigned_since = time.monotonic()
        self._couriers.assign(())
        if self._worker is not None:
            await self._worker.revoke()

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _started(self) -> None:
        """Serve metrics and watch over the process."""
        await self._serve()
        self._couriers.start()
        self._spawn(self._watch())

    async def _stopping(self) -> None:
        if self._worker is not None:
            await self._worker.revoke()
        self._note.remove()
        await asyncio.to_thread(self._couriers.close)

    async def _watch(self) -> None:
        """Report the lag and the group; end the process when the group gave it nothing for a minute."""
        while True:
            await asyncio.sleep(LAG_SECONDS)
            if self._worker is not None:
                self._look_after(self._worker)
            since = self._unassigned_since
            if since is not None and time.monotonic() - since > UNASSIGNED_SECONDS:
                die("no assignment for a minute: this process left its group")
            for tp in self.app.consumer.assignment():
                high = self.app.consumer.highwater(tp)
                if tp.topic == self._topic and high is not None:
                    done = max(self._acknowledged.get(tp.partition, 0), self._committed(tp))
                    self._metrics.lag.labels(str(tp.partition)).set(max(0, high - done))

    def _look_after(self, worker: Worker) -> None:
        if not self._dead_letters.is_wary:
            self._halted.remove()
        if not worker.holds and self._unassigned_since is None:
            self._unassigned_since = time.monotonic()
        if worker.attempt_seconds > STANDSTILL_SECONDS:
            die("a step of a flush has come to no end, whatever its time-outs")
        if self._coordinator.coordinator_id is None:
            text = f"Kafka at {self._settings.kafka_address} does not answer for the group of the workers."
            worker.stalls.failed(GROUP, KAFKA, Unavailable(text))
        else:
            worker.stalls.over(GROUP)

    async def _serve(self) -> None:
        """`/metrics` for Prometheus, `/ready` for whoever waits for the recovery, `/state` for people."""

        async def metrics(_request: web.Request) -> web.Response:
            return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

        async def ready(_request: web.Request) -> web.Response:
            is_ready = self._worker is not None and self._worker.ready
            return web.Response(text="ready\n" if is_ready else "recovering\n", status=200 if is_ready else 503)

        async def state(_request: web.Request) -> web.Response:
            condition = None if self._worker is None else self._worker.condition.model_dump_json()
            return web.Response(text=condition or "null", content_type="application/json")

        site = web.Application()
        site.add_routes([web.get("/metrics", metrics), web.get("/ready", ready), web.get("/state", state)])
        runner = web.AppRunner(site, access_log=None)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()


def run(settings: Settings, listener: socket) -> NoReturn:
    """Run one worker until SIGINT or SIGTERM; ends the process with Faust's exit code. `listener`: for its metrics."""
    # The clients tell every request and every attempt; what matters of it is in the metrics.
    calm()
    freeze_survivors()
    threading.Thread(target=let_leave, args=(settings,), name="predecessors", daemon=True).start()
    process = Process(settings, listener)
    faust.Worker(process.app, loglevel="INFO", quiet=False, redirect_stdouts=False).execute_from_commandline()
    raise SystemExit(0)
