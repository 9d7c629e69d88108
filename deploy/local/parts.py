"""The parts of the local stack: how each is started, where it listens, how one sees that it works."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from deploy.local.health import clickhouse_is_ready, http_is_ready, kafka_is_ready
from deploy.local.kafka import KafkaNode
from deploy.local.state import DataDirectory, python_command
from schemas.errors import UsageError
from schemas.settings import Settings

Report = Callable[[str], None]
SERVERS = ("kafka", "clickhouse")
PROGRAMS = ("worker", "web")
EXTERNAL_SECONDS = 30.0
ALL = SERVERS + PROGRAMS


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `command` may prepare (and block for a while) before it returns the command line."""

    name: str
    address: str
    ports: dict[str, int]
    """Setting to the port that must be free before the start."""
    command: Callable[[Report], list[str]] | None
    """`None`: a configured server of somebody else's, only looked at."""
    is_ready: Callable[[], bool]
    start_seconds: float
    stop_seconds: float


def _kafka(settings: Settings) -> Part:
    ports = {"CX_KAFKA_PORT": settings.kafka_port, "CX_KAFKA_CONTROLLER_PORT": settings.kafka_controller_port}
    return Part(
        name="kafka",
        address=settings.kafka_address,
        ports={} if settings.kafka else ports,
        command=None if settings.kafka else KafkaNode.of(settings).prepare,
        is_ready=partial(kafka_is_ready, settings),
        start_seconds=EXTERNAL_SECONDS if settings.kafka else 120,
        stop_seconds=20,
    )


def _clickhouse(settings: Settings) -> Part:
    host, port = settings.clickhouse_address

    def command(_report: Report) -> list[str]:
        folder = DataDirectory(settings).path / "clickhouse"
        options = {"--host": host, "--port": str(port), "--path": str(folder), "--user": settings.clickhouse_user}
        return python_command("deploy.local.clickhouse_server", *(word for pair in options.items() for word in pair))

    return Part(
        name="clickhouse",
        address=f"{host}:{port}",
        ports={} if settings.clickhouse else {"CX_CLICKHOUSE_PORT": port},
        command=None if settings.clickhouse else command,
        is_ready=partial(clickhouse_is_ready, settings),
        start_seconds=EXTERNAL_SECONDS if settings.clickhouse else 120,
        stop_seconds=20,
    )


def _worker(settings: Settings) -> Part:
    return Part(
        name="worker",
        address=f"http://{settings.bind}:{settings.metrics_port}/metrics",
        ports={"CX_METRICS_PORT": settings.metrics_port},
        command=lambda _report: python_command("deploy.cli", "worker"),
        is_ready=partial(http_is_ready, settings.bind, settings.metrics_port, "/ready"),
        start_seconds=300,
        stop_seconds=40,
    )


def _web(settings: Settings) -> Part:
    return Part(
        name="web",
        address=f"http://{settings.bind}:{settings.web_port}/",
        ports={"CX_WEB_PORT": settings.web_port},
        command=lambda _report: python_command("deploy.cli", "web"),
        is_ready=partial(http_is_ready, settings.bind, settings.web_port, "/healthz"),
        start_seconds=60,
        stop_seconds=15,
    )


_MAKERS = {"kafka": _kafka, "clickhouse": _clickhouse, "worker": _worker, "web": _web}


def parts_of(settings: Settings, names: Sequence[str] = ALL) -> list[Part]:
    """The named parts in the order of their start. `settings` must be effective (`state.effective_settings`)."""
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        raise UsageError(f"The stack has no part `{unknown[0]}`; it has {', '.join(ALL)}.")
    return [_MAKERS[name](settings) for name in ALL if name in names]
