"""A chaos run's own stack: servers in a directory of its own, workers kept running as by a supervisor."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.chaos.programs import PATIENCE, Server, WorkerProgram, until
from deploy.chaos.witness import Ledger, Witness
from deploy.local.machine import free_ports
from schemas.errors import Unavailable
from schemas.settings import Settings

PARTITIONS = 4
SESSION_SECONDS = 2.0
FLUSH_SECONDS = 0.2
LOOK_SECONDS = 0.1


class World:
    """Kafka, ClickHouse and workers; everything ends with the context."""

    def __init__(self, folder: Path, module: str = "deploy.cli", patience: float = PATIENCE) -> None:
        """`module`: the program whose command `worker` is run; `patience`: seconds that anything may take."""
        self._patience = patience
        self._module = module
        kafka, controller, clickhouse = free_ports(3)
        given = Settings(
            data=folder,
            kafka_port=kafka,
            kafka_controller_port=controller,
            clickhouse_port=clickhouse,
            partitions=PARTITIONS,
            flush_seconds=FLUSH_SECONDS,
            session_seconds=SESSION_SECONDS,
        )
        self.settings = given
        self.kafka = Server(given, "kafka")
        self.clickhouse = Server(given, "clickhouse")
        self.workers: list[WorkerProgram] = []
        self.ledger = Ledger(given)
        self.witness = Witness(given, self.ledger)
        self.ended = 0
        """Workers that ended by themselves and were started again."""

    def __enter__(self) -> Self:
        try:
            self.kafka.start()
            secret = self.clickhouse.start().clickhouse_password
            self.settings = self.settings.model_copy(update={"clickhouse_password": secret})
        except BaseException:
            self.close()
            raise
        self.ledger = Ledger(self.settings)
        self.witness = Witness(self.settings, self.ledger)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every worker, then the servers."""
        self.witness.close()
        self.start_over()
        self.clickhouse.stop()
        self.kafka.stop()

    def start_worker(self, **more: str) -> WorkerProgram:
        """One more worker; `more` are further variables of its environment."""
        worker = WorkerProgram(self.settings, free_ports(1)[0], more, self._module)
        self.workers.append(worker)
        return worker

    def have_workers(self, number: int) -> list[WorkerProgram]:
        """Exactly so many workers, ready, with nothing armed: some leave or some are started."""
        self.workers = [worker for worker in self.workers if worker.alive]
        for worker in self.workers[number:]:
            worker.leave()
        self.workers = self.workers[:number]
        while len(self.workers) < number:
            self.start_worker()
        self.wait(lambda: all(worker.ready for worker in self.workers), "workers that are ready")
        return self.workers

    def dismiss(self) -> None:
        """Have all workers leave their group in order."""
        for worker in self.workers:
            worker.leave()
        self.workers = []

    def start_over(self) -> None:
        """End all workers at once, stopped ones too; whatever they left is for those that come."""
        for worker in self.workers:
            worker.kill()
        self.workers = []

    def replace(self, dead: WorkerProgram) -> None:
        """Start another worker in place of one that was ended."""
        self.workers.remove(dead)
        self.start_worker()

    def tend(self) -> None:
        """Start workers anew that ended by themselves."""
        for worker in [worker for worker in self.workers if not worker.alive]:
            self.ended += 1
            self.replace(worker)

    def wait(self, holds: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        """Wait until something holds, and look after the workers meanwhile. Raises `Unavailable`."""

        def looked() -> bool:
            self.tend()
            time.sleep(LOOK_SECONDS)
            try:
                return holds()
            except Unavailable:
                # A server that was taken away needs a moment before it answers every question again.
                return False

        until(looked, what, self._patience if seconds is None else seconds)

    def wait_landed(self) -> None:
        """Wait until everything written is acknowledged. Raises `Unavailable`."""
        self.wait(self.witness.all_acknowledged, "all messages acknowledged")

    def wait_stopped(self, worker: WorkerProgram) -> None:
        """Wait until a worker stands still where it was told to. Raises `Unavailable`."""
        until(lambda: worker.stopped or not worker.alive, "a worker that stops at its point")

    @staticmethod
    def go_on(worker: WorkerProgram) -> None:
        """Let a stopped worker go on."""
        worker.send(signal.SIGCONT)
