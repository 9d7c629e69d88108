"""Incidents through a worker: told on the topic of alerts once, landed, known after a restart, no storm of alerts."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.alerts import AlertTransition
from schemas.errors import Unavailable
from schemas.incidents import IncidentTransition
from schemas.transitions import Transition
from schemas.vocabulary import from_ms
from sinks.memory import MemorySink
from tests.core.openings_made import CALENDARS, UNITS, spread
from tests.golden import History, district, ms
from tests.unit.test_worker import World, delivery

PROMISE = {"promise": "reply", "clock": "first_reply", "target": "30m", "hours": "calendar"}
WATCH = {"watch": "waiting", "metric": "open_waits", "window": "1h", "above": 100, "lasting": "3m", "until": 50}
MINUTE_MS = 60_000


def configuration(**more: Any) -> bytes:
    history = History()
    history.configured(district(units=UNITS, calendars=CALENDARS, promises=[PROMISE], **more))
    return history.events[0].model_dump_json(exclude_defaults=True).encode()


def call(number: int, second: int, **more: Any) -> bytes:
    at = from_ms(second * 1000).isoformat()
    return json.dumps(
        {
            "kind": "inquiry",
            "event_id": f"call-{number}",
            "conversation": f"bus-{number}",
            "district": "demo",
            "source": "phone-system",
            "occurred_at": at,
            "received_at": at,
            "channel": "phone",
            "contact": "missed_call",
            "unit": "dispatch",
            "topic": "bus-late",
            **more,
        }
    ).encode()


CALLS = [(second, call(number, second)) for number, second in enumerate(spread("2026-10-06 07:00", 90, 300))]
OTHER = call(1_000, ms("2026-10-06 07:10") // 1000, topic="bus-route")


class Morning:
    """A world in which the breakdown's calls come as the clock goes on, a flush each minute."""

    def __init__(self, sink: MemorySink, at: str | int, published: Sequence[Transition] = ()) -> None:
        self.world = World(sink)
        self.world.published_before = list(published)
        self.world.now_ms = self.world.recovered_ms = at if isinstance(at, int) else ms(at)
        self._left = [one for one in CALLS if one[0] * 1000 >= self.world.now_ms]
        self._offset = 10_000 - len(self._left)

    async def begin(self, *payloads: bytes) -> None:
        await self.world.assigned()
        for offset, payload in enumerate(payloads):
            await self.world.worker.receive(delivery(offset, payload))

    async def until(self, at: str) -> None:
        while self.world.now_ms < ms(at):
            self.world.now_ms += MINUTE_MS
            while self._left and self._left[0][0] * 1000 < self.world.now_ms:
                await self.world.worker.receive(delivery(self._offset, self._left.pop(0)[1]))
                self._offset += 1
            await self.world.worker.flush()

    def incidents(self) -> list[IncidentTransition]:
        return [one for one in self.world.published if isinstance(one, IncidentTransition)]

    def said(self) -> list[tuple[str, str, int]]:
        return [(one.kind, one.transition, one.step) for one in self.incidents()]

    def keys(self) -> list[str]:
        return [one.idempotency_key for one in self.world.published]

    def promises(self) -> list[AlertTransition]:
        return [one for one in self.world.published if isinstance(one, AlertTransition)]

    def sent_of_promises(self) -> list[str]:
        """Conversations of which an alert was sent."""
        return sorted(one.conversation for one in self.promises() if one.notify)


GROWN = (2, 4, 8, 16, 32)
BREAKDOWN = [("surge", "opened", 0), *(("surge", "grown", step) for step in GROWN), ("surge", "closed", 0)]


def test_a_breakdown_is_one_incident_and_no_storm_of_alerts() -> None:
    async def scene() -> None:
        morning = Morning(MemorySink(), "2026-10-06 06:59")
        await morning.begin(configuration(), OTHER)
        await morning.until("2026-10-06 10:00")
        assert morning.said() == BREAKDOWN
        assert len({one.conversation for one in morning.promises()}) == 301
        sent = morning.sent_of_promises()
        # What broke before anybody could know of the surge was sent, and what has nothing to do with it.
        assert "bus-1000" in sent
        assert len(sent) < 5
        rows = morning.world.sink.rows("incidents")
        assert sorted((row["transition"], row["step"]) for row in rows) == sorted(one[1:] for one in BREAKDOWN)
        assert len({row["key"] for row in rows}) == 1
        count = morning.world.registry.get_sample_value
        assert count("cx_incidents_total", {"kind": "surge", "transition": "grown"}) == len(GROWN)
        assert len(set(morning.keys())) == len(morning.keys())

    asyncio.run(scene())


