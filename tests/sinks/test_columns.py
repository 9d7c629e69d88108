"""Our columns are byte for byte the driver's."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.errors import TypeMismatchError
from clickhouse_driver.streams.native import BlockOutputStream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.columns import ColumnStream, writer
from sinks.tables import TABLES

OLD_SERVER, NEW_SERVER = 54429, 54468
# ClickHouse itself makes these rows, of the facts.
MADE_THERE = ("daily_cells", "daily_marks")
KINDS = sorted({column.type for table in TABLES if table.name not in MADE_THERE for column in table.columns})
RANGES = {
    "UInt8": (0, 2**8),
    "UInt16": (0, 2**16),
    "UInt32": (0, 2**32),
    "UInt64": (0, 2**64),
    "Int32": (-(2**31), 2**31),
    "Int64": (-(2**63), 2**63),
    "DateTime64(3, 'UTC')": (-(2**63), 2**63),
}


class Collected:
    """A buffer with the driver's interface that keeps what was written."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        """Append."""
        self.data += data

    def write_strings(self, items: Any, encoding: str | None = None) -> None:
        """Append strings with their lengths; the length as eight bytes will do to compare."""
        for item in items:
            raw = item if isinstance(item, bytes) else item.encode(encoding or "utf-8")
            self.data += struct.pack("<Q", len(raw)) + raw

    def flush(self) -> None:
        """Nothing waits."""


def _bytes(stream: type[BlockOutputStream], kind: str, items: list[Any], revision: int) -> bytes:
    info = SimpleNamespace(used_revision=revision, get_timezone=lambda: "UTC")
    client_settings = {"strings_as_bytes": False, "use_numpy": False}
    context = SimpleNamespace(server_info=info, client_settings=client_settings, settings={})
    buffer = Collected()
    stream(buffer, context).write(ColumnOrientedBlock([("x.y", kind)], [list(items)] if items else []))
    return bytes(buffer.data)


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("Array("):
        return st.lists(_values(kind[6:-1]), max_size=4).map(tuple)
    if kind.startswith("Nullable("):
        return st.none() | _values(kind[9:-1])
    if "String" in kind:
        return st.text(max_size=3)
    if kind == "Float64":
        return st.floats(allow_nan=False)
    low, high = RANGES[kind]
    return st.integers(low, high - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_our_tables_is_written_by_ourselves(kind: str) -> None:
    assert writer(kind) is not None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(_values(kind), max_size=6))))
def test_the_bytes_are_the_drivers(case: tuple[str, list[Any]]) -> None:
    for revision in (OLD_SERVER, NEW_SERVER):
        assert _bytes(ColumnStream, *case, revision) == _bytes(BlockOutputStream, *case, revision)


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 65_535, 65_536, 65_537])
def test_many_distinct_codes(count: int) -> None:
    items = [str(number) for number in range(count)]
    kind = "LowCardinality(String)"
    assert _bytes(ColumnStream, kind, items, OLD_SERVER) == _bytes(BlockOutputStream, kind, items, OLD_SERVER)


@pytest.mark.parametrize("kind", ["Array(Array(UInt8))", "Float32", "Nullable(String)"])
def test_a_type_that_is_not_ours_goes_the_drivers_way(kind: str) -> None:
    examples: dict[str, list[Any]] = {"A": [[[1], [2, 3]], []], "F": [0.5], "N": ["a", None]}
    items = examples[kind[0]]
    assert writer(kind) is None
    assert _bytes(ColumnStream, kind, items, NEW_SERVER) == _bytes(BlockOutputStream, kind, items, NEW_SERVER)


@pytest.mark.parametrize(
    ("kind", "item"),
    [("UInt8", 256), ("UInt8", None), ("UInt32", -1), ("Int64", "1"), ("Array(UInt8)", 5), ("String", None)],
)
def test_a_value_that_does_not_fit_names_the_column(kind: str, item: Any) -> None:
    with pytest.raises(TypeMismatchError, match=r"x\.y"):
        _bytes(ColumnStream, kind, [item], OLD_SERVER)
