"""Packets of revision 54429, the newest without per-column serialization marks and profile events.

Everything a client of a later revision sends to a server of this one is known here.
"""

from dataclasses import dataclass
from enum import IntEnum

from deploy.local.clickhouse_server.faults import ProtocolViolation
from deploy.local.clickhouse_server.native import Block, read_block
from deploy.local.clickhouse_server.wire import Reader, string, varint

REVISION = 54429
QUERY_BYTES = 1 << 28
MOST_SETTINGS = 2_000
NAME = "ClickHouse"


class FromClient(IntEnum):
    """First integer of each packet a client sends."""

    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4


class FromServer(IntEnum):
    """First integer of each packet the server sends."""

    HELLO = 0
    DATA = 1
    EXCEPTION = 2
    PROGRESS = 3
    PONG = 4
    END_OF_STREAM = 5
    PROFILE_INFO = 6


@dataclass(frozen=True, slots=True)
class Hello:
    """A client's introduction; its `repr` hides the password."""

    revision: int
    database: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Hello(user={self.user!r}, database={self.database!r})"


@dataclass(frozen=True, slots=True)
class Setting:
    """A query setting as text; an important one must be known to the engine."""

    value: str
    is_important: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A query packet's parts that this server acts upon."""

    text: str
    settings: dict[str, Setting]
    is_compressed: bool


def read_hello(reader: Reader) -> Hello:
    """The handshake packet. Raises ProtocolViolation for anything else."""
    if reader.varint() != FromClient.HELLO:
        raise ProtocolViolation("The first packet must be Hello.")
    reader.string()
    reader.varint(), reader.varint()
    revision = reader.varint()
    return Hello(revision, reader.string(), reader.string(), reader.string())


def read_query(reader: Reader) -> Query:
    """A query packet after its type."""
    reader.string()
    if reader.byte():
        for _ in range(3):
            reader.string()
        if reader.byte() != 1:
            raise ProtocolViolation("Only clients of the TCP interface are served.")
        for _ in range(3):
            reader.string()
        for _ in range(3):
            reader.varint()
        reader.string()
        reader.varint()
    settings: dict[str, Setting] = {}
    while name := reader.string():
        flags = reader.varint()
        settings[name] = Setting(reader.string(QUERY_BYTES), bool(flags & 1))
        if len(settings) > MOST_SETTINGS:
            raise ProtocolViolation(f"A query may bring {MOST_SETTINGS} settings.")
    reader.varint()
    is_compressed = bool(reader.varint())
    return Query(reader.string(QUERY_BYTES), settings, is_compressed)


def read_data(reader: Reader) -> tuple[str, Block]:
    """A data packet after its type: the external table's name or nothing, and the block."""
    table = reader.string()
    while field := reader.varint():
        if field > 2:
            raise ProtocolViolation("A block brings an unknown kind of information.")
        reader.skip(1 if field == 1 else 4)
    return table, read_block(reader)


def hello(version: tuple[int, int, int], timezone: str) -> bytes:
    """The server's introduction."""
    major, minor, patch = version
    numbers = varint(major) + varint(minor) + varint(REVISION)
    return varint(FromServer.HELLO) + string(NAME) + numbers + string(timezone) + string("local") + varint(patch)


def data(block: bytes) -> bytes:
    """A data packet around a Native block."""
    return b"\x01\x00\x01\x00\x02\xff\xff\xff\xff\x00" + block


def exception(code: int, message: str) -> bytes:
    """An error as the client's driver raises it."""
    body = string("DB::Exception") + string(f"DB::Exception: {message}") + string("") + b"\0"
    return varint(FromServer.EXCEPTION) + code.to_bytes(4, "little", signed=True) + body


def progress(rows: int = 0, written_rows: int = 0) -> bytes:
    """Rows read and written since the last progress packet."""
    return bytes((FromServer.PROGRESS,)) + varint(rows) + b"\0\0" + varint(written_rows) + b"\0"


def profile(rows: int, blocks: int, size: int) -> bytes:
    """The sums of a result."""
    return bytes((FromServer.PROFILE_INFO,)) + varint(rows) + varint(blocks) + varint(size) + b"\0\0\0"


PONG = bytes((FromServer.PONG,))
END_OF_STREAM = bytes((FromServer.END_OF_STREAM,))
