"""Where a Native block ends: each column type knows how many bytes its values take.

The values themselves are never decoded; the engine does that. Layout: column count, row count, then per column
name, type, state prefix and data, as ClickHouse writes it for revision 54429.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from deploy.local.clickhouse_server.faults import UNKNOWN_TYPE, ProtocolViolation, QueryRefused
from deploy.local.clickhouse_server.wire import Reader, string, varint

Columns = tuple[tuple[str, str], ...]

MOST_COLUMNS = 10_000
MOST_DEPTH = 32
TYPE_BYTES = 1 << 20
HAS_OWN_KEYS = 1 << 9

FIXED_BYTES = {
    **dict.fromkeys(("Bool", "Int8", "UInt8", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("Int16", "UInt16", "Enum16", "Date", "BFloat16"), 2),
    **dict.fromkeys(("Int32", "UInt32", "Float32", "Date32", "DateTime", "DateTime32", "Time", "IPv4", "Decimal32"), 4),
    **dict.fromkeys(("Int64", "UInt64", "Float64", "DateTime64", "Time64", "Decimal64"), 8),
    **dict.fromkeys(("Int128", "UInt128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("Int256", "UInt256", "Decimal256"), 32),
}
ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
DECIMAL_BYTES = ((9, 4), (18, 8), (38, 16), (76, 32))

_CALL = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_PIECE = re.compile(r"'(?:[^'\\]|\\.|'')*+'|`(?:[^`\\]|\\.|``)*+`|[(),]|[^'`(),]+", re.DOTALL)
_NAMED = re.compile(r"(?:`(?:[^`\\]|\\.|``)*+`|[A-Za-z_][\w.]*)\s+(\S.*)", re.DOTALL)


class Layout(Protocol):
    """Passes over one column: first the prefix of the whole column, then the data of `rows` rows."""

    def prefix(self, reader: Reader) -> None: ...

    def data(self, reader: Reader, rows: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Every value takes `size` bytes."""

    size: int

    def prefix(self, reader: Reader) -> None:
        """Nothing precedes the data."""

    def data(self, reader: Reader, rows: int) -> None:
        reader.skip(self.size * rows)


@dataclass(frozen=True, slots=True)
class Strings:
    """Every value carries its length."""

    def prefix(self, reader: Reader) -> None:
        """Nothing precedes the data."""

    def data(self, reader: Reader, rows: int) -> None:
        reader.skip_strings(rows)


@dataclass(frozen=True, slots=True)
class Nulls:
    """One byte per row, then the values of all rows."""

    inner: Layout

    def prefix(self, reader: Reader) -> None:
        self.inner.prefix(reader)

    def data(self, reader: Reader, rows: int) -> None:
        reader.skip(rows)
        self.inner.data(reader, rows)


@dataclass(frozen=True, slots=True)
class Arrays:
    """End offsets as UInt64, then all elements as one column."""

    inner: Layout

    def prefix(self, reader: Reader) -> None:
        self.inner.prefix(reader)

    def data(self, reader: Reader, rows: int) -> None:
        if rows:
            reader.skip(8 * (rows - 1))
            self.inner.data(reader, reader.uint64())


@dataclass(frozen=True, slots=True)
class Tuples:
    """Each element as a column of its own."""

    elements: tuple[Layout, ...]

    def prefix(self, reader: Reader) -> None:
        for element in self.elements:
            element.prefix(reader)

    def data(self, reader: Reader, rows: int) -> None:
        for element in self.elements:
            element.data(reader, rows)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """LowCardinality: keys once, then an index of 1, 2, 4 or 8 bytes per row."""

    keys: Layout

    def prefix(self, reader: Reader) -> None:
        reader.skip(8)

    def data(self, reader: Reader, rows: int) -> None:
        while rows > 0:
            flags = reader.uint64()
            if flags & 0xFF > 3 or not flags & HAS_OWN_KEYS:
                raise ProtocolViolation("A LowCardinality column has an unknown form.")
            self.keys.data(reader, reader.uint64())
            part = reader.uint64()
            if not 0 < part <= rows:
                raise ProtocolViolation("A LowCardinality column has another number of rows than its block.")
            reader.skip(part << (flags & 0xFF))
            rows -= part


