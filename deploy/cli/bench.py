"""`./cx bench WHAT`: how fast the hot path and the whole pipeline are on this machine, how well incidents are found."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    alert_year,
    beside,
    calendar,
    clocks,
    core,
    incidents,
    incidents_page,
    live_edge,
    native_server,
    pipeline,
    recovery,
    recovery_page,
    rolling,
    slices,
    telling,
)
from deploy.cli.command import Command
from schemas.errors import UsageError

NATIVE_SERVER_ROWS = 100_000
BENCHMARKS: dict[str, Callable[[], dict[str, float]]] = {
    "core": core.measure,
    "calendar": calendar.measure,
    "clocks": clocks.measure,
    "rolling": rolling.measure,
    "pipeline": pipeline.measure,
    "recovery": recovery.measure,
    "live-edge": live_edge.measure,
    "beside": beside.measure,
    "slices": slices.measure,
    "telling": telling.measure,
    "incidents": incidents.measure,
    "alert-year": alert_year.measure,
    "native-server": partial(native_server.run, NATIVE_SERVER_ROWS),
}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=sorted(BENCHMARKS),
        help="core: one process; calendar: business time; pipeline: Kafka to ClickHouse; recovery: by history; "
        "live-edge: a worker started anew, by history and open conversations; "
        "beside: a live event's delay beside an import; "
        "clocks: running promises; telling: from a breach to a webhook; rolling: a minute of windows; "
        "slices: how long a changed calendar holds up a worker; "
        "incidents: surges and silences over simulated school years; "
        "alert-year: what people are told in one",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="also into the pages of a folder: live-edge, incidents, alert-year, rolling",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def _recovery_written(folder: Path) -> dict[str, float]:
    found = live_edge.cells()
    recovery_page.write(found, folder)
    return live_edge.figures(found)


def _written(
    measure: Callable[[], dict[str, float]], write: Callable[[dict[str, float], Path], None], folder: Path
) -> dict[str, float]:
    found = measure()
    write(found, folder)
    return found


WRITTEN: dict[str, Callable[[Path], dict[str, float]]] = {
    "live-edge": _recovery_written,
    "incidents": partial(_written, incidents.measure, incidents_page.write),
    "alert-year": partial(_written, alert_year.measure, alert_year.write),
    "rolling": partial(_written, rolling.measure, rolling.write),
}


def _run(args: argparse.Namespace) -> int:
    if args.write and args.what not in WRITTEN:
        raise UsageError(f"Only these have a page to write: {', '.join(WRITTEN)}.")
    console = Console(stderr=True)
    with console.status(f"measuring {args.what}"):
        figures = WRITTEN[args.what](args.write) if args.write else BENCHMARKS[args.what]()
    if args.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return 0
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)
    return 0


COMMANDS = {"bench": Command("Measure this machine; compare figures of one run only.", _configure, _run)}
