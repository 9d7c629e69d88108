"""What a worker waits for is known while it waits: metrics, sentences, and that it is over."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry

from schemas.errors import DiskFull, Refused, Unavailable
from streams import attempts as module
from streams.attempts import Attempts
from streams.condition import Condition, Stalled
from streams.metrics import WorkerMetrics
from streams.stalls import CLICKHOUSE, DISK_FULL, GROUP, KAFKA, LANDING, RECOVERY, STEPS, WHYS, Stalls

T = TypeVar("T")


class Watched:
    """Stalls on a clock of their own, and what Prometheus would see of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry)
        self.now = 0.0
        self.stalls = Stalls(self.metrics, lambda: self.now)
        self.attempts = Attempts(self.metrics, self.stalls)

    def seen(self) -> dict[tuple[str, str], float]:
        """Everything that stalls, by step and reason, in seconds."""
        name = "cx_stalled_seconds"
        each = {(s, w): self.registry.get_sample_value(name, {"step": s, "why": w}) for s in STEPS for w in WHYS}
        assert None not in each.values()
        return {key: value for key, value in each.items() if value}


def failing(times: int, error: Exception, answer: T, before: Callable[[], None] = lambda: None) -> Callable[[], T]:
    """Work that fails so many times."""
    left = [error] * times

    def work() -> T:
        before()
        if left:
            raise left.pop()
        return answer

    return work


def test_a_stall_is_as_old_as_its_first_refusal_and_says_the_last_reason() -> None:
    watched = Watched()
    assert watched.seen() == {}
    watched.stalls.failed(LANDING, CLICKHOUSE, Unavailable("connection refused"))
    watched.now = 20.0
    watched.stalls.failed(LANDING, CLICKHOUSE, DiskFull("no room"))
    watched.stalls.failed(GROUP, KAFKA, Unavailable("nobody answers"))
    watched.now = 25.0
    assert watched.seen() == {(LANDING, DISK_FULL): 25.0, (GROUP, KAFKA): 5.0}
    assert [(stall.step, stall.reason, age) for stall, age in watched.stalls.all()] == [
        (LANDING, "no room", 25.0),
        (GROUP, "nobody answers", 5.0),
    ]
    watched.stalls.over(LANDING)
    watched.stalls.over(LANDING)
    assert watched.seen() == {(GROUP, KAFKA): 5.0}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("server", "error", "why"),
    [
        (CLICKHOUSE, Unavailable("away"), CLICKHOUSE),
        (KAFKA, Unavailable("away"), KAFKA),
        (CLICKHOUSE, DiskFull("x"), DISK_FULL),
    ],
)
def test_work_that_is_tried_again_is_a_stall_until_it_is_done(server: str, error: Unavailable, why: str) -> None:
    watched = Watched()
    seen: list[dict[tuple[str, str], float]] = []

    def look() -> None:
        watched.now += 1
        seen.append(watched.seen())

    assert asyncio.run(watched.attempts.persist(failing(2, error, 7, look), server)) == 7
    assert seen == [{}, {(LANDING, why): 1.0}, {(LANDING, why): 2.0}]
    assert watched.seen() == {}
    assert watched.registry.get_sample_value("cx_flush_retries_total") == 2


@pytest.mark.usefixtures("impatient")
def test_a_recovery_nobody_wants_any_more_is_left() -> None:
    watched, wanted = Watched(), [True, True, False]
    seen: list[dict[tuple[str, str], float]] = []

    def look() -> None:
        watched.now += 1
        seen.append(watched.seen())

    asked = watched.attempts.recover(failing(9, Unavailable("away"), 7, look), CLICKHOUSE, lambda: wanted.pop(0))
    assert asyncio.run(asked) is None
    assert seen == [{}, {(RECOVERY, CLICKHOUSE): 1.0}]
    assert watched.seen() == {}
    again = watched.attempts.recover(failing(1, Unavailable("away"), 7), CLICKHOUSE, lambda: True)
    assert asyncio.run(again) == 7
    assert watched.seen() == {}
    assert watched.registry.get_sample_value("cx_flush_retries_total") == 0


def test_a_refusal_is_no_stall() -> None:
    watched = Watched()
    with pytest.raises(Refused):
        asyncio.run(watched.attempts.persist(failing(1, Refused("no such column"), 7)))
    assert watched.seen() == {}
    assert watched.attempts.seconds == 0


WELL = Condition(
    holds_assignment=True,
    partitions=4,
    partitions_ready=4,
    buffered=100,
    buffer_limit=600,
    is_reading_paused=False,
    stalls=(),
)


def stalled(seconds: float, why: str = CLICKHOUSE, reason: str = "connection refused") -> Condition:
    stall = Stalled(step=LANDING, why=why, seconds=seconds, reason=reason)
    return WELL.model_copy(update={"stalls": (stall,), "buffered": 500})


def test_of_a_worker_that_is_well_there_is_nothing_to_say() -> None:
    assert WELL.is_well
    assert WELL.sentences() == []


def test_what_stalls_is_said_with_how_full_the_buffer_is() -> None:
    assert stalled(35.2).sentences() == [
        "landing stalled for 35 s: connection refused",
        "buffer 83%: 500 of 600 events wait to land",
    ]
    assert stalled(2.0, DISK_FULL, "no room").sentences()[0] == "landing stalled for 2 s: the disk is full: no room"


@pytest.mark.parametrize(("seconds", "is_well"), [(9.9, True), (10.0, False)])
def test_what_stalls_for_a_moment_is_no_illness(seconds: float, is_well: bool) -> None:
    assert stalled(seconds).is_well is is_well


def test_who_recovers_or_belongs_to_no_group_says_so() -> None:
    recovering = WELL.model_copy(update={"partitions_ready": 1})
    assert recovering.sentences() == ["recovering: 1 of 4 partitions are ready"]
    outside = WELL.model_copy(update={"holds_assignment": False, "partitions": 0, "partitions_ready": 0})
    assert outside.sentences() == ["no partitions: it does not belong to its group now"]
