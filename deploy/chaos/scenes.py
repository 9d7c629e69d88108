"""How each cell is played: prepare, provoke, harm at the point, heal, wait, look. A scene's result is a value."""

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from deploy.chaos import cells
from deploy.chaos.cells import Cell
from deploy.chaos.programs import Server, WorkerProgram, until
from deploy.chaos.workload import (
    DAY_MS,
    Message,
    Workload,
    answered_in_time,
    forgotten,
    long_ago,
    made,
    named,
    reconfigured,
    taken_up,
    waiting,
)
from deploy.chaos.world import SESSION_SECONDS, World
from schemas.clock import Clock
from schemas.errors import CxError
from streams.fault_points import Fault
from streams.present import wall_ms

AHEAD_MS, BEHIND_MS = 40 * DAY_MS, -2 * DAY_MS
ASSIGNED = "cx_partitions_assigned_total"
AWAY_SECONDS = 75.0
NOTICED_SECONDS = 1.5
LONGER_THAN_A_SESSION = 1.5 * SESSION_SECONDS
LONGEST_RANDOM = 3 * SESSION_SECONDS


@dataclass(slots=True)
class Outcome:
    """What became of a cell: clean if nothing is wrong. `seconds` of the wall clock."""

    cell: str
    problems: list[str] = field(default_factory=list)
    events: int = 0
    seconds: float = 0.0
    workers_ended: int = 0
    """Workers that ended by themselves, safely, and were started again."""
    alerts_repeated: int = 0
    """Messages on `cx.alerts` that repeat one under the same key."""


