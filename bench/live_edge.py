"""How long a worker that was started anew takes to the live edge, and how much memory, by what it has to know.

Seeded once into the real engine: districts of ended conversations, older than every window, districts of open ones,
each with a promise that runs, and a large district's year up to now. Each cell copies some of them into a database of
its own and starts a real worker there, on a real Kafka in which a live event waits already. Measured from the start of
the process to the commit behind that event; `recovery_s` of it is the reading back, the rest Python, Faust and the
group. What was read back is folded after that, beside live events: until then no rolling rows land.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bench.running import servers, until, worker
from bench.workload import EVENTS_PER_CONVERSATION, MINUTE_MS, configured, history, inquiry
from deploy.local.state import DataDirectory
from deploy.local.steps import create_topics
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.topics import partition_of
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.migrate import migrate
from streams.cuts import Delivery, landing_of
from streams.intake.landing import GroupCommits
from streams.intake.producer import EventProducer
from streams.partition import Partition
from streams.present import wall_ms

DAY_MS = 1_440 * MINUTE_MS
HISTORIES = (60_000, 480_000)
OPEN = (10_000, 100_000, 200_000)
REPETITIONS = 3
YEAR = "year"
# What 58,000 students come to in a year.
YEAR_EVENTS, YEAR_DAYS = 1_100_000, 365
ENDED_DAYS, OPENED_DAYS = 90, 30
EVENTS_PER_MESSAGE = 500
MESSAGES_PER_FLUSH = 40
PARTITIONS = 4
SEED = "seed"
USUAL = ("4h", "16h")
# Far enough away that no promise breaks: the clocks of all open conversations run.
LONG = ("2000h", "2000h")
COPIED = ("events", "conversation_versions", "districts", "units", "alerts", "incidents")
LIVE = "live"


class Cell(NamedTuple):
    """What a worker had to know, and what that took; medians of `REPETITIONS` starts.

    `events_read` is how many events it read back. Seconds by the clock, of recovery and to the live edge, and of a
    processor, the worker's and ClickHouse's; then, until all is folded that was read back, seconds by the clock and of
    the worker's processor; memory is the worker's largest resident set, in MB of 1,000,000 bytes.
    """

    history_events: int
    open_conversations: int
    events_read: float
    recovery_s: float
    edge_s: float
    cpu_s: float
    clickhouse_cpu_s: float
    folded_s: float
    folded_cpu_s: float
    peak_mb: float


class Measured(NamedTuple):
    """Every history with every number of open conversations, and a large district's year."""

    grid: list[Cell]
    year: Cell


def cells() -> Measured:
    """Seed everything once and measure every cell."""
    with servers(PARTITIONS) as settings:
        _seed_all(settings.model_copy(update={"clickhouse_database": SEED}))
        grid = []
        for number, ended in enumerate(HISTORIES):
            for place, opened in enumerate(OPEN):
                districts = [*(f"ended-{n}" for n in range(number + 1)), *(f"open-{n}" for n in range(place + 1))]
                grid.append(_cell(settings, ended, opened, districts))
        return Measured(grid, _cell(settings, YEAR_EVENTS, 0, [YEAR]))


