"""Kafka's jars: in the cache, and always equal to the committed lock; what is missing is downloaded."""

import fcntl
import hashlib
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

LOCK = Path(__file__).with_name("kafka.lock.toml")


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file of a Maven repository."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str
    folder: Path
    """The cache, laid out as a Maven repository."""

    @property
    def path(self) -> Path:
        """Where it lies in the cache, there or not."""
        name = "-".join(filter(None, (self.artifact, self.version, self.classifier)))
        return self.folder.joinpath(*self.group.split("."), self.artifact, self.version, f"{name}.jar")

    def is_there(self) -> bool:
        """Whether the cache holds it, whole and unchanged."""
        return self.path.is_file() and hashlib.sha256(self.path.read_bytes()).hexdigest() == self.sha256


def cache_folder() -> Path:
    """Folder of the downloaded jars, shared by all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cx" / "jars"


def locked_jars(folder: Path, lock: Path = LOCK) -> list[Jar]:
    """All jars of the lock, as they would lie in `folder`."""
    return [
        Jar(each["groupId"], each["artifactId"], each["version"], each.get("classifier", ""), each["sha256"], folder)
        for each in tomllib.loads(lock.read_text())["dependencies"]
    ]


def class_path(report: Callable[[str], None]) -> list[Path]:
    """Every jar of the lock, verified. Needs no network when all are cached; raises `EnvironmentProblem`."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    jars = locked_jars(folder)
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        missing = [jar for jar in jars if not jar.is_there()]
        if missing:
            # Loading jgo takes as long as a tenth of a start, and it is needed once.
            import_module("deploy.local.download").fetch_all(missing, report)
    return sorted(jar.path for jar in jars)
