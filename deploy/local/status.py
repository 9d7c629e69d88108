"""The stack as it is now: the supervisor's last word, checked against the processes and the servers themselves."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from deploy.local.parts import parts_of
from deploy.local.state import ChildState, DataDirectory, effective_settings
from schemas.errors import Refused
from schemas.settings import Settings

Health = Literal["healthy", "unhealthy", "down"]


class PartStatus(BaseModel):
    """One part as it is now."""

    model_config = ConfigDict(frozen=True)

    state: str
    health: Health
    address: str
    pid: int | None
    restarts: int
    last_exit: int | None
    seconds: float | None
    """Since its last start."""
    log: Path | None


class StackStatus(BaseModel):
    """The whole stack as it is now."""

    model_config = ConfigDict(frozen=True)

    running: bool
    phase: str
    data: Path
    data_bytes: int
    pid: int | None
    parts: dict[str, PartStatus]

    @property
    def is_healthy(self) -> bool:
        """Whether it runs and every part answers."""
        return self.running and all(part.health == "healthy" for part in self.parts.values())


def stack_status(settings: Settings) -> StackStatus:
    """Look at everything now; takes seconds when something hangs."""
    data = DataDirectory(settings)
    state = data.running()
    effective = effective_settings(settings)
    known = state.children if state else {}
    parts = {}
    for part in parts_of(effective, tuple(known)):
        parts[part.name] = _part_status(known[part.name], _answers(part.is_ready), data.logs / f"{part.name}.log")
    return StackStatus(
        running=state is not None,
        phase=state.phase if state else "down",
        data=data.path,
        data_bytes=data.size_bytes(),
        pid=state.supervisor.pid if state else None,
        parts=parts,
    )


def _answers(is_ready: Callable[[], bool]) -> bool:
    try:
        return is_ready()
    except Refused:
        return False


def _part_status(child: ChildState, answers: bool, log: Path) -> PartStatus:
    external = child.state == "external"
    alive = external or (child.identity is not None and child.identity.is_alive())
    health: Health = "down" if not alive else "healthy" if answers else "unhealthy"
    seconds = None if child.since_ms is None or external else time.time() - child.since_ms / 1000
    return PartStatus(
        state=child.state,
        health=health,
        address=child.address,
        pid=child.identity.pid if child.identity else None,
        restarts=child.restarts,
        last_exit=child.last_exit,
        seconds=seconds,
        log=None if external else log,
    )
