"""`./cx fold`: events from standard input, one row of facts per conversation to standard output."""

import argparse
import json
import sys
from pathlib import Path

from deploy.cli.command import Command
from deploy.cli.documents import read_district
from schemas.facts import as_json
from streams.offline import Remark, fold_events

SOME_REFUSED = 2


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--district", type=Path, metavar="FILE", help="the district's document, YAML or JSON")


class Remarks:
    """Says each remark on standard error, and counts the events refused."""

    def __init__(self) -> None:
        self.refused = 0

    def __call__(self, remark: Remark) -> None:
        """Say one."""
        self.refused += remark.refused
        place = f"line {remark.line}[{remark.position}]: " if remark.line else ""
        sys.stderr.write(f"{place}{remark.reason} {remark.message}\n")

    @property
    def exit_code(self) -> int:
        """0, or `SOME_REFUSED`."""
        return SOME_REFUSED if self.refused else 0


def _run(args: argparse.Namespace) -> int:
    document = read_district(args.district) if args.district else None
    remarks = Remarks()
    for row in fold_events(sys.stdin.buffer, document, remarks):
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