def _seed_all(settings: Settings) -> None:
    """Every district that a cell copies: of each size, what it has more than the one before."""
    migrate(settings)
    now_ms = wall_ms()
    for number, size in enumerate(HISTORIES):
        ended = (size - (HISTORIES[number - 1] if number else 0)) // EVENTS_PER_CONVERSATION
        start_ms = now_ms - ENDED_DAYS * DAY_MS - ended * MINUTE_MS
        _seed(settings, f"ended-{number}", USUAL, history(f"ended-{number}", ended, start_ms))
    for number, size in enumerate(OPEN):
        opened = size - (OPEN[number - 1] if number else 0)
        _seed(settings, f"open-{number}", LONG, _opened(f"open-{number}", opened, now_ms))
    conversations = YEAR_EVENTS // EVENTS_PER_CONVERSATION
    span_ms = YEAR_DAYS * DAY_MS
    _seed(settings, YEAR, USUAL, history(YEAR, conversations, now_ms - DAY_MS - span_ms, span_ms // conversations))


def _opened(district: str, number: int, now_ms: int) -> Iterator[dict[str, Any]]:
    """Inquiries of the last month that nobody answered."""
    step_ms = OPENED_DAYS * DAY_MS // number
    return (inquiry(district, each, now_ms - (number - each) * step_ms) for each in range(number))


def _seed(settings: Settings, district: str, targets: tuple[str, str], events: Iterable[dict[str, Any]]) -> None:
    """Land a district as a worker would: its partition is fed and cut, by its own time; alerts are told in theirs."""
    number = partition_of(district, PARTITIONS)
    partition, sink = Partition(number, PARTITIONS, "cx.events"), ClickHouseSink(settings)
    begin = configured(district, targets).model_dump_json(exclude_defaults=True)
    for index, part in enumerate(_parts(begin, map(json.dumps, events))):
        partition.take(Delivery(number, index, f"[{','.join(part)}]".encode(), 0))
        if index % MESSAGES_PER_FLUSH == 0:
            _land(partition, sink)
    _land(partition, sink)
    sink.close()


def _parts(first: str, events: Iterator[str]) -> Iterator[list[str]]:
    part = [first]
    for event in events:
        part.append(event)
        if len(part) >= EVENTS_PER_MESSAGE:
            yield part
            part = []
    yield part


def _land(partition: Partition, sink: ClickHouseSink) -> None:
    now_ms = wall_ms()
    # The filter takes some new conversations for old ones; none of these comes back.
    for district, names in partition.returning():
        partition.restore(district, names, {})
    sink.land(landing_of([partition.cut(now_ms)], now_ms))


def _cell(settings: Settings, history_events: int, opened: int, districts: Sequence[str]) -> Cell:
    """Workers, one after another, on a copy of these districts; group, topics and database are the cell's own."""
    name = f"cell_{history_events}_{opened}"
    own = settings.model_copy(update={"clickhouse_database": name, "topic_prefix": f"{name}.".replace("_", "-")})
    create_topics(own)
    migrate(own)
    with connect(own) as client:
        for table in COPIED:
            names = ", ".join(f"'{district}'" for district in districts)
            client.execute(f"INSERT INTO {table} SELECT * FROM {SEED}.{table} WHERE district IN ({names})")  # noqa: S608
    taken = [_start(own, number) for number in range(REPETITIONS)]
    with connect(own, "default") as client:
        client.execute(f"DROP DATABASE {name}")
    return Cell(history_events, opened, *map(median, zip(*taken, strict=True)))


def _start(settings: Settings, number: int) -> tuple[float, ...]:
    """One worker's figures in the order of a cell: a live event waits, and it is ended once that is acknowledged."""
    with EventProducer(settings) as producer:
        event = json.dumps(inquiry(LIVE, number, wall_ms())).encode()
        written = producer.publish(LIVE, event).result()
    clickhouse = _clickhouse_pid(settings)
    with closing(GroupCommits(settings)) as commits:
        started, before = time.perf_counter(), _cpu_s(clickhouse)
        with worker(settings, is_awaited=False) as running:
            ask = partial(commits.committed, [written.partition])
            until(lambda: ask().get(written.partition, 0) > written.offset, "the live event's commit")
            edge = time.perf_counter() - started, _cpu_s(running.pid), _cpu_s(clickhouse) - before
            until(lambda: not running.value("cx_conversations_to_fold"), "the fold of what was read back")
            return (
                running.value("cx_recovered_events_total"),
                running.value("cx_recovery_seconds_sum"),
                *edge,
                time.perf_counter() - started,
                _cpu_s(running.pid),
                _peak_mb(running.pid),
            )


def _clickhouse_pid(settings: Settings) -> int:
    state = DataDirectory(settings).read()
    identity = state.children["clickhouse"].identity if state is not None else None
    if identity is None:
        raise EnvironmentProblem("The benchmark's own ClickHouse does not run.")
    return identity.pid


def _cpu_s(pid: int) -> float:
    """Processor seconds that a process has used, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1_000_000


class Fit(NamedTuple):
    """value ≈ base + per_million_events · events / 1,000,000 + per_100k_open · open / 100,000, by least squares.

    `worst` is the largest distance of a measured value from it.
    """

    base: float
    per_million_events: float
    per_100k_open: float
    worst: float


def fit(found: Sequence[Cell], values: Sequence[float]) -> Fit:
    """The plane through a figure of all cells."""
    known = np.array([[1.0, cell.history_events / 1e6, cell.open_conversations / 1e5] for cell in found])
    solved, *_ = np.linalg.lstsq(known, np.array(values), rcond=None)
    base, events, opened = map(float, solved)
    return Fit(base, events, opened, float(np.abs(known @ solved - values).max()))


FITTED: dict[str, Callable[[Cell], float]] = {
    "edge_s": lambda cell: cell.edge_s,
    "both_cpu_s": lambda cell: cell.cpu_s + cell.clickhouse_cpu_s,
    "folded_cpu_s": lambda cell: cell.folded_cpu_s,
    "peak_mb": lambda cell: cell.peak_mb,
}


def figures(found: Measured) -> dict[str, float]:
    """Cells and fits by name, flat."""
    flat: dict[str, float] = {}
    for cell in (*found.grid, found.year):
        name = YEAR if cell is found.year else f"{cell.history_events}_events_{cell.open_conversations}_open"
        flat |= {f"{name}_{what}": round(value, 2) for what, value in list(cell._asdict().items())[2:]}
    for what, of in FITTED.items():
        plane = fit(found.grid, list(map(of, found.grid)))
        flat |= {f"{what}_{part}": round(value, 2) for part, value in plane._asdict().items()}
    return flat


def measure() -> dict[str, float]:
    """Every cell and the fits, flat."""
    return figures(cells())
