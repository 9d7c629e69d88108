"""The worker and conversations that left memory: read back before the cut, swept after a closure, none lost."""

import asyncio
from collections.abc import Sequence

import pytest

from schemas.district import District
from schemas.events import Event
from sinks.landing import RetiredRow
from sinks.memory import MemorySink
from streams.cuts import Delivery, landing_of
from streams.partition import Partition
from tests.core.test_corrections import WHO, erased
from tests.golden import OFFICE, History, at, district, ms
from tests.unit.test_worker import NUMBER, World, delivery

LATER = ms("2026-10-06 12:00")


def test_an_event_for_one_that_left_lands_the_row_of_the_whole_set() -> None:
    async def story() -> None:
        world = await lived()
        reply = world.history.add("reply", "2026-01-06 09:30")
        await world.receive(9, reply)
        await world.worker.flush()
        (row,) = world.sink.rows("conversations")
        assert (row["first_response_ms"], row["events"]) == (30 * 60_000, 3)
        assert world.acknowledged[-1] == 9
        assert world.value("cx_conversations_read_back_total") == 1

    asyncio.run(story())


def test_what_had_landed_already_does_not_land_anew() -> None:
    async def story() -> None:
        world = await lived()
        before = {row["event_id"]: row["landed_at"] for row in world.sink.rows("events")}
        world.now_ms += 60_000
        for offset, event in enumerate(world.history.events[1:], 9):
            await world.receive(offset, event)
        await world.worker.flush()
        assert {row["event_id"]: row["landed_at"] for row in world.sink.rows("events")} == before
        assert world.acknowledged[-2:] == [9, 10]

    asyncio.run(story())


def test_while_the_history_cannot_be_read_nothing_is_acknowledged() -> None:
    async def story() -> None:
        world = await lived()
        world.unread = 2
        before = list(world.acknowledged)
        await world.receive(9, world.history.add("reply", "2026-01-06 09:30"))
        flushing = asyncio.ensure_future(world.worker.flush())
        while world.unread:
            assert (world.acknowledged, flushing.done()) == (before, False)
            await asyncio.sleep(0.01)
        await flushing
        assert (world.acknowledged[-1], world.sink.rows("conversations")[0]["events"]) == (9, 3)

    asyncio.run(story())


def test_a_closure_declared_late_reaches_rows_that_left_memory() -> None:
    async def story() -> None:
        world = await lived()
        assert world.sink.rows("conversations")[0]["first_response_business_ms"] == 3_600_000
        calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-06"]}}
        snow = world.history.configured(district(calendars=calendars, revision=2), "2026-10-06 12:00")
        await world.receive(9, snow)
        for _ in range(4):
            await world.worker.flush()
        (row,) = world.sink.rows("conversations")
        assert (row["first_response_business_ms"], row["configurations"]) == (0, 2)
        assert world.value("cx_conversations_held") == 0

    asyncio.run(story())


def test_the_sweep_goes_on_while_events_keep_coming() -> None:
    async def story() -> None:
        world = await lived()
        calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-06"]}}
        snow = world.history.configured(district(calendars=calendars, revision=2), "2026-10-06 12:00")
        await world.receive(9, snow)
        for offset in range(10, 14):
            await world.receive(offset, world.history.add("inquiry", "2026-10-06 11:00", f"new{offset}"))
            await world.worker.flush()
        old = next(row for row in world.sink.rows("conversations") if row["conversation"] == "c1")
        assert (old["first_response_business_ms"], old["configurations"]) == (0, 2)

    asyncio.run(story())


def test_an_erasure_finds_what_it_refuses_among_those_that_left_memory() -> None:
    async def story() -> None:
        history = History()
        late = at("2026-09-01 10:00").isoformat()
        history.add("inquiry", "2026-01-06 08:00", person=WHO, received_at=late)
        world = await lived(history.events)
        (before,) = world.sink.rows("conversations")
        await world.receive(9, erased(WHO, "2026-08-01 10:00"))
        await world.worker.flush()
        (row,) = world.sink.rows("conversations")
        assert (before["first_response_ms"], row["first_response_ms"]) == (2 * 3_600_000, 3_600_000)
        assert row["version"] > before["version"]
        assert WHO not in str(world.sink.rows("events"))
        assert world.value("cx_conversations_held") == 0

    asyncio.run(story())