@pytest.mark.parametrize("stop", ["2026-10-06 07:05", "2026-10-06 07:40", "2026-10-06 09:00"])
def test_the_next_owner_goes_on_where_the_last_one_was(stop: str) -> None:
    async def scene() -> None:
        sink = MemorySink()
        first = Morning(sink, "2026-10-06 06:59")
        await first.begin(configuration(), OTHER)
        await first.until(stop)
        second = Morning(sink, stop)
        await second.begin()
        await second.until("2026-10-06 10:00")
        assert [*first.said(), *second.said()] == BREAKDOWN
        assert len({*first.keys(), *second.keys()}) == len(first.keys()) + len(second.keys())
        assert len(second.sent_of_promises()) < 5

    asyncio.run(scene())


def test_what_was_told_before_a_crash_is_known_and_lands() -> None:
    async def scene() -> None:
        sink = MemorySink(failures=[("incidents", ZeroDivisionError("a crash before it landed"))])
        first = Morning(sink, "2026-10-06 06:59")
        await first.begin(configuration())
        with pytest.raises(ZeroDivisionError):
            await first.until("2026-10-06 08:00")
        assert [one[1] for one in first.said()] == ["opened"]
        second = Morning(sink, first.world.now_ms, first.world.published)
        # It reads again from far back, by the clock of what it reads.
        second.world.live = False
        await second.begin(*(payload for _, payload in CALLS[:2]))
        await second.world.worker.flush()
        second.world.live = True
        await second.until("2026-10-06 10:00")
        assert [*first.said(), *second.said()] == BREAKDOWN
        assert len(sink.rows("incidents")) == len(BREAKDOWN)

    asyncio.run(scene())


def test_incidents_are_told_while_clickhouse_is_away_and_once() -> None:
    async def scene() -> None:
        morning = Morning(MemorySink(failures=[("incidents", Unavailable("away", 0.01))] * 2), "2026-10-06 06:59")
        await morning.begin(configuration())
        await morning.until("2026-10-06 10:00")
        assert morning.said() == BREAKDOWN

    asyncio.run(scene())


def test_a_watched_value_opens_and_its_time_survives_a_restart() -> None:
    async def scene() -> None:
        sink = MemorySink()
        first = Morning(sink, "2026-10-06 06:59")
        watching = configuration(watches=[WATCH], surges={"topics": None, "posts": None})
        await first.begin(watching)
        # The hundred and first wait opens at 07:30.
        await first.until("2026-10-06 07:32")
        assert first.said() == []
        second = Morning(sink, "2026-10-06 07:32")
        await second.begin()
        await second.until("2026-10-06 07:40")
        assert second.said() == [("value", "opened", 0)]
        (opened,) = second.incidents()
        assert opened.began_at <= ms("2026-10-06 07:32")
        assert opened.at - opened.began_at == 3 * MINUTE_MS
        third = Morning(sink, "2026-10-06 07:40")
        await third.begin()
        await third.until("2026-10-06 07:50")
        assert third.said() == []

    asyncio.run(scene())


def test_a_history_in_one_portion_tells_the_same_and_notifies_nobody() -> None:
    async def scene() -> None:
        morning = Morning(MemorySink(), "2026-10-06 06:59")
        morning.world.live = False
        morning.world.now_ms = ms("2026-12-06 10:00")
        later = call(2_000, ms("2026-10-20 10:00") // 1000, topic="other")
        await morning.begin(configuration(), *(payload for _, payload in CALLS), later)
        await morning.world.worker.flush()
        assert morning.said() == BREAKDOWN
        assert morning.world.told == []

    asyncio.run(scene())