def arguments(text: str) -> list[str]:
    """Split a type's arguments at the commas outside brackets and quotes."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts if part.strip()]


def _unnamed(element: str) -> str:
    named = _NAMED.fullmatch(element)
    return named.group(1) if named else element


def _unknown(text: str) -> QueryRefused:
    return QueryRefused(UNKNOWN_TYPE, f"This server cannot take columns of type {text[:200]}.")


def _number(text: str, whole: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise _unknown(whole)
    return int(text)


def _composed(name: str, inner: list[str], whole: str, depth: int) -> Layout:
    def child(index: int) -> Layout:
        if index >= len(inner):
            raise _unknown(whole)
        return _parse(inner[index], depth + 1)

    match name:
        case "FixedString":
            return Fixed(_number(inner[0], whole))
        case "Decimal":
            digits = _number(inner[0], whole)
            return Fixed(next((size for most, size in DECIMAL_BYTES if digits <= most), 32))
        case "Nullable":
            return Nulls(child(0))
        case "Array":
            return Arrays(child(0))
        case "LowCardinality":
            return Dictionary(_parse(re.sub(r"^Nullable\((.*)\)$", r"\1", inner[0], flags=re.DOTALL), depth + 1))
        case "SimpleAggregateFunction":
            return child(1)
        case "Map":
            return Arrays(Tuples((child(0), child(1))))
        case "Tuple" | "Nested":
            elements = Tuples(tuple(_parse(_unnamed(element), depth + 1) for element in inner))
            return elements if name == "Tuple" else Arrays(elements)
    raise _unknown(whole)


def _parse(text: str, depth: int) -> Layout:
    call = _CALL.fullmatch(text)
    if call is None or depth > MOST_DEPTH:
        raise _unknown(text)
    name, inner = call.group(1), call.group(2)
    if name == "String":
        return Strings()
    if name in FIXED_BYTES:
        return Fixed(FIXED_BYTES[name])
    if name.startswith("Interval"):
        return Fixed(8)
    if name in ALIASES:
        return _parse(ALIASES[name], depth + 1)
    if name == "Tuple" and not inner:
        return Fixed(1)
    if not inner or not inner.strip():
        raise _unknown(text)
    return _composed(name, arguments(inner), text, depth)


@lru_cache(maxsize=1024)
def layout(type_text: str) -> Layout:
    """The layout of a column type. Raises QueryRefused (50) for a type without a known extent."""
    return _parse(type_text.strip(), 0)


@dataclass(frozen=True, slots=True)
class Block:
    """One Native block: its bytes, unread, and what its header says."""

    data: bytes
    rows: int
    columns: Columns


def read_block(reader: Reader) -> Block:
    """Take one block. Raises ProtocolViolation where its end cannot be found."""
    start = reader.position
    count, rows = reader.varint(), reader.varint()
    if count > MOST_COLUMNS or (rows and not count):
        raise ProtocolViolation(f"A block of {count} columns and {rows} rows is not possible.")
    columns = []
    for _ in range(count):
        name, type_text = reader.string(), reader.string(TYPE_BYTES)
        columns.append((name, type_text))
        if rows:
            try:
                column = layout(type_text)
            except QueryRefused as error:
                raise ProtocolViolation(str(error), error.code) from None
            column.prefix(reader)
            column.data(reader, rows)
    return Block(reader.since(start), rows, tuple(columns))


def columns_of(block: bytes) -> Columns:
    """Names and types of a block's columns; nothing if a type before the last has no known extent."""
    reader = Reader(block, limit=len(block))
    count, rows = reader.varint(), reader.varint()
    columns = []
    for position in range(count):
        name, type_text = reader.string(TYPE_BYTES), reader.string(TYPE_BYTES)
        columns.append((name, type_text))
        if position + 1 < count:
            try:
                column = layout(type_text)
            except QueryRefused:
                return ()
            column.prefix(reader)
            column.data(reader, rows)
    return tuple(columns)


def retyped(block: bytes, columns: Columns) -> bytes:
    """The block with the time zones that the engine leaves out of DateTime's name; `columns` are the true ones."""
    if not any(kind.startswith("DateTime(") for _, kind in columns):
        return block
    reader, done, out = Reader(block, limit=len(block)), 0, bytearray()
    _, rows = reader.varint(), reader.varint()
    for _, kind in columns:
        reader.string(TYPE_BYTES)
        before = reader.position
        type_text = reader.string(TYPE_BYTES)
        if type_text == "DateTime" and kind.startswith("DateTime("):
            out += block[done:before] + string(kind)
            done = reader.position
        try:
            column = layout(type_text)
        except QueryRefused:
            return block
        column.prefix(reader)
        column.data(reader, rows)
    return bytes(out + block[done:])


def split(data: bytes) -> list[Block]:
    """All blocks of a Native stream."""
    reader, blocks = Reader(data, limit=len(data)), []
    while reader.position < len(data):
        blocks.append(read_block(reader))
    return blocks


def header(columns: Columns) -> bytes:
    """A block without rows that names columns and types."""
    return varint(len(columns)) + b"\0" + b"".join(string(name) + string(kind) for name, kind in columns)
