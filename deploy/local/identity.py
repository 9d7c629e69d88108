"""Which process is meant: a process id alone may have been given to another one since."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

LINUX = os.uname().sysname == "Linux"


class Identity(BaseModel):
    """A process id with the instant at which that process started, in the system's own words."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Identity of the process that has this id now; of none, `started` is empty."""
        return cls(pid=pid, started=_started(pid))

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return bool(self.started) and _started(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if this very process still runs."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def _started(pid: int) -> str:
    if LINUX:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        # The name in brackets may hold spaces; after it, field 3 is the state and field 22 the start in ticks.
        fields = text.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
