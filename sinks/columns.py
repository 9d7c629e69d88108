"""Columns of our tables in ClickHouse's Native format, several times faster than the driver's own writers.

The driver walks over every value of every column in Python; here each column is a few calls over whole lists. The bytes
are the same, which a test holds. Types that our tables do not use go the driver's way.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from struct import Struct, error
from typing import Any

from clickhouse_driver import defines
from clickhouse_driver.block import BaseBlock
from clickhouse_driver.columns.service import write_column
from clickhouse_driver.connection import Connection
from clickhouse_driver.errors import TypeMismatchError
from clickhouse_driver.streams.native import BlockOutputStream
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

Write = Callable[[Sequence[Any], Any], None]

_FORMATS = {
    "UInt8": "B",
    "UInt16": "H",
    "UInt32": "I",
    "UInt64": "Q",
    "Int32": "i",
    "Int64": "q",
    "Float64": "d",
    "DateTime64(3, 'UTC')": "q",
}
_ENCODING = "utf-8"
_KEYS_VERSION = (1).to_bytes(8, "little")
_NEW_DICTIONARY = 1 << 9 | 1 << 10
_KEY_FORMATS = ("B", "H", "I", "Q")


@lru_cache(maxsize=256)
def _struct(count: int, code: str) -> Struct:
    return Struct(f"<{count}{code}")


def _numbers(code: str) -> Write:
    def write(items: Sequence[Any], buffer: Any) -> None:
        buffer.write(_struct(len(items), code).pack(*items))

    return write


def _nullable(code: str) -> Write:
    def write(items: Sequence[Any], buffer: Any) -> None:
        absent, count = items.count(None), len(items)
        if absent == count:
            buffer.write(b"\1" * count + bytes(_struct(count, code).size))
        elif absent:
            buffer.write(bytes([item is None for item in items]))
            buffer.write(_struct(count, code).pack(*[0 if item is None else item for item in items]))
        else:
            buffer.write(bytes(count) + _struct(count, code).pack(*items))

    return write


def _strings(items: Sequence[Any], buffer: Any) -> None:
    buffer.write_strings(items, encoding=_ENCODING)


def _codes(items: Sequence[Any], buffer: Any) -> None:
    """LowCardinality(String): the distinct values, then each value's place among them."""
    if not items:
        return
    if items.count(items[0]) == len(items):
        buffer.write(_struct(2, "Q").pack(_NEW_DICTIONARY, 1))
        buffer.write_strings(items[:1], encoding=_ENCODING)
        buffer.write(_struct(1, "Q").pack(len(items)) + bytes(len(items)))
        return
    places = {item: place for place, item in enumerate(dict.fromkeys(items))}
    width = (len(places).bit_length() - 1) // 8
    buffer.write(_struct(2, "Q").pack(_NEW_DICTIONARY | width, len(places)))
    buffer.write_strings(list(places), encoding=_ENCODING)
    buffer.write(_struct(1, "Q").pack(len(items)))
    buffer.write(_struct(len(items), _KEY_FORMATS[width]).pack(*map(places.__getitem__, items)))


@lru_cache(maxsize=4)
def _sizes(lengths: tuple[int, ...]) -> bytes:
    """Where each array ends; the columns of one nested group share it."""
    return _struct(len(lengths), "Q").pack(*accumulate(lengths))


def _arrays(inner: Write) -> Write:
    def write(items: Sequence[Any], buffer: Any) -> None:
        buffer.write(_sizes(tuple(map(len, items))))
        flat = list(chain.from_iterable(items))
        if flat:
            inner(flat, buffer)

    return write


@lru_cache(maxsize=256)
def writer(kind: str) -> Write | None:
    """What writes the values of a type, after its prefix; None for a type that is not ours."""
    if kind.startswith("Array("):
        inner = writer(kind[6:-1])
        return _arrays(inner) if inner is not None and not kind.startswith("Array(Array") else None
    if kind.startswith("Nullable(") and kind[9:-1] in _FORMATS:
        return _nullable(_FORMATS[kind[9:-1]])
    if kind in _FORMATS:
        return _numbers(_FORMATS[kind])
    return {"String": _strings, "LowCardinality(String)": _codes}.get(kind)


class ColumnStream(BlockOutputStream):  # type: ignore[misc]
    """Writes a block of columns; raises the driver's `TypeMismatchError` for a value that does not fit."""

    def write(self, block: BaseBlock) -> None:
        """One block in the Native format, flushed."""
        revision = self.context.server_info.used_revision
        if revision >= defines.DBMS_MIN_REVISION_WITH_BLOCK_INFO:
            block.info.write(self.fout)
        plain = b"\0" if revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION else b""
        write_varint(block.num_columns, self.fout)
        write_varint(block.num_rows, self.fout)
        for index, (name, kind) in enumerate(block.columns_with_types):
            write_binary_str(name, self.fout)
            write_binary_str(kind, self.fout)
            if block.num_columns:
                self.fout.write(plain)
                self._write_column(name, kind, block.get_column_by_index(index))
        self.finalize()

    def _write_column(self, name: str, kind: str, items: Sequence[Any]) -> None:
        write = writer(kind)
        if write is None:
            write_column(self.context, name, kind, items, self.fout)
            return
        if "LowCardinality" in kind:
            self.fout.write(_KEYS_VERSION)
        try:
            write(items, self.fout)
        except (error, OverflowError, TypeError, AttributeError) as problem:
            raise TypeMismatchError(f"column {name} of type {kind}: {problem}") from None


class ColumnConnection(Connection):  # type: ignore[misc]
    """A connection of the driver that writes blocks with `ColumnStream`."""

    def get_block_out_stream(self) -> ColumnStream:
        """Called by the driver for every new connection."""
        return ColumnStream(self.fout, self.context)
