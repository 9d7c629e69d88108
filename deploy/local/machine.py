"""What the machine must have before the stack starts: free ports and free disk."""

import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from deploy.local.parts import Part
from schemas.errors import EnvironmentProblem, UsageError

MB = 1_000_000
LEAST_FREE_BYTES = 1_000 * MB


def check_disk(folder: Path) -> None:
    """Raises `EnvironmentProblem` when less than a gigabyte is free."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise EnvironmentProblem(
            f"The disk is too full: {free // MB} MB are free in {folder}, {LEAST_FREE_BYTES // MB} MB are needed; "
            "free some, or set CX_DATA to a directory on another disk."
        )


def check_ports(bind: str, parts: Sequence[Part]) -> None:
    """Raises `EnvironmentProblem` for a port that is taken, `UsageError` for one named twice."""
    seen: dict[int, str] = {}
    for part in parts:
        for setting, port in part.ports.items():
            if port in seen:
                raise UsageError(f"Port {port} is given twice, by {seen[port]} and {setting}: change one of them.")
            seen[port] = setting
            listener(bind, port, setting, part.name).close()


def listener(bind: str, port: int, setting: str, name: str) -> socket.socket:
    """A socket that listens there, to be closed. Raises `EnvironmentProblem`, which names the setting and for what."""
    made = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((bind, port))
        made.listen()
    except OSError as error:
        made.close()
        raise EnvironmentProblem(
            f"Port {port} on {bind} cannot be used for {name} ({error.strerror}): "
            f"set {setting} to a free port, or stop what listens there."
        ) from None
    return made


def free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody listens on at the moment, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
