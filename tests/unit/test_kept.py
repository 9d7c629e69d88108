"""State at a change of the group: kept where nobody went on from it, forgotten and recovered in any doubt."""

import asyncio
from threading import Event
from typing import Any

import pytest

from sinks.memory import MemorySink
from streams import worker as module
from streams.stand import Membership
from tests.golden import History, district
from tests.unit.test_worker import NUMBER, SlowSink, World, delivery, payloads
from tests.unit.test_worker_alerts import BROKEN_MS, PROMISE

OTHER = NUMBER + 1


async def landed(world: World, numbers: tuple[int, ...] = (NUMBER,), since: int = 0) -> World:
    """A worker that took a configuration and an inquiry, and acknowledged them."""
    await world.assigned(*numbers)
    for offset, payload in enumerate(payloads()[:2], since):
        await world.worker.receive(delivery(offset, payload, world.generation))
    await world.worker.flush()
    return world


async def again(world: World, *numbers: int) -> None:
    """The group changes: everything is given up, and these partitions come back."""
    await world.worker.revoke()
    world.generation += 1
    await world.assigned(*numbers)


async def answered(world: World, offset: int = 2) -> None:
    """The reply comes under the assignment in force; the row is that of the whole set."""
    await world.worker.receive(delivery(offset, payloads()[2], world.generation))
    await world.worker.flush()
    (row,) = world.sink.rows("conversations")
    assert (row["first_response_ms"], row["events"]) == (45 * 60_000, 2)
    assert world.acknowledged[-1] == offset


def counted(world: World) -> tuple[float | None, float | None]:
    """Partitions kept and recovered so far."""
    name = "cx_partitions_assigned_total"
    kept, recovered = (world.registry.get_sample_value(name, {"how": how}) for how in ("kept", "recovered"))
    return kept, recovered


def test_what_nobody_went_on_with_is_kept() -> None:
    async def scene() -> None:
        world = await landed(World(MemorySink()))
        await again(world)
        assert counted(world) == (1, 1)
        await answered(world)
        await again(world)
        assert counted(world) == (2, 1)

    asyncio.run(scene())


def test_what_was_recovered_and_got_nothing_is_kept_too() -> None:
    async def scene() -> None:
        world = World((await landed(World(MemorySink()))).sink)
        world.committed[NUMBER] = 2
        await world.assigned()
        await again(world)
        assert counted(world) == (1, 1)
        await answered(world)

    asyncio.run(scene())


@pytest.mark.parametrize("committed", [{NUMBER: 3}, {NUMBER: 1}, {}])
def test_another_commit_than_its_own_has_it_forgotten(committed: dict[int, int]) -> None:
    async def scene() -> None:
        world = await landed(World(MemorySink()))
        await world.worker.revoke()
        world.committed = committed
        world.generation += 1
        await world.assigned()
        assert counted(world) == (0, 2)
        await answered(world, 3)

    asyncio.run(scene())


@pytest.mark.parametrize("later", [0, 2])
def test_an_assignment_that_is_not_the_very_next_one_has_it_forgotten(later: int) -> None:
    async def scene() -> None:
        world = await landed(World(MemorySink()))
        await world.worker.revoke()
        world.generation += later
        await world.assigned()
        assert counted(world) == (0, 2)
        await answered(world)

    asyncio.run(scene())


def test_another_member_of_the_next_generation_keeps_nothing() -> None:
    assert Membership(8, "me").follows(Membership(7, "me"))
    assert not Membership(8, "me").follows(Membership(7, "before"))


def test_a_breach_that_another_told_meanwhile_is_not_told_again() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        history = History()
        history.configured(district(promises=[PROMISE]))
        history.add("inquiry", "2026-10-06 10:00")
        world.now_ms = BROKEN_MS - 1
        await world.assigned()
        for offset, event in enumerate(history.events):
            await world.worker.receive(delivery(offset, event.model_dump_json(exclude_defaults=True).encode()))
        await world.worker.flush()
        await world.worker.revoke()
        other = World(world.sink)
        other.now_ms = BROKEN_MS
        await other.assigned()
        await other.worker.flush()
        assert [alert.transition for alert in other.published] == ["breached"]
        # No message was acknowledged meanwhile: the offset alone would not tell.
        world.generation += 2
        world.now_ms = BROKEN_MS + 1
        await world.assigned()
        await world.worker.flush()
        assert counted(world) == (0, 2)
        assert [alert.transition for alert in world.published] == ["at_risk"]

    asyncio.run(scene())


