"""Workers that died without leaving their group: whoever starts next on the same machine lets them leave. Blocks.

A process that was killed stays a member until its session ends, and nobody gets its partitions before. Each worker
keeps a note of who it is in the group, locked for as long as it lives: a note that can be locked is a dead one's.

One that ended because it refused too much leaves another note, by which the next one does not begin to count anew.
"""

import logging
import os
from contextlib import closing, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from uuid import uuid4

from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import KafkaError

from schemas.settings import Settings

log = logging.getLogger("cx.predecessors")

NOTE, UNFINISHED, HALTED = ".member", ".unfinished", ".halted"


def _folder(settings: Settings) -> Path:
    return Path(settings.data) / "members"


class Note:
    """What this process leaves behind if it dies: its name in the group of the workers."""

    def __init__(self, settings: Settings) -> None:
        self._path = _folder(settings) / f"{uuid4().hex}{NOTE}"
        self._group = settings.workers_group
        self._held: int | None = None
        self._member = ""

    def write(self, member: str) -> None:
        """Note under which name the broker knows this process; the lock is let go of by its end, whatever that is."""
        if member != self._member:
            try:
                self._write(member)
            except OSError as error:
                log.warning("no note of this worker's name in its group: %s", error)

    def _write(self, member: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(UNFINISHED)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        flock(descriptor, LOCK_EX | LOCK_NB)
        os.write(descriptor, f"{self._group}\n{member}\n".encode())
        unfinished.replace(self._path)
        if self._held is not None:
            os.close(self._held)
        self._held, self._member = descriptor, member

    def remove(self) -> None:
        """The process leaves its group by itself."""
        self._path.unlink(missing_ok=True)


class HaltNote:
    """What a worker leaves behind that refused too much; `stands` until one after it has read on."""

    def __init__(self, settings: Settings) -> None:
        self._path = _folder(settings) / f"{settings.workers_group}{HALTED}"
        self.stands = self._path.exists()

    def write(self) -> None:
        """This process ends for it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            log.warning("no note of what was refused, the next worker counts anew: %s", error)

    def remove(self) -> None:
        """This process has read on; another one's note, written since it began, is let be."""
        if self.stands:
            self._path.unlink(missing_ok=True)
            self.stands = False


def let_leave(settings: Settings) -> None:
    """Take the dead ones' names out of the group. If Kafka does not let it be, their sessions end by time as ever."""
    dead = dead_members(settings)
    if not dead:
        return
    members = [MemberToRemove(member_id=member, reason="its process has ended") for member in dead]
    try:
        with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_address)) as admin:
            found = admin.remove_group_members(settings.workers_group, members)
    except (KafkaError, OSError) as error:
        log.warning("%d dead workers stay in their group until their session ends: %s", len(dead), type(error).__name__)
        return
    for member, path in dead.items():
        path.unlink(missing_ok=True)
        log.info("member %s of the group had died: %s", member, found)


def dead_members(settings: Settings) -> dict[str, Path]:
    """Members of this group whose process has ended, each with its note."""
    found: dict[str, Path] = {}
    for path in _folder(settings).glob(f"*{NOTE}"):
        with suppress(BlockingIOError, FileNotFoundError), path.open() as note:
            flock(note, LOCK_EX | LOCK_NB)
            # A machine that lost its power leaves a note without words.
            match note.read().split():
                case [settings.workers_group, member]:
                    found[member] = path
    return found
