"""What `./cx status` says of all workers together, asked from Kafka: also of one that stands still."""

import pytest

from deploy.local.group import GroupStatus, group_status
from schemas.settings import Settings
from tests.fixtures_stack import PARTITIONS, Workers
from tests.stack.processes import all_landed, committed, ends, until
from tests.stack.test_stream import Writer

pytestmark = pytest.mark.stack

# Longer than the test: nobody is given what the one that stands still owns.
LONG = {"CX_SESSION_SECONDS": "60"}


def found(settings: Settings) -> GroupStatus:
    """What Kafka says; it is there."""
    told = group_status(settings)
    assert told is not None
    return told


def test_a_second_worker_that_stands_still_is_seen(stream: Settings, workers: Workers) -> None:
    writer = Writer(stream)

    def write(times: int = 1) -> None:
        for number in range(PARTITIONS):
            for _ in range(times):
                writer.write("d0", b"not json", number)

    first = workers.start(**LONG).wait_ready()
    second = workers.start(**LONG).wait_ready()
    until(lambda: found(stream).workers == 2, "both in the group")
    first.wait_ready()
    write()
    until(lambda: all_landed(stream), "what came while both worked")
    shared = found(stream)
    assert (shared.state, shared.unowned, shared.behind, shared.furthest) == ("Stable", 0, 0, None)
    theirs = int(second.value("cx_partitions_owned"))
    assert 0 < theirs < PARTITIONS
    with second.stopped():
        write(2)
        until(lambda: found(stream).behind == 2 * theirs, "what only the other one lands")
        still = found(stream)
        behind = {number: end - committed(stream)[number] for number, end in ends(stream).items()}
        assert still.furthest is not None
        assert behind[still.furthest] == still.furthest_behind == 2
        assert (still.workers, still.unowned) == (2, 0)
    until(lambda: found(stream).behind == 0, "the rest")
    writer.close()
    for worker in (first, second):
        worker.leave()
    nobody = found(stream)
    assert (nobody.workers, nobody.unowned, nobody.lacks_workers) == (0, PARTITIONS, True)
