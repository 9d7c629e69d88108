"""`./cx retention`: what is older than the settings keep it leaves ClickHouse, conversations whole."""

import argparse
import json
import sys
from contextlib import closing
from datetime import timedelta
from functools import partial

from rich.console import Console
from rich.table import Table

from deploy.cli.command import Command
from deploy.local.state import local_settings
from schemas.errors import UsageError
from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.clickhouse import ClickHouseSink
from sinks.reading import ClickHouseReader
from sinks.retention import Cutoffs, Retention
from streams.core.windows import HORIZON_MS
from streams.forgetting import forget_again
from streams.intake.retention import retentions
from streams.present import now_ms
from streams.retaining import Retained, apply, foresee

FLUSHES_WAITED = 4
SETTLE_SECONDS = 2.0
DAY_MS = 86_400_000


def cutoffs(settings: Settings, at_ms: int) -> Cutoffs:
    """The instants before which things leave, by the settings and by how long Kafka keeps messages of events.

    Raises `UsageError` if facts would leave before events, `Unavailable` or `Refused` if Kafka does not answer.
    """
    if settings.keep_facts_days < settings.keep_events_days:
        raise UsageError("CX_KEEP_FACTS_DAYS is less than CX_KEEP_EVENTS_DAYS: no fact leaves before its events.")
    kept = retentions(settings)[settings.topic(EVENTS)]
    found = Cutoffs(
        events=at_ms - settings.keep_events_days * DAY_MS,
        facts=at_ms - settings.keep_facts_days * DAY_MS,
        versions=at_ms - settings.keep_versions_days * DAY_MS,
        alerts=at_ms - settings.keep_alerts_days * DAY_MS,
        rolling=at_ms - settings.keep_rolling_days * DAY_MS,
        landed=at_ms - HORIZON_MS,
        minutes=at_ms - settings.keep_minutes_days * DAY_MS,
    )
    return found if kept is None else found._replace(dead_letters=at_ms - kept // timedelta(milliseconds=1))


def _retained(settings: Settings, dry_run: bool) -> tuple[Retained, int]:
    """What left, or would, and how many erased keys had to be erased again."""
    at_ms = now_ms(settings)
    before = cutoffs(settings, at_ms)
    console = Console(stderr=True)
    with (
        console.status("reading") as status,
        closing(ClickHouseReader(settings)) as reader,
        closing(Retention(settings)) as store,
        closing(ClickHouseSink(settings)) as sink,
    ):
        districts = reader.districts()
        if dry_run:
            return foresee(store, districts, before, at_ms, status.update), 0
        status.update("looking for erased persons")
        forgotten = sum(forget_again(reader, sink, district, partial(now_ms, settings)) for district in districts)
        settle = max(SETTLE_SECONDS, FLUSHES_WAITED * settings.flush_seconds)
        return apply(store, districts, before, at_ms, settle, status.update), forgotten


def _tell(found: Retained, forgotten: int, dry_run: bool) -> None:
    verb = "would leave" if dry_run else "left"
    sys.stdout.write(f"{found.conversations:,} conversations {verb}.\n")
    if found.held:
        sys.stdout.write(f"{found.held:,} are old enough and stay: they wait, were touched, or their row is behind.\n")
    if forgotten:
        sys.stdout.write(f"{forgotten:,} erased persons stood in rows that landed late: they are erased again.\n")
    table = Table("table", "rows")
    table.columns[1].justify = "right"
    for name, rows in sorted(found.rows.items()):
        table.add_row(name, f"{rows:,}")
    Console().print(table)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would leave, and change nothing")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object: conversations, held, rows by table, erased_again"
    )


def _run(args: argparse.Namespace) -> int:
    found, forgotten = _retained(local_settings(), args.dry_run)
    if args.json:
        told = {"dry_run": args.dry_run, "conversations": found.conversations, "held": found.held, "rows": found.rows}
        sys.stdout.write(json.dumps(told | {"erased_again": forgotten}) + "\n")
    else:
        _tell(found, forgotten, args.dry_run)
    return 0


COMMANDS = {
    "retention": Command(
        "Lets go of what is older than the settings keep it (CX_KEEP_…_DAYS): whole conversations, their facts, "
        "replaced versions, alerts, rolling windows (one an hour stays longer), dead letters whose message Kafka has "
        "no more. What waits or was touched stays. Late events of what left are refused as `retired`. Erased persons "
        "who came back with a late row are erased again. Run it each night.",
        _configure,
        _run,
    )
}
