"""`python -m deploy.local.clickhouse_server --host H --port P --path DIR`: serve until SIGTERM or SIGINT."""

import argparse
import os
import signal
import sys
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from deploy.local.clickhouse_server.engine import Engine
from deploy.local.clickhouse_server.server import Listener, Server
from deploy.local.clickhouse_server.session import Service
from deploy.local.clickhouse_server.watch import Watch
from schemas.errors import CxError, UsageError

PASSWORD_VARIABLE = "CX_CLICKHOUSE_PASSWORD"  # noqa: S105


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.clickhouse_server",
        description=f"Serves ClickHouse's native protocol; the password is read from {PASSWORD_VARIABLE}.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--path", type=Path, required=True, help="directory of the data")
    parser.add_argument("--user", default="default", help="the one user's name")
    parser.add_argument("--memory-mb", type=int, default=_half_of_memory(), help="most memory of the engine")
    return parser.parse_args()


def _half_of_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 // (1 << 20)


def _password() -> SecretStr:
    value = os.environ.pop(PASSWORD_VARIABLE, None)
    if value is None:
        raise UsageError(f"The password is missing: set {PASSWORD_VARIABLE} in the environment.")
    return SecretStr(value)


def _serve(arguments: argparse.Namespace, console: Console) -> bool:
    password = _password()
    with (
        Listener(arguments.host, arguments.port) as listener,
        Engine(arguments.path, arguments.memory_mb << 20) as engine,
    ):
        watch = Watch(engine)
        with Server(listener, Service(engine, watch, arguments.user, password)) as server:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: server.stop())
            host, port = listener.address
            console.print(f"Serving ClickHouse's native protocol on {host}:{port}.")
            is_clean = server.serve()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
        watch.close()
        if not is_clean:
            # A thread still inside the engine would crash the interpreter's own ending.
            os._exit(0)
    return is_clean


def main() -> int:
    """Run the server; the process's exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        _serve(_arguments(), console)
    except CxError as error:
        console.print(str(error), markup=False)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
