"""Downloads locked jars with jgo, from the repositories it is configured with; each must have its locked hash."""

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext, PythonResolver

from deploy.local.jars import Jar
from schemas.errors import EnvironmentProblem

DOWNLOAD_MB = 45
WORKERS = 8
MB = 1_000_000
SECONDS = 60


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


def fetch_all(jars: Sequence[Jar], report: Callable[[str], None]) -> None:
    """Download these, several at a time. Blocks; raises `EnvironmentProblem`, what is complete is kept."""
    report(f"downloading Kafka: up to {DOWNLOAD_MB} MB, once only")
    remote = {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories
    resolver = PythonResolver(progress_callback=_Progress(report))
    folder = jars[0].folder
    context = MavenContext(resolver=resolver, repo_cache=folder, local_repos=[], remote_repos=remote, timeout=SECONDS)
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for _ in pool.map(lambda jar: _fetch(context, jar), jars):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _fetch(context: MavenContext, jar: Jar) -> None:
    """Download one jar; whatever lies there is incomplete or wrong. Raises `EnvironmentProblem`."""
    jar.path.unlink(missing_ok=True)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        component.artifact(jar.classifier).resolve()
    except (OSError, RuntimeError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC
        reason = "the disk is full" if full else "the Maven repository cannot be reached or does not have it"
        raise EnvironmentProblem(
            f"Kafka could not be downloaded ({reason}; at {jar.path.name}): correct that and run the same command "
            "again; what was downloaded is kept."
        ) from None
    if not jar.is_there():
        jar.path.unlink(missing_ok=True)
        raise EnvironmentProblem(f"The downloaded {jar.path.name} is not the locked one (its hash differs).")
