"""`./cx audit`: everything computed anew from the raw events and compared with what landed."""

import argparse
import errno
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from prometheus_client import CollectorRegistry, write_to_textfile
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deploy.cli.codes import check_known
from deploy.cli.command import Command
from deploy.local.state import local_settings
from schemas.errors import DifferenceFound, EnvironmentProblem
from schemas.settings import Settings
from sinks.landed import Landed
from streams.audit.audit import DIFFERENCES_KEPT, RECHECK_SECONDS, audit
from streams.audit.findings import Findings
from streams.audit.sources import Sources
from streams.metrics import AuditMetrics
from streams.present import wall_ms

FLUSHES_WAITED = 4
HEAD = ("kind", "table", "district", "name", "column", "landed", "recomputed")


def _audited(districts: list[str], settings: Settings, kept: int) -> Findings:
    """The audit with progress on standard error."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[events]:,} events, {task.fields[rows]:,} conversations"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None, events=0, rows=0)

        def report(district: str, events: int, rows: int) -> None:
            progress.update(task, description=district, events=events, rows=rows)

        recheck = max(RECHECK_SECONDS, FLUSHES_WAITED * settings.flush_seconds)
        return audit(districts, Sources.of(settings), report, recheck, kept)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(f"The metrics cannot be written to {path}: {error.strerror}.") from None


def _check_writable(path: Path) -> None:
    """What can be foreseen: the file is made beside its place, under another name. Leaves nothing behind."""
    with _writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        TemporaryFile(dir=path.parent).close()


def _write_metrics(path: Path, values: dict[str, Any]) -> None:
    registry = CollectorRegistry()
    AuditMetrics(registry).tell(values)
    with _writing(path):
        write_to_textfile(str(path), registry)


def _write_text(found: Findings, seconds: float) -> None:
    told = ", ".join(f"{number:,} {table}" for table, number in sorted(found.rows.items()))
    lines = [f"{found.events:,} events of {found.districts:,} districts give: {told or 'no row'}."]
    lines.append(f"Compared in {seconds:.1f} s.")
    if found.unreadable or found.not_understood:
        lines.append(f"{found.unreadable:,} events cannot be read, {found.not_understood:,} are of a newer release.")
    if found.retired:
        lines.append(f"{found.retired:,} conversations are retired: their events left, nothing is compared.")
    if found.days_aside:
        lines.append(f"{found.days_aside:,} daily cells are not compared: what they should hold moved meanwhile.")
    if found.minutes_aside:
        lines.append(f"{found.minutes_aside:,} minutes of rolling rows are not compared: what was known is not clear.")
    if found.moving:
        lines.append(f"{found.moving:,} rows are not compared: they landed anew each time they were looked at.")
    if not found.different:
        lines.append("Everything that landed is what the events give.")
    sys.stdout.write("\n".join(lines) + "\n")
    if found.differences:
        table = Table(*HEAD)
        for difference in found.differences:
            table.add_row(*(Text(value, overflow="fold") for value in difference))
        Console().print(table)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--district", action="append", default=[], metavar="DISTRICT", help="only this one; repeatable")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    parser.add_argument(
        "--differences", type=int, default=DIFFERENCES_KEPT, metavar="N", help="how many to show (default: %(default)s)"
    )
    parser.add_argument("--metrics-file", type=Path, metavar="FILE", help="the result for Prometheus, as a text file")


def _run(args: argparse.Namespace) -> int:
    started, settings = time.monotonic(), local_settings()
    if args.metrics_file:
        _check_writable(args.metrics_file)
    with closing(Landed(settings)) as landed:
        check_known(args.district, landed.districts() if args.district else ())
    found = _audited(args.district, settings, max(0, args.differences))
    seconds = time.monotonic() - started
    result = asdict(found) | {"seconds": round(seconds, 3), "timestamp": wall_ms() // 1000}
    if args.json:
        shown = result | {"differences": [difference._asdict() for difference in found.differences]}
        sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
    else:
        _write_text(found, seconds)
    if args.metrics_file:
        _write_metrics(args.metrics_file, result)
    if found.different:
        raise DifferenceFound(
            f"{found.different:,} rows are not what their events give: {found.mismatches:,} differ, "
            f"{found.missing:,} are missing, {found.extra:,} are too many, {found.behind:,} are behind."
        )
    return 0


COMMANDS = {
    "audit": Command(
        "Computes everything anew from the raw events, with the offline core, and compares it with what landed, row by "
        "row, column by column: facts and their newest versions, configurations, unit trees, daily cells, alerts, "
        "incidents, and the rolling windows of the last day as they were known. The stream may run meanwhile: what "
        "differs because of it is read again until nothing of it moves. Exit code 6: something differs.",
        _configure,
        _run,
    )
}
