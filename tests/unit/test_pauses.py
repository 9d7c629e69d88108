"""A process that stood still doubts what it holds, until it must have heard from its group."""

import asyncio

import pytest

from sinks.memory import MemorySink
from streams.pauses import Pauses
from tests.unit.test_worker import World, delivery, payloads


class Time:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_only_a_pause_of_half_a_session_leaves_a_doubt_and_only_for_as_long() -> None:
    time = Time()
    pauses = Pauses(time, 6.0)
    pauses.look()
    time.now += 5.9
    assert not pauses.in_doubt()
    time.now += 6.0
    assert pauses.in_doubt()
    time.now += 5.9
    assert pauses.in_doubt()
    pauses.look()
    time.now += 0.2
    assert not pauses.in_doubt()


def test_an_assignment_ends_the_doubt_and_who_is_not_watched_has_none() -> None:
    time = Time()
    pauses = Pauses(time, 6.0)
    time.now += 60.0
    assert not pauses.in_doubt()
    pauses.look()
    time.now += 60.0
    assert pauses.in_doubt()
    pauses.over()
    assert not pauses.in_doubt()


@pytest.mark.parametrize(("seconds", "landed"), [(3.0, 3), (60.0, 0)])
def test_what_it_held_while_it_stood_still_is_left_to_whoever_has_it_now(seconds: float, landed: int) -> None:
    async def scene() -> None:
        time = Time()
        world = World(MemorySink(), monotonic=time)
        watching = asyncio.ensure_future(world.worker.run())
        await world.assigned()
        # Of two tasks that wait, the watch is among those that had their turn.
        await asyncio.sleep(0)
        for offset, payload in enumerate(payloads()):
            await world.worker.receive(delivery(offset, payload))
        time.now += seconds
        await world.worker.revoke()
        assert (len(world.sink.rows("events")), len(world.acknowledged)) == (landed, landed)
        world.generation += 1
        await world.assigned()
        await world.worker.receive(delivery(0, payloads()[0], world.generation))
        await world.worker.flush()
        assert world.acknowledged[landed:] == [0]
        watching.cancel()

    asyncio.run(scene())
