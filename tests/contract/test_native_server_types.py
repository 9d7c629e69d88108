"""Values of every ordinary type come back from the server as they went in."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from clickhouse_driver import Client

from tests.contract.native_server import LocalServer

NAMED = "Tuple(`a b` UInt8, c Array(String), d Tuple(Decimal(10, 2), LowCardinality(String)))"
DEEP = "Array(Tuple(Map(LowCardinality(String), Array(Nullable(UInt16))), Nullable(DateTime64(3, 'UTC'))))"
AT = datetime(2026, 11, 22, 10, 20, 30, 123000, tzinfo=UTC)
LONG = ["", "x" * 127, "y" * 128, "ж" * 20_000, "\0\n'\\"]

CASES: list[tuple[str, list[Any]]] = [
    *[(f"Int{bits}", [-(2 ** (bits - 1)), -1, 0, 2 ** (bits - 1) - 1]) for bits in (8, 16, 32, 64, 128, 256)],
    *[(f"UInt{bits}", [0, 1, 2**bits - 1]) for bits in (8, 16, 32, 64, 128, 256)],
    ("Float32", [0.0, -1.5, float("inf"), 2.0**-126]),
    ("Float64", [0.0, -1e308, float("-inf"), 5e-324]),
    ("String", LONG),
    ("FixedString(4)", ["", "abcd", "é"]),
    ("Date", [date(1970, 1, 1), date(2149, 6, 6)]),
    ("Date32", [date(1900, 1, 1), date(2299, 12, 31)]),
    ("DateTime('UTC')", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)]),
    ("DateTime64(3, 'UTC')", [datetime(1900, 1, 1, tzinfo=UTC), AT, datetime(2299, 12, 31, 23, 59, 59, tzinfo=UTC)]),
    ("UUID", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")]),
    ("Bool", [True, False]),
    ("Enum8('' = -128, 'a b' = 0, '(),' = 1, 'it\\'s' = 127)", ["", "a b", "(),", "it's"]),
    ("Enum16('low' = -32768, 'high' = 32767)", ["low", "high"]),
    ("LowCardinality(String)", [*LONG, "", "x" * 127]),
    ("LowCardinality(Nullable(String))", [None, "", "a", None, "a"]),
    ("LowCardinality(FixedString(2))", ["ab", "cd", "ab"]),
    ("Nullable(UInt64)", [None, 0, 2**64 - 1]),
    ("Nullable(String)", [None, *LONG]),
    ("Nullable(DateTime64(3, 'UTC'))", [None, AT]),
    ("Array(UInt8)", [[], [1], list(range(256))]),
    ("Array(LowCardinality(String))", [[], ["a", "b", "a"], []]),
    ("Array(LowCardinality(Nullable(String)))", [[], []]),
    ("Array(Nullable(String))", [[None, "", "x"], []]),
    ("Array(Array(Array(String)))", [[], [[], [[]]], [[["a", ""], []], [["b"]]]]),
    ("Map(String, UInt64)", [{}, {"a": 1, "": 2**64 - 1}]),
    ("Map(LowCardinality(String), Array(Float64))", [{}, {"k": [], "l": [0.5]}]),
    ("Tuple(UInt8, String)", [(0, ""), (255, "z")]),
    (NAMED, [(1, ["q", ""], (Decimal("-1.25"), "k")), (0, [], (Decimal("0.00"), ""))]),
    (DEEP, [[], [({"a": [None, 65535]}, AT), ({}, None)]]),
    ("Decimal(9, 2)", [Decimal("-9999999.99"), Decimal("0.00"), Decimal("9999999.99")]),
    ("Decimal(18, 4)", [Decimal("-99999999999999.9999"), Decimal("0.0001")]),
    ("Decimal(38, 10)", [Decimal("1234567890123456789012345678.0123456789"), Decimal("-1.0000000000")]),
    ("Decimal(76, 0)", [Decimal(10) ** 75, Decimal(-1)]),
    ("IPv4", [IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")]),  # noqa: S104
    ("IPv6", [IPv6Address("::"), IPv6Address("2001:db8::ff")]),
    ("SimpleAggregateFunction(max, UInt64)", [0, 7]),
    ("Point", [(0.5, -0.5)]),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("types")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    client = server.client()
    client.execute("CREATE DATABASE cx_types")
    client.execute("USE cx_types")
    yield client
    client.disconnect()


@pytest.mark.parametrize("columnar", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize(("kind", "values"), CASES, ids=[kind for kind, _ in CASES])
def test_values_survive_the_round_trip(client: Client, kind: str, values: list[Any], columnar: bool) -> None:
    client.execute("DROP TABLE IF EXISTS v SYNC")
    client.execute(f"CREATE TABLE v (n UInt32, v {kind}, tail String) ENGINE = MergeTree ORDER BY n")
    numbers, tails = list(range(len(values))), ["end"] * len(values)
    data = [numbers, values, tails] if columnar else list(zip(numbers, values, tails, strict=True))
    assert client.execute("INSERT INTO v VALUES", data, columnar=columnar) == len(values)
    rows, columns = client.execute("SELECT v, tail FROM v ORDER BY n", with_column_types=True)
    assert [row[0] for row in rows] == values
    assert {row[1] for row in rows} == {"end"}
    assert [name for name, _ in columns] == ["v", "tail"]
    assert columns[0][1].replace(" ", "") == kind.replace(" ", "") or kind == "Point"


def test_nested_columns_are_arrays_of_one_length(client: Client) -> None:
    client.execute("CREATE TABLE nested (id UInt8, legs Nested(owner String, wait_ms UInt64)) ENGINE = Memory")
    rows = [(1, ["a", "b"], [5, 6]), (2, [], [])]
    client.execute("INSERT INTO nested (id, legs.owner, `legs.wait_ms`) VALUES", rows)
    assert client.execute("SELECT * FROM nested ORDER BY id") == rows


def test_values_of_many_blocks_keep_their_order(client: Client) -> None:
    client.execute("CREATE TABLE many (n UInt32, s String, l LowCardinality(String)) ENGINE = MergeTree ORDER BY n")
    rows = [(n, "s" * (n % 300), f"l{n % 700}") for n in range(20_000)]
    assert client.execute("INSERT INTO many VALUES", rows, settings={"insert_block_size": 777})
    assert client.execute("SELECT * FROM many ORDER BY n", settings={"max_block_size": 1000}) == rows


def test_a_type_without_a_known_extent_is_refused_before_any_data(client: Client) -> None:
    client.execute("CREATE TABLE odd (s AggregateFunction(sum, UInt64)) ENGINE = Memory")
    with pytest.raises(Exception, match="AggregateFunction") as caught:
        client.execute("INSERT INTO odd VALUES", [(1,)])
    assert getattr(caught.value, "code", None) == 50
    assert client.execute("SELECT 1") == [(1,)]


def test_a_time_zone_stays_with_its_column(client: Client) -> None:
    query = (
        "SELECT toDateTime(0, 'America/New_York') AS a, 'x', toDateTime(1, 'UTC') AS b, toStartOfHour(now64(3, 'UTC'))"
    )
    rows, columns = client.execute(query, with_column_types=True)
    zone = "DateTime('UTC')"
    assert [kind for _, kind in columns] == ["DateTime('America/New_York')", "String", zone, zone]
    assert rows[0][0].utcoffset().total_seconds() == -5 * 3600
    assert rows[0][2] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT 1 AS x, 'a' AS y WHERE 0", [("x", "UInt8"), ("y", "String")]),
        ("SELECT 1, 1, 1", [("1", "UInt8")] * 3),
        ("WITH 2 AS two SELECT two FROM numbers(3)", [("two", "UInt8")]),
        ("(SELECT 1 AS a) UNION ALL (SELECT 2 AS a)", [("a", "UInt8")]),
        ("SELECT 1 AS a -- a comment at the end", [("a", "UInt8")]),
    ],
)
def test_names_and_types_come_with_every_result(client: Client, query: str, columns: list[tuple[str, str]]) -> None:
    assert client.execute(query, with_column_types=True)[1] == columns
