"""The way to ClickHouse: one kind of client, and the driver's errors turned into ours at this edge.

    the driver or the network fails, or a server says "not now"   → Unavailable, `retry_after` seconds
    the server's disk is full                                      → DiskFull, the same
    the server says no; a value does not fit its column            → Refused

A message names the server and what it said on one line; the password is never in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_driver import Client, errors

from schemas.errors import CxError, DiskFull, Refused, Unavailable
from schemas.settings import Settings
from sinks.columns import ColumnConnection

CONNECT_SECONDS = 5
ANSWER_SECONDS = 30
RETRY_SECONDS = 1.0
LONGEST_REASON = 600
# Small enough that the server takes one block in while the next is made: measured, a third faster than one of 65,536.
ROWS_PER_BLOCK = 4_096

UNREACHABLE: tuple[type[Exception], ...] = (
    errors.NetworkError,
    errors.SocketTimeoutError,
    errors.UnexpectedPacketFromServerError,
    errors.UnknownPacketFromServerError,
    errors.ChecksumDoesntMatchError,
    errors.PartiallyConsumedQueryError,
    errors.TooLargeStringSize,
    OSError,
    EOFError,
)
UNFIT: tuple[type[Exception], ...] = (
    errors.TypeMismatchError,
    errors.LogicalError,
    errors.UnknownTypeError,
    errors.UnknownCompressionMethod,
    errors.CannotParseUuidError,
    errors.CannotParseDomainError,
)
_CODES = errors.ErrorCodes
PASSING = frozenset(
    {
        _CODES.TIMEOUT_EXCEEDED,
        _CODES.TOO_SLOW,
        _CODES.TOO_MANY_SIMULTANEOUS_QUERIES,
        _CODES.NO_FREE_CONNECTION,
        _CODES.SOCKET_TIMEOUT,
        _CODES.NETWORK_ERROR,
        _CODES.NO_ZOOKEEPER,
        _CODES.ABORTED,
        _CODES.MEMORY_LIMIT_EXCEEDED,
        _CODES.TABLE_IS_READ_ONLY,
        _CODES.TOO_MANY_PARTS,
        _CODES.ALL_CONNECTION_TRIES_FAILED,
        _CODES.UNKNOWN_STATUS_OF_INSERT,
        _CODES.QUERY_WAS_CANCELLED,
        _CODES.KEEPER_EXCEPTION,
    }
)
AUTHENTICATION_FAILED = 516
NO_SPACE = "No space left on device"
HINTS = {
    _CODES.UNKNOWN_TABLE: " `./cx migrate` makes the tables.",
    _CODES.UNKNOWN_DATABASE: " `./cx migrate` makes the database.",
    AUTHENTICATION_FAILED: " Check CX_CLICKHOUSE_USER and CX_CLICKHOUSE_PASSWORD.",
}


def connect(settings: Settings, database: str | None = None) -> Client:
    """A client of the configured ClickHouse; it connects with its first query, inside `errors_mapped`.

    `database`: another one than the settings'. Not for two threads at once.
    """
    host, port = settings.clickhouse_address
    server = {
        "host": host,
        "port": port,
        "database": settings.clickhouse_database if database is None else database,
        "user": settings.clickhouse_user,
        "password": settings.clickhouse_password.get_secret_value(),
        "client_name": "cx",
        "connect_timeout": CONNECT_SECONDS,
        "send_receive_timeout": ANSWER_SECONDS,
        "sync_request_timeout": CONNECT_SECONDS,
    }
    # The tables' keys deduplicate; the server's own way would keep a repeated insert from `conversations` altogether.
    client = Client(**server, settings={"insert_block_size": ROWS_PER_BLOCK, "insert_deduplicate": 0})
    client.connection = ColumnConnection(**server)
    return client


@contextmanager
def errors_mapped(settings: Settings) -> Iterator[None]:
    """Around every use of a client: the driver's errors leave as `Unavailable` or `Refused`."""
    try:
        yield
    except (errors.Error, OSError, EOFError) as error:
        raise mapped(error, settings) from None


def mapped(error: Exception, settings: Settings) -> CxError:
    """Our error for one of the driver's."""
    where = "ClickHouse at {}:{}".format(*settings.clickhouse_address)
    reason = _reason(error, settings)
    if isinstance(error, errors.ServerException):
        if error.code == _CODES.NOT_ENOUGH_SPACE or NO_SPACE in str(error):
            return DiskFull(f"{where} has no room: {reason} Free space on the server's disk.", RETRY_SECONDS)
        hint = HINTS.get(error.code, "")
        if error.code in PASSING:
            return Unavailable(f"{where} cannot do it now: {reason}{hint}", RETRY_SECONDS)
        return Refused(f"{where} refused: {reason}{hint}")
    if isinstance(error, UNFIT):
        return Refused(f"A value does not fit its column in {where}: {reason}")
    return Unavailable(f"{where} does not answer: {reason}; it is started by `./cx up`.", RETRY_SECONDS)


def _reason(error: Exception, settings: Settings) -> str:
    """What went wrong on one line, without stack trace, code prefix or password."""
    text = str(getattr(error, "message", None) or error or type(error).__name__)
    text = " ".join(text.split("Stack trace:")[0].replace("DB::Exception: ", "").split())
    password = settings.clickhouse_password.get_secret_value()
    if password:
        text = text.replace(password, "***")
    return text[:LONGEST_REASON] or type(error).__name__
