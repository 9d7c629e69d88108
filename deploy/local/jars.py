"""Kafka's jars: found in the cache or downloaded with jgo, and always equal to the committed lock."""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.env import LockedDependency, LockFile
from jgo.maven import Artifact, MavenContext, PythonResolver

from schemas.errors import EnvironmentProblem

LOCK = Path(__file__).with_name("kafka.lock.toml")
DOWNLOAD_MB = 45
WORKERS = 8
MB = 1_000_000


def cache_folder() -> Path:
    """Folder of the downloaded jars, shared by all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cx" / "jars"


class _Progress:
    """Counts downloaded bytes of all files and reports every few megabytes."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._guard = threading.Lock()
        self._bytes = 0
        self._said = 0

    @contextmanager
    def __call__(self, _name: str, _total: int) -> Iterator[Callable[[int], None]]:
        yield self._add

    def _add(self, count: int) -> None:
        with self._guard:
            self._bytes += count
            if self._bytes - self._said < 5 * MB:
                return
            self._said = self._bytes
        self._report(f"downloading Kafka: {self._said // MB} of {DOWNLOAD_MB} MB")


def _matches(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _context(folder: Path, report: Callable[[str], None]) -> MavenContext:
    """jgo's context: the user's configured repositories first, a cache of our own."""
    remote = {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories
    resolver = PythonResolver(progress_callback=_Progress(report))
    return MavenContext(resolver=resolver, repo_cache=folder, local_repos=[], remote_repos=remote, timeout=60)


def _fetch(artifact: Artifact, path: Path, sha256: str) -> None:
    """Download one jar; whatever lies there is incomplete or wrong. Raises `EnvironmentProblem`."""
    path.unlink(missing_ok=True)
    try:
        artifact.resolve()
    except (OSError, RuntimeError) as error:
        reason = "the disk is full" if getattr(error, "errno", None) == 28 else "the repository cannot be reached"
        raise EnvironmentProblem(
            f"Kafka could not be downloaded ({reason}, at {path.name}): correct that and run the same command again; "
            "what was downloaded is kept."
        ) from None
    if not _matches(path, sha256):
        path.unlink(missing_ok=True)
        raise EnvironmentProblem(f"The downloaded {path.name} is not the locked one (its hash differs).")


def _artifact(context: MavenContext, dependency: LockedDependency) -> Artifact:
    component = context.project(dependency.groupId, dependency.artifactId).at_version(dependency.version)
    return component.artifact(dependency.classifier or "", dependency.packaging)


def class_path(report: Callable[[str], None]) -> list[Path]:
    """Every jar of the lock, verified. Needs no network when all are cached; raises `EnvironmentProblem`."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    context = _context(folder, report)
    locked = {_artifact(context, each): each.sha256 for each in LockFile.load(LOCK).dependencies}
    paths = {artifact: folder / artifact.component.path_prefix / artifact.cached_filename for artifact in locked}
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        missing = [artifact for artifact, sha256 in locked.items() if not _matches(paths[artifact], sha256)]
        if missing:
            report(f"downloading Kafka: up to {DOWNLOAD_MB} MB, once only")
            with ThreadPoolExecutor(WORKERS) as pool:
                list(pool.map(lambda each: _fetch(each, paths[each], locked[each]), missing))
    return sorted(paths.values())
