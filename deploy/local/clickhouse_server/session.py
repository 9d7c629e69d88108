"""One client's conversation with the server, in one thread."""

import hmac
import socket
import threading
from dataclasses import dataclass

from pydantic import SecretStr

from deploy.local.clickhouse_server import packets
from deploy.local.clickhouse_server.engine import Engine, EngineSession, Insert
from deploy.local.clickhouse_server.faults import (
    AUTHENTICATION_FAILED,
    QUERY_WAS_CANCELLED,
    UNKNOWN_COMPRESSION_METHOD,
    ConnectionEnded,
    ProtocolViolation,
    QueryRefused,
)
from deploy.local.clickhouse_server.native import Block, Columns, columns_of, header, layout, retyped
from deploy.local.clickhouse_server.packets import FromClient, Query
from deploy.local.clickhouse_server.statement import InsertTarget, Statement, classify, quoted
from deploy.local.clickhouse_server.watch import Running, Watch
from deploy.local.clickhouse_server.wire import Reader, SocketReader

HANDSHAKE_BYTES = 1 << 18
HANDSHAKE_SECONDS = 20.0
PACKET_BYTES = 1 << 30
JOINED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Service:
    """What all sessions share."""

    engine: Engine
    watch: Watch
    user: str
    password: SecretStr


