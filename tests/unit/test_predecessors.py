"""Whose note tells of a dead worker: the lock on it says so, and nothing else."""

import subprocess
import sys
from pathlib import Path

from schemas.settings import Settings
from streams.predecessors import Note, dead_members

DYING = """
import sys, time
from schemas.settings import Settings
from streams.predecessors import Note
note = Note(Settings(data=sys.argv[1], group=sys.argv[2]))
note.write("earlier")
note.write(sys.argv[3])
print("written", flush=True)
time.sleep(600)
"""


def dying(folder: Path, group: str, member: str) -> subprocess.Popen[str]:
    """A process that has left its note and still lives."""
    command = [sys.executable, "-c", DYING, str(folder), group, member]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def test_only_members_of_the_group_whose_process_has_ended_are_dead(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, group="workers")
    assert dead_members(settings) == {}
    own = Note(settings)
    own.write("own")
    ours, others = dying(tmp_path, "workers", "ours"), dying(tmp_path, "others", "theirs")
    assert dead_members(settings) == {}
    (tmp_path / "members" / "00-powerless.member").touch()
    for process in (ours, others):
        process.kill()
        process.communicate()
    assert list(dead_members(settings)) == ["ours"]
    own.remove()
    assert list(dead_members(settings)) == ["ours"]
    assert len(list((tmp_path / "members").iterdir())) == 3


def test_a_note_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "members").write_text("in the way")
    settings = Settings(data=tmp_path)
    Note(settings).write("own")
    assert dead_members(settings) == {}
