"""Alerts of one flush in several transactions: what stands is not told again when the next one fails."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from schemas.alerts import AlertTransition
from schemas.errors import Unavailable
from schemas.transitions import Transition
from sinks.memory import MemorySink
from streams import teller
from streams.stand import Membership
from tests.golden import History, district
from tests.unit.test_telling_ahead import until
from tests.unit.test_worker import NUMBER, SlowSink, World, delivery
from tests.unit.test_worker_alerts import BROKEN_MS, PROMISE

CONVERSATIONS = 5
AT_ONCE = 2


class Faltering(World):
    """Kafka takes some transactions, then none for a while."""

    takes, refuses = 1, 2

    def alerts(self, rows: Sequence[Transition], membership: Membership) -> Mapping[int, int]:
        """Part of an outlet."""
        assert len(rows) <= AT_ONCE
        if self.takes:
            self.takes -= 1
        elif self.refuses:
            self.refuses -= 1
            raise Unavailable("away", 0.01)
        return super().alerts(rows, membership)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions of few alerts, and any landing counts as one that takes long."""
    monkeypatch.setattr(teller, "AT_ONCE", AT_ONCE)
    monkeypatch.setattr("streams.worker.AHEAD_SECONDS", 0.0)


async def taken(world: World) -> None:
    """Promises of several conversations that break at the same instant."""
    history = History()
    history.configured(district(promises=[PROMISE]))
    for number in range(CONVERSATIONS):
        history.add("inquiry", "2026-10-06 10:00", f"c{number}")
    await world.assigned()
    for offset, event in enumerate(history.events):
        await world.worker.receive(delivery(offset, event.model_dump_json(exclude_defaults=True).encode()))


def breached(world: World) -> list[str]:
    told = (one for one in world.published if isinstance(one, AlertTransition))
    return sorted(one.conversation for one in told if one.transition == "breached")


def landed(world: World) -> list[str]:
    return sorted(row["conversation"] for row in world.sink.rows("alerts") if row["transition"] == "breached")


NAMES = [f"c{number}" for number in range(CONVERSATIONS)]


def test_another_attempt_goes_on_after_what_stands() -> None:
    async def scene() -> None:
        world = Faltering(MemorySink())
        world.now_ms = BROKEN_MS
        await taken(world)
        await world.worker.flush()
        keys = [one.idempotency_key for one in world.published]
        assert len(keys) == len(set(keys)) == 2 * CONVERSATIONS
        assert breached(world) == landed(world) == NAMES
        assert world.refuses == 0

    asyncio.run(scene())


def test_what_is_told_ahead_in_part_is_told_once() -> None:
    async def scene() -> None:
        sink = SlowSink()
        world = Faltering(sink)
        world.takes = CONVERSATIONS
        world.now_ms = BROKEN_MS - 1
        await taken(world)
        flush = asyncio.ensure_future(world.worker.flush())
        await until(lambda: len(world.published) == CONVERSATIONS)
        world.takes = 1
        world.now_ms = BROKEN_MS
        await until(lambda: world.refuses == 0 and len(breached(world)) == CONVERSATIONS)
        sink.may_go_on.set()
        await flush
        await world.worker.flush()
        assert breached(world) == landed(world) == NAMES
        assert world.landed_to == {NUMBER: 2 * CONVERSATIONS}

    asyncio.run(scene())
