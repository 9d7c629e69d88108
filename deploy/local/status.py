"""The stack as it is now: the supervisor's last word, checked against the processes and the servers themselves."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from deploy.local.group import GroupStatus, group_status
from deploy.local.health import http_text
from deploy.local.machine import LEAST_FREE_BYTES, MB
from deploy.local.parts import parts_of
from deploy.local.state import ChildState, DataDirectory, effective_settings
from schemas.errors import Refused
from schemas.settings import Settings
from streams.condition import Condition

CONDITION: TypeAdapter[Condition | None] = TypeAdapter(Condition | None)

FAILING, WAITING = "cx_receiver_failing_seconds", "cx_notifications_waiting"
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


class ReceiverStatus(BaseModel):
    """What a worker says of one receiver of alerts."""

    model_config = ConfigDict(frozen=True)

    failing_seconds: float
    """For how long it has taken nothing; 0: it takes what it gets."""
    waiting: int
    """Messages of `cx.alerts` that it has not acknowledged."""


class StackStatus(BaseModel):
    """The whole stack as it is now."""

    model_config = ConfigDict(frozen=True)

    running: bool
    phase: str
    data: Path
    data_bytes: int
    free_bytes: int | None
    """Free on the disk of the data directory; None if there is no such directory."""
    pid: int | None
    parts: dict[str, PartStatus]
    receivers: dict[str, ReceiverStatus] = {}
    """As the worker says; none while it does not answer. They are not parts: the stack may be healthy all the same."""
    worker: Condition | None
    """What the worker says of itself; None if there is none, or it does not answer."""
    group: GroupStatus | None = None
    """All workers together, also those that were started beside the stack; None while Kafka does not say."""

    @property
    def is_healthy(self) -> bool:
        """Whether it runs, every part answers, and every partition has a worker if there is to be one."""
        return self.running and not self.ailing

    @property
    def ailing(self) -> list[str]:
        """What is not as it should be: names of parts, and the group of the workers."""
        named = [name for name, part in self.parts.items() if part.health != "healthy"]
        lacks = self.group is not None and self.group.lacks_workers and "worker" in self.parts
        return [*named, "partitions without a worker"] if lacks else named

    def sentences(self) -> list[str]:
        """What a person should know beyond who answers."""
        told = [] if self.worker is None else [f"worker: {sentence}" for sentence in self.worker.sentences()]
        if self.running and self.free_bytes is not None and self.free_bytes < LEAST_FREE_BYTES:
            told.append(f"disk: {self.free_bytes // MB:,} MB are free in {self.data}")
        return told


def stack_status(settings: Settings) -> StackStatus:
    """Look at everything now; takes seconds when something hangs."""
    data = DataDirectory(settings)
    state = data.running()
    effective = effective_settings(settings)
    known = state.children if state else {}
    condition = worker_condition(effective) if "worker" in known else None
    parts = {}
    for part in parts_of(effective, tuple(known)):
        answers = _answers(part.is_ready) and (part.name != "worker" or condition is None or condition.is_well)
        parts[part.name] = _part_status(known[part.name], answers, data.logs / f"{part.name}.log")
    return StackStatus(
        running=state is not None,
        phase=state.phase if state else "down",
        data=data.path,
        data_bytes=data.size_bytes(),
        free_bytes=shutil.disk_usage(data.path).free if data.path.exists() else None,
        pid=state.supervisor.pid if state else None,
        parts=parts,
        worker=condition,
        group=group_status(effective) if "kafka" in parts and parts["kafka"].health == "healthy" else None,
        receivers=receivers_of(http_text(effective.bind, effective.metrics_port, "/metrics")) if known else {},
    )


def receivers_of(metrics: str) -> dict[str, ReceiverStatus]:
    """What the text of a worker's metrics says of its receivers."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name in (FAILING, WAITING):
                found.setdefault(sample.labels["receiver"], {})[sample.name] = sample.value
    return {
        name: ReceiverStatus(failing_seconds=each.get(FAILING, 0), waiting=int(each.get(WAITING, 0)))
        for name, each in sorted(found.items())
    }


def worker_condition(settings: Settings) -> Condition | None:
    """What the worker at the settings' metrics port says of itself; None while it does not."""
    try:
        return CONDITION.validate_json(http_text(settings.bind, settings.metrics_port, "/state"))
    except ValidationError:
        return None


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