def test_whoever_was_erased_while_it_stood_still_is_erased_again_in_what_it_lands() -> None:
    async def story() -> None:
        world = await lived()
        await world.receive(9, world.history.add("inquiry", "2026-10-06 09:30", "named", person=WHO))
        other = Partition(NUMBER, 16, "cx.events")
        other.take(Delivery(NUMBER, 10, erased(WHO, "2026-10-06 10:00").model_dump_json().encode(), 0))
        world.sink.land(landing_of([other.cut()], LATER))
        await world.worker.flush()
        assert world.acknowledged[-1] == 9
        assert {row["conversation"] for row in world.sink.rows("conversations")} == {"c1", "named"}
        assert WHO not in str(
            [world.sink.rows(table) for table in ("events", "conversations", "conversation_versions")]
        )

    asyncio.run(story())


def test_what_comes_after_the_events_left_by_retention_is_a_dead_letter_and_is_acknowledged() -> None:
    async def story() -> None:
        world = await lived()
        (before,) = world.sink.rows("conversations")
        world.sink.mark([RetiredRow("demo", "c1", LATER, 2, LATER, 1)])
        world.sink.remove_events()
        await world.receive(9, world.history.add("reply", "2026-01-06 09:30"))
        await world.receive(10, world.history.add("inquiry", "2026-10-06 09:30", "fresh"))
        await world.worker.flush()
        assert [row["reason"] for row in world.sink.rows("dead_letters")] == ["retired"]
        assert world.acknowledged[-2:] == [9, 10]
        rows = {row["conversation"]: row for row in world.sink.rows("conversations")}
        assert (rows["c1"], rows["fresh"]["events"]) == (before, 1)
        assert {row["conversation"] for row in world.sink.rows("events")} == {"", "fresh"}

    asyncio.run(story())


def test_what_was_said_of_one_that_left_is_taken_back_once_and_not_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recovery.FEW", 0)

    async def story() -> None:
        promise = {"promise": "soon", "clock": "first_reply", "target": "30m"}
        world = await lived(document=district(promises=[promise]))
        said = ["at_risk", "breached", "escalated_50", "met_late"]
        assert [one.transition for one in world.published] == said
        await world.receive(9, world.history.add("status_changed", "2026-01-06 10:30", status="resolved"))
        await world.worker.flush()
        assert len(world.published) == len(said)
        await world.receive(10, world.history.add("reply", "2026-01-06 09:10"))
        await world.worker.flush()
        await world.worker.flush()
        assert [one.transition for one in world.published] == [*said, "corrected"]

    asyncio.run(story())


class Past(World):
    """A world whose one conversation ended long before what recovery holds; `unread` says how often reading fails."""

    def __init__(self) -> None:
        super().__init__(MemorySink())
        self.history = History()

    async def receive(self, offset: int, event: Event) -> None:
        """Take an event as its message."""
        await self.worker.receive(delivery(offset, event.model_dump_json(exclude_defaults=True).encode()))


async def lived(more: Sequence[Event] = (), document: District | None = None) -> Past:
    world = Past()
    world.now_ms = LATER
    world.worker.assign({NUMBER})
    await world.recovered()
    world.history.configured(document or district())
    world.history.add("inquiry", "2026-01-06 09:00")
    world.history.add("reply", "2026-01-06 10:00")
    for offset, event in enumerate([*world.history.events, *more]):
        await world.receive(offset, event)
    await world.worker.flush()
    # The same process is assigned anew and holds only what stands since October.
    world.recovered_ms = ms("2026-11-05 00:00")
    world.worker.assign({NUMBER})
    await world.recovered()
    return world
