"""Whose note tells of a dead worker: the lock on it says so, and nothing else."""

import subprocess
import sys
from pathlib import Path

from schemas.settings import Settings
from streams.predecessors import HaltNote, Note, dead_members

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


def test_who_comes_after_one_that_refused_too_much_knows_it_until_it_has_read_on(tmp_path: Path) -> None:
    settings, others = Settings(data=tmp_path, group="ours"), Settings(data=tmp_path, group="theirs")
    first = HaltNote(settings)
    assert not first.stands
    first.write()
    # It began before the note was written, so it says nothing of it.
    first.remove()
    second = HaltNote(settings)
    assert second.stands
    assert not HaltNote(others).stands
    assert dead_members(settings) == {}
    second.remove()
    assert not HaltNote(settings).stands


def test_where_it_cannot_be_noted_the_process_ends_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "members").write_text("in the way")
    note = HaltNote(Settings(data=tmp_path))
    note.write()
    assert not note.stands
