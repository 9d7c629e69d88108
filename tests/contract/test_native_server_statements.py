"""What the server takes a statement for, and where it finds the end of a block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.clickhouse_server.faults import ProtocolViolation, QueryRefused
from deploy.local.clickhouse_server.native import (
    Arrays,
    Dictionary,
    Fixed,
    Nulls,
    Strings,
    Tuples,
    header,
    layout,
    read_block,
    split,
)
from deploy.local.clickhouse_server.packets import Hello
from deploy.local.clickhouse_server.statement import classify, literal, names, quoted, unquoted
from deploy.local.clickhouse_server.wire import Reader, string, varint


@pytest.mark.parametrize(
    ("text", "head", "table", "columns"),
    [
        ("INSERT INTO t VALUES", "INSERT INTO t", "t", None),
        ("insert into t values", "insert into t", "t", None),
        ("INSERT t VALUES;", "INSERT t", "t", None),
        ("  -- SELECT\n/* VALUES (1) */ INSERT INTO t (a, b) VALUES  ; ", "INSERT INTO t (a, b)", "t", "a, b"),
        (
            "INSERT INTO `d b`.`t-1` (`a, b`, c) VALUES -- end",
            "INSERT INTO `d b`.`t-1` (`a, b`, c)",
            "`d b`.`t-1`",
            "`a, b`, c",
        ),
        ("INSERT INTO TABLE cx.t (n.a) FORMAT Native", "INSERT INTO TABLE cx.t (n.a)", "cx.t", "n.a"),
        ("INSERT INTO t FORMAT VALUES", "INSERT INTO t", "t", None),
        ("INSERT INTO t (a) SETTINGS async_insert = 1, x = 'VALUES' VALUES", "INSERT INTO t (a)", "t", "a"),
        ("INSERT INTO FUNCTION null('a UInt8, b String') VALUES", None, "null('a UInt8, b String')", None),
        ("INSERT INTO t (* EXCEPT(b)) VALUES", "INSERT INTO t (* EXCEPT(b))", "t", "* EXCEPT(b)"),
        ("INSERT INTO t (a)", "INSERT INTO t (a)", "t", "a"),
        ("INSERT INTO values VALUES", "INSERT INTO values", "values", None),
        ("INSERT INTO t (select_, `select`) VALUES", "INSERT INTO t (select_, `select`)", "t", "select_, `select`"),
    ],
)
def test_inserts_that_wait_for_blocks(text: str, head: str | None, table: str, columns: str | None) -> None:
    insert = classify(text).insert
    assert insert is not None
    assert (insert.table, insert.columns) == (table, columns)
    assert head is None or insert.head.strip() == head


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (a) SELECT ';' AS a",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t ((SELECT 1) UNION ALL SELECT 2)",
        "INSERT INTO t (a) /* VALUES */ WITH 1 AS x SELECT x;",
        "INSERT INTO t (a) (SELECT 1)",
        "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO t VALUES ('a;b');",
        'INSERT INTO t FORMAT JSONEachRow {"a": 1}; {',
        "INSERT",
        "INSERT INTO",
        "WITH 1 AS x INSERT INTO t SELECT x",
    ],
)
def test_inserts_that_bring_their_own_rows(text: str) -> None:
    assert classify(text).insert is None


@pytest.mark.parametrize(
    ("text", "verb", "sent"),
    [
        ("select 1", "SELECT", "select 1"),
        ("/* a */ SELECT ';' -- ;\n;;", "SELECT", "SELECT ';'"),
        ("SELECT 1 FORMAT JSON", "SELECT", "SELECT 1 "),
        ("SELECT 1 format TSV SETTINGS a = 1;", "SELECT", "SELECT 1  SETTINGS a = 1"),
        ("SELECT format FROM t", "SELECT", "SELECT format FROM t"),
        (
            "SELECT * FROM (SELECT 'FORMAT JSON' AS FORMAT) t",
            "SELECT",
            "SELECT * FROM (SELECT 'FORMAT JSON' AS FORMAT) t",
        ),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(", "(SELECT 1) UNION ALL (SELECT 2)"),
        ("SHOW TABLES FORMAT Null", "SHOW", "SHOW TABLES "),
        ("USE `a;b`", "USE", "USE `a;b`"),
        ("SELECT $x$ ; ' $x$, 'it''s', 'a\\';'", "SELECT", "SELECT $x$ ; ' $x$, 'it''s', 'a\\';'"),
    ],
)
def test_other_statements(text: str, verb: str, sent: str) -> None:
    statement = classify(text)
    assert (statement.verb, statement.text, statement.insert) == (verb, sent, None)


@pytest.mark.parametrize(
    "text", ["", "  ", ";", "-- only a comment", "/* */;;", "SELECT 1; SELECT 2", "INSERT INTO t FORMAT"]
)
def test_none_and_several_statements_are_syntax_errors(text: str) -> None:
    with pytest.raises(QueryRefused) as caught:
        classify(text)
    assert caught.value.code == 62


@given(st.text())
def test_any_text_is_classified_or_refused(text: str) -> None:
    for candidate in (text, f"INSERT INTO {text}", f"SELECT {text}"):
        try:
            statement = classify(candidate)
        except QueryRefused:
            continue
        assert statement.text


@given(st.text(min_size=1))
def test_quoting_is_undone_by_unquoting(name: str) -> None:
    assert unquoted(quoted(name)) == name
    assert classify(f"SELECT {literal(name)}").text == f"SELECT {literal(name)}"


@pytest.mark.parametrize(
    ("text", "found"),
    [("a, `b c`,n.d", ["a", "b c", "n.d"]), ('"q""x"', ['q"x']), ("*", None), ("* EXCEPT(a)", None), ("f(a)", None)],
)
def test_column_lists(text: str, found: list[str] | None) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UInt8", Fixed(1)),
        ("DateTime64(3, 'Europe/Berlin')", Fixed(8)),
        ("FixedString(17)", Fixed(17)),
        ("Enum8('a,)' = 1, 'it\\'s(' = 2)", Fixed(1)),
        ("Decimal(19, 3)", Fixed(16)),
        ("Nullable(String)", Nulls(Strings())),
        ("LowCardinality(Nullable(String))", Dictionary(Strings())),
        ("Array(Tuple(`x, (` UInt8, y String))", Arrays(Tuples((Fixed(1), Strings())))),
        ("Map(String, Decimal(10, 2))", Arrays(Tuples((Strings(), Fixed(8))))),
        ("Nested(a UInt8, `b c` Array(String))", Arrays(Tuples((Fixed(1), Arrays(Strings()))))),
        ("SimpleAggregateFunction(sum, UInt64)", Fixed(8)),
    ],
)
def test_layouts(text: str, expected: object) -> None:
    assert layout(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "Nope", "JSON", "AggregateFunction(sum, UInt8)", "Array(", "FixedString(x)", "Map(String)", "Array(" * 40],
)
def test_types_without_a_layout(text: str) -> None:
    with pytest.raises(QueryRefused) as caught:
        layout(text)
    assert caught.value.code == 50


class Dribble(Reader):
    """Hands out its data in pieces of the given sizes, as a slow network does."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(limit=len(data))
        self._rest, self._sizes = data, sizes

    def receive(self) -> None:
        size = self._sizes.pop() if self._sizes else 1
        piece, self._rest = self._rest[:size], self._rest[size:]
        assert piece, "read past the end"
        self.buffer += piece


