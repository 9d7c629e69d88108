"""Servers on a disk of their own that a test can fill: a file system in memory that only the server sees."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.local.state import child_environment, python_command
from schemas.settings import Settings
from tests.contract.native_server import LocalServer
from tests.stack.processes import PATIENCE, until

WAYS = (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount"))
MEGABYTES = 64
CHUNK = b"\0" * 65_536


def _way() -> tuple[str, ...]:
    """How this machine lets a process have a file system of its own; without any, the test is skipped."""
    for way in WAYS:
        try:
            done = subprocess.run([*way, "true"], capture_output=True, check=False)
        except FileNotFoundError:
            break
        if done.returncode == 0:
            return way
    assert os.environ.get("CI") != "true", "no way to mount a file system"
    pytest.skip("this machine lets nobody mount a file system")


def _before(folder: Path) -> list[str]:
    """Words of a command that gives the one after it a disk of its own in a folder."""
    mount = 'mount -t tmpfs -o size="$1"m tmpfs "$2" && shift 2 && exec "$@"'
    return [*_way(), "sh", "-c", mount, "small-disk", str(MEGABYTES), str(folder)]


class _Disk:
    """A small disk as the process sees it that has it."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._filler = Path(f"/proc/{pid}/root{folder}/filler")

    def fill(self) -> None:
        """Leave no byte."""
        with self._filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(CHUNK)
                except OSError:
                    return

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()


class SmallDisk(_Disk):
    """A ClickHouse and its disk; `fill` and `free` it. Use it as a context."""

    def __init__(self, directory: Path) -> None:
        data = directory / "data"
        data.mkdir()
        self.server = LocalServer(directory, before=_before(data)).wait_ready()
        super().__init__(self.server.process.pid, data)

    def __enter__(self) -> "SmallDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()


class SmallKafka(_Disk):
    """A stack of Kafka alone, which is started again when it ends, and the disk that it writes to. Use it as a context.

    The rest of the data directory is on the machine's.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.data / "kafka"
        folder.mkdir(parents=True)
        command = [*_before(folder), *python_command("deploy.cli", "up", "--only", "kafka")]
        self._environment = {**os.environ, **child_environment(settings)}
        self._process = subprocess.Popen(command, env=self._environment)
        super().__init__(self._process.pid, folder)

    @property
    def health(self) -> str:
        """What `./cx status` says of it."""
        parts = self._status()["parts"]
        return str(parts["kafka"]["health"]) if parts else "down"

    def _status(self) -> Any:
        """Asked by another process, as the client leaves sockets behind where nobody listens."""
        command = python_command("deploy.cli", "status", "--json")
        return json.loads(subprocess.run(command, env=self._environment, capture_output=True, check=False).stdout)

    def __enter__(self) -> "SmallKafka":
        until(lambda: bool(self._status()["phase"] == "ready"), "Kafka and its topics")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
