"""Starts the parts of the local stack in order, keeps them running, stops them in the reverse order.

    with Stack(settings, parts=("kafka", "clickhouse")) as stack:       in a test
        use(stack.settings)

    with interruptible_stack(settings, report=console.print) as stack:  in a command
        stack.wait()

Everything happens on the calling thread, which must be the main one; `wait` (or `tick`) restarts what dies.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from deploy.local.identity import Identity
from deploy.local.machine import check_disk, check_ports
from deploy.local.parts import ALL, SERVERS, Part, Report, parts_of
from deploy.local.processes import Child, last_line
from deploy.local.signals import endings_interrupt, endings_wait
from deploy.local.state import DataDirectory, StackState, child_environment, effective_settings, ensure_secrets
from deploy.local.steps import STEPS
from schemas.errors import EnvironmentProblem, Unavailable
from schemas.settings import Settings

LOOK_SECONDS = 0.2
FAST_LOOK_SECONDS = 0.05
DEATHS_AT_START = 3
LEFTOVER_SECONDS = 25.0


def _silent(_phase: str) -> None:
    """Report of a stack that nobody watches."""


class Stack:
    """The local stack, or chosen parts of it, for as long as this process wants it."""

    def __init__(self, settings: Settings, parts: Sequence[str] = ALL, report: Report = _silent) -> None:
        self._given = settings
        self._names = parts
        self._report = report
        self._held = ExitStack()
        self._children: list[Child] = []
        self._phase = "starting"
        self._started_ms = time.time_ns() // 1_000_000
        self._owns_directory = False
        self.data = DataDirectory(settings)
        self.settings = effective_settings(settings)

    def start(self) -> None:
        """Start everything and return when all of it is ready. Blocks; raises `CxError` (then call `stop`)."""
        self.data.claim()
        self._held.enter_context(self.data.lock())
        self._owns_directory = True
        self._end_leftovers()
        self._say("checking the machine")
        check_disk(self.data.path)
        ensure_secrets(self._given)
        self.settings = effective_settings(self._given)
        parts = parts_of(self.settings, self._names)
        check_ports(self.settings.bind, parts)
        environment = child_environment(self.settings)
        self._children = [Child(part, environment, self.data.logs) for part in parts]
        self._start_stage([child for child in self._children if child.part.name in SERVERS])
        for step in STEPS:
            if step.needs in self._names:
                self._say(step.phase)
                step.work(self.settings)
        self._start_stage([child for child in self._children if child.part.name not in SERVERS])
        self._say("ready")

    def _start_stage(self, children: list[Child]) -> None:
        """Start these together and wait until each is ready."""
        if not children:
            return
        for child in children:
            child.start(self._say)
        self._say("starting " + ", ".join(child.part.name for child in children))
        started, waiting = time.monotonic(), list(children)
        while waiting:
            waiting = [child for child in waiting if not self._has_become_ready(child)]
            for child in waiting:
                if time.monotonic() - started > child.part.start_seconds:
                    raise self._not_ready(child.part)
            time.sleep(FAST_LOOK_SECONDS)

    def _has_become_ready(self, child: Child) -> bool:
        if child.look():
            self._write()
        if child.deaths_in_a_row >= DEATHS_AT_START:
            reason = last_line(child.log) or "it says nothing"
            raise EnvironmentProblem(f"{child.part.name} does not start: {reason} (whole log: {child.log})")
        if child.state == "restarting" or not child.part.is_ready():
            return False
        child.mark_ready()
        self._write()
        return True

    def _not_ready(self, part: Part) -> Unavailable:
        if part.command is None:
            return Unavailable(f"{part.name} at {part.address} does not answer: is it running, is the address right?")
        log = self.data.logs / f"{part.name}.log"
        return Unavailable(f"{part.name} was not ready after {part.start_seconds:.0f} s: see {log}")

    def tick(self) -> None:
        """Notice deaths and start again what is due; never blocks for long."""
        changed = [child.look() for child in self._children]
        for child in self._children:
            if child.state == "starting" and child.part.is_ready():
                child.mark_ready()
                changed.append(True)
        if any(changed):
            self._write()

    def wait(self) -> None:
        """Look after the children until the calling thread is interrupted (`KeyboardInterrupt`)."""
        while True:
            self.tick()
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Stop everything, the last started first; may be called at any time and again."""
        if not self._owns_directory:
            return
        self._say("stopping")
        for child in reversed(self._children):
            self._say(f"stopping {child.part.name}")
            child.stop()
        self._say("stopped")
        self._owns_directory = False
        self._held.close()

    def _end_leftovers(self) -> None:
        """Wait for children of a supervisor that was killed; they were told to end when it died."""
        state = self.data.read()
        left = [each.identity for each in state.children.values() if each.identity] if state else []
        deadline = time.monotonic() + LEFTOVER_SECONDS
        for identity in left:
            identity.send(signal.SIGTERM)
        while any(identity.is_alive() for identity in left) and time.monotonic() < deadline:
            time.sleep(FAST_LOOK_SECONDS)
        for identity in left:
            identity.send(signal.SIGKILL)

    def _say(self, phase: str) -> None:
        self._phase = phase
        self._write()
        self._report(phase)

    def _write(self) -> None:
        children = {child.part.name: child.snapshot() for child in self._children}
        me = Identity.of(os.getpid())
        clock = None if self._given.clock is None else str(self._given.clock)
        state = StackState(
            phase=self._phase, started_ms=self._started_ms, supervisor=me, children=children, clock=clock
        )
        try:
            self.data.write(state)
        except OSError as error:
            # A full disk must not keep the children from being stopped.
            self._report(f"{self._phase} (its state cannot be written: {error.strerror})")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def interruptible_stack(settings: Settings, parts: Sequence[str] = ALL, report: Report = _silent) -> Iterator[Stack]:
    """A stack that Ctrl-C, SIGTERM and SIGHUP stop in order, while it starts too.

    Inside, they raise `KeyboardInterrupt`; one that comes after `ready` ends the block quietly.
    """
    stack, was_ready = Stack(settings, parts, report), False
    with endings_interrupt():
        try:
            stack.start()
            was_ready = True
            yield stack
        except KeyboardInterrupt:
            if not was_ready:
                raise
        finally:
            with endings_wait():
                stack.stop()
