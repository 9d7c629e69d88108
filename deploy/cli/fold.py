"""`./cx fold`: events from standard input, one row of facts per conversation to standard output."""

import argparse
import json
import sys
from pathlib import Path

from deploy.cli.command import Command
from deploy.cli.documents import read_district
from deploy.cli.event_lines import EventLines, Remarks
from schemas.facts import as_json
from streams.offline import fold_events


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--district", type=Path, metavar="FILE", help="the district's document, YAML or JSON")


def _run(args: argparse.Namespace) -> int:
    document = read_district(args.district) if args.district else None
    lines = EventLines()
    remarks = Remarks(lines)
    for row in fold_events(lines, document, remarks):
        sys.stdout.write(json.dumps(as_json(row), separators=(",", ":")) + "\n")
    return remarks.exit_code


COMMANDS = {
    "fold": Command(
        "Reads events (one or an array a line) from standard input and writes one fact row per conversation. "
        "Without --district every unit is unrouted and always open. Exit code 2: some events were refused, see stderr.",
        _configure,
        _run,
    )
}
