"""Partitions that move between real workers: state is kept where nobody else had it, and the rows stay exact."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from schemas.settings import Settings
from schemas.topics import partition_of
from tests.fixtures_stack import PARTITIONS, Workers
from tests.stack.processes import WorkerProcess, all_landed, facts, until
from tests.stack.test_stream import Writer, assert_nothing_is_acknowledged_ahead, event, offline

pytestmark = pytest.mark.stack

SESSION_SECONDS = "6"
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("inquiry", {}),
    ("reply", {}),
    ("status_changed", {"status": "resolved"}),
    ("rating", {"score": 7}),
)
ROUNDS = len(KINDS)


def _districts() -> list[str]:
    """One for each partition."""
    found: dict[int, str] = {}
    for number in count():
        found.setdefault(partition_of(f"d{number}", PARTITIONS), f"d{number}")
        if len(found) == PARTITIONS:
            return sorted(found.values())
    raise AssertionError


class Traffic:
    """The same conversations of every district go on by one event in each round."""

    def __init__(self, settings: Settings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer
        self._rounds = iter(range(ROUNDS))
        self.everything: dict[str, list[dict[str, Any]]] = {district: [] for district in _districts()}

    def write(self) -> None:
        """One event for each conversation."""
        turn = next(self._rounds)
        kind, more = KINDS[turn]
        for district, events in self.everything.items():
            new = [event(district, c * ROUNDS + turn, kind, c * 7 + turn, **more) for c in range(5)]
            events.extend(new)
            self._writer.write(district, json.dumps(new).encode())

    def landed(self) -> None:
        """Wait until all of it has, and compare the rows."""
        until(lambda: all_landed(self._settings), "all messages acknowledged")
        assert_nothing_is_acknowledged_ahead(self._settings, self._writer)
        assert facts(self._settings) == offline(self.everything)


@pytest.fixture
def traffic(stream: Settings) -> Iterator[Traffic]:
    writer = Writer(stream)
    yield Traffic(stream, writer)
    writer.close()


def members(settings: Settings) -> int:
    """Workers of the group, as the broker says."""
    group = f"{settings.topic_prefix}{settings.group}"
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address)
    try:
        return len(admin.describe_groups([group])[group]["members"])
    finally:
        admin.close()


def start(workers: Workers) -> WorkerProcess:
    return workers.start(CX_SESSION_SECONDS=SESSION_SECONDS)


def owned(*several: WorkerProcess) -> list[float]:
    return [each.value("cx_partitions_owned") for each in several]


def kept(worker: WorkerProcess) -> float:
    return worker.value("cx_partitions_assigned_total", how="kept")


def recovered(worker: WorkerProcess) -> float:
    return worker.value("cx_partitions_assigned_total", how="recovered")


def share(*several: WorkerProcess) -> None:
    """Wait until these are ready and have all partitions between them."""
    until(lambda: all(each.ready() for each in several) and sum(owned(*several)) == PARTITIONS, "shared partitions")


def test_a_worker_keeps_its_state_when_others_join_and_leave(workers: Workers, traffic: Traffic) -> None:
    first = workers.start().wait_ready()
    traffic.write()
    traffic.landed()
    assert recovered(first) == PARTITIONS
    second = workers.start()
    share(first, second)
    # All of the first one's had landed, and nobody else ever had them.
    assert recovered(first) == PARTITIONS
    assert kept(first) >= owned(first)[0] > 0
    traffic.write()
    traffic.landed()
    given = owned(second)[0]
    assert second.leave() == 0
    share(first)
    # What the second one had is recovered, what the first one had is kept.
    assert recovered(first) == PARTITIONS + given
    traffic.write()
    traffic.landed()
    assert first.value("cx_repaired_conversations_total") == 0


def test_a_worker_that_stood_still_keeps_nothing_that_another_went_on_with(
    stream: Settings, workers: Workers, traffic: Traffic
) -> None:
    first = start(workers).wait_ready()
    second = start(workers)
    share(first, second)
    traffic.write()
    traffic.landed()
    before = recovered(first)
    with first.stopped():
        until(lambda: members(stream) == 1, "the end of its session")
        share(second)
        traffic.write()
        traffic.landed()
    until(lambda: recovered(first) > before, "the first one's return")
    share(first, second)
    assert recovered(first) - before >= owned(first)[0] > 0
    traffic.write()
    traffic.landed()


def test_a_worker_that_stood_still_alone_gets_the_same_partitions_and_keeps_nothing(
    stream: Settings, workers: Workers, traffic: Traffic
) -> None:
    alone = start(workers).wait_ready()
    traffic.write()
    traffic.landed()
    with alone.stopped():
        until(lambda: members(stream) == 0, "the end of its session")
        traffic.write()
    until(lambda: recovered(alone) > PARTITIONS, "its partitions, the same ones")
    share(alone)
    assert recovered(alone) >= 2 * PARTITIONS
    traffic.landed()


def test_whoever_starts_after_a_kill_does_not_wait_for_the_end_of_the_dead_one_s_session(
    workers: Workers, traffic: Traffic
) -> None:
    longest = {"CX_SESSION_SECONDS": "60"}
    first = workers.start(**longest).wait_ready()
    stays = workers.start(**longest)
    share(first, stays)
    traffic.write()
    traffic.landed()
    first.kill()
    first.process.wait()
    second = workers.start(**longest)
    until(lambda: second.ready() and sum(owned(second, stays)) == PARTITIONS, "partitions within the session", 60)
    assert owned(second)[0] > 0
    traffic.write()
    traffic.landed()
