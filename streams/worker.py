"""What a worker does with its partitions: gate, buffer, flush, acknowledge. Knows neither Faust nor a server.

The order of a flush, which every step relies on:

    (0) dead letters and forwards to Kafka    acknowledged by the broker; too many of them end the process before
    (1) alerts to Kafka                        acknowledged by the broker; also while ClickHouse takes long at any step
    (2) configurations, units, events          in ClickHouse
    (3) facts, once per changed conversation   in ClickHouse; then the rows of (1)
    (4) rolling rows, each full minute; then some days of daily cells, of one district at a time
    (5) acknowledge the deliveries             in order of offset

A crash before (5) has the messages read again: sets ignore what they know, and equal rows land over equal rows.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from schemas.errors import Fenced
from sinks.landing import DeadLetterRow, Landing
from streams.attempts import Attempts
from streams.condition import Condition, Stalled
from streams.cuts import Cut, Delivery, News, landing_of, windows_of
from streams.metrics import WorkerMetrics
from streams.partition import Partition
from streams.pauses import Pauses
from streams.recovery import Recovered
from streams.stalls import CLICKHOUSE, KAFKA, Stalls
from streams.stand import Membership, Stand
from streams.surroundings import FlushPolicy, Surroundings
from streams.teller import Teller
from streams.upkeep import Upkeep

log = logging.getLogger("cx.worker")

REVOKE_SECONDS = 10.0
ASSIGNMENT_SECONDS = 0.05
PAST_MS = 60_000
JUST_AFTER = 0.005
BREATH_SECONDS = 0.1
AHEAD_SECONDS = 1.0

T = TypeVar("T")


class Worker:
    """All owned partitions of one process; lives in one event loop, blocks only in threads."""

    def __init__(
        self, around: Surroundings, policy: FlushPolicy, metrics: WorkerMetrics, make: Callable[[int], Partition]
    ) -> None:
        self._around = around
        self._policy = policy
        self._metrics = metrics
        self._make = make
        self._owned: dict[int, Partition] = {}
        self._kept: dict[int, Partition] = {}
        self._parked: dict[int, list[Delivery]] = {}
        self._parked_weight = 0
        self._assignment = 0
        self._membership = Membership()
        self._holds = False
        self.stalls = Stalls(metrics)
        self._attempts = Attempts(metrics, self.stalls)
        self._upkeep = Upkeep(around, self._attempts, metrics, lambda: self._owned.values())
        self._past_until: dict[int, float] = {}
        self._flushing = asyncio.Lock()
        self._pauses = Pauses(around.monotonic, policy.doubt)
        self._landing_events = 0
        self._teller = Teller(around.outlet, around.reached)
        self._is_paused = False
        self._room = asyncio.Event()
        self._due = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.buffer_limit.set(policy.buffer)

    @property
    def ready(self) -> bool:
        """True when there is an assignment, be it an empty one, and all of it is recovered."""
        return self._holds and not self._parked

    @property
    def holds(self) -> bool:
        """Whether there is an assignment that nothing took back."""
        return self._holds

    @property
    def buffered(self) -> int:
        """Events read and not landed yet; long messages count for several."""
        return self._parked_weight + self._landing_events + sum(p.waiting for p in self._owned.values())

    @property
    def attempt_seconds(self) -> float:
        """For how long a server has been at what it was last asked; each attempt is bounded by its time-outs."""
        return self._attempts.seconds

    async def receive(self, delivery: Delivery) -> None:
        """Take a message; returns when there is room for the next. Messages of lost partitions are dropped."""
        if self.buffered >= self._policy.buffer:
            await self._wait_for_room()
        while self._around.current(delivery):
            if delivery.partition in self._parked:
                self._parked[delivery.partition].append(delivery)
                self._parked_weight += delivery.weight
            elif delivery.partition in self._owned:
                self._take(self._owned[delivery.partition], delivery)
            else:
                # Read before the news of the assignment came; that is only a moment away.
                await asyncio.sleep(ASSIGNMENT_SECONDS)
                continue
            self._metrics.messages.inc()
            self._metrics.ahead.set(max(0, delivery.written_ms - self._around.wall_ms()) / 1000)
            return
        self._metrics.stale.inc()

    async def _wait_for_room(self) -> None:
        """Read nothing until something has landed or is given up: Kafka keeps what comes."""
        log.warning("reading pauses: %d events wait to land", self.buffered)
        self._set_paused(True)
        while self.buffered >= self._policy.buffer:
            self._room.clear()
            self._due.set()
            await self._room.wait()
        self._set_paused(False)
        log.info("reading goes on")

    def _set_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        self._metrics.paused.set(is_paused)

    @property
    def condition(self) -> Condition:
        """How it is now."""
        return Condition(
            holds_assignment=self._holds,
            partitions=len(self._owned.keys() | self._parked.keys()),
            partitions_ready=len(self._owned),
            buffered=self.buffered,
            buffer_limit=self._policy.buffer,
            is_reading_paused=self._is_paused,
            stalls=tuple(
                Stalled(step=stall.step, why=stall.why, seconds=seconds, reason=stall.reason)
                for stall, seconds in self.stalls.all()
            ),
        )

    def _take(self, partition: Partition, delivery: Delivery) -> None:
        partition.take(delivery)
        if self._around.now_ms() - partition.latest_receipt_ms > PAST_MS:
            self._past_until[partition.number] = asyncio.get_running_loop().time() + self._policy.quiet
        for arrival, count in partition.arrivals.items():
            self._metrics.events.labels(arrival).inc(count)
        for district, count in partition.newer.items():
            self._metrics.newer.labels(district).inc(count)
        self._around.dead_letters.take(sum(partition.arrivals.values()))
        partition.arrivals.clear()
        partition.newer.clear()
        self._metrics.buffered.set(self.buffered)
        if self.buffered >= self._policy.events:
            self._due.set()

    def assign(self, numbers: Collection[int], membership: Membership = Membership()) -> None:  # noqa: B008 -- a value
        """Own exactly these partitions from now on; messages wait until it is clear how each stands.

        Of those that were given up last, each that nobody went on with meanwhile is kept; the others are recovered.
        """
        kept = self._kept if membership.follows(self._membership) else {}
        self._assignment += 1
        self._membership, self._holds = membership, True
        self._pauses.over()
        self._owned, self._kept = {}, {}
        self._parked, self._parked_weight = {number: [] for number in sorted(numbers)}, 0
        self._metrics.partitions.set(len(numbers))
        self._metrics.ready.set(0)
        self._spawn(self._open({number: kept[number] for number in numbers if number in kept}, self._assignment))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("unforeseen error")
            self._around.die(f"{type(error).__name__}: {error}")

    async def _open(self, kept: Mapping[int, Partition], assignment: int) -> None:
        """Let messages in: at once where the state is kept, after its recovery elsewhere."""
        ask, goes_on = partial(self._around.stands, list(self._parked)), lambda: assignment == self._assignment
        stands = await self._attempts.recover(ask, KAFKA, goes_on)
        if stands is None:
            return
        self._teller.begin({number: stand.told_from for number, stand in stands.items()})
        left = dict(stands)
        for number, partition in kept.items():
            if partition.survives(stands[number]):
                self._let_in(number, partition)
                del left[number]
        self._metrics.assigned.labels("kept").inc(len(stands) - len(left))
        if not left:
            return
        with self._metrics.recovery_seconds.time():
            found = await self._attempts.recover(partial(self._recover, left), CLICKHOUSE, goes_on)
        if found is None:
            return
        self._tell(found)
        for number, states in found.states.items():
            partition = self._make(number)
            partition.states = states
            partition.begin_at(left[number].committed)
            partition.owe(found.told.get(number, ()), found.units.get(number, ()))
            self._let_in(number, partition)
        # What came meanwhile has waited long enough, and what breaks next is to be folded.
        self._due.set()

    def _recover(self, stands: Mapping[int, Stand]) -> Recovered:
        self._around.reached("before:recovery")
        found = self._around.recover(stands)
        self._around.reached("after:recovery")
        return found

    def _tell(self, found: Recovered) -> None:
        self._metrics.assigned.labels("recovered").inc(len(found.states))
        self._metrics.recovered.inc(found.events)
        self._metrics.repaired.inc(found.repaired)
        self._metrics.unreadable.inc(found.unreadable.total())
        log.info("recovered partitions=%d events=%d repaired=%d", len(found.states), found.events, found.repaired)

    def _let_in(self, number: int, partition: Partition) -> None:
        """Own a partition and hand it what waited."""
        self._owned[number] = partition
        for delivery in self._parked.pop(number):
            self._parked_weight -= delivery.weight
            self._take(partition, delivery)
        self._metrics.ready.set(len(self._owned))
        self._room.set()

    async def revoke(self) -> None:
        """Give everything up: land and acknowledge what can be landed soon; keep aside what is done with for now."""
        self._around.reached("before:revoke")
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(self.flush())), REVOKE_SECONDS)
        except TimeoutError:
            log.warning("partitions are given up before their last rows landed; their next owner reads them again")
            self._forget()
        else:
            settled = {number: partition for number, partition in self._owned.items() if partition.is_settled}
            self._forget()
            self._kept = settled
        self._around.reached("after:revoke")

    def _forget(self) -> None:
        self._assignment += 1
        self._holds = False
        self._owned, self._kept = {}, {}
        self._parked, self._parked_weight = {}, 0
        self._upkeep.forget()
        self._metrics.partitions.set(0)
        self._metrics.ready.set(0)
        self._room.set()

    async def run(self) -> None:
        """Flush by time or by size for ever."""
        self._spawn(self._pauses.watch())
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._pause())
            self._due.clear()
            await self._guarded(self.flush())

    def _pause(self) -> float:
        """Seconds to the next flush: until a promise may break, if that comes before the usual pause is over.

        Between slices of a long history there is a breath, in which who reads ClickHouse gets an answer.
        """
        states = (state for partition in self._owned.values() for state in partition.states.values())
        instants = [at for state in states if (at := state.alerts.next_ms) is not None]
        left_ms = min(instants) - self._around.now_ms() if instants else math.inf
        longest = min(self._policy.seconds, BREATH_SECONDS) if self._upkeep.is_stale else self._policy.seconds
        return longest if left_ms < 0 else min(longest, left_ms / 1000 + JUST_AFTER)

    def _is_live(self, number: int) -> bool:
        """Whether the present is the partition's clock: read to its end, and no history is coming in piece by piece.

        An importer slower than this worker leaves it at the end again and again; answers are still on their way then.
        """
        return asyncio.get_running_loop().time() >= self._past_until.get(number, 0.0) and self._around.caught_up(number)

    async def flush(self) -> None:
        """Land everything taken so far and acknowledge it; waits as long as ClickHouse or Kafka is away."""
        async with self._flushing:
            # Whoever owns it by now has landed it perhaps: what lands again would be known later than it was.
            if self._pauses.in_doubt():
                return
            await self._telling(self._upkeep.refold())
            while self._upkeep.lacks_history:
                await self._telling(self._upkeep.bring_back())
            # Nothing may be awaited between this and the cut: what comes meanwhile could need its history too.
            now_ms = self._around.now_ms()
            owned = dict(self._owned)
            cuts = [partition.cut(now_ms, self._is_live(number)) for number, partition in owned.items()]
            deliveries = [delivery for cut in cuts for delivery in cut.deliveries]
            landing = landing_of(cuts, now_ms)
            news, has_windows = News.of(cuts, self._membership), any(cut.minutes for cut in cuts)
            has_days = self._upkeep.note_days(cuts)
            if not (deliveries or landing.units or landing.conversations or landing.said or has_windows or has_days):
                await self._sweep()
                return
            if (too_much := self._around.dead_letters.too_much(landing.dead_letters)) is not None:
                self._around.halt(too_much)
            self._landing_events = sum(cut.size for cut in cuts)
            with self._metrics.flush_seconds.time():
                if not await self._told(landing.dead_letters, news):
                    return
                await self._land(landing)
                if has_windows:
                    await self._land_windows(cuts, now_ms)
                if has_days and await self._upkeep.catch_up_days(now_ms):
                    self._due.set()
            self._around.reached("before:5")
            for number, offset in (await self._around.acknowledge(deliveries)).items():
                owned[number].acknowledge(offset)
            self._around.reached("after:5")
            self._landing_events = 0
            self._report(landing, deliveries, news)
            self._room.set()
            if any(partition.has_stale_clocks for partition in self._owned.values()):
                self._due.set()
            else:
                await self._sweep()

    async def _land(self, landing: Landing) -> None:
        """Steps (2) and (3); then nobody is in them who was erased while this worker stood still."""
        told = self._teller.told()
        await self._telling(self._attempts.persist(partial(self._around.sink.land, landing)))
        self._teller.landed(told)
        await self._telling(self._upkeep.forget_late(landing))

    async def _telling(self, work: Awaitable[T]) -> T:
        """What ClickHouse is to do. If that takes long, it may be away: what is to be told goes out all the same."""
        done = asyncio.ensure_future(work)
        begun = self._around.monotonic()
        while not done.done():
            await asyncio.wait({done}, timeout=self._pause())
            if not done.done() and self._around.monotonic() - begun >= AHEAD_SECONDS:
                await self._tell_ahead()
        return done.result()

    async def _tell_ahead(self) -> None:
        membership = self._membership
        self._upkeep.refold_slice((True,))
        live = [partition for number, partition in self._owned.items() if self._is_live(number)]
        try:
            await self._teller.tell_ahead(live, self._around.now_ms(), membership)
        except Fenced as error:
            self._give_up(membership, error)

    def _give_up(self, membership: Membership, error: Fenced) -> None:
        log.warning("everything is given up and read again by its owner: %s", error)
        self._metrics.fenced.inc()
        if membership == self._membership:
            self._forget()

    async def _land_windows(self, cuts: Sequence[Cut], now_ms: int) -> None:
        """Step (4): rows are made in a thread of what the cuts hold, while the next messages are taken."""
        landing = await asyncio.to_thread(windows_of, cuts, now_ms)
        await self._telling(self._attempts.persist(partial(self._around.sink.land, landing)))
        self._metrics.rolled(landing)
        for partition in self._owned.values():
            partition.judge(landing.rolling, now_ms)

    async def _sweep(self) -> None:
        if not self._upkeep.is_stale and await self._telling(self._upkeep.sweep()):
            self._due.set()

    async def _told(self, dead_letters: Sequence[DeadLetterRow], news: News) -> bool:
        """Steps (0) and (1); False if the partitions are others' by now, then everything of them is forgotten."""
        try:
            await self._attempts.persist(partial(self._teller.publish, dead_letters, news), KAFKA)
        except Fenced as error:
            self._landing_events = 0
            self._give_up(news.membership, error)
            return False
        return True

    def _report(self, landing: Landing, deliveries: list[Delivery], news: News) -> None:
        m, written_by = self._metrics, self._around.wall_ms()
        for delivery in deliveries:
            m.landed_seconds.observe(max(0, written_by - delivery.written_ms) / 1000)
        m.landed(landing)
        m.forwarded.inc(len(news.forwards))
        m.buffered.set(self.buffered)
        m.conversations.set(sum(partition.held for partition in self._owned.values()))
        m.departed.set(sum(partition.departed for partition in self._owned.values()))
