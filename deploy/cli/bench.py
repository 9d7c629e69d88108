"""`./cx bench WHAT`: how fast the hot path and the whole pipeline are on this machine, how well incidents are found."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from bench import beside, calendar, core, incidents, native_server, pipeline, recovery, rolling, slices
from deploy.cli.command import Command

NATIVE_SERVER_ROWS = 100_000
BENCHMARKS: dict[str, Callable[[], dict[str, float]]] = {
    "core": core.measure,
    "calendar": calendar.measure,
    "rolling": rolling.measure,
    "pipeline": pipeline.measure,
    "recovery": recovery.measure,
    "beside": beside.measure,
    "slices": slices.measure,
    "incidents": incidents.measure,
    "native-server": partial(native_server.run, NATIVE_SERVER_ROWS),
}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=sorted(BENCHMARKS),
        help="core: one process; calendar: business time; pipeline: Kafka to ClickHouse; recovery: by history; "
        "beside: a live event's delay beside an import; "
        "rolling: a minute of windows; slices: how long a changed calendar holds up a worker; "
        "incidents: surges and silences over simulated school years",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def _run(args: argparse.Namespace) -> int:
    console = Console(stderr=True)
    with console.status(f"measuring {args.what}"):
        figures = BENCHMARKS[args.what]()
    if args.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return 0
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)
    return 0


COMMANDS = {"bench": Command("Measure this machine; compare figures of one run only.", _configure, _run)}