class Session:
    """Serves one socket until the client leaves or breaks the protocol."""

    def __init__(self, service: Service, peer: socket.socket) -> None:
        self._service = service
        self._peer = peer
        self._reader = SocketReader(peer, HANDSHAKE_BYTES)
        self._sending = threading.Lock()

    def serve(self) -> None:
        """Talk until the end; the socket is closed afterwards whatever happened."""
        try:
            self._converse()
        except ConnectionEnded:
            return
        except ProtocolViolation as error:
            self._tell_last(error)
        finally:
            self._peer.close()

    def stop(self) -> None:
        """End the conversation from another thread."""
        try:
            self._peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _tell_last(self, error: ProtocolViolation) -> None:
        try:
            self._send(packets.exception(error.code, str(error)))
        except ConnectionEnded:
            return

    def _converse(self) -> None:
        self._peer.settimeout(HANDSHAKE_SECONDS)
        greeting = packets.read_hello(self._reader)
        self._authenticate(greeting)
        try:
            engine = self._service.engine.session()
        except QueryRefused as error:
            raise ProtocolViolation(str(error), error.code) from None
        try:
            if greeting.database:
                engine.use(greeting.database)
            self._peer.settimeout(None)
            self._reader.limit = PACKET_BYTES
            self._send(packets.hello(self._service.engine.version, self._service.engine.timezone))
            while True:
                self._packet(engine)
        except QueryRefused as error:
            raise ProtocolViolation(str(error), error.code) from None
        finally:
            engine.close()

    def _authenticate(self, greeting: packets.Hello) -> None:
        service = self._service
        is_user = hmac.compare_digest(greeting.user.encode(), service.user.encode())
        secret = service.password.get_secret_value()
        is_password = hmac.compare_digest(greeting.password.encode(), secret.encode())
        if not (is_user and is_password):
            raise ProtocolViolation(
                f"{greeting.user}: Authentication failed: password is incorrect, or there is no user with such name."
                " (AUTHENTICATION_FAILED)",
                AUTHENTICATION_FAILED,
            )
        if greeting.revision < packets.REVISION:
            raise ProtocolViolation(
                f"The client speaks revision {greeting.revision}; {packets.REVISION} is the oldest served."
            )

    def _packet(self, engine: EngineSession) -> None:
        self._reader.begin()
        match self._reader.varint():
            case FromClient.PING:
                self._send(packets.PONG)
            case FromClient.QUERY:
                self._query(engine, packets.read_query(self._reader))
            case FromClient.DATA:
                packets.read_data(self._reader)
            case FromClient.CANCEL:
                return
            case other:
                raise ProtocolViolation(f"Packets of type {other} are not served.")

    def _query(self, engine: EngineSession, query: Query) -> None:
        if query.is_compressed:
            raise ProtocolViolation(
                "This server takes no compressed blocks: connect with compression=False.", UNKNOWN_COMPRESSION_METHOD
            )
        tables = self._external_tables()
        try:
            statement = classify(query.text)
            engine.apply({} if statement.verb == "SET" else query.settings)
            self._with_tables(engine, statement, tables)
        except QueryRefused as error:
            self._send(packets.exception(error.code, str(error)))

    def _external_tables(self) -> list[tuple[str, Block]]:
        tables: list[tuple[str, Block]] = []
        while True:
            self._reader.begin()
            if self._reader.varint() != FromClient.DATA:
                raise ProtocolViolation("A query must be followed by data.")
            name, block = packets.read_data(self._reader)
            if not block.columns:
                return tables
            tables.append((name or "_data", block))

    def _with_tables(self, engine: EngineSession, statement: Statement, tables: list[tuple[str, Block]]) -> None:
        made: list[str] = []
        try:
            for name, block in tables:
                if name not in made:
                    columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in block.columns)
                    engine.run(f"CREATE TEMPORARY TABLE {quoted(name)} ({columns})")
                    made.append(name)
                insert = engine.insert(InsertTarget(f"INSERT INTO {quoted(name)}", quoted(name)))
                insert.append(block)
                insert.finish()
            self._execute(engine, statement)
        finally:
            for name in made:
                engine.run(f"DROP TEMPORARY TABLE IF EXISTS {quoted(name)}")

    def _execute(self, engine: EngineSession, statement: Statement) -> None:
        if statement.insert is not None:
            self._take(engine, statement.insert)
            return
        running = Running(engine.label, self._peer, self._sending)
        try:
            with self._service.watch.over(running):
                ending = self._give(engine, statement, running)
        except QueryRefused as error:
            if not (running.is_cancelled and error.code == QUERY_WAS_CANCELLED):
                raise
            ending = b""
        self._send(ending + packets.END_OF_STREAM)

    def _give(self, engine: EngineSession, statement: Statement, running: Running) -> bytes:
        columns = engine.result_columns(statement)
        rows = count = size = 0
        blocks = engine.blocks(statement)
        try:
            for block, block_rows in blocks:
                if running.is_cancelled:
                    break
                if not count:
                    if Reader(block).varint() != len(columns):
                        columns = columns_of(block)
                    self._send_header(columns)
                self._send(packets.data(b""), retyped(block, columns))
                rows, count, size = rows + block_rows, count + 1, size + len(block)
        finally:
            blocks.close()
        if count:
            return packets.progress(rows=rows) + packets.profile(rows, count, size)
        self._send_header(columns)
        return b""

    def _send_header(self, columns: Columns) -> None:
        if columns:
            self._send(packets.data(header(columns)))

    def _take(self, engine: EngineSession, target: InsertTarget) -> None:
        columns = engine.insert_columns(target)
        for _, kind in columns:
            layout(kind)
        insert = engine.insert(target)
        try:
            self._send(packets.data(header(columns)))
            refused = self._take_blocks(insert)
            if refused is not None:
                raise refused
            running = Running(engine.label, self._peer, self._sending, stops_when_gone=False)
            with self._service.watch.over(running):
                written = insert.finish()
        finally:
            insert.cancel()
        self._send(packets.progress(written_rows=written) + packets.END_OF_STREAM)

    def _take_blocks(self, insert: Insert) -> QueryRefused | None:
        """Hand over blocks up to the empty one; after a refusal the rest is read and dropped."""
        refused: QueryRefused | None = None
        while True:
            self._reader.begin()
            kind = self._reader.varint()
            if kind == FromClient.CANCEL:
                return QueryRefused(QUERY_WAS_CANCELLED, "The insert was cancelled. (QUERY_WAS_CANCELLED)")
            if kind != FromClient.DATA:
                raise ProtocolViolation(f"A packet of type {kind} came in the middle of an insert.")
            _, block = packets.read_data(self._reader)
            if not block.columns:
                return refused
            if refused is None:
                try:
                    insert.append(block)
                except QueryRefused as error:
                    refused = error

    def _send(self, *parts: bytes) -> None:
        size = sum(map(len, parts))
        try:
            with self._sending:
                for part in [b"".join(parts)] if size <= JOINED_BYTES else parts:
                    self._peer.sendall(part)
        except OSError as error:
            raise ConnectionEnded(str(error)) from error
