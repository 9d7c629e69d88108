"""A supervised child: its log, its restarts, its end, and the end of its parent."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.identity import Identity
from deploy.local.machine import check_ports
from deploy.local.parts import Part
from deploy.local.processes import KEPT_LOGS, LAUNCHER, Child, last_line, rotate
from deploy.local.state import child_environment
from schemas.errors import EnvironmentProblem, UsageError
from schemas.settings import Settings
from tests.stack.ports import taken_port

PATIENCE = 30.0


def part(code: str, stop_seconds: float = 10, ports: dict[str, int] | None = None) -> Part:
    """A part that runs a line of Python."""
    return Part("part", "nowhere", ports or {}, lambda _: [sys.executable, "-c", code], lambda: True, 10, stop_seconds)


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true within a generous time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def started(tmp_path: Path, some: Part) -> Child:
    child = Child(some, child_environment(Settings(data=tmp_path)), tmp_path / "logs")
    child.start(lambda _: None)
    return child


def identity_of(child: Child) -> Identity:
    identity = child.snapshot().identity
    assert identity is not None
    return identity


def test_a_child_writes_its_log_and_stops(tmp_path: Path) -> None:
    child = started(tmp_path, part("import time; print('hello'); time.sleep(60)"))
    identity = identity_of(child)
    assert eventually(lambda: last_line(child.log) == "hello")
    assert identity.is_alive()
    child.stop()
    assert not identity.is_alive()
    assert child.snapshot().state == "stopped"
    assert not child.look()


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    child = started(tmp_path, part("import os; print('dying'); os._exit(7)"))

    def has_restarted() -> bool:
        child.look()
        return child.restarts >= 2

    assert eventually(has_restarted)
    child.stop()
    state = child.snapshot()
    assert (state.last_exit, state.restarts) == (7, 2)
    assert child.log.read_text().count("dying") >= 2


def test_a_deaf_child_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    child = started(tmp_path, part(deaf, stop_seconds=0.2))
    assert eventually(lambda: last_line(child.log) == "deaf")
    identity = identity_of(child)
    child.stop()
    assert not identity.is_alive()


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, {str(LAUNCHER)!r}, str(os.getpid()), "sleep", "60"], start_new_session=True)
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid) + "\\n")
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", parent])
    assert eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    identity = Identity.of(int((tmp_path / "pid").read_text()))
    assert identity.is_alive()
    process.kill()
    process.wait()
    assert eventually(lambda: not identity.is_alive())


def test_a_child_of_a_parent_that_is_gone_does_not_start() -> None:
    command = [sys.executable, str(LAUNCHER), "1", sys.executable, "-c", "print('ran')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert "ran" not in done.stdout


def test_logs_are_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "name.log"
    for number in range(KEPT_LOGS + 3):
        rotate(log)
        log.write_text(f"run {number}\n")
    kept = {path.name: path.read_text().strip() for path in log.parent.iterdir()}
    assert kept == {"name.log": "run 5", "name.1.log": "run 4", "name.2.log": "run 3", "name.3.log": "run 2"}


def test_a_taken_port_names_the_setting() -> None:
    with taken_port() as port, pytest.raises(EnvironmentProblem, match=f"Port {port} .*CX_SOME_PORT"):
        check_ports("127.0.0.1", [part("", ports={"CX_SOME_PORT": port})])


def test_a_port_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="CX_A_PORT and CX_B_PORT"):
        check_ports("127.0.0.1", [part("", ports={"CX_A_PORT": 65_001, "CX_B_PORT": 65_001})])
