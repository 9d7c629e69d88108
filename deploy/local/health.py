"""Asks each server whether it does its work. Answers False while it does not; short time-outs."""

import http.client
import logging
import socket

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from clickhouse_driver.errors import ServerException
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from schemas.errors import Refused
from schemas.settings import Settings

SECONDS = 3.0
# One that listens and says nothing is given up as well; by itself a client would wait for it half a minute.
KAFKA_LIMITS = {"request_timeout_ms": int(SECONDS * 1000), "bootstrap_timeout_ms": int(SECONDS * 1000)}
REFUSALS = frozenset({192, 193, 194, 516})
"""ClickHouse's codes: unknown user, wrong or missing password, authentication failed."""

# The drivers report each failed attempt of a wait; the caller reports the wait as a whole.
for driver in ("kafka", "clickhouse_driver"):
    logging.getLogger(driver).setLevel(logging.CRITICAL)


def _is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError:
        return False
    return True


def kafka_is_ready(settings: Settings) -> bool:
    """Whether a broker answers with the cluster's topics."""
    host, _, port = settings.kafka_address.split(",")[0].rpartition(":")
    if not _is_listening(host, int(port)):
        return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address, **KAFKA_LIMITS)
        try:
            admin.list_topics()
        finally:
            admin.close()
    except (KafkaError, OSError):
        return False
    return True


def clickhouse_is_ready(settings: Settings) -> bool:
    """Whether ClickHouse answers a query. Raises `Refused` when it does not accept the password."""
    host, port = settings.clickhouse_address
    if not _is_listening(host, port):
        return False
    password = settings.clickhouse_password.get_secret_value()
    limits = {"connect_timeout": SECONDS, "send_receive_timeout": SECONDS}
    try:
        with Client(host, port, user=settings.clickhouse_user, password=password, **limits) as client:
            return bool(client.execute("SELECT 1") == [(1,)])
    except ServerException as error:
        if error.code in REFUSALS:
            raise Refused(
                f"ClickHouse at {host}:{port} refuses the user {settings.clickhouse_user} or its password: "
                "set CX_CLICKHOUSE_USER and CX_CLICKHOUSE_PASSWORD."
            ) from None
        return False
    except (ClickHouseError, OSError, EOFError):
        return False


def http_is_ready(host: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    return _get(host, port, path)[0] == http.HTTPStatus.OK


def http_text(host: str, port: int, path: str) -> str:
    """What a GET is answered with; nothing if it is not."""
    return _get(host, port, path)[1]


def _get(host: str, port: int, path: str) -> tuple[int, str]:
    """Status and text of an answer; 0 and nothing if there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()
