"""`./cx migrate`: the ClickHouse tables to this version, or to another one."""

import argparse
import json
import sys

from deploy.cli.command import Command
from deploy.local.state import local_settings
from sinks.migrate import migrate


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print the statements and change nothing")
    parser.add_argument("--to", type=int, metavar="N", help="migration to end at, 0 for none; default: the newest")
    parser.add_argument("--json", action="store_true", help="one JSON object: database, dry_run, statements")


def _run(args: argparse.Namespace) -> int:
    settings = local_settings()
    statements = migrate(settings, args.to, args.dry_run)
    database = settings.clickhouse_database
    if args.json:
        result = {"database": database, "dry_run": args.dry_run, "statements": statements}
        sys.stdout.write(json.dumps(result) + "\n")
        return 0
    for statement in statements:
        sys.stdout.write(f"{statement};\n\n")
    done = "would be executed" if args.dry_run else "executed"
    sys.stderr.write(f"{len(statements)} statements {done} in database {database}.\n")
    return 0


COMMANDS = {
    "migrate": Command(
        "Brings the ClickHouse tables to this version and prints the statements; nothing happens when they are there. "
        "--to goes to an earlier or later migration: going back drops what later ones made, with its rows.",
        _configure,
        _run,
    )
}
