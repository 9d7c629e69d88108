"""A worker folds what a changed configuration left in slices of time, and does its other work in between."""

import asyncio
from itertools import pairwise

import pytest

from sinks.landing import Landing, Place, event_row
from sinks.memory import MemorySink
from streams.partition import STEP
from streams.upkeep import MOST_SLICES, SLICE_SECONDS
from tests.golden import OFFICE, History, district, ms
from tests.unit.test_worker import NUMBER, World, delivery, payloads

MANY = 40 * STEP


class Timed(World):
    """A world in which every look at the clock takes so many seconds."""

    def __init__(self, seconds: float, sink: MemorySink | None = None) -> None:
        self._seconds, self._passed = seconds, 0.0
        self.history = History()
        super().__init__(sink or MemorySink(), monotonic=self._look)
        self.now_ms = ms("2026-10-06 12:00")

    def _look(self) -> float:
        self._passed += self._seconds
        return self._passed

    async def lived(self) -> None:
        """Many answered conversations that have landed, then a closure."""
        await self.assigned()
        self.history.configured(district())
        for number in range(MANY):
            self.history.add("inquiry", "2026-10-06 10:00", f"c{number:04d}")
        for offset, event in enumerate(self.history.events):
            await self.worker.receive(delivery(offset, event.model_dump_json(exclude_defaults=True).encode()))
        await self.worker.flush()
        calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-10-05"]}}
        snow = self.history.configured(district(calendars=calendars, revision=2), "2026-10-06 12:00")
        await self.worker.receive(delivery(MANY + 1, snow.model_dump_json(exclude_defaults=True).encode()))

    def refolded(self) -> int:
        """Rows of the new configuration."""
        return sum(row["configurations"] == 2 for row in self.sink.rows("conversations"))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_slow_machine_folds_less_in_a_slice_and_in_the_end_everything(steps: int) -> None:
    async def story() -> None:
        world = Timed(SLICE_SECONDS / (steps + 0.5))
        await world.lived()
        refolded = [0]
        while refolded[-1] < MANY:
            await world.worker.flush()
            refolded.append(world.refolded())
        assert world.acknowledged[-1] == MANY + 1
        # One slice lands at once, then two, then four and four.
        slices = [(after - before) / (steps * STEP) for before, after in pairwise(refolded)]
        assert slices[:2] == [1, 2]
        assert set(slices[2:-1]) <= {MOST_SLICES}
        assert slices[-1] <= MOST_SLICES

    asyncio.run(story())


def test_what_comes_between_two_slices_lands_with_them() -> None:
    async def story() -> None:
        world = Timed(SLICE_SECONDS / 1.5)
        await world.lived()
        await world.worker.flush()
        reply = world.history.add("reply", "2026-10-06 11:00", f"c{MANY - 1:04d}")
        flushing = asyncio.ensure_future(world.worker.flush())
        # The second flush begins with the first of two slices; whatever else is to be done comes after it.
        await asyncio.sleep(0)
        assert not flushing.done()
        await world.worker.receive(delivery(MANY + 2, reply.model_dump_json(exclude_defaults=True).encode()))
        await flushing
        assert world.acknowledged[-2:] == [MANY + 1, MANY + 2]
        last = world.sink.rows("conversations")[-1]
        assert (last["first_response_ms"], last["configurations"]) == (3_600_000, 2)
        assert world.refolded() == STEP + 2 * STEP + 1

    asyncio.run(story())


def test_after_a_restart_a_live_event_lands_before_what_was_read_back_is_folded() -> None:
    async def story() -> None:
        before = Timed(SLICE_SECONDS / 1.5)
        await before.lived()
        while before.refolded() < MANY:
            await before.worker.flush()
        after = Timed(SLICE_SECONDS / 1.5, before.sink)
        after.now_ms += 60_000
        await after.assigned()
        landed = len(after.sink.rows("conversation_versions"))
        assert after.partition.stale == MANY
        reply = History().add("inquiry", "2026-10-06 11:59", "live")
        await after.worker.receive(delivery(MANY + 2, reply.model_dump_json(exclude_defaults=True).encode()))
        await after.worker.flush()
        assert (after.acknowledged, after.partition.stale) == ([MANY + 2], MANY - STEP)
        assert after.value("cx_conversations_to_fold") == MANY - STEP
        assert after.now_ms not in {row["at"] for row in after.sink.rows("rolling")}
        while after.partition.stale:
            await after.worker.flush()
        await after.worker.flush()
        assert len(after.sink.rows("conversation_versions")) == landed + 1
        published = [row for row in after.sink.rows("rolling") if row["at"] == after.now_ms]
        assert max(row["inquiries"] for row in published) == MANY + 1

    asyncio.run(story())


def test_what_cannot_be_read_back_is_counted_with_its_fold() -> None:
    async def story() -> None:
        before = Timed(SLICE_SECONDS / 1.5)
        await before.lived()
        damaged = History().add("reply", "2026-10-06 11:00", "damaged")
        place = Place("cx.events", NUMBER, 0)
        before.sink.land(Landing(0, events=[event_row(damaged, b'{"kind":"reply"}', 1, place)]))
        after = Timed(SLICE_SECONDS / 1.5, before.sink)
        await after.assigned()
        assert (after.partition.stale, after.value("cx_unreadable_events_total")) == (MANY + 1, 0)
        while after.partition.stale:
            await after.worker.flush()
        assert after.value("cx_unreadable_events_total") == 1

    asyncio.run(story())


def test_what_waited_for_the_recovery_lands_without_another_pause() -> None:
    """The pause of this worker is a minute."""

    async def scene() -> None:
        world = World(MemorySink())
        world.away = 1
        world.worker.assign({NUMBER})
        running = asyncio.ensure_future(world.worker.run())
        for offset, payload in enumerate(payloads()):
            await world.worker.receive(delivery(offset, payload))
        await world.until(lambda: world.acknowledged == [0, 1, 2])
        running.cancel()

    asyncio.run(scene())
