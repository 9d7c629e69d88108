"""The engine behind the protocol: one engine connection per client, so that none waits for another.

The engine shuts down with its last connection; `Engine` holds one for its whole life.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import chdb

from deploy.local.clickhouse_server.faults import UNKNOWN_EXCEPTION, UNKNOWN_SETTING, QueryRefused
from deploy.local.clickhouse_server.native import Block, Columns, split
from deploy.local.clickhouse_server.packets import Setting
from deploy.local.clickhouse_server.statement import InsertTarget, Statement, literal, names, quoted
from schemas.errors import EnvironmentProblem

_CODE = re.compile(r"Code: (\d+)\. DB::\w*Exception: (.*)", re.DOTALL)
_VERSION = re.compile(r" \(version [\d.]+\)\s*$")
_CHANGED_SETTING = "SELECT value FROM system.settings WHERE changed AND name = {name:String}"
_SETTING_NAME = re.compile(r"[A-Za-z_]\w*")
NOT_STREAMABLE = "Streaming query is not supported"
NO_INSERT_DEFAULTS = ("MATERIALIZED", "ALIAS", "EPHEMERAL")

INSERT_BYTES = 64 << 20

T = TypeVar("T")


def refusal(error: RuntimeError) -> QueryRefused:
    """The engine's error text as a code and a message."""
    found = _CODE.search(str(error))
    if found is None:
        return QueryRefused(UNKNOWN_EXCEPTION, str(error) or "The engine failed without a reason.")
    return QueryRefused(int(found.group(1)), _VERSION.sub("", found.group(2)))


def _asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except RuntimeError as error:
        raise refusal(error) from None


class Insert:
    """An INSERT under way: `append` Native blocks, then `finish` or `cancel`.

    ⚠ The engine's own streaming insert reports success when a constraint, a view or the disk refuses the rows, so
    blocks are collected in memory and inserted by a statement, whose errors are told.
    """

    def __init__(self, session: "EngineSession", target: InsertTarget) -> None:
        self._session = session
        self._target = target
        self._collected: BinaryIO | None = None
        self._rows = 0

    def append(self, block: Block) -> None:
        """Take one block; may run the statement. Raises QueryRefused."""
        if self._collected is None:
            self._collected = os.fdopen(os.memfd_create("insert"), "wb")
        self._collected.write(block.data)
        self._rows += block.rows
        if self._collected.tell() >= INSERT_BYTES:
            self._run()

    def finish(self) -> int:
        """Insert what is left; the number of rows of the whole INSERT. Raises QueryRefused."""
        self._run()
        return self._rows

    def cancel(self) -> None:
        """Forget what was not inserted yet; harmless after `finish`."""
        if self._collected is not None:
            self._collected.close()
            self._collected = None

    def _run(self) -> None:
        if self._collected is None:
            return
        try:
            self._collected.flush()
            source = f"FROM INFILE '/proc/self/fd/{self._collected.fileno()}'"
            self._session.run(f"{self._target.head} {source} {self._target.settings} FORMAT Native")
        finally:
            self.cancel()


