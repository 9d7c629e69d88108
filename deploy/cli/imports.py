"""`./cx import`: a file of events, or of a known source, into the running stack."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.cli.command import Command
from deploy.local.state import effective_settings
from schemas.errors import DifferenceFound, UsageError
from schemas.settings import Settings
from streams.intake.importing import Log, Summary, Watch, import_boston311, import_events
from streams.intake.landing import GroupCommits
from streams.intake.producer import EventProducer

MOST_SHOWN = 20


@contextmanager
def watched(console: Console) -> Iterator[Watch]:
    """A progress bar, and the first rejected items by place and reason."""
    shown = 0

    def rejected(text: str) -> None:
        nonlocal shown
        shown += 1
        if shown <= MOST_SHOWN:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} events"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        sending = progress.add_task("sent to Kafka", total=None)
        landing = progress.add_task("in ClickHouse", total=None)
        yield Watch(
            lambda sent: progress.update(sending, completed=sent),
            lambda landed, total: progress.update(landing, completed=landed, total=total),
            rejected,
        )
    if shown > MOST_SHOWN:
        console.print(f"… and {shown - MOST_SHOWN} more were rejected.")


@contextmanager
def log_of(settings: Settings, most_unlanded: int | None = None) -> Iterator[Log]:
    """The running stack's log; imports keep the settings' pace unless told another.

    Raises `Unavailable` when Kafka is away.
    """
    commits = GroupCommits(settings)
    try:
        with EventProducer(settings) as producer:
            yield Log(producer, commits, most_unlanded or settings.import_events)
    finally:
        commits.close()


def run_import(source: str, path: Path, settings: Settings) -> Summary:
    """Import one file with progress on standard error; blocks until all has landed. Raises `CxError`."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    with log_of(settings) as log, watched(Console(stderr=True)) as watch:
        if source == "boston311":
            return import_boston311(path, settings, log, watch)
        return import_events(path, log, watch)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def sentences(summary: Summary) -> str:
    """The summary for a person."""
    rate = summary.as_json()["events_per_second"]
    held = f"{_counted(summary.events, 'event')} of {_counted(summary.conversations, 'conversation')}"
    text = f"{held} landed in {summary.seconds:.1f} s"
    lines = [f"{text} ({rate:,} events/s)."]
    if summary.rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(summary.rejected.items()))
        lines.append(f"Rejected: {reasons}.")
    if summary.verdicts is not None:
        met, missed, differ = summary.verdicts.values()
        lines.append(
            f"Promised times: {met:,} met, {missed:,} missed; {differ:,} differ from the source's own verdict."
        )
    return "\n".join(lines) + "\n"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", choices=("events", "boston311"), help="what the file holds")
    parser.add_argument("file", type=Path, metavar="FILE", help="plain or .gz")
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object")


def _run(args: argparse.Namespace) -> int:
    summary = run_import(args.source, args.file, effective_settings(Settings.from_environment(os.environ)))
    sys.stdout.write(json.dumps(summary.as_json()) + "\n" if args.json else sentences(summary))
    sys.stdout.flush()
    if summary.verdicts is not None and summary.verdicts["differs_from_source"]:
        raise DifferenceFound(f"{summary.verdicts['differs_from_source']} verdicts differ from the source's own.")
    if summary.rejected and not summary.events:
        raise UsageError(f"Nothing of {args.file} could be taken.")
    return 0


COMMANDS = {
    "import": Command(
        "Sends a file into the running stack and waits until all of it has landed in ClickHouse. "
        "events: one event or array a line. boston311: service requests of the City of Boston. "
        "Exit code 6: verdicts differ from the source's own.",
        _configure,
        _run,
    )
}
