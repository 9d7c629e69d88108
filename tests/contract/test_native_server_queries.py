"""Queries, inserts, settings and errors, asked by an unmodified driver."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from clickhouse_driver.protocol import ServerPacketTypes

from tests.contract.native_server import PASSWORD, LocalServer

SLOW = "SELECT sum(sleepEachRow(0.1)) FROM numbers({}) SETTINGS function_sleep_max_microseconds_per_block = 0"
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("queries")) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    client = server.client()
    client.execute("CREATE DATABASE cx_test")
    client.execute("USE cx_test")
    client.execute(
        "CREATE TABLE t (a UInt64, b String DEFAULT 'd', m UInt8 MATERIALIZED 1) ENGINE = MergeTree ORDER BY a"
    )
    yield client
    client.execute("DROP DATABASE cx_test SYNC")
    client.disconnect()


def refused(client: Client, query: str, *arguments: Any, **options: Any) -> ServerException:
    """The error of a query that must fail."""
    with pytest.raises(ServerException) as caught:
        client.execute(query, *arguments, **options)
    return caught.value


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_results_of_many_blocks_arrive_whole(client: Client) -> None:
    query = "SELECT number, toString(number) FROM numbers_mt(300000) UNION ALL SELECT 7, 'x' UNION ALL SELECT 8, ''"
    rows = client.execute(query)
    assert sorted(rows) == sorted([*((n, str(n)) for n in range(300_000)), (7, "x"), (8, "")])
    assert client.last_query.profile_info.rows == 300_002
    assert client.last_query.profile_info.blocks > 3


def test_rows_can_be_read_while_the_query_runs(client: Client) -> None:
    stream = client.execute_iter("SELECT number FROM system.numbers LIMIT 200000", settings={"max_block_size": 5000})
    assert sum(row[0] for row in stream) == sum(range(200_000))
    assert client.execute("SELECT 1") == [(1,)]


def test_columns_and_progress(client: Client) -> None:
    assert client.execute("SELECT number, 'x' FROM numbers(3)", columnar=True) == [(0, 1, 2), ("x", "x", "x")]
    progress = client.execute_with_progress("SELECT count() FROM numbers(1000)")
    assert progress.get_result() == [(1000,)]


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE u (a UInt8) ENGINE = Memory",
        "CREATE VIEW w AS SELECT a FROM t",
        "ALTER TABLE t ADD COLUMN z UInt8 DEFAULT 3",
        "ALTER TABLE t UPDATE b = 'x' WHERE a = 1 SETTINGS mutations_sync = 1",
        "OPTIMIZE TABLE t FINAL;",
        "SYSTEM FLUSH LOGS",
        "TRUNCATE TABLE t",
        "SET max_threads = 1",
        "INSERT INTO t (a) SELECT number FROM numbers(10)",
        "WITH 5 AS x INSERT INTO t (a) SELECT x",
        "-- why\nINSERT INTO t (a, b) VALUES (1, 'x;y'), (2, 'z');",
        'INSERT INTO t FORMAT JSONEachRow {"a": 1, "b": "{"} {"a": 2}',
    ],
)
def test_statements_without_a_result(client: Client, query: str) -> None:
    assert client.execute(query) == []
    assert client.execute("SELECT 1 FORMAT JSON") == [(1,)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("SHOW TABLES", ("t",)),
        ("SHOW TABLES FORMAT CSV", ("t",)),
        ("DESCRIBE TABLE t", ("a", "UInt64", "", "", "", "", "")),
        ("EXISTS TABLE t", (1,)),
        ("EXISTS TABLE nothing", (0,)),
        ("EXPLAIN AST SELECT 1", ("SelectWithUnionQuery (children 1)",)),
        ("SELECT currentDatabase();", ("cx_test",)),
    ],
)
def test_statements_that_show_something(client: Client, query: str, first: tuple[Any, ...]) -> None:
    assert client.execute(query)[0] == first
    assert "CREATE TABLE cx_test.t" in client.execute("SHOW CREATE TABLE t")[0][0]


def test_inserts_by_rows_columns_and_dictionaries(client: Client) -> None:
    assert client.execute("INSERT INTO t (a, b) VALUES", [(1, "x"), (2, "y")]) == 2
    assert client.execute("INSERT INTO t (b, a) VALUES", [["z"], [3]], columnar=True) == 1
    assert client.execute("INSERT INTO t (a) VALUES", ({"a": n} for n in range(4, 6))) == 2
    assert client.execute("INSERT INTO t (* EXCEPT(b)) VALUES", [(6,)]) == 1
    assert client.execute("INSERT INTO cx_test.t VALUES", []) == 0
    assert client.execute("SELECT a, b, m FROM t ORDER BY a") == [
        *((1, "x", 1), (2, "y", 1), (3, "z", 1)),
        *((n, "d", 1) for n in (4, 5, 6)),
    ]


def test_an_insert_of_many_blocks(client: Client) -> None:
    rows = ((n, "x" * (n % 50)) for n in range(100_000))
    assert client.execute("INSERT INTO t (a, b) VALUES", rows, settings={"insert_block_size": 999}) == 100_000
    assert client.execute("SELECT count(), sum(a), sum(length(b)) FROM t") == [
        (100_000, sum(range(100_000)), sum(n % 50 for n in range(100_000)))
    ]


def test_strings_may_be_any_bytes(client: Client) -> None:
    values = [(1, b"\xff\x00\xfe"), (2, b"")]
    client.execute("INSERT INTO t (a, b) VALUES", values, settings={"strings_as_bytes": True})
    assert client.execute("SELECT a, b FROM t ORDER BY a", settings={"strings_as_bytes": True}) == values


def test_a_column_may_be_ephemeral_or_an_alias(client: Client) -> None:
    client.execute(
        "CREATE TABLE e (a UInt8, e UInt8 EPHEMERAL, f UInt8 DEFAULT e + 1, l UInt8 ALIAS a) ENGINE = Memory"
    )
    client.execute("INSERT INTO e (a, e) VALUES", [(1, 9)])
    client.execute("INSERT INTO e VALUES", [(2, 7)])
    assert client.execute("SELECT a, f, l FROM e ORDER BY a") == [(1, 10, 1), (2, 7, 2)]


def test_parameters_and_external_tables(client: Client) -> None:
    values = {"text": "it's \\ `", "list": [1, 2], "none": None}
    assert client.execute("SELECT %(text)s, %(list)s, %(none)s", values) == [("it's \\ `", [1, 2], None)]
    assert client.execute("SELECT {limit:UInt8} + 1", settings={"param_limit": 4}) == [(5,)]
    table = {"name": "ext", "structure": [("x", "UInt64"), ("s", "String")], "data": [{"x": 3, "s": "c"}]}
    for _ in range(2):
        assert client.execute("SELECT x + 1, s FROM ext", external_tables=[table]) == [(4, "c")]
    assert refused(client, "SELECT * FROM ext").code == 60


def test_settings_hold_for_their_query_only(client: Client) -> None:
    client.execute("SET max_block_size = 77")
    asked = "SELECT getSetting('max_block_size'), getSetting('max_threads')"
    assert client.execute(asked, settings={"max_threads": 1, "max_block_size": 5, "no_such_setting": 1}) == [(5, 1)]
    assert client.execute(asked, settings={"max_threads": 1})[0] == (77, 1)
    assert client.execute(asked)[0][0] == 77
    assert refused(client, "SELECT 1", settings={"max_threads": "many"}).code > 0


def test_important_unknown_settings_are_refused(server: LocalServer) -> None:
    client = server.client(settings_is_important=True, settings={"no_such_setting": 1})
    assert refused(client, "SELECT 1").code == 115


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("SELEC 1", 62, "Syntax error"),
        ("SELECT 1; SELECT 2", 62, "Multi-statements"),
        ("", 62, "Empty query"),
        ("SELECT nothing", 47, "nothing"),
        ("SELECT * FROM nothing", 60, "nothing"),
        ("SELECT throwIf(number = 250000) FROM numbers(300000)", 395, "throwIf"),
        ("INSERT INTO t (a) SELECT throwIf(number = 3) FROM numbers(5)", 395, "throwIf"),
        ("INSERT INTO t (a) VALUES ('x')", 6, "parse"),
        ("USE nothing", 81, "nothing"),
        ("CREATE TABLE t (a UInt8) ENGINE = Memory", 57, "already exists"),
        ("SELECT 1 INTO OUTFILE 'x'", 48, "OUTFILE"),
    ],
)
def test_errors_have_code_and_message(client: Client, query: str, code: int, message: str) -> None:
    error = refused(client, query)
    assert (error.code, message in str(error)) == (code, True)
    assert client.execute("SELECT 1", settings={"max_threads": 1}) == [(1,)]


@pytest.mark.parametrize(
    ("query", "code"),
    [("INSERT INTO nothing VALUES", 60), ("INSERT INTO t (nothing) VALUES", 16), ("INSERT INTO t (a VALUES", 62)],
)
def test_inserts_that_cannot_start(client: Client, query: str, code: int) -> None:
    assert refused(client, query, [(1,)]).code == code


def test_an_error_in_the_middle_of_an_insert(client: Client) -> None:
    client.execute("CREATE TABLE c (a UInt64, CONSTRAINT small CHECK a < 5000) ENGINE = MergeTree ORDER BY a")
    settings = {"insert_block_size": 1000}
    error = refused(client, "INSERT INTO c VALUES", [(n,) for n in range(20_000)], settings=settings)
    assert error.code == 469
    assert client.execute("SELECT count() FROM c") == [(0,)]
    assert client.execute("INSERT INTO c SETTINGS max_insert_threads = 1 VALUES", [(1,)]) == 1


def test_an_insert_that_a_view_refuses_is_an_error(client: Client) -> None:
    client.execute("CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT throwIf(a = 77) AS x FROM t")
    assert refused(client, "INSERT INTO t (a) VALUES", [(77,)]).code == 395
    assert client.execute("INSERT INTO t (a) VALUES", [(78,)]) == 1


def test_a_large_insert_is_written_in_parts(client: Client) -> None:
    rows = [(n, "x" * 1000) for n in range(20_000)]
    for _ in range(2):
        assert client.execute("INSERT INTO t (a, b) VALUES", rows * 4, settings={"insert_block_size": 10_000}) == 80_000
    assert client.execute("SELECT count(), uniqExact(a), sum(length(b)) FROM t") == [(160_000, 20_000, 160_000_000)]


def test_a_connection_outlives_its_errors(client: Client) -> None:
    """The driver reconnects after an error by itself, so this speaks to its connection directly."""
    connection = client.connection
    connection.force_connect()
    for query in ("SELECT nothing", "INSERT INTO t (a) VALUES"):
        connection.send_query(query)
        connection.send_external_tables(None)
        packet = connection.receive_packet()
        if packet.type == ServerPacketTypes.DATA:
            connection.block_out.fout.write(b"\x02\x00\x00\x01\x01\x01a\x04Enum\x00\x02\x00\x00\x00\x00")
            connection.block_out.fout.flush()
            packet = connection.receive_packet()
        assert packet.type == ServerPacketTypes.EXCEPTION
        if packet.exception.code == 47:
            assert connection.ping()
    connection.disconnect()


def test_a_slow_query_holds_up_nobody(server: LocalServer) -> None:
    client, slow = server.client(), server.client()
    slow.connection.force_connect()
    slow.connection.send_query(SLOW.format(100_000))
    slow.connection.send_external_tables(None)

    def is_at_it() -> bool:
        return bool(
            client.execute("SELECT count() FROM system.processes WHERE query LIKE '%sleepEach' || 'Row%'")[0][0]
        )

    wait_until(is_at_it)
    for _ in range(20):
        assert client.execute("SELECT sum(number) FROM numbers(1000)") == [(499_500,)]
    assert is_at_it()
    slow.disconnect()
    wait_until(lambda: not is_at_it())
    client.disconnect()


def test_many_clients_insert_and_read_at_once(server: LocalServer, client: Client) -> None:
    def work(number: int) -> None:
        own = server.client(database="cx_test")
        for step in range(5):
            own.execute("INSERT INTO t (a, b) VALUES", [(number * 10_000 + step * 1000 + n, "w") for n in range(1000)])
            own.execute("SELECT count() FROM t")
        own.disconnect()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.execute("SELECT count(), uniqExact(a) FROM t") == [(30_000, 30_000)]


def test_a_long_query_shows_signs_of_life(server: LocalServer) -> None:
    client = server.client(send_receive_timeout=4)
    assert client.execute(SLOW.format(60)) == [(0,)]
    client.disconnect()


def test_the_current_database_belongs_to_the_connection(server: LocalServer, client: Client) -> None:
    other = server.client(database="system")
    assert other.execute("SELECT currentDatabase()") == [("system",)]
    assert client.execute("SELECT currentDatabase()") == [("cx_test",)]
    other.disconnect()
    assert refused(server.client(database="nothing"), "SELECT 1").code == 81


@pytest.mark.parametrize(("user", "password"), [("default", "wrong"), ("default", ""), ("root", PASSWORD)])
def test_wrong_credentials_are_refused(server: LocalServer, user: str, password: str) -> None:
    client = server.client(user=user, password=password)
    error = refused(client, "SELECT 1")
    assert error.code == 516
    assert PASSWORD not in str(error)
    client.disconnect()