class EngineSession:
    """One client's engine connection: current database, settings, temporary tables."""

    def __init__(self, connection: Any, label: str) -> None:
        self._connection = connection
        self.label = label
        self._current: dict[str, Setting] = {}
        self._before: dict[str, str | None] = {}
        self.run(f"SET log_comment = {literal(label)}")

    def run(self, text: str, result_format: str = "Native") -> bytes:
        """Run a statement to its end; its whole output. Raises QueryRefused."""
        return bytes(_asked(lambda: self._connection.query(text, result_format)).bytes())

    def rows(self, text: str, parameters: dict[str, str] | None = None) -> list[list[Any]]:
        """A small result as Python values."""
        result = _asked(lambda: self._connection.query(text, "JSONCompactEachRow", parameters))
        return [json.loads(line) for line in bytes(result.bytes()).splitlines() if line]

    def use(self, database: str) -> None:
        """Change the current database."""
        self.run(f"USE {quoted(database)}")

    def blocks(self, statement: Statement) -> Generator[tuple[bytes, int], None, None]:
        """The result's Native blocks with their row counts; closing the iterator cancels the query."""
        if statement.streams:
            try:
                stream = _asked(lambda: self._connection.send_query(statement.text, "Native"))
            except QueryRefused as error:
                if NOT_STREAMABLE not in str(error):
                    raise
            else:
                yield from self._fetched(stream)
                return
        for block in split(self.run(statement.text)):
            yield block.data, block.rows

    def _fetched(self, stream: Any) -> Generator[tuple[bytes, int], None, None]:
        try:
            while (chunk := _asked(stream.fetch)) is not None:
                yield bytes(chunk.bytes()), chunk.rows_read()
        finally:
            _asked(stream.cancel)

    def result_columns(self, statement: Statement) -> Columns:
        """Names and types of a query's result; nothing where the engine cannot describe the statement."""
        if not statement.streams:
            return ()
        try:
            return self._described(f"({statement.text}\n)", lambda _: True)
        except QueryRefused:
            return ()

    def insert_columns(self, target: InsertTarget) -> Columns:
        """Names and types that an INSERT wants, in order."""
        source = target.table if target.is_function else f"TABLE {target.table}"
        wanted = None if target.columns is None else names(target.columns)
        if target.columns is not None and wanted is None:
            # The client's own words go back into the client's own session: it could send them itself.
            query = f"(SELECT {target.columns} FROM {target.table})"  # noqa: S608
            return self._described(query, lambda _: True)
        if wanted is None:
            return self._described(source, lambda default: default not in NO_INSERT_DEFAULTS)
        types = dict(self._described(source, lambda default: default not in NO_INSERT_DEFAULTS[:2]))
        missing = [name for name in wanted if name not in types]
        if missing:
            raise QueryRefused(16, f"No such column {missing[0]} in table {target.table}. (NO_SUCH_COLUMN_IN_TABLE)")
        return tuple((name, types[name]) for name in wanted)

    def _described(self, source: str, keep: Callable[[str], bool]) -> Columns:
        answer = self.rows(f"DESCRIBE {source} SETTINGS print_pretty_type_names = 0, describe_compact_output = 0")
        return tuple((row[0], row[1]) for row in answer if keep(row[2]))

    def insert(self, target: InsertTarget) -> Insert:
        """Begin an INSERT."""
        return Insert(self, target)

    def apply(self, wanted: dict[str, Setting]) -> None:
        """Make the query's settings hold, and those of earlier queries no more.

        `log_comment` is not for clients: it tells whose query is whose when one is to be stopped.
        """
        wanted = {name: setting for name, setting in wanted.items() if name != "log_comment"}
        for name in [name for name in self._current if name not in wanted]:
            self._restore(name)
        if not wanted:
            self._before.clear()
        for name, setting in wanted.items():
            if self._current.get(name) != setting:
                self._set(name, setting)

    def _set(self, name: str, setting: Setting) -> None:
        if not _SETTING_NAME.fullmatch(name):
            raise QueryRefused(UNKNOWN_SETTING, f"Unknown setting {literal(name)}. (UNKNOWN_SETTING)")
        if name not in self._before:
            old = self.rows(_CHANGED_SETTING, {"name": name})
            self._before[name] = old[0][0] if old else None
        try:
            self.run(f"SET {name} = {literal(setting.value)}")
        except QueryRefused as error:
            if error.code != UNKNOWN_SETTING or setting.is_important:
                raise
        self._current[name] = setting

    def _restore(self, name: str) -> None:
        old = self._before.pop(name)
        del self._current[name]
        try:
            self.run(f"SET {name} = {'DEFAULT' if old is None else literal(old)}")
        except QueryRefused as error:
            if error.code != UNKNOWN_SETTING:
                raise

    def close(self) -> None:
        """Give the connection back to the engine."""
        self._connection.close()


class Engine:
    """The one engine of this process, bound to one directory."""

    def __init__(self, path: Path, memory_bytes: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = str(path.resolve())
        try:
            root = chdb.connect(f"{self._path}?max_server_memory_usage={memory_bytes}")
        except RuntimeError as error:
            raise EnvironmentProblem(
                f"The engine cannot open {path}: another server may be using it, or the disk is full ({error})."
            ) from None
        self._root = EngineSession(root, "server")
        self._lock = threading.Lock()
        self._opened = 0
        version, timezone = self._root.rows("SELECT version(), timezone()")[0]
        major, minor, patch = (int(part) for part in version.split(".")[:3])
        self.version, self.timezone = (major, minor, patch), str(timezone)

    def session(self) -> EngineSession:
        """A connection for one client. Raises QueryRefused."""
        with self._lock:
            self._opened += 1
            label = f"client-{self._opened}"
        return EngineSession(_asked(lambda: chdb.connect(f"{self._path}?implicit_select=0")), label)

    def kill(self, label: str | None = None) -> None:
        """Ask the engine to stop what a session runs, or what all sessions run."""
        which = f"= {literal(label)}" if label else "LIKE 'client-%'"
        with self._lock:
            self._root.run(f"KILL QUERY WHERE Settings['log_comment'] {which} ASYNC", "Null")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._root.close()
