"""The matrix: what is harmed, how, and where. A cell is a value; its name and the seed of a run reproduce it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from schemas.errors import UsageError
from streams.fault_points import POINTS

WORKER_KILLED, WORKER_PAUSED, ZOMBIE = "worker-killed", "worker-paused", "zombie"
CLICKHOUSE_KILLED, CLICKHOUSE_PAUSED = "clickhouse-killed", "clickhouse-paused"
KAFKA_KILLED, KAFKA_PAUSED = "kafka-killed", "kafka-paused"
CLOCK_JUMPS = "clock-jumps"
KAFKA_AWAY, CLICKHOUSE_AWAY = "kafka-away", "clickhouse-away"
OVERTAKEN, ZOMBIE_OVERTAKEN = "overtaken", "zombie-overtaken"
ZOMBIE_ERASED = "zombie-erased"
ONE_WORKER = (WORKER_KILLED, WORKER_PAUSED, CLICKHOUSE_KILLED, CLICKHOUSE_PAUSED, KAFKA_KILLED, KAFKA_PAUSED)
HARMS = {
    WORKER_KILLED: "SIGKILL of the only worker; another is started",
    WORKER_PAUSED: "SIGSTOP of the only worker, SIGCONT before its session ends",
    ZOMBIE: "two workers; SIGSTOP of one until the other has taken over and landed everything, then SIGCONT",
    CLICKHOUSE_KILLED: "SIGKILL of ClickHouse while the worker stands at the point; it is started again",
    CLICKHOUSE_PAUSED: "SIGSTOP of ClickHouse while the worker stands at the point, later SIGCONT",
    KAFKA_KILLED: "SIGKILL of Kafka while the worker stands at the point; it is started again",
    KAFKA_PAUSED: "SIGSTOP of Kafka while the worker stands at the point, for longer than a session; then SIGCONT",
    KAFKA_AWAY: "SIGKILL of Kafka for 75 s, 37 sessions and longer than a worker may be without an assignment",
    CLICKHOUSE_AWAY: "SIGKILL of ClickHouse for 75 s with messages coming in",
    OVERTAKEN: "SIGKILL of the only worker with a broken promise at hand; then an answer in time, another worker",
    ZOMBIE_ERASED: "SIGSTOP of one of two workers with somebody's events at hand, who is erased; then SIGCONT",
    ZOMBIE_OVERTAKEN: "SIGSTOP of one of two workers with a broken promise at hand; then an answer in time, SIGCONT",
    CLOCK_JUMPS: "workers whose clock stands 40 days ahead, then 2 days behind, then right; a SIGKILL between",
}
FLUSH = tuple(point for point in POINTS if point[-1].isdigit())
RANDOM, NONE = "random", "-"


@dataclass(frozen=True, slots=True)
class Cell:
    """One harm at one point: of `POINTS`, `random` (a time drawn from the seed), or `-` where it has none."""

    harm: str
    point: str = NONE

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read HARM@POINT. Raises `UsageError`."""
        harm, _, point = text.partition("@")
        if harm not in HARMS or point not in (*POINTS, RANDOM, NONE):
            raise UsageError(f"There is no cell {text!r}: write HARM@POINT, HARM one of {', '.join(HARMS)}.")
        return cls(harm, point)

    def __str__(self) -> str:
        return f"{self.harm}@{self.point}"


def short() -> tuple[Cell, ...]:
    """What every test run goes through: a death after each step of a flush, the others where they differ most."""
    killed = ["after:0", "after:2", "after:3", "after:4", "after:5"]
    cells = [
        *(Cell(WORKER_KILLED, point) for point in killed),
        Cell(OVERTAKEN, "after:1"),
        Cell(WORKER_PAUSED, "before:5"),
        Cell(CLICKHOUSE_KILLED, "after:2"),
        Cell(KAFKA_KILLED, "before:5"),
        Cell(ZOMBIE, "before:3"),
        Cell(ZOMBIE_OVERTAKEN, "before:1"),
        Cell(ZOMBIE_ERASED, "before:2"),
    ]
    return tuple(cells)


def full() -> tuple[Cell, ...]:
    """Every harm at every point at which it can be."""
    reading_back = [point for point in POINTS if point.endswith(("read-back", "sweep"))]
    servers = (CLICKHOUSE_KILLED, CLICKHOUSE_PAUSED, KAFKA_KILLED, KAFKA_PAUSED)
    cells = [
        *(Cell(WORKER_KILLED, point) for point in POINTS),
        *(Cell(WORKER_PAUSED, point) for point in POINTS if not point.endswith("revoke")),
        *(Cell(harm, point) for harm in servers for point in FLUSH),
        *(Cell(CLICKHOUSE_KILLED, point) for point in reading_back),
        *(Cell(harm, point) for harm in (ZOMBIE, ZOMBIE_ERASED) for point in FLUSH),
        *(Cell(harm, point) for harm in (OVERTAKEN, ZOMBIE_OVERTAKEN) for point in FLUSH),
        Cell(CLOCK_JUMPS),
        Cell(KAFKA_AWAY),
        Cell(CLICKHOUSE_AWAY),
    ]
    return tuple(cells)


def at_random(seed: int) -> Iterator[Cell]:
    """Harms at random times, without end."""
    draw = random.Random(seed)  # noqa: S311 -- to be repeatable, not secret
    while True:
        yield Cell(draw.choice(ONE_WORKER), RANDOM)
