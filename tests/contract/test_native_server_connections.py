"""Clients that cancel, vanish or talk nonsense; the server's start, end and what it keeps."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from clickhouse_driver.protocol import ServerPacketTypes

from deploy.local.clickhouse_server.wire import string, varint
from tests.contract.native_server import PASSWORD, ROOT, LocalServer
from tests.contract.test_native_server_queries import SLOW, wait_until

OWN_SOCKETS = 3  # the listener and the pair that wakes it
HELLO = b"\x00" + string("test") + varint(1) + varint(1) + varint(54429) + string("") + string("default")
KNOWN = HELLO + string(PASSWORD)
CLIENT_INFO = b"\x01" + string("") * 3 + b"\x01" + string("") * 3 + varint(1) * 3 + string("") + varint(0)


def query_packet(text: str) -> bytes:
    """A query without settings, and the empty block after it."""
    return b"\x01" + string("") + CLIENT_INFO + string("") + b"\x02\x00" + string(text) + b"\x02\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("connections")) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.disconnect()


def running_queries(client: Client) -> int:
    """How many queries besides this one the engine works on."""
    return int(client.execute("SELECT count() FROM system.processes")[0][0]) - 1


def wait_for_one_query(client: Client) -> None:
    """Return once the engine works on exactly one other query."""
    wait_until(lambda: running_queries(client) == 1)


def test_a_cancelled_stream_leaves_the_connection_usable(client: Client) -> None:
    stream = client.execute_iter("SELECT number FROM system.numbers")
    assert next(stream) == (0,)
    client.cancel()
    assert client.execute("SELECT 2") == [(2,)]


def test_a_query_without_output_can_be_cancelled(client: Client, server: LocalServer) -> None:
    connection = client.connection
    connection.force_connect()
    connection.send_query(SLOW.format(100_000))
    connection.send_external_tables(None)
    other = server.client()
    wait_until(lambda: running_queries(other) == 1)
    connection.send_cancel()
    while connection.receive_packet().type != ServerPacketTypes.END_OF_STREAM:
        continue
    wait_until(lambda: running_queries(other) == 0)
    assert client.execute("SELECT 3") == [(3,)]
    other.disconnect()


def test_a_vanished_client_stops_its_query(client: Client, server: LocalServer) -> None:
    other = server.client()
    other.connection.force_connect()
    other.connection.send_query(SLOW.format(100_000))
    other.connection.send_external_tables(None)
    wait_until(lambda: running_queries(client) == 1)
    other.disconnect()
    wait_until(lambda: running_queries(client) == 0)


def test_a_client_that_vanishes_in_an_insert_adds_nothing(client: Client, server: LocalServer) -> None:
    client.execute("CREATE TABLE half (a UInt64) ENGINE = MergeTree ORDER BY a")
    other = server.client()
    other.connection.force_connect()
    other.connection.send_query("INSERT INTO half VALUES")
    other.connection.send_external_tables(None)
    sample = other.receive_sample_block()
    other.connection.fout.write(b"\x02\x00\x00\x01\x08\x01a\x06UInt64" + bytes(20))
    other.connection.fout.flush()
    assert sample.columns_with_types == [("a", "UInt64")]
    other.disconnect()
    assert client.execute("INSERT INTO half VALUES", [(1,)]) == 1
    assert client.execute("SELECT * FROM half") == [(1,)]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 64,
        b"\x00" + varint(2**62),
        b"\x00" + varint(1 << 17) + b"x" * 1000,
        HELLO + string("wrong"),
        KNOWN + b"\xff" * 64,
        KNOWN + b"\x63",
        KNOWN + b"\x01" + varint(2**62),
        KNOWN + query_packet("SELECT 1").replace(b"\x02\x00" + string("SELECT 1"), b"\x02\x01" + string("SELECT 1")),
        KNOWN + query_packet("SELECT 1")[:-4] + b"\x00" + varint(2**40) + varint(2**40),
        KNOWN + query_packet("SELECT 1")[:-4] + b"\x00\x00\x01" + varint(2**60) + string("a") + string("UInt64"),
        KNOWN + query_packet("SELECT 1")[:-4] + b"\x00\x00\x01\x01" + string("a") + string("Array(" * 9000),
        KNOWN + query_packet("SELECT 1")[:-4] + b"\x00\x00\x01\x01" + string("a") + string("String") + varint(2**50),
        KNOWN + b"\x01" + string("") + CLIENT_INFO + b"\x03\xff\xfe\xfd",
    ],
)
def test_hostile_bytes_close_that_connection_only(client: Client, server: LocalServer, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall(sent)
        received = bytearray()
        try:
            while piece := raw.recv(65536):
                received += piece
        except ConnectionResetError:
            received += b"reset"
    assert received
    assert client.execute("SELECT 1") == [(1,)]


def test_silent_and_half_said_greetings_hold_up_nobody(client: Client, server: LocalServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    silent[0].sendall(HELLO[:5])
    assert client.execute("SELECT 1") == [(1,)]
    for raw in silent:
        raw.close()


def test_too_many_connections_are_refused_with_a_reason(server: LocalServer) -> None:
    # Whoever went before may not have been noticed yet, and would make room in the middle of this.
    wait_until(lambda: has_only_its_own(server))
    taken = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(256)]
    refused = server.client()
    with pytest.raises(ServerException, match="connections are in use") as caught:
        refused.execute("SELECT 1")
    assert caught.value.code == 203
    for raw in taken:
        raw.close()
    refused.disconnect()
    wait_until(lambda: can_connect(server))


def has_only_its_own(server: LocalServer) -> bool:
    """Whether no connection of anybody is left."""
    try:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    except FileNotFoundError:
        return False
    return sum(link.startswith("socket:") for link in links) <= OWN_SOCKETS


def can_connect(server: LocalServer) -> bool:
    """Whether a new connection is served."""
    client = server.client()
    try:
        return bool(client.execute("SELECT 1"))
    except ServerException:
        return False
    finally:
        client.disconnect()


def test_data_outlive_restarts_and_a_stop_ends_running_queries(tmp_path: Path) -> None:
    for start, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGTERM)):
        with LocalServer(tmp_path) as server:
            client = server.client()
            client.execute("CREATE DATABASE IF NOT EXISTS cx")
            client.execute("CREATE TABLE IF NOT EXISTS cx.kept (n UInt64) ENGINE = MergeTree ORDER BY n")
            assert client.execute("SELECT count() FROM cx.kept") == [(start,)]
            client.execute("INSERT INTO cx.kept VALUES", [(start,)])
            busy = server.client()
            busy.connection.force_connect()
            busy.connection.send_query(SLOW.format(100_000))
            busy.connection.send_external_tables(None)
            wait_for_one_query(client)
            assert server.stop(number) == 0
            busy.disconnect()
            client.disconnect()
        log = server.log.read_text()
        assert "Traceback" not in log
        assert PASSWORD not in log


def test_a_killed_server_loses_nothing_it_confirmed(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server:
        client = server.client()
        client.execute("CREATE TABLE default.kept (n UInt64) ENGINE = MergeTree ORDER BY n")
        client.execute("INSERT INTO default.kept VALUES", [(n,) for n in range(1000)])
        server.process.kill()
        client.disconnect()
    with LocalServer(tmp_path) as server:
        client = server.client()
        assert client.execute("SELECT count() FROM default.kept") == [(1000,)]
        client.disconnect()


def test_a_taken_port_and_a_used_directory_are_one_sentence_each(server: LocalServer, tmp_path: Path) -> None:
    second = LocalServer(tmp_path, server.port)
    assert second.process.wait(timeout=60) == 3
    assert second.log.read_text().strip() == (
        f"Port {server.port} on 127.0.0.1 is already in use: stop what listens there or choose another port."
    )
    third = LocalServer(server.log.parent)
    assert third.process.wait(timeout=60) == 3
    assert "another server may be using it" in third.log.read_text()


def test_a_missing_password_is_a_usage_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.clickhouse_server", "--port", "0", "--path", str(tmp_path)]
    answer = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 2
    assert answer.stderr.strip() == "The password is missing: set CX_CLICKHOUSE_PASSWORD in the environment."


def test_the_engine_keeps_to_its_memory(tmp_path: Path) -> None:
    with LocalServer(tmp_path, None, "--memory-mb", "900") as server:
        client = server.client()
        with pytest.raises(ServerException) as caught:
            client.execute("SELECT length(groupArray(toString(number))) FROM numbers(100000000)")
        assert caught.value.code == 241
        assert client.execute("SELECT 1") == [(1,)]
        client.disconnect()


def test_ended_connections_leave_nothing_open(server: LocalServer) -> None:
    assert can_connect(server)
    wait_until(lambda: has_only_its_own(server))
    workers = [threading.Thread(target=can_connect, args=(server,)) for _ in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wait_until(lambda: has_only_its_own(server))
