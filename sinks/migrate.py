"""Bring the tables to a version, forwards or back; each migration is one frozen file of SQL in `sinks/migrations`.

    0001_log.sql    comment lines, `-- up`, statements, `-- down`, statements; each ends with `;` at a line's end

Statements can be repeated (`IF NOT EXISTS`, `IF EXISTS`), and a migration counts as done after its last one: a run that
was cut off, or two at once, end in the same tables.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from clickhouse_driver import Client

from schemas.errors import Refused, UsageError
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped

FOLDER = Path(__file__).with_name("migrations")
_NAME = re.compile(r"(?P<number>[0-9]{4})_(?P<name>[a-z0-9_]+)\.sql")

# ClickHouse has no `UPDATE … WHERE` to claim a migration with; `step` only grows, the last word on a number counts.
JOURNAL = """CREATE TABLE IF NOT EXISTS schema_migrations (
    `number` UInt32,
    `name` String,
    `digest` String,
    `applied` UInt8,
    `step` UInt64,
    `at` DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(step)
ORDER BY number"""

_HAS_JOURNAL = "SELECT 1 FROM system.tables WHERE database = %(name)s AND name = 'schema_migrations'"


class Migration(NamedTuple):
    """One numbered change of the tables and its way back; `digest` is of the file's statements."""

    number: int
    name: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    digest: str


class Step(NamedTuple):
    """One migration in one direction, with what is written into the journal after it."""

    migration: Migration
    forwards: bool

    @property
    def statements(self) -> tuple[str, ...]:
        """What is executed."""
        return self.migration.up if self.forwards else self.migration.down


class Journal(NamedTuple):
    """What the server remembers: digest by number of applied migrations, and the highest step taken."""

    applied: dict[int, str]
    step: int


def _statements(text: str) -> tuple[str, ...]:
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    parts = re.split(r";[ \t]*$", "\n".join(lines), flags=re.MULTILINE)
    return tuple(part.strip() for part in parts if part.strip())


def read_migration(path: Path) -> Migration:
    """One file. Raises `UsageError` if its name or shape is wrong."""
    named = _NAME.fullmatch(path.name)
    head, up_mark, rest = path.read_text(encoding="utf-8").partition("\n-- up\n")
    up, down_mark, down = rest.partition("\n-- down\n")
    if named is None or not up_mark or not down_mark or _statements(head):
        raise UsageError(f"{path.name} is no migration: it is called 0001_name.sql and holds `-- up` and `-- down`.")
    statements = (_statements(up), _statements(down))
    digest = sha256(repr(statements).encode()).hexdigest()
    return Migration(int(named["number"]), named["name"], *statements, digest)


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """All migrations in order; they count up from 1 without a gap."""
    found = [read_migration(path) for path in sorted(folder.glob("*.sql"))]
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise UsageError(f"The migrations in {folder.name} do not count up from 0001 without a gap.")
    return found


def migrate(settings: Settings, to: int | None = None, dry_run: bool = False) -> list[str]:
    """Bring the tables to migration `to` (default: the newest; 0: none). Blocks.

    Returns the statements executed, or with `dry_run` those that would be. Going back drops tables with their rows.
    Raises `UsageError` for an unknown `to`, `Refused` if the server's migrations are not this program's, `Unavailable`.
    """
    known = migrations()
    target = len(known) if to is None else to
    if not 0 <= target <= len(known):
        raise UsageError(f"There is no migration {target}; this version knows 0 to {len(known)}.")
    with errors_mapped(settings):
        return _migrate(settings, known, target, dry_run)


def _migrate(settings: Settings, known: list[Migration], target: int, dry_run: bool) -> list[str]:
    statements = _foundation(settings, dry_run)
    if dry_run and statements and statements[0].startswith("CREATE DATABASE"):
        return [*statements, *_texts(plan(known, {}, target))]
    with connect(settings) as client:
        journal = Journal({}, 0) if dry_run and statements else _read_journal(client)
        steps = plan(known, journal.applied, target)
        if not dry_run:
            _take(client, steps, journal.step)
    return [*statements, *_texts(steps)]


def _foundation(settings: Settings, dry_run: bool) -> list[str]:
    """Make the database and the journal if they are missing; returns what that takes."""
    database = settings.clickhouse_database
    create = f"CREATE DATABASE IF NOT EXISTS {database}"
    missing = []
    with connect(settings, "default") as client:
        if not client.execute("SELECT 1 FROM system.databases WHERE name = %(name)s", {"name": database}):
            missing.append(create)
            if not dry_run:
                client.execute(create)
        if not client.execute(_HAS_JOURNAL, {"name": database}):
            missing.append(JOURNAL)
    if not dry_run and JOURNAL in missing:
        with connect(settings) as client:
            client.execute(JOURNAL)
    return missing


def _read_journal(client: Client) -> Journal:
    rows = client.execute("SELECT number, digest, applied, step FROM schema_migrations FINAL ORDER BY number")
    applied = {number: digest for number, digest, is_applied, _ in rows if is_applied}
    return Journal(applied, max((step for *_, step in rows), default=0))


def plan(known: list[Migration], applied: dict[int, str], target: int) -> list[Step]:
    """The steps from what is applied (digest by number) to `target`. Raises `Refused` for tables of another program."""
    newer = [number for number in applied if number > len(known)]
    if newer:
        raise Refused(
            f"The tables are at migration {max(newer)}, this version knows {len(known)}: run the newer version, "
            f"or go back with its `./cx migrate --to {len(known)}`."
        )
    for migration in known:
        if applied.get(migration.number, migration.digest) != migration.digest:
            raise Refused(
                f"Migration {migration.number:04} ({migration.name}) was changed after it had been applied; "
                "take the change back and add a new migration."
            )
    back = [Step(m, False) for m in reversed(known) if m.number in applied and m.number > target]
    return [*back, *(Step(m, True) for m in known if m.number not in applied and m.number <= target)]


def _take(client: Client, steps: Iterable[Step], last_step: int) -> None:
    insert = "INSERT INTO schema_migrations (number, name, digest, applied, step) VALUES"
    for count, step in enumerate(steps, last_step + 1):
        for statement in step.statements:
            client.execute(statement)
        migration = step.migration
        client.execute(insert, [(migration.number, migration.name, migration.digest, int(step.forwards), count)])


def _texts(steps: Iterable[Step]) -> list[str]:
    return [statement for step in steps for statement in step.statements]
