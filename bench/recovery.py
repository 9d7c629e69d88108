"""Recovery against the length of history: everything read back, and only what stands.

Conversations lie a minute apart, so that a fixed number of the newest stands whatever came before them. The real engine
holds them; a partition makes the rows, as in a worker.
"""

import gc
import tempfile
import time
from pathlib import Path

from bench.workload import MINUTE_MS, START_MS, configured, messages
from deploy.local.machine import free_ports
from deploy.local.supervisor import Stack
from schemas.settings import Settings
from schemas.topics import partition_of
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing
from sinks.migrate import migrate
from sinks.reading import ClickHouseReader
from streams.core.windows import HORIZON_MS
from streams.cuts import Delivery
from streams.partition import Partition
from streams.recovery import Recovered, recover

DISTRICT = "bench"
PARTITIONS = 1
SIZES = (10_000, 20_000, 40_000, 80_000)
STANDING = 5_000
EVENTS_PER_MESSAGE = 500
MESSAGES_PER_FLUSH = 40


def measure() -> dict[str, float]:
    """Seconds for both ways at each size, and what a further million events costs each way."""
    (port,) = free_ports(1)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="cx-bench-") as folder:
        settings = Settings(data=Path(folder) / "data", clickhouse_port=port, partitions=PARTITIONS)
        with Stack(settings, ("clickhouse",)) as stack:
            migrate(stack.settings)
            batch = messages(DISTRICT, SIZES[-1], EVENTS_PER_MESSAGE)
            begin = 0
            for size in SIZES:
                end = size * 3 // EVENTS_PER_MESSAGE
                _land(stack.settings, batch[begin:end], first=not begin)
                begin = end
                since_ms = START_MS + (size - STANDING) * MINUTE_MS
                for name, since in (("everything", 0), ("standing", since_ms)):
                    seconds, found = _recovered(stack.settings, since + HORIZON_MS)
                    figures[f"{name}_{size * 3}_events_s"] = round(seconds, 2)
                    figures[f"{name}_{size * 3}_events_read"] = found.events
    added = (SIZES[-1] - SIZES[0]) * 3 / 1_000_000
    for name in ("everything", "standing"):
        slope = (figures[f"{name}_{SIZES[-1] * 3}_events_s"] - figures[f"{name}_{SIZES[0] * 3}_events_s"]) / added
        figures[f"{name}_s_per_million_events"] = round(slope, 2)
    return figures


def _land(settings: Settings, batch: list[bytes], first: bool) -> None:
    """Land messages as a worker would: its partition is recovered, fed and cut."""
    number = partition_of(DISTRICT, PARTITIONS)
    partition = Partition(number, PARTITIONS, "cx.events")
    reader, sink = ClickHouseReader(settings), ClickHouseSink(settings)
    partition.states = recover([number], PARTITIONS, reader, 0).states[number]
    reader.close()
    if first:
        event = configured(DISTRICT)
        partition.take(Delivery(number, 0, event.model_dump_json(exclude_defaults=True).encode(), 0))
    for index, message in enumerate(batch, 1):
        partition.take(Delivery(number, index, message, 0))
        if index % MESSAGES_PER_FLUSH == 0 or index == len(batch):
            cut = partition.cut()
            sink.land(Landing(index, cut.events, cut.conversations, cut.configurations, cut.units))
    sink.close()


def _recovered(settings: Settings, now_ms: int) -> tuple[float, Recovered]:
    gc.collect()
    reader = ClickHouseReader(settings)
    started = time.perf_counter()
    found = recover([partition_of(DISTRICT, PARTITIONS)], PARTITIONS, reader, now_ms)
    seconds = time.perf_counter() - started
    reader.close()
    return seconds, found
