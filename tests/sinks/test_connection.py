"""Every error of the driver has its place in the project's own tree, and none tells a secret."""

import socket
import threading

import pytest
from clickhouse_driver import errors
from pydantic import SecretStr

from schemas.errors import CxError, DiskFull, Refused, Unavailable
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.connection import PASSING, UNFIT, UNREACHABLE, connect, errors_mapped, mapped
from sinks.landing import Landing
from sinks.migrate import migrate
from sinks.reading import ClickHouseReader
from tests.contract.native_server import free_port
from tests.sinks.samples import dead_letter, event

SECRET = "hunter2-hunter2"
SETTINGS = Settings(clickhouse="127.0.0.1:1", clickhouse_password=SecretStr(SECRET))


def _leaves(kind: type[Exception]) -> list[type[Exception]]:
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in _leaves(child)] if below else [kind]


def test_every_error_of_the_driver_is_mapped_on_purpose() -> None:
    known = {*UNREACHABLE, *UNFIT, errors.ServerException}
    assert set(_leaves(errors.Error)) <= known


@pytest.mark.parametrize("kind", UNREACHABLE, ids=lambda kind: kind.__name__)
def test_what_may_pass_can_be_tried_again(kind: type[Exception]) -> None:
    found = mapped(kind("no answer"), SETTINGS)
    assert isinstance(found, Unavailable)
    assert found.retry_after > 0
    assert "127.0.0.1:1" in str(found)


@pytest.mark.parametrize("kind", UNFIT, ids=lambda kind: kind.__name__)
def test_what_does_not_fit_is_refused(kind: type[Exception]) -> None:
    assert isinstance(mapped(kind("Column x: bad"), SETTINGS), Refused)


@pytest.mark.parametrize(
    ("code", "expected", "word"),
    [
        (errors.ErrorCodes.UNKNOWN_TABLE, Refused, "cx migrate"),
        (errors.ErrorCodes.SYNTAX_ERROR, Refused, "refused"),
        (516, Refused, "CX_CLICKHOUSE_PASSWORD"),
        (errors.ErrorCodes.NOT_ENOUGH_SPACE, DiskFull, "Free space"),
        *((code, Unavailable, "now") for code in sorted(PASSING)),
    ],
)
def test_the_servers_own_errors(code: int, expected: type[CxError], word: str) -> None:
    text = f"DB::Exception: DB::Exception: No, not '{SECRET}'.\nNever. Stack trace:\n\n0. main.cpp"
    found = mapped(errors.ServerException(text, code), SETTINGS)
    assert type(found) is expected
    assert word in str(found)
    assert "No, not '***'. Never." in str(found)
    assert "\n" not in str(found)
    assert "main.cpp" not in str(found)


def test_a_write_that_finds_no_room_half_way_is_a_full_disk() -> None:
    text = "DB::ErrnoException: Cannot write to file: , errno: 28, strerror: No space left on device"
    found = mapped(errors.ServerException(text, errors.ErrorCodes.CANNOT_WRITE_TO_FILE_DESCRIPTOR), SETTINGS)
    assert type(found) is DiskFull
    assert "Free space on the server's disk" in str(found)


def test_the_readers_own_errors_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), errors_mapped(SETTINGS):
        _ = 1 // 0


def test_nobody_listens() -> None:
    nowhere = SETTINGS.model_copy(update={"clickhouse": f"127.0.0.1:{free_port()}"})
    sink, reader = ClickHouseSink(nowhere), ClickHouseReader(nowhere)
    with pytest.raises(Unavailable, match="does not answer"):
        sink.land(Landing(0, dead_letters=[dead_letter(1)]))
    with pytest.raises(Unavailable):
        list(reader.district_events(["d"]))
    with pytest.raises(Unavailable):
        migrate(nowhere)


def test_a_server_that_hangs_up_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            peer, _ = listener.accept()
            peer.recv(10)
            peer.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        sink = ClickHouseSink(SETTINGS.model_copy(update={"clickhouse": address}))
        with pytest.raises(Unavailable):
            sink.land(Landing(0, dead_letters=[dead_letter(1)]))
        thread.join()


def test_a_wrong_password_is_refused_without_repeating_it(clickhouse: Settings) -> None:
    wrong = clickhouse.model_copy(update={"clickhouse_password": SecretStr(SECRET)})
    with pytest.raises(Refused, match="CX_CLICKHOUSE_PASSWORD") as caught:
        ClickHouseReader(wrong).districts()
    assert SECRET not in str(caught.value)


def test_without_tables_the_way_out_is_named(empty_clickhouse: Settings) -> None:
    with connect(empty_clickhouse, "default") as client:
        client.execute(f"CREATE DATABASE {empty_clickhouse.clickhouse_database}")
    with pytest.raises(Refused, match=r"\./cx migrate"):
        ClickHouseSink(empty_clickhouse).land(Landing(0, dead_letters=[dead_letter(1)]))


def test_after_a_refused_landing_the_sink_goes_on(clickhouse: Settings) -> None:
    sink = ClickHouseSink(clickhouse)
    unfit = event("d", "a", "e1")._replace(schema_version=-1)
    with pytest.raises(Refused, match="does not fit"):
        sink.land(Landing(0, [unfit]))
    sink.land(Landing(0, [event("d", "a", "e1")]))
    reader = ClickHouseReader(clickhouse)
    assert reader.districts() == ["d"]
    reader.close()
    sink.close()
