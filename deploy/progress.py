"""Shows how a long silent command gets on, by the disk space it takes. Standard library only."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000
TERMINAL_SECONDS = 0.5
LOG_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Meter:
    """What is shown: the phase's name, megabytes expected on disk, folders on the file systems that fill up."""

    phase: str
    expected_mb: int
    folders: tuple[Path, ...]

    def free_bytes(self) -> int:
        """Free bytes of the file systems that hold the folders, each counted once."""
        systems = {os.stat(folder).st_dev: os.statvfs(folder) for folder in self.folders}
        return sum(system.f_bavail * system.f_frsize for system in systems.values())

    def line(self, used_bytes: int, seconds: float) -> str:
        """One line of progress."""
        return f"cx: {self.phase}: {max(used_bytes, 0) // MB} of about {self.expected_mb} MB on disk, {seconds:.0f} s"


def _follow(process: subprocess.Popen[bytes], meter: Meter) -> None:
    """Write progress until the process ends; on a terminal the line is rewritten."""
    terminal = sys.stderr.isatty()
    start, end = ("\r", "\x1b[K") if terminal else ("", "\n")
    before, started, wait = meter.free_bytes(), time.monotonic(), TERMINAL_SECONDS if terminal else LOG_SECONDS
    while True:
        try:
            process.wait(timeout=wait)
            break
        except subprocess.TimeoutExpired:
            line = meter.line(before - meter.free_bytes(), time.monotonic() - started)
            sys.stderr.write(start + line + end)
            sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\x1b[K")
    if process.returncode == 0:
        sys.stderr.write(f"cx: {meter.phase}: ready in {time.monotonic() - started:.0f} s\n")


def watch(command: list[str], variables: dict[str, str], meter: Meter) -> str | None:
    """Run a command showing progress; `None` when it succeeded, else what it said. Ctrl-C ends it too."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _follow(process, meter)
        except KeyboardInterrupt:
            # The terminal has sent the signal to the child as well; a service manager has not.
            process.terminate()
            process.wait()
            raise
        said.seek(0)
        return None if process.returncode == 0 else said.read().decode(errors="replace")
