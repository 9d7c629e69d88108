"""A ClickHouse on a disk of its own that a test can fill: a file system in memory that only the server sees."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.native_server import LocalServer

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


class SmallDisk:
    """The server and its disk; `fill` and `free` it. Use it as a context."""

    def __init__(self, directory: Path) -> None:
        data = directory / "data"
        data.mkdir()
        mount = 'mount -t tmpfs -o size="$1"m tmpfs "$2" && shift 2 && exec "$@"'
        before = [*_way(), "sh", "-c", mount, "small-disk", str(MEGABYTES), str(data)]
        self.server = LocalServer(directory, before=before).wait_ready()
        self._filler = Path(f"/proc/{self.server.process.pid}/root{data}/filler")

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

    def __enter__(self) -> "SmallDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
