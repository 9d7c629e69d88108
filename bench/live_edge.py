"""How long a worker that was started anew takes to the live edge, and how much memory, by what it has to know.

Seeded once into the real engine: districts of ended conversations, older than every window, and districts of open ones,
each with a promise that runs. Each cell copies some of them into a database of its own and starts a real worker there,
on a real Kafka in which a live event waits already. Measured from the start of the process to the commit behind that
event; `recovery_s` of it is the reading back, the rest Python, Faust and the group.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.running import servers, until, worker
from bench.workload import MINUTE_MS, configured, history, inquiry
from deploy.local.state import DataDirectory
from deploy.local.steps import create_topics
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.topics import partition_of
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing
from sinks.migrate import migrate
from streams.cuts import Delivery
from streams.intake.landing import GroupCommits
from streams.intake.producer import EventProducer
from streams.partition import Partition
from streams.present import wall_ms

DAY_MS = 1_440 * MINUTE_MS
HISTORIES = (60_000, 240_000, 960_000)
OPEN = (1_000, 25_000, 50_000, 100_000, 200_000)
EVENTS_OF_AN_ENDED = 3
ENDED_DAYS, OPENED_DAYS = 90, 30
EVENTS_PER_MESSAGE = 500
MESSAGES_PER_FLUSH = 40
PARTITIONS = 4
SEED = "seed"
USUAL = ("4h", "16h")
# Far enough away that no promise breaks: the clocks of all open conversations run.
LONG = ("2000h", "2000h")
COPIED = ("events", "conversation_versions", "districts", "units")
LIVE = "live"


class Cell(NamedTuple):
    """What a worker had to know, and what that took.

    Seconds by the clock, of recovery and to the live edge, and of a processor, the worker's and ClickHouse's; memory is
    the worker's largest resident set, in MB of 1,000,000 bytes.
    """

    history_events: int
    open_conversations: int
    recovery_s: float
    edge_s: float
    cpu_s: float
    clickhouse_cpu_s: float
    peak_mb: float


def cells() -> list[Cell]:
    """Every history with every number of open conversations."""
    with servers(PARTITIONS) as settings:
        seed = settings.model_copy(update={"clickhouse_database": SEED})
        migrate(seed)
        now_ms = wall_ms()
        for number, size in enumerate(HISTORIES):
            ended = (size - (HISTORIES[number - 1] if number else 0)) // EVENTS_OF_AN_ENDED
            start_ms = now_ms - ENDED_DAYS * DAY_MS - ended * MINUTE_MS
            events = map(json.dumps, history(f"ended-{number}", ended, start_ms))
            _seed(seed, f"ended-{number}", USUAL, events)
        for number, size in enumerate(OPEN):
            opened = _opened(f"open-{number}", size - (OPEN[number - 1] if number else 0), now_ms)
            _seed(seed, f"open-{number}", LONG, opened)
        return [_cell(settings, h, o) for h in range(len(HISTORIES)) for o in range(len(OPEN))]


def _opened(district: str, number: int, now_ms: int) -> Iterator[str]:
    """Inquiries of the last month that nobody answered."""
    step_ms = OPENED_DAYS * DAY_MS // number
    return (json.dumps(inquiry(district, each, now_ms - (number - each) * step_ms)) for each in range(number))


def _seed(settings: Settings, district: str, targets: tuple[str, str], events: Iterator[str]) -> None:
    """Land a district as a worker would: its partition is fed and cut."""
    number = partition_of(district, PARTITIONS)
    partition, sink = Partition(number, PARTITIONS, "cx.events"), ClickHouseSink(settings)
    begin = configured(district, targets).model_dump_json(exclude_defaults=True)
    for index, part in enumerate(_parts(begin, events)):
        partition.take(Delivery(number, index, f"[{','.join(part)}]".encode(), 0))
        if index % MESSAGES_PER_FLUSH == 0:
            _land(partition, sink, index)
    _land(partition, sink, index + 1)
    sink.close()


def _parts(first: str, events: Iterator[str]) -> Iterator[list[str]]:
    part = [first]
    for event in events:
        part.append(event)
        if len(part) >= EVENTS_PER_MESSAGE:
            yield part
            part = []
    yield part


def _land(partition: Partition, sink: ClickHouseSink, at_ms: int) -> None:
    cut = partition.cut()
    sink.land(Landing(at_ms, cut.events, cut.conversations, cut.configurations, cut.units))


def _cell(settings: Settings, histories: int, opened: int) -> Cell:
    """A worker on a copy of the districts up to these; group, topics and database are the cell's own."""
    name = f"cell_{histories}_{opened}"
    own = settings.model_copy(update={"clickhouse_database": name, "topic_prefix": f"{name}.".replace("_", "-")})
    create_topics(own)
    migrate(own)
    districts = [*(f"ended-{n}" for n in range(histories + 1)), *(f"open-{n}" for n in range(opened + 1))]
    with connect(own) as client:
        for table in COPIED:
            names = ", ".join(f"'{district}'" for district in districts)
            client.execute(f"INSERT INTO {table} SELECT * FROM {SEED}.{table} WHERE district IN ({names})")  # noqa: S608
    with EventProducer(own) as producer:
        event = json.dumps(inquiry(LIVE, 0, wall_ms())).encode()
        written = producer.publish(LIVE, event).result()
    clickhouse = _clickhouse_pid(own)
    with closing(GroupCommits(own)) as commits:
        started, before = time.perf_counter(), _cpu_s(clickhouse)
        with worker(own, is_awaited=False) as running:
            ask = partial(commits.committed, [written.partition])
            until(lambda: ask().get(written.partition, 0) > written.offset, "the live event's commit")
            taken = (
                running.value("cx_recovery_seconds_sum"),
                time.perf_counter() - started,
                _cpu_s(running.pid),
                _cpu_s(clickhouse) - before,
                _peak_mb(running.pid),
            )
    with connect(own, "default") as client:
        client.execute(f"DROP DATABASE {name}")
    return Cell(HISTORIES[histories], OPEN[opened], *taken)


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
    "peak_mb": lambda cell: cell.peak_mb,
}


def figures(found: Sequence[Cell]) -> dict[str, float]:
    """Cells and fits by name, flat."""
    flat: dict[str, float] = {}
    for cell in found:
        name = f"{cell.history_events}_events_{cell.open_conversations}_open"
        flat |= {f"{name}_{what}": round(value, 2) for what, value in list(cell._asdict().items())[2:]}
    for what, of in FITTED.items():
        flat |= {
            f"{what}_{part}": round(value, 2) for part, value in fit(found, list(map(of, found)))._asdict().items()
        }
    return flat


def measure() -> dict[str, float]:
    """Every cell and the fits, flat."""
    return figures(cells())