class Scene:
    """One cell on a running world."""

    def __init__(self, world: World, cell: Cell, name: str, seed: int) -> None:
        self._world = world
        self._cell = cell
        self._name = name
        self._draw = random.Random(f"{seed}/{cell}/{name}")  # noqa: S311 -- to be repeatable, not secret
        self._now_ms = wall_ms()
        self._workload = made(name, world.settings.partitions, self._now_ms, f"{seed}/{cell}")
        self._looked_at = [self._workload]
        self._before: Sequence[Message] = ()
        self._problems: list[str] = []

    def play(self) -> Outcome:
        """Play it to its end; whatever does not come is one of its problems."""
        started, witness = time.monotonic(), self._world.witness
        ended, repeated = self._world.ended, witness.repeated_alerts()
        try:
            self._provoked()
            self._world.wait_landed()
            for each in self._looked_at:
                if self._cell.point.endswith("sweep"):
                    self._world.wait(partial(witness.swept, each), "rows that a sweep makes anew")
                self._world.wait(partial(witness.transitions, each), "alerts of broken promises")
                self._world.wait(partial(witness.forgot, each), "rows that name nobody who was erased")
                self._problems += witness.problems(each)
        except CxError as error:
            self._problems.append(str(error))
        return Outcome(
            str(self._cell),
            self._problems,
            sum(len(each.events) for each in self._looked_at),
            round(time.monotonic() - started, 2),
            self._world.ended - ended,
            witness.repeated_alerts() - repeated,
        )

    def _provoked(self) -> None:
        harm, point = self._cell.harm, self._cell.point
        if harm == cells.CLOCK_JUMPS:
            self._clock_jumps()
        elif point == cells.RANDOM:
            self._at_random()
        elif harm in (cells.KAFKA_AWAY, cells.CLICKHOUSE_AWAY):
            self._away()
        elif harm in (cells.OVERTAKEN, cells.ZOMBIE_OVERTAKEN):
            self._overtaken()
        elif harm == cells.ZOMBIE:
            self._zombie()
        elif harm == cells.ZOMBIE_ERASED:
            self._zombie_erased()
        elif harm == cells.WORKER_KILLED:
            self._killed()
        elif harm == cells.WORKER_PAUSED:
            self._held_at_point(self._world.go_on)
        else:
            self._held_at_point(self._server_harmed)

    def _look(self) -> None:
        self._problems += self._world.witness.acknowledged_ahead()

    def _write(self) -> None:
        self._world.ledger.write([*self._before, *self._workload.messages])

    def _armed(self, kind: str) -> WorkerProgram:
        """A worker that will die or stop at the cell's point, after what leads there has been provoked."""
        step = self._cell.point.partition(":")[2]
        fault = Fault(self._cell.point, kind)
        if step in ("read-back", "sweep"):
            worker = self._with_departed(step)
            worker.arm(fault)
        elif step == "recovery":
            self._world.dismiss()
            worker = self._world.start_worker()
            worker.arm(fault)
        else:
            (worker,) = self._world.have_workers(1)
            worker.arm(fault)
        self._write()
        if step == "revoke":
            self._world.start_worker()
        return worker

    def _with_departed(self, step: str) -> WorkerProgram:
        """A worker that let old conversations go, and what has it look for them again."""
        partitions = self._world.settings.partitions
        old = long_ago(f"{self._name}-old", partitions, self._now_ms)
        self._world.have_workers(1)
        self._world.ledger.write(old.messages)
        self._world.wait_landed()
        self._world.dismiss()
        (worker,) = self._world.have_workers(1)
        more = (taken_up if step == "read-back" else reconfigured)(f"{self._name}-old", partitions, self._now_ms)
        self._looked_at.append(Workload(old.districts, (*old.messages, *more.messages)))
        self._before = more.messages
        return worker

    def _killed(self) -> None:
        worker = self._armed("exit")
        until(lambda: not worker.alive, f"a worker that dies {self._cell.point}")
        self._look()
        self._world.replace(worker)

    def _held_at_point(self, harmed: Callable[[WorkerProgram], None]) -> None:
        worker = self._armed("stop")
        self._world.wait_stopped(worker)
        self._look()
        harmed(worker)
        self._world.wait_landed()

    def _server_harmed(self, worker: WorkerProgram) -> None:
        """Take a server away while the worker stands; let the worker notice, if it asks that server anything."""
        self._take_away()
        retries = worker.metric
        self._world.go_on(worker)
        seconds = LONGER_THAN_A_SESSION if self._cell.harm == cells.KAFKA_PAUSED else NOTICED_SECONDS
        end = time.monotonic() + seconds
        while time.monotonic() < end and worker.alive and not retries("cx_flush_retries_total"):
            time.sleep(0.05)
        self._bring_back()

    @property
    def _server(self) -> Server:
        return self._world.kafka if self._cell.harm.startswith("kafka") else self._world.clickhouse

    def _take_away(self) -> None:
        self._world.witness.close()
        if self._cell.harm.endswith("paused"):
            self._server.send(signal.SIGSTOP)
        else:
            self._server.kill()

    def _bring_back(self) -> None:
        if self._cell.harm.endswith("paused"):
            self._server.send(signal.SIGCONT)
        else:
            self._server.start()

    def _wake(self, zombie: WorkerProgram, assigned: float) -> None:
        """Let it go on, and wait until it has found out and belongs to the group again."""
        self._world.go_on(zombie)

        def back() -> bool:
            return not zombie.alive or (zombie.metric(ASSIGNED) > assigned and zombie.ready)

        self._world.wait(back, "a worker that belongs to its group again")

    def _zombie(self) -> None:
        """One of two stands still until the other has done everything; then it goes on, and changes nothing."""
        zombie, other = self._world.have_workers(2)
        assigned = zombie.metric(ASSIGNED)
        zombie.arm(Fault(self._cell.point, "stop"))
        self._write()
        self._world.wait_stopped(zombie)
        self._look()
        self._world.wait_landed()
        self._world.wait(partial(self._world.witness.transitions, self._workload), "alerts of broken promises")
        self._problems += self._world.witness.problems(self._workload)
        before = self._world.witness.committed()
        self._wake(zombie, assigned)
        after = self._world.witness.committed()
        back = [(n, offset, after[n]) for n, offset in before.items() if after[n] < offset]
        self._problems += ["partition {} went back from {} to {}".format(*each) for each in back]
        more = made(f"{self._name}-after", self._world.settings.partitions, self._now_ms, self._name)
        self._looked_at.append(more)
        self._world.ledger.write(more.messages)
        if not other.alive:
            self._problems.append("the worker that took over ended")

    def _overtaken(self) -> None:
        """A breach about to be told, told, or landed; then the answer comes that had been given in time."""
        is_zombie = self._cell.harm == cells.ZOMBIE_OVERTAKEN
        worker = self._world.have_workers(2 if is_zombie else 1)[0]
        assigned = worker.metric(ASSIGNED)
        worker.arm(Fault(self._cell.point, "stop" if is_zombie else "exit"))
        late, answer = (
            of(f"{self._name}-wait", self._world.settings.partitions, self._now_ms)
            for of in (waiting, answered_in_time)
        )
        self._looked_at = [Workload(late.districts, (*late.messages, *answer.messages), doubtful=True)]
        self._world.ledger.write(late.messages)
        until(lambda: worker.stopped or not worker.alive, f"a worker that stands {self._cell.point}")
        self._look()
        self._world.ledger.write(answer.messages)
        if is_zombie:
            self._world.wait_landed()
            self._wake(worker, assigned)
        else:
            self._world.replace(worker)

    def _zombie_erased(self) -> None:
        """It stands with somebody in its hands who is erased meanwhile; then it goes on, and lands nobody."""
        zombie, _ = self._world.have_workers(2)
        assigned = zombie.metric(ASSIGNED)
        zombie.arm(Fault(self._cell.point, "stop"))
        named_ones, erasures = (
            of(f"{self._name}-named", self._world.settings.partitions, self._now_ms) for of in (named, forgotten)
        )
        self._looked_at = [Workload(named_ones.districts, (*named_ones.messages, *erasures.messages))]
        self._world.ledger.write(named_ones.messages)
        self._world.wait_stopped(zombie)
        self._look()
        self._world.wait_landed()
        self._world.ledger.write(erasures.messages)
        self._world.wait_landed()
        self._problems += self._world.witness.problems(self._looked_at[0])
        self._wake(zombie, assigned)

    def _at_random(self) -> None:
        """Harm at a time drawn from the seed, with the other half of the messages to come."""
        (worker,) = self._world.have_workers(1)
        first, second = self._workload.halves()
        self._world.ledger.write(first)
        time.sleep(self._draw.uniform(0, 1))
        held = self._draw.uniform(0.1, LONGEST_RANDOM)
        if self._cell.harm == cells.WORKER_KILLED:
            self._world.replace(worker.kill())
        elif self._cell.harm == cells.WORKER_PAUSED:
            worker.send(signal.SIGSTOP)
            time.sleep(held)
            worker.send(signal.SIGCONT)
        else:
            self._take_away()
            time.sleep(held)
            self._bring_back()
        self._look()
        self._world.ledger.write(second)

    def _away(self) -> None:
        """A server is away for long; workers that end themselves meanwhile are started again, as everywhere."""
        self._world.have_workers(1)
        first, second = self._workload.halves()
        self._world.ledger.write(first)
        self._take_away()
        if self._cell.harm == cells.CLICKHOUSE_AWAY:
            self._world.ledger.write(second)
        end = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < end:
            self._world.tend()
            time.sleep(1)
        self._bring_back()
        self._look()
        if self._cell.harm == cells.KAFKA_AWAY:
            self._world.ledger.write(second)

    def _clock_jumps(self) -> None:
        """A clock far ahead, one behind, and the machine's own, with a kill between the first two."""
        first, second = self._workload.halves()
        self._world.dismiss()
        ahead = self._world.start_worker(CX_CLOCK=_shifted(AHEAD_MS))
        self._world.ledger.write(first)
        self._world.wait_landed()
        self._look()
        self._world.workers.remove(ahead.kill())
        self._world.start_worker(CX_CLOCK=_shifted(BEHIND_MS))
        self._world.ledger.write(second)
        self._world.wait_landed()
        self._look()
        self._world.dismiss()
        self._world.have_workers(1)


def _shifted(by_ms: int) -> str:
    """A clock that runs as the machine's, so far ahead of it."""
    now_ms = wall_ms()
    return str(Clock(now_ms + by_ms, now_ms))