def test_what_is_not_acknowledged_is_forgotten_and_read_again() -> None:
    async def scene() -> None:
        world = await landed(World(MemorySink()))
        late = delivery(2, payloads()[2], world.generation)
        await world.worker.receive(late)
        # The group has moved on before the flush: nothing is acknowledged any more.
        world.generation += 1
        await world.worker.revoke()
        assert world.acknowledged == [0, 1]
        await world.assigned()
        assert counted(world) == (0, 2)
        await answered(world)

    asyncio.run(scene())


def test_what_does_not_land_in_time_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(module, "REVOKE_SECONDS", 0.01)
        sink = SlowSink()
        world = World(sink)
        sink.may_go_on.set()
        await landed(world)
        sink.may_go_on.clear()
        await world.worker.receive(delivery(2, payloads()[2], world.generation))
        await world.worker.revoke()
        sink.may_go_on.set()
        world.generation += 1
        await world.assigned()
        assert counted(world) == (0, 2)
        await answered(world)

    asyncio.run(scene())


def test_what_comes_while_the_last_flush_lands_is_not_taken_for_landed() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = World(sink)
        sink.may_go_on.set()
        await landed(world)
        sink.may_go_on.clear()
        sink.was_asked.clear()
        history = History()
        note = history.add("inquiry", "2026-10-06 11:00", "c2").model_dump_json(exclude_defaults=True).encode()
        await world.worker.receive(delivery(2, note, world.generation))
        giving_up = asyncio.ensure_future(world.worker.revoke())
        await asyncio.to_thread(sink.was_asked.wait)
        await world.worker.receive(delivery(3, payloads()[2], world.generation))
        sink.may_go_on.set()
        await giving_up
        assert world.acknowledged == [0, 1, 2]
        world.generation += 1
        await world.assigned()
        assert counted(world) == (0, 2)
        await world.worker.receive(delivery(3, payloads()[2], world.generation))
        await world.worker.flush()
        assert {row["conversation"]: row["events"] for row in sink.rows("conversations")} == {"c1": 2, "c2": 1}
        assert len(sink.rows("events")) == 4

    asyncio.run(scene())


def test_what_the_next_assignment_lacks_is_forgotten() -> None:
    async def scene() -> None:
        world = await landed(World(MemorySink()))
        await again(world, OTHER)
        await again(world, NUMBER)
        assert world.recovered_partitions == [[NUMBER], [OTHER], [NUMBER]]
        await answered(world)

    asyncio.run(scene())


def test_an_assignment_that_nothing_took_back_before_is_recovered() -> None:
    async def scene() -> None:
        world = await landed(World(MemorySink()))
        world.generation += 1
        await world.assigned()
        assert counted(world) == (0, 2)
        await answered(world)

    asyncio.run(scene())


class Stuck(World):
    """A world whose recoveries come to no end before they may."""

    def __init__(self) -> None:
        super().__init__(MemorySink())
        self.may_recover = Event()
        self.may_recover.set()

    def _recover(self, stands: Any) -> Any:
        self.may_recover.wait()
        return super()._recover(stands)


def test_the_kept_go_on_while_others_are_recovered() -> None:
    async def scene() -> None:
        world = Stuck()
        await landed(world)
        await world.worker.revoke()
        world.generation += 1
        world.may_recover.clear()
        world.worker.assign({NUMBER, OTHER}, Membership(world.generation, "me"))
        await world.until(lambda: counted(world) == (1, 1))
        await answered(world)
        assert not world.worker.ready
        world.may_recover.set()
        await world.recovered()
        assert world.recovered_partitions == [[NUMBER], [OTHER]]

    asyncio.run(scene())
