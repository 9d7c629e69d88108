"""How many rows a second go through the local ClickHouse server, in and out, with an unmodified driver.

`python -m bench.native_server [--rows N] [--json]`: a table of 20 columns, one client, batches as a sink flushes them.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clickhouse_driver import Client
from rich.console import Console

INSTANT = "Nullable(DateTime64(3, 'UTC'))"
COLUMNS = {
    "district": "LowCardinality(String)",
    "conversation": "String",
    "version": "UInt64",
    "leaf_unit": "LowCardinality(String)",
    "channel": "LowCardinality(String)",
    "topic": "LowCardinality(Nullable(String))",
    "language": "LowCardinality(String)",
    "opened_at": "DateTime64(3, 'UTC')",
    "first_reply_at": INSTANT,
    "due_at": INSTANT,
    "breach_at": INSTANT,
    "closed_at": INSTANT,
    "first_response_ms": "Nullable(UInt64)",
    "replies": "UInt32",
    "is_reopened": "Bool",
    "wait_ms": "Array(UInt64)",
    "wait_owner": "Array(LowCardinality(String))",
    "ratings": "Array(UInt8)",
    "score": "Nullable(Float64)",
    "retracted": "UInt8",
}
START = datetime(2026, 9, 1, tzinfo=UTC)
BATCH_ROWS = 20_000


def row(number: int) -> tuple[Any, ...]:
    """A conversation's facts, about as wide as the real ones."""
    opened = START + timedelta(milliseconds=number * 977)
    reply = opened + timedelta(minutes=number % 300)
    waits = [number % 9_000_000, 60_000][: number % 3]
    owners = [f"team-{number % 90}"] * len(waits)
    closed = None if number % 5 == 0 else reply
    names = (f"d-{number % 40}", f"c-{number:012d}", number, f"unit-{number % 400}", ("phone", "email")[number % 2])
    words = (None if number % 4 else "bus", "en")
    times = (opened, reply, reply, None, closed)
    numbers = (number % 9_000_000, number % 9, number % 7 == 0)
    return (*names, *words, *times, *numbers, waits, owners, [number % 5 + 1] * (number % 2), number / 7, 0)


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(client: Client, rows: int) -> dict[str, float]:
    """Rates in rows per second, latencies in milliseconds."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    client.execute(f"CREATE TABLE facts ({columns}) ENGINE = MergeTree ORDER BY (district, conversation)")
    batches = [[row(n) for n in range(at, at + BATCH_ROWS)] for at in range(0, rows, BATCH_ROWS)]
    total = sum(map(len, batches))
    columnar = [list(map(list, zip(*batch, strict=True))) for batch in batches]
    insert, select = "INSERT INTO facts VALUES", "SELECT * FROM facts"
    by_rows = timed(lambda: [client.execute(insert, batch) for batch in batches])
    client.execute("TRUNCATE TABLE facts")
    by_columns = timed(lambda: [client.execute(insert, batch, columnar=True) for batch in columnar])
    one = [row(0)]
    small_insert = timed(lambda: [client.execute(insert, one) for _ in range(50)])
    assert client.execute("SELECT count() FROM facts") == [(total + 50,)]
    by_server = timed(lambda: client.execute("INSERT INTO facts SELECT * FROM facts"))
    client.execute(f"ALTER TABLE facts DELETE WHERE conversation = '{one[0][1]}'", settings={"mutations_sync": 1})
    out_columns = timed(lambda: client.execute(f"{select} LIMIT {total}", columnar=True))
    out_numbers = timed(lambda: client.execute("SELECT number FROM numbers(3000000)", columnar=True))
    small = timed(lambda: [client.execute("SELECT 1") for _ in range(200)])
    panel = "SELECT channel, count(), quantile(0.5)(first_response_ms) FROM facts GROUP BY channel"
    panels = timed(lambda: [client.execute(panel) for _ in range(20)])
    return {
        "insert_rows_per_s": total / by_rows,
        "insert_columnar_rows_per_s": total / by_columns,
        "insert_select_rows_per_s": total / by_server,
        "select_rows_per_s": total / out_columns,
        "select_narrow_rows_per_s": 3_000_000 / out_numbers,
        "insert_one_row_ms": small_insert * 20,
        "select_1_ms": small * 5,
        "panel_query_ms": panels * 50,
    }


def run(rows: int) -> dict[str, float]:
    """Start a server of its own, measure, end it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "deploy.local.clickhouse_server", "--port", str(port), "--path", directory]
        environment = {**os.environ, "CX_CLICKHOUSE_PASSWORD": "bench"}
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1], env=environment, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            client = Client("127.0.0.1", port, password="bench")  # noqa: S106
            figures = measure(client, rows)
            client.disconnect()
        finally:
            process.terminate()
            process.wait(timeout=60)
    return figures


def main() -> None:
    """Print the figures, as JSON with `--json`."""
    parser = argparse.ArgumentParser(prog="python -m bench.native_server", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows to insert")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = {name: round(value, 2) for name, value in run(arguments.rows).items()}
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    console = Console()
    for name, value in figures.items():
        console.print(f"{name:32} {value:>14,.2f}")


if __name__ == "__main__":
    main()
