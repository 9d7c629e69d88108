"""`python child.py PARENT COMMAND …` becomes COMMAND, and makes sure that it ends when the parent does.

On Linux the kernel sends the signal; elsewhere this process stays between and watches. Standard library only,
and run as a file: it is on the way of every start.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.5


def _become(parent: int, command: list[str]) -> None:
    """Linux: ask for SIGTERM at the parent's death, then be the command."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


def _watch(parent: int, command: list[str]) -> int:
    """Elsewhere: run the command, pass SIGTERM on, end it when the parent has gone."""
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.poll() is None:
        if os.getppid() != parent:
            process.terminate()
        time.sleep(LOOK_SECONDS)
    return process.returncode


def main(arguments: list[str]) -> int:
    """Run the command for the parent; does not return on Linux."""
    parent, command = int(arguments[0]), arguments[1:]
    if os.uname().sysname == "Linux":
        _become(parent, command)
    return _watch(parent, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