def block_of(strings: list[str], numbers: list[int]) -> bytes:
    """A block of a String and an Array(UInt8) column."""
    ends = b"".join((index + 1).to_bytes(8, "little") for index in range(len(numbers)))
    columns = string("s") + string("String") + b"".join(map(string, strings))
    columns += string("a") + string("Array(UInt8)") + ends + bytes(numbers)
    return varint(2) + varint(len(strings)) + columns


rows = st.lists(st.tuples(st.text(max_size=200), st.integers(0, 255)), min_size=1, max_size=20)


@given(rows, st.lists(st.integers(1, 9), max_size=400))
def test_a_block_ends_in_the_same_place_however_it_arrives(values: list[tuple[str, int]], sizes: list[int]) -> None:
    data = block_of([s for s, _ in values], [n for _, n in values])
    block = read_block(Dribble(data, sizes))
    assert block.data == data
    assert block.rows == len(values)
    assert [part.data for part in split(data * 3)] == [data] * 3


@given(st.binary(max_size=300))
def test_garbage_is_a_violation_or_a_block(data: bytes) -> None:
    try:
        block = read_block(Reader(data, limit=10_000))
    except ProtocolViolation:
        return
    assert block.data == data[: len(block.data)]


@given(st.integers(0, 2**63 - 1))
def test_integers_survive(value: int) -> None:
    assert Reader(varint(value)).varint() == value


def test_a_header_is_a_block_without_rows() -> None:
    columns = (("a", "UInt8"), ("b", "Map(String, UInt8)"))
    (block,) = split(header(columns))
    assert (block.rows, block.columns) == (0, columns)


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Hello(54429, "db", "default", "hunter2"))
