"""`./cx replay`: facts computed anew from the events, and landed where they differ, while the stream runs."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from deploy.cli.codes import check_known
from deploy.cli.command import Command
from deploy.cli.instants import instant_ms
from deploy.local.state import local_settings
from schemas.errors import DifferenceFound, UsageError
from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.clickhouse import ClickHouseSink
from sinks.reading import ClickHouseReader
from sinks.replays import Replays, Span
from streams.intake.landing import GroupCommits
from streams.intake.producer import EventProducer
from streams.intake.refilling import Source, Topic, refill
from streams.intake.topics import check_topics
from streams.present import now_ms
from streams.replaying import Journal, Progress, Replayed, Tools, replay

CLICKHOUSE, KAFKA = "clickhouse", "kafka"


@contextmanager
def _shown() -> Iterator[Progress]:
    """Progress on standard error, where somebody looks at it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)

        def report(part: str, done: int, total: int) -> None:
            bar.update(task, description=part, completed=done, total=total)

        yield report


def _span(args: argparse.Namespace) -> Span:
    given = {"from_ms": args.begin, "to_ms": args.end}
    span = Span(**{name: instant_ms(text) for name, text in given.items() if text})
    if span.from_ms >= span.to_ms:
        raise UsageError("--from is not before --to.")
    return span


def _key(args: argparse.Namespace, settings: Settings, span: Span) -> str:
    """What makes two calls the same replay."""
    districts = ", ".join(sorted(set(args.district))) or "all"
    source = f"{KAFKA} {settings.topic(EVENTS)}" if args.source == KAFKA else CLICKHOUSE
    return f"source {source}, from {span.from_ms} to {span.to_ms}, districts {districts}"


def _replayed(args: argparse.Namespace, settings: Settings) -> Replayed:
    span = _span(args)
    if args.source == KAFKA:
        check_topics(settings, (EVENTS,))
    with ExitStack() as held:
        reader = held.enter_context(closing(ClickHouseReader(settings)))
        store = held.enter_context(closing(Replays(settings)))
        sink = held.enter_context(closing(ClickHouseSink(settings)))
        tools = Tools(reader, store, sink, partial(now_ms, settings))
        if args.source == CLICKHOUSE:
            check_known(args.district, reader.districts())
        journal = Journal(_key(args, settings, span), tools, args.fresh)
        progress = held.enter_context(_shown())
        if args.source == CLICKHOUSE:
            return replay(args.district, span, tools, journal, progress)
        topic = held.enter_context(closing(Topic(settings)))
        commits = held.enter_context(closing(GroupCommits(settings)))
        producer = held.enter_context(EventProducer(settings))
        found = refill((args.district, span), Source(topic, commits, producer), tools, journal, progress)
        check_known(args.district, reader.districts(), ", in Kafka neither")
        return found


def _told(found: Replayed, seconds: float) -> str:
    begun = "Went on where the last call was cut off: " if found.resumed else ""
    lines = [
        f"{begun}{found.conversations:,} conversations of {found.districts:,} districts folded anew from "
        f"{found.events:,} events in {seconds:.1f} s.",
        f"{found.landed:,} rows landed, {found.unchanged:,} stood as they are; {found.units:,} rows of units and "
        f"{found.configurations:,} of configurations landed.",
    ]
    if found.recovered:
        lines.append(f"{found.recovered:,} events that only Kafka had landed again.")
    if found.newer:
        lines.append(f"{found.newer:,} rows are of a newer release and stay.")
    if found.unreadable:
        lines.append(f"{found.unreadable:,} events cannot be read or folded: `./cx audit` counts them too.")
    return "\n".join(lines) + "\n"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="begin", metavar="WHEN", help="conversations with an event since, ISO 8601; default: all"
    )
    parser.add_argument("--to", dest="end", metavar="WHEN", help="and before; UTC without offset; default: no end")
    parser.add_argument("--district", action="append", default=[], metavar="DISTRICT", help="only this one; repeatable")
    parser.add_argument(
        "--source",
        choices=(CLICKHOUSE, KAFKA),
        default=CLICKHOUSE,
        help="kafka: first land again what Kafka still has and ClickHouse lost (default: %(default)s)",
    )
    parser.add_argument("--fresh", action="store_true", help="start over, where an earlier call was cut off")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")


def _run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    found = _replayed(args, local_settings())
    seconds = time.monotonic() - started
    result = asdict(found) | {"seconds": round(seconds, 3)}
    sys.stdout.write(json.dumps(result) + "\n" if args.json else _told(found, seconds))
    if found.incomplete:
        raise DifferenceFound(
            f"{found.incomplete:,} rows count more events than could be read and stay as they are: `./cx audit` "
            "names them; `--source kafka` lands again what Kafka still has."
        )
    return 0


COMMANDS = {
    "replay": Command(
        "Computes facts anew from the events and lands those that differ, beside the running stream: after a changed "
        "definition, or when a defect or a hand has left wrong rows. Whole conversations are read, with all that a "
        "merge names; rows of a higher version stand; nobody is alerted. Cut off, the same call goes on where it was. "
        "Exit code 6: some rows count more events than are left.",
        _configure,
        _run,
    )
}
