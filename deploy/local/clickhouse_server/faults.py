"""What ends a query and what ends a connection."""

from schemas.errors import Refused

UNKNOWN_TYPE = 50
SYNTAX_ERROR = 62
NOT_IMPLEMENTED = 48
UNKNOWN_COMPRESSION_METHOD = 89
UNEXPECTED_PACKET = 101
UNKNOWN_SETTING = 115
NO_FREE_CONNECTION = 203
QUERY_WAS_CANCELLED = 394
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002


class QueryRefused(Refused):
    """A statement failed; `code` is ClickHouse's. The connection stays usable."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProtocolViolation(Refused):
    """The peer sent what cannot be understood; only its connection is closed."""

    def __init__(self, message: str, code: int = UNEXPECTED_PACKET) -> None:
        super().__init__(message)
        self.code = code


class ConnectionEnded(Refused):
    """The peer is gone; nobody is left to tell."""
