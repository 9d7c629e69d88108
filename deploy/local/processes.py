"""One supervised child process: start, look, start again with growing pauses, stop; its output in a log file."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from deploy.local.identity import Identity
from deploy.local.parts import Part, Report
from deploy.local.state import ChildState

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
KEPT_LOGS = 3
LAUNCHER = Path(__file__).with_name("child.py")


def rotate(log: Path) -> None:
    """Move NAME.log to NAME.1.log and so on; the oldest goes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    older = [log, *(log.with_name(f"{log.stem}.{number}.log") for number in range(1, KEPT_LOGS + 1))]
    for newer, target in reversed(list(pairwise(older))):
        if newer.exists():
            newer.replace(target)


def last_line(log: Path) -> str:
    """The last line of a log that says something; a traceback's last line is the error itself."""
    try:
        lines = log.read_text(errors="replace")[-20_000:].splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Child:
    """One part's process. Must be started from the main thread: the kernel watches the starting thread."""

    def __init__(self, part: Part, environment: dict[str, str], logs: Path) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self.restarts = 0
        self.deaths_in_a_row = 0
        self.state = "external" if part.command is None else "waiting"
        self._environment = environment
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None
        self._last_exit: int | None = None
        self._started = 0.0
        self._since_ms: int | None = None
        self._restart_at = 0.0

    def start(self, report: Report) -> None:
        """Prepare and start. May block while something is downloaded; raises what the preparation raises."""
        if self.part.command is None:
            return
        self._command = self.part.command(report)
        rotate(self.log)
        self._spawn()
        self.state = "starting"

    def _spawn(self) -> None:
        launcher = [sys.executable, "-I", str(LAUNCHER), str(os.getpid()), *self._command]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal must reach the supervisor only, which stops in order.
            self._process = subprocess.Popen(
                launcher,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._identity = Identity.of(self._process.pid)
        self._started = time.monotonic()
        self._since_ms = time.time_ns() // 1_000_000

    def mark_ready(self) -> None:
        """Note that the part works."""
        if self.state != "external":
            self.state = "ready"

    def look(self) -> bool:
        """Notice a death, start again when the pause is over. True when something changed; never blocks."""
        if self._process is None or self.state == "stopped":
            return False
        if self.state == "restarting":
            return self._restart_when_due()
        code = self._process.poll()
        if code is None:
            return False
        if time.monotonic() - self._started > SETTLED_SECONDS:
            self.deaths_in_a_row = 0
        pause = min(FIRST_PAUSE_SECONDS * 2**self.deaths_in_a_row, LONGEST_PAUSE_SECONDS)
        self._last_exit, self._identity, self.state = code, None, "restarting"
        self._restart_at = time.monotonic() + pause
        self.deaths_in_a_row += 1
        return True

    def _restart_when_due(self) -> bool:
        if time.monotonic() < self._restart_at:
            return False
        self._spawn()
        self.restarts += 1
        self.state = "starting"
        return True

    def ask_to_stop(self) -> None:
        """Send SIGTERM; returns at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Stop and wait; after the part's patience with SIGKILL, the whole process group."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(self.part.stop_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.state, self._identity = "stopped", None

    def snapshot(self) -> ChildState:
        """What is to be known about it outside."""
        return ChildState(
            state=self.state,
            address=self.part.address,
            identity=self._identity,
            restarts=self.restarts,
            last_exit=self._last_exit,
            since_ms=self._since_ms,
        )
