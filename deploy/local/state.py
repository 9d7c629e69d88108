"""What the local stack keeps in its data directory: whose it is, who runs it, its secrets, how it feels.

cx-data.json   marks the directory as ours: only a marked one is ever deleted
stack.lock     held (flock) by the running supervisor; says which process that is
stack.json     the supervisor's last word: phase, children, restarts
secrets.json   generated passwords, readable by its owner only
demo.json      of a demonstration: its district, how far its clock went, what was sent
logs/          one file for each child and for the supervisor
members/       under which names workers are in their group, each note locked by its own
"""

import fcntl
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from deploy.local.identity import Identity
from schemas.clock import Clock
from schemas.errors import EnvironmentProblem, Unavailable, UsageError
from schemas.settings import PREFIX, Settings

OURS = {
    "cx-data.json",
    "stack.lock",
    "stack.json",
    "secrets.json",
    "intake-keys.json",
    "demo.json",
    "demo-past.json",
    "logs",
    "kafka",
    "clickhouse",
    "faust",
    "members",
}
STOP_SECONDS = 90.0
LOCK_TRIES = 5


class ChildState(BaseModel):
    """The supervisor's last word on one part of the stack."""

    model_config = ConfigDict(frozen=True)

    state: str
    """`waiting`, `starting`, `ready`, `restarting`, `stopped` or `external` (a configured address, not ours)."""
    address: str
    identity: Identity | None = None
    restarts: int = 0
    last_exit: int | None = None
    since_ms: int | None = None


class StackState(BaseModel):
    """The supervisor's last word on the stack."""

    model_config = ConfigDict(frozen=True)

    phase: str
    """What it is doing, for people; `ready` when everything runs."""
    started_ms: int
    supervisor: Identity
    children: dict[str, ChildState]
    clock: str | None = None
    """Its present, as the setting of that name is written; the machine's clock if there is none."""


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old or the new one, never a part."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    fresh.replace(path)


class DataDirectory:
    """The directory of one stack (`Settings.data`, made absolute)."""

    def __init__(self, settings: Settings) -> None:
        self.path = Path(os.path.abspath(settings.data))

    @property
    def logs(self) -> Path:
        """Folder of the log files."""
        return self.path / "logs"

    def claim(self) -> None:
        """Make the directory and mark it as ours. Raises `UsageError` when it holds other people's files."""
        if (self.path / "cx-data.json").exists():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            strangers = sorted({entry.name for entry in self.path.iterdir()} - OURS)
            if strangers:
                raise UsageError(
                    f"{self.path} holds other files ({strangers[0]}): set {PREFIX}DATA to an empty or new directory."
                )
            self.logs.mkdir(exist_ok=True)
            write_whole(self.path / "cx-data.json", '{"made_by": "cx", "layout": 1}\n')
        except OSError as error:
            raise EnvironmentProblem(
                f"The data directory {self.path} cannot be made ({error.strerror}): set {PREFIX}DATA to another."
            ) from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for this process. Raises `EnvironmentProblem` when another stack runs in it."""
        with (self.path / "stack.lock").open("a+") as file:
            if not _lock_patiently(file):
                raise EnvironmentProblem(
                    f"A stack already runs in {self.path}: `./cx status` shows it, `./cx down` stops it; "
                    f"set {PREFIX}DATA and other ports for a second one."
                )
            file.truncate(0)
            file.write(Identity.of(os.getpid()).model_dump_json())
            file.flush()
            yield

    def supervisor(self) -> Identity | None:
        """The process that runs this stack now, or `None`."""
        try:
            with (self.path / "stack.lock").open("r+") as file:
                if _try_lock(file):
                    return None
                return Identity.model_validate_json(file.read())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def running(self) -> StackState | None:
        """The last word of the supervisor that runs now, or `None` when none does or it has said nothing yet."""
        state = self.read()
        return state if state and state.supervisor == self.supervisor() else None

    def read(self) -> StackState | None:
        """The last word of the last supervisor, running or not; `None` when there was never one."""
        try:
            return StackState.model_validate_json((self.path / "stack.json").read_text())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def write(self, state: StackState) -> None:
        """Leave word for `status`, `down` and the next start."""
        write_whole(self.path / "stack.json", state.model_dump_json(indent=1))

    def wait_until_ended(self, supervisor: Identity, seconds: float = STOP_SECONDS) -> None:
        """Wait until the process that ran the stack here has ended. Raises `Unavailable` after `seconds`.

        It lets go of the directory an instant before: who waits for the lock alone may still find its process.
        """
        deadline = time.monotonic() + seconds
        while supervisor.is_alive():
            if time.monotonic() > deadline:
                raise Unavailable(f"The stack in {self.path} does not stop: see {self.logs}.")
            time.sleep(0.1)

    def purge(self) -> None:
        """Delete the directory. Raises `UsageError` when it is not marked as ours."""
        if self.path.is_symlink() or not (self.path / "cx-data.json").is_file():
            raise UsageError(f"{self.path} is not a data directory made by cx: nothing was deleted.")
        with self.lock():
            shutil.rmtree(self.path)

    def size_bytes(self) -> int:
        """Bytes on disk of everything in the directory."""
        total = 0
        for folder, _folders, files in os.walk(self.path):
            for name in files:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    continue
        return total


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_patiently(file: IO[str]) -> bool:
    """Take the lock; a look by `status` may hold it for an instant."""
    for _ in range(LOCK_TRIES):
        if _try_lock(file):
            return True
        time.sleep(0.1)
    return False


def ensure_secrets(settings: Settings) -> None:
    """Generate the local ClickHouse's password at the first start."""
    path = DataDirectory(settings).path / "secrets.json"
    if not path.exists():
        write_whole(path, json.dumps({"clickhouse_password": secrets.token_urlsafe(24)}), mode=0o600)


def effective_settings(settings: Settings) -> Settings:
    """The settings with an absolute data directory, the local stack's generated password and the clock it runs on.

    For a configured ClickHouse or a given password none is read; a given clock counts.
    """
    directory = DataDirectory(settings)
    data = directory.path
    changes: dict[str, Any] = {"data": data}
    if settings.clock is None and (running := directory.running()) is not None and running.clock is not None:
        changes["clock"] = Clock.parse(running.clock)
    if settings.clickhouse is None and not settings.clickhouse_password.get_secret_value():
        try:
            known: dict[str, str] = json.loads((data / "secrets.json").read_text())
            changes["clickhouse_password"] = SecretStr(known["clickhouse_password"])
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (ValueError, KeyError):
            raise EnvironmentProblem(f"{data / 'secrets.json'} is damaged: delete it to have a new one made.") from None
    return settings.model_copy(update=changes)


def local_settings() -> Settings:
    """Settings of this process, from its environment, with the local stack's secrets: for every command."""
    return effective_settings(Settings.from_environment(os.environ))


def child_environment(settings: Settings) -> dict[str, str]:
    """Environment of a child process that must read the very same settings."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            given[PREFIX + name.upper()] = str(value)
    given["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *_own_paths()])
    given["PYTHONUNBUFFERED"] = "1"
    return given


def _own_paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def python_command(module: str, *arguments: str) -> list[str]:
    """Command line of a module in this environment; never imports from the current directory."""
    return [sys.executable, "-P", "-m", module, *arguments]
