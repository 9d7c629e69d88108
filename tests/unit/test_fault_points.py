"""Fault points: what a test writes is read exactly, fires once at the right passing, and never without its setting."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.chaos.cells import FLUSH, Cell, full, short
from schemas.errors import UsageError
from schemas.settings import Settings
from streams.app import fault_points
from streams.fault_points import POINTS, Fault, FaultFile, undisturbed

PASSER = """
import sys
from pathlib import Path
from streams.fault_points import FaultFile
reached = FaultFile(Path(sys.argv[1]))
for point in sys.argv[2:]:
    reached(point)
    print(point, flush=True)
"""


def passed(file: Path, *points: str) -> tuple[int, list[str]]:
    """Exit code of a process that passes these points, and those it came past."""
    command = [sys.executable, "-c", PASSER, str(file), *points]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("fault", [Fault("before:2", "exit"), Fault("after:read-back", "stop", 3)])
def test_a_fault_is_read_as_it_is_written(fault: Fault) -> None:
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    "text", ["", "before:2", "before:9=exit", "before:2=sleep", "before:2=exit@0", "before:2=exit@x"]
)
def test_a_wrong_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"point|POINT"):
        Fault.parse(text)


def test_a_process_ends_at_the_passing_that_is_named_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "fault"
    file.write_text(str(Fault("after:2", "exit", 2)))
    way = ["after:2", "before:3", "after:2", "before:3"]
    assert passed(file, *way) == (-signal.SIGKILL, way[:2])
    assert not file.exists()
    assert passed(file, *way) == (0, way)


def test_a_process_stops_at_its_point_and_goes_on_from_there(tmp_path: Path) -> None:
    file = tmp_path / "fault"
    file.write_text(str(Fault("before:5", "stop")))
    command = [sys.executable, "-c", PASSER, str(file), "before:4", "before:5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=60)
    assert out.split() == ["before:4", "before:5"]


def test_without_the_setting_nothing_is_asked() -> None:
    assert fault_points(Settings()) is undisturbed


@pytest.mark.parametrize("away", [{"kafka": "kafka.example:9092"}, {"clickhouse": "db.example:9000"}])
def test_faults_are_refused_with_servers_of_other_machines(away: dict[str, str], tmp_path: Path) -> None:
    given = {"fault_file": tmp_path / "fault", "kafka": None, "clickhouse": None}
    assert isinstance(fault_points(Settings.model_validate(given)), FaultFile)
    with pytest.raises(UsageError, match="CX_FAULT_FILE"):
        fault_points(Settings.model_validate(given | away))


def test_the_short_matrix_is_part_of_the_full_one_and_the_full_one_names_each_step() -> None:
    assert set(short()) <= set(full())
    assert len(set(full())) == len(full())
    for harm in {cell.harm for cell in full() if cell.point in FLUSH}:
        assert {cell.point for cell in full() if cell.harm == harm} >= set(FLUSH)
    assert {cell.point for cell in full() if cell.harm == "worker-killed"} == set(POINTS)
    assert [Cell.parse(str(cell)) for cell in full()] == list(full())


@pytest.mark.parametrize("text", ["worker-killed@before:9", "nobody@before:2", ""])
def test_a_cell_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="HARM@POINT"):
        Cell.parse(text)
