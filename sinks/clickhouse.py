"""The sink that the product runs on: rows into ClickHouse, column by column, over the native protocol."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from clickhouse_driver import Client

from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from sinks.erasing import erase
from sinks.landing import Landing
from sinks.mending import mend_unlike
from sinks.tables import (
    ALERTS,
    CONVERSATION_VERSIONS,
    DEAD_LETTERS,
    DISTRICTS,
    EVENTS,
    INCIDENTS,
    ROLLING,
    ROLLING_SLICES,
    UNITS,
    Table,
    earliest,
)
from streams.fault_points import Reached, undisturbed

Columns = list[Sequence[Any]]
_RECEIVED = EVENTS.names.index("received_at")
_CONFIGURATION_RECEIVED = DISTRICTS.names.index("received_at")


class ClickHouseSink:
    """Lands in the settings' database. One thread at a time; the connection is made by the first landing."""

    def __init__(self, settings: Settings, reached: Reached = undisturbed) -> None:
        self._settings = settings
        self._reached = reached
        self._client: Client = connect(settings)

    def land(self, landing: Landing) -> None:
        """Land all rows, in the order below; blocks. Landing the same again changes nothing.

        (0) dead letters, (2) configurations, units, and events last: an event that has landed is known when it is read
        again, and nothing of it lands then; (3) facts: versions, which ClickHouse itself passes on to `conversations`,
        then the alerts and incidents made of them, (4) rolling rows, then what is to be erased. No fact lands before
        its events, no alert, incident or rolling row before the facts it is made of.
        Raises `Unavailable` or `Refused`; what was sent before stays.
        """
        at = landing.landed_at_ms
        with errors_mapped(self._settings):
            self._insert(DEAD_LETTERS, landing.dead_letters, (at, earliest(at)))
            with self._step("2"):
                self._insert_received(DISTRICTS, landing.configurations, at, _CONFIGURATION_RECEIVED)
                self._insert(UNITS, landing.units, (at,))
                self._insert_received(EVENTS, landing.events, at, _RECEIVED)
            with self._step("3"):
                self._insert(CONVERSATION_VERSIONS, landing.conversations, (at, earliest(at)))
                self._insert(ALERTS, landing.alerts, (at, earliest(at)))
                self._insert(INCIDENTS, landing.incidents, (at, earliest(at)))
            with self._step("4"):
                self._insert(ROLLING, landing.rolling, (at, earliest(at)))
                self._insert(ROLLING_SLICES, landing.slices, (at, earliest(at)))
            for erasure in landing.erasures:
                erase(self._client, erasure, self._send_events)
            # Where a merge put events together, no statement makes what the fold makes of them.
            for district in sorted({erasure.district for erasure in landing.erasures}):
                own = [row for row in landing.conversations if row[0] == district]
                mend_unlike(self._client, district, own, at)

    def close(self) -> None:
        """Let go of the connection; `land` would make a new one."""
        self._client.disconnect()

    @contextmanager
    def _step(self, number: str) -> Iterator[None]:
        self._reached(f"before:{number}")
        yield
        self._reached(f"after:{number}")

    def _insert(self, table: Table, rows: Sequence[Sequence[Any]], stamps: Iterable[int]) -> None:
        if rows:
            columns = _columns(rows)
            columns.extend([stamp] * len(rows) for stamp in stamps)
            self._send(table, columns)

    def _insert_received(self, table: Table, rows: Sequence[Sequence[Any]], at: int, received: int) -> None:
        if rows:
            columns = _columns(rows)
            columns += [[at] * len(rows), [earliest(received_at) for received_at in columns[received]]]
            self._send(table, columns)

    def _send_events(self, rows: Sequence[Sequence[Any]]) -> None:
        self._send(EVENTS, _columns(rows))

    def _send(self, table: Table, columns: Columns) -> None:
        # On any error the driver drops the connection itself, so the next landing starts with a new one.
        self._client.execute(table.insert, columns, columnar=True)


def _columns(rows: Sequence[Sequence[Any]]) -> Columns:
    """Rows turned into columns."""
    return list(zip(*rows, strict=True))
