"""The processes of a chaos run, all of its own: workers that can be told where to die, servers that can be taken away.

Nothing here ends a process that it did not start.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.health import http_is_ready, http_text
from deploy.local.processes import LAUNCHER
from deploy.local.state import child_environment, python_command, write_whole
from deploy.local.supervisor import Stack
from schemas.errors import EnvironmentProblem, Unavailable
from schemas.settings import PREFIX, Settings
from streams.fault_points import Fault

PATIENCE = 120.0
LOOK_SECONDS = 0.02
_NUMBERS = count(1)


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something holds. Raises `Unavailable` with its name if it never does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Unavailable(f"waited {seconds:.0f} s for {what}")
        time.sleep(LOOK_SECONDS)


class WorkerProgram:
    """One worker process; `fault_file` is where it looks for what is to happen to it."""

    def __init__(self, settings: Settings, port: int, more: Mapping[str, str], module: str = "deploy.cli") -> None:
        number = next(_NUMBERS)
        self._settings = settings
        self.port = port
        self.log = Path(settings.data) / "logs" / f"worker-{number}.log"
        self.fault_file = Path(settings.data) / f"fault-{number}"
        mine = {f"{PREFIX}METRICS_PORT": str(port), f"{PREFIX}FAULT_FILE": str(self.fault_file)}
        command = [sys.executable, "-I", str(LAUNCHER), str(os.getpid()), *python_command(module, "worker")]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as out:
            environment = child_environment(settings) | mine | dict(more)
            self._process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)

    @property
    def alive(self) -> bool:
        """Whether it runs, be it stopped."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; of one that a signal ended, the signal's number below zero."""
        return self._process.poll()

    @property
    def stopped(self) -> bool:
        """Whether a SIGSTOP holds it."""
        try:
            state = os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return state is not None

    @property
    def ready(self) -> bool:
        """Whether it owns partitions and has recovered them all."""
        return self.alive and http_is_ready("127.0.0.1", self.port, "/ready")

    def arm(self, fault: Fault) -> None:
        """Have it end or stop at a point; returns at once."""
        write_whole(self.fault_file, str(fault))

    def disarm(self) -> None:
        """Whatever was to happen and did not is called off."""
        self.fault_file.unlink(missing_ok=True)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples; 0 while it does not answer."""
        text = http_text("127.0.0.1", self.port, "/metrics")
        samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
        return sum(sample.value for sample in samples if sample.name == name)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.alive:
            self._process.send_signal(number)

    def kill(self) -> Self:
        """SIGKILL, and wait for the end."""
        self.send(signal.SIGKILL)
        self._process.wait(PATIENCE)
        return self

    def leave(self) -> None:
        """Ask it to stop; one that does not within a while is ended. Raises `EnvironmentProblem` then."""
        self.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
            return
        self.kill()
        raise EnvironmentProblem(f"a worker did not stop when asked to: see {self.log}")


class Server:
    """Kafka or ClickHouse alone, as a stack of one part in a directory of its own."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self._given = settings.model_copy(update={"data": Path(settings.data) / name})
        self._stack = Stack(self._given, (name,))

    def start(self) -> Settings:
        """Start it and return when it is ready: its settings, with the generated password."""
        self._stack = Stack(self._given, (self.name,))
        self._stack.start()
        return self._stack.settings

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        state = self._stack.data.read()
        identity = state.children[self.name].identity if state is not None else None
        if identity is not None:
            identity.send(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.send(signal.SIGKILL)
        self._stack.stop()

    def stop(self) -> None:
        """Stop in order; one that is paused goes on first."""
        self.send(signal.SIGCONT)
        self._stack.stop()
