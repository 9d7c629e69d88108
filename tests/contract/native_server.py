"""The native-protocol server as a real process, for the tests beside this file."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from clickhouse_driver import Client

PASSWORD = "s3cret-пароль"
ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class LocalServer:
    """Starts the server on a directory, ends it by its process id; `stderr` is kept in a file.

    `before`: words of another command that becomes the server.
    """

    def __init__(self, directory: Path, port: int | None = None, *arguments: str, before: Sequence[str] = ()) -> None:
        self.port = port or free_port()
        self.log = directory / "server.log"
        command = [*before, sys.executable, "-m", "deploy.local.clickhouse_server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--path", str(directory / "data"), "--user", "default", *arguments]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "CX_CLICKHOUSE_PASSWORD": PASSWORD}, stdout=log, stderr=log
            )

    def wait_ready(self) -> Self:
        """Return once the port answers."""
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(f"The server did not start: {self.log.read_text()}")

    def client(self, **options: Any) -> Client:
        """A driver client; options as of `clickhouse_driver.Client`."""
        defaults = {"user": "default", "password": PASSWORD, "send_receive_timeout": 60}
        return Client("127.0.0.1", self.port, **{**defaults, **options})

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End the process; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(timeout=60)

    def __enter__(self) -> Self:
        return self.wait_ready()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=60)
