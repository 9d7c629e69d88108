"""All settings, one prefix (`CX_`), read from a mapping once and validated at start.

Every field is the environment variable of the same name in capitals with `CX_` before it:
`data` is `CX_DATA`. Secrets are `SecretStr`: neither `repr` nor a log shows them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from schemas.clock import Clock
from schemas.errors import UsageError
from schemas.vocabulary import CODE_PATTERN

PREFIX = "CX_"


def _real_port(address: str) -> str:
    if int(address.rpartition(":")[2]) > 65_535:
        raise ValueError("a port is at most 65535")
    return address


Address = Annotated[
    str, StringConstraints(pattern=r"^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[1-9][0-9]{0,4}$"), AfterValidator(_real_port)
]
Port = Annotated[int, Field(ge=1, le=65535)]
# No less than what windows reach back over a summer and a rating may come after; a hundred years are for ever.
Kept = Annotated[int, Field(ge=120, le=36_500)]


def _clock(given: Any) -> Any:
    return Clock.parse(given) if isinstance(given, str) else given


class Settings(BaseModel):
    """One frozen value per process; built with `Settings.from_environment`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(default=Path(".cx"), description="data directory of the local stack: logs, Kafka, ClickHouse")
    kafka: Address | None = Field(
        default=None, description="host:port of an existing Kafka; empty: the local stack's own"
    )
    clickhouse: Address | None = Field(
        default=None, description="host:port of an existing ClickHouse (native protocol); empty: the local stack's own"
    )
    clickhouse_user: str = Field(default="default", description="ClickHouse user")
    clickhouse_password: SecretStr = Field(
        default=SecretStr(""), description="ClickHouse password; empty: the local stack's own generated one"
    )
    clickhouse_database: str = Field(
        default="cx", pattern=r"^[a-z_][a-z0-9_]*$", description="database that holds the tables"
    )
    bind: str = Field(default="127.0.0.1", description="address that local servers listen on")
    kafka_port: Port = Field(default=19092, description="local Kafka, clients")
    kafka_controller_port: Port = Field(default=19093, description="local Kafka, controller")
    clickhouse_port: Port = Field(default=19000, description="local ClickHouse, native protocol")
    web_port: Port = Field(default=18080, description="live page and intake")
    metrics_port: Port = Field(
        default=18090, description="first worker's Prometheus metrics; the next workers count up"
    )
    partitions: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64, description="partitions of cx.events; fixed when the topic is made"
    )
    topic_prefix: str = Field(
        default="",
        pattern=r"^[a-z0-9.-]{0,64}$",
        description="put before every topic and group name: two systems, one Kafka",
    )
    group: str = Field(default="cx-worker", pattern=r"^[a-z0-9.-]{1,64}$", description="consumer group of the workers")
    session_seconds: Annotated[float, Field(ge=1, le=60)] = Field(
        default=12.0,
        description="seconds without a sign of life after which the group gives a worker's partitions to others; "
        "the broker's group.min.session.timeout.ms is the least it takes",
    )
    flush_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=0.5, description="longest time a live event waits for its flush, in seconds"
    )
    flush_events: Annotated[int, Field(ge=1)] = Field(default=50_000, description="events that trigger a flush")
    buffer_events: Annotated[int, Field(ge=1_000)] = Field(
        default=600_000, description="events held while ClickHouse is away, 1.3 KB each; then reading from Kafka pauses"
    )
    import_events: Annotated[int, Field(ge=1)] = Field(
        default=5_000,
        description="events of an import that may be written and not landed: what comes live waits behind no more",
    )
    dead_letter_limit: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="share of the latest 1,000 items that may be refused; above it, and at 100, a worker ends; 1: off",
    )
    receivers: Path | None = Field(
        default=None,
        description="YAML file of the receivers of alerts: webhooks, mail, Alertmanager; empty: none but CX_WEBHOOK",
    )
    webhook: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+(/\S*)?$",
        description="http(s) address that alerts are posted to, a receiver of its own; empty: none",
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""), description="key of the HMAC-SHA256 in X-CX-Signature; empty: not signed"
    )
    page: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="address of the live page in messages, as people reach it; empty: the local one",
    )
    intake_keys: Path | None = Field(
        default=None,
        description="JSON file {district: key} of the intake; empty: intake-keys.json in the data directory",
    )
    grafana_token: SecretStr = Field(
        default=SecretStr(""), description="token of a Grafana service account, for `./cx grafana push`; not shown"
    )

    simulated: Annotated[str, StringConstraints(pattern=CODE_PATTERN)] | None = Field(
        default=None, description="district that a demonstration simulates: only its page has buttons; empty: none"
    )
    backup_days: Annotated[int, Field(ge=0, le=3_650)] = Field(
        default=7, description="days that backups are kept; only told, by `./cx erase`"
    )
    kafka_days: Annotated[int, Field(ge=1, le=3_650)] = Field(
        default=7, description="days that Kafka's topics keep messages; longer than any outage of the workers may last"
    )
    keep_events_days: Kept = Field(
        default=2_555, description="days that a conversation's events are kept after its last activity"
    )
    keep_facts_days: Kept = Field(
        default=2_555, description="the same for its facts; never less, as no fact leaves before its events"
    )
    keep_versions_days: Kept = Field(
        default=730, description="days that a version of facts is kept after it was replaced: what was known when"
    )
    keep_alerts_days: Kept = Field(default=730, description="days that alerts are kept after their conversation's end")
    keep_minutes_days: int = Field(
        default=7, ge=1, le=36_500, description="days that rolling windows of every minute are kept"
    )
    keep_rolling_days: Kept = Field(default=400, description="days that one minute's of each hour are kept")
    fault_file: Path | None = Field(
        default=None,
        description="file in which tests of faults say where a worker is to die or stop; only with local servers; "
        "empty: none",
    )
    clock: Annotated[Clock, BeforeValidator(_clock)] | None = Field(
        default=None,
        description="a clock of its own for demonstrations, INSTANT@WALL-INSTANTxSPEED; empty: the machine's",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read `CX_*` from a mapping (`os.environ`). Raises `UsageError` naming the variable and the reason."""
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(PREFIX) and value != ""
        }
        known = {name: value for name, value in given.items() if name in cls.model_fields}
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            reasons = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise UsageError(f"A setting is wrong: {reasons}. Correct it in the environment.") from None

    @property
    def kafka_address(self) -> str:
        """`host:port` of the Kafka in use."""
        return self.kafka or f"{self.bind}:{self.kafka_port}"

    @property
    def clickhouse_address(self) -> tuple[str, int]:
        """Host and port of the ClickHouse in use."""
        host, _, port = (self.clickhouse or f"{self.bind}:{self.clickhouse_port}").rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def workers_group(self) -> str:
        """Full name of the consumer group of the workers."""
        return f"{self.topic_prefix}{self.group}"

    def topic(self, name: str) -> str:
        """Full name of a topic (`schemas.topics`) in this system."""
        return f"{self.topic_prefix}{name}"
