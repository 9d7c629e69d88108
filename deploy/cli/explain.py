"""`./cx explain`: what made a conversation's numbers, from what has landed or from a file of events."""

import argparse
import gzip
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from deploy.cli.command import Command
from deploy.cli.documents import read_district
from deploy.cli.explained import Page
from deploy.local.state import local_settings
from schemas.errors import UsageError
from streams.explaining.explain import explain
from streams.explaining.gathering import Gathered, from_clickhouse, from_file
from streams.explaining.told import Explanation
from streams.offline import Remark
from streams.present import now_ms

GZIP = b"\x1f\x8b"
# The driver logs a failed attempt with its traceback; the command says it in a sentence.
logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "conversation", metavar="CONVERSATION", help="a conversation, or a later part of it such as c~2"
    )
    parser.add_argument("--district", metavar="CODE", help="its district, where several have such a conversation")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a timeline")
    parser.add_argument("--follow", action="store_true", help="if it was merged away: explain the one it is in")
    parser.add_argument("--events", type=Path, metavar="FILE", help="a file of events instead of ClickHouse")
    parser.add_argument("--document", type=Path, metavar="FILE", help="with --events: the district's document")


def _lines(path: Path) -> Iterable[bytes]:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content.startswith(GZIP) else content).splitlines()
    except (OSError, EOFError) as error:
        raise UsageError(f"Cannot read {path}: {getattr(error, 'strerror', None) or 'it is damaged'}.") from None


def _report(remark: Remark) -> None:
    sys.stderr.write(f"line {remark.line}[{remark.position}]: {remark.reason} {remark.message}\n")


def _gather(args: argparse.Namespace, conversation: str) -> Gathered:
    asked = conversation, args.district
    if args.events is None:
        return from_clickhouse(local_settings(), asked)
    document = read_district(args.document) if args.document else None
    return from_file(lambda: _lines(args.events), document, asked, _report)


def _explained(args: argparse.Namespace, conversation: str) -> Explanation:
    gathered = _gather(args, conversation)
    present_ms = now_ms(local_settings()) // 1000 * 1000
    found = explain(gathered.district, conversation, gathered.events, present_ms, gathered.restatements)
    if found is None:
        raise UsageError(f"{gathered.district} has no conversation {conversation}; its whole is explained without `~`.")
    return found


def _run(args: argparse.Namespace) -> int:
    if args.document is not None and args.events is None:
        raise UsageError("--document goes with --events: what has landed brings its own configurations.")
    found = _explained(args, args.conversation)
    into = found.parts[0].merged_into
    if into and args.follow:
        found = _explained(args, into)
    if args.json:
        sys.stdout.write(found.model_dump_json() + "\n")
        return 0
    if into:
        more = f"this is {into}" if args.follow else "`--follow` explains that one"
        sys.stdout.write(f"{args.conversation} was merged into {into}: {more}.\n\n")
    Page(Console(), found).write()
    return 0


COMMANDS = {
    "explain": Command(
        "Shows what made a conversation's numbers: its events and what each did, its waits cut into what counted and "
        "what did not, its promises with the policy and the revision that decided, and what was restated. "
        "From ClickHouse, or with no stack from --events FILE and --document FILE.",
        _configure,
        _run,
    )
}
