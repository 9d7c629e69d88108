"""`./cx sql`: one statement to ClickHouse, its rows as a table or as JSON lines."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.cli.command import Command
from deploy.local.state import local_settings
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped

MOST_ROWS_SHOWN = 1_000
_NUMBERS = ("Int", "UInt", "Float", "Decimal", "Nullable(Int", "Nullable(UInt", "Nullable(Float", "Nullable(Decimal")


def plain(value: Any) -> Any:
    """A value of the driver's as JSON knows it: instants in ISO 8601, exotic types as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _shown(value: Any) -> Text:
    """A cell; control characters in data must not steer the terminal."""
    simple = plain(value)
    if simple is None:
        return Text("null", style="dim")
    text = simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)
    return Text("".join(char if char.isprintable() else "�" for char in text))


def _write_lines(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    for row in rows:
        record = dict(zip(names, map(plain, row), strict=True))
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")


def _write_table(columns: Sequence[tuple[str, str]], rows: Iterator[Sequence[Any]]) -> None:
    table = Table()
    for name, kind in columns:
        table.add_column(Text(name), justify="right" if kind.startswith(_NUMBERS) else "left", overflow="fold")
    for row in islice(rows, MOST_ROWS_SHOWN):
        table.add_row(*map(_shown, row))
    Console().print(table)
    if next(rows, None) is not None:
        sys.stderr.write(f"Only the first {MOST_ROWS_SHOWN} rows are shown: add a LIMIT, or --json for all.\n")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("statement", help='SQL, such as "SELECT department, count() FROM waits GROUP BY department"')
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of a table")


def _answer(settings: Settings, statement: str) -> Iterator[Any]:
    """The columns (name, type), then the rows. Only what the server does is mapped, not what the reader does."""
    with errors_mapped(settings), connect(settings) as client:
        yield from client.execute_iter(statement, with_column_types=True)


def _run(args: argparse.Namespace) -> int:
    result = _answer(local_settings(), args.statement)
    columns: Sequence[tuple[str, str]] = next(result, ())
    if args.json:
        _write_lines([name for name, _ in columns], result)
    elif columns:
        _write_table(columns, result)
    else:
        sys.stderr.write("Done; the statement has no rows to show.\n")
    return 0


COMMANDS = {
    "sql": Command(
        "Sends one statement to ClickHouse. Good to start from: current_conversations, waits, segments, ratings, "
        "verdicts, current_units, events, dead_letters (`SHOW TABLES`, `DESCRIBE waits`).",
        _configure,
        _run,
    )
}
