"""An import of years beside live traffic: what comes live waits behind a bounded number of events, counted."""

import json
from collections.abc import Collection
from contextlib import closing
from typing import NamedTuple

import pytest

from schemas.settings import Settings
from schemas.topics import partition_of
from sinks.connection import connect
from streams.intake.importing import Log, Watch, bring_in
from streams.intake.landing import GroupCommits
from streams.intake.producer import EVENTS_PER_MESSAGE, Encoded, EventProducer
from tests.fixtures_stack import Workers
from tests.stack.processes import all_landed, until
from tests.stack.test_stream import event, histories

pytestmark = pytest.mark.stack

DISTRICT = "d0"
CONVERSATIONS = 3_000
MESSAGES = CONVERSATIONS * 4 // EVENTS_PER_MESSAGE


class Live(NamedTuple):
    """Where a live message stands, and up to where everything had landed just before."""

    offset: int
    committed: int


class LiveTraffic:
    """The commits as the importer sees them; a live event comes each time that it looks, while it cannot write."""

    def __init__(self, settings: Settings, producer: EventProducer, workers: Workers) -> None:
        self._settings = settings
        self._producer = producer
        self._workers = workers
        self._commits = GroupCommits(settings)
        self.written: list[Live] = []

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        """Also write a live event; the first is written before there is a worker."""
        found = self._commits.committed(partitions)
        number = len(self.written)
        live = event(DISTRICT, number, "inquiry", 0, event_id=f"live-{number}", conversation=f"live-{number}")
        place = self._producer.publish(DISTRICT, json.dumps(live).encode()).result(60)
        self.written.append(Live(place.offset, found.get(place.partition, 0)))
        if number == 0:
            self._workers.start().wait_ready()
        return found

    def members(self) -> int:
        """Workers in the group now."""
        return self._commits.members()

    def close(self) -> None:
        """Let go of the connection."""
        self._commits.close()

    def ahead(self) -> list[int]:
        """For each live event, the messages of the import before it that had not landed."""
        places = {live.offset for live in self.written}
        return [sum(each not in places for each in range(live.committed, live.offset)) for live in self.written]


@pytest.mark.parametrize(("most", "messages"), [(4 * EVENTS_PER_MESSAGE, 4), (10**9, MESSAGES)])
def test_a_live_event_waits_behind_so_many_events_of_an_import(
    stream: Settings, workers: Workers, most: int, messages: int
) -> None:
    past = [Encoded(DISTRICT, json.dumps(each).encode()) for each in histories(1, CONVERSATIONS)[DISTRICT]]
    with EventProducer(stream) as producer, closing(LiveTraffic(stream, producer, workers)) as live:
        watch = Watch(lambda _: None, lambda *_: None, lambda _: None)
        done = bring_in(past, Log(producer, live, most), watch)
    assert done.events == len(past) == MESSAGES * EVENTS_PER_MESSAGE
    assert _partitions(stream) == [partition_of(DISTRICT, stream.partitions)]
    assert live.ahead()[0] == max(live.ahead()) == messages
    until(lambda: all_landed(stream), "the last live events")
    with connect(stream) as client:
        assert client.execute("SELECT count() FROM conversations FINAL") == [(CONVERSATIONS + len(live.written),)]


def _partitions(settings: Settings) -> list[int]:
    with connect(settings) as client:
        return [number for (number,) in client.execute("SELECT DISTINCT partition FROM events")]
