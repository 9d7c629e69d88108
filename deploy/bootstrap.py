"""Makes the checkout's own Python environment when it is missing or old, then becomes the command in it.

Standard library only. With a finished environment nothing is asked of the network or of uv.
"""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from deploy.environment import Builder
from deploy.pip_settings import for_downloads
from schemas.errors import CxError, EnvironmentProblem

INTERRUPTED = 130
NEEDS_TEST_TOOLS = frozenset({"test", "check"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in a checkout."""

    checkout: Path

    @property
    def environment(self) -> Path:
        """Folder of the environment."""
        return self.checkout / ".cx-env"

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return self.environment / "bin" / "python"

    @property
    def marker(self) -> Path:
        """JSON file that says which requirements the environment holds; there only when it is complete."""
        return self.environment / "cx-marker.json"

    def requirements(self, with_tests: bool) -> Path:
        """Locked requirements: the runtime's, or their superset with the test tools."""
        return self.checkout / "deploy" / ("requirements-test.txt" if with_tests else "requirements.txt")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_marker(layout: Layout) -> dict[str, str]:
    """The marker, or an empty one when it is missing, unreadable, or of an interpreter that has changed."""
    try:
        marker: dict[str, str] = json.loads(layout.marker.read_text())
    except (OSError, ValueError):
        return {}
    usable = os.access(layout.python, os.X_OK) and marker.get("interpreter") == os.path.realpath(layout.python)
    return marker if usable else {}


def _is_current(layout: Layout, marker: dict[str, str], with_tests: bool) -> bool:
    kinds = (False, True) if with_tests else (False,)
    return all(marker.get(_kind(kind)) == _digest(layout.requirements(kind)) for kind in kinds)


def _kind(with_tests: bool) -> str:
    return "test" if with_tests else "runtime"


@contextmanager
def _only_one(layout: Layout) -> Iterator[None]:
    """Hold the checkout's lock; waits for another process that makes the environment."""
    handle = os.open(layout.checkout, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("cx: another ./cx is making the environment; waiting for it.\n")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def ensure(layout: Layout, with_tests: bool) -> None:
    """Make the environment hold the requirements. May download; raises `EnvironmentProblem`."""
    if _is_current(layout, _read_marker(layout), with_tests):
        return
    with _only_one(layout):
        marker = _read_marker(layout)
        if _is_current(layout, marker, with_tests):
            return
        keep_tests = with_tests or "test" in marker
        layout.marker.unlink(missing_ok=True)
        Builder(layout.environment, layout.checkout, dict(os.environ)).build(layout.requirements(keep_tests))
        kinds = (False, True) if keep_tests else (False,)
        made = {_kind(kind): _digest(layout.requirements(kind)) for kind in kinds}
        made["interpreter"] = os.path.realpath(layout.python)
        fresh = layout.marker.with_suffix(".new")
        fresh.write_text(json.dumps(made, indent=1))
        fresh.replace(layout.marker)


def command_environment(layout: Layout, environment: dict[str, str]) -> dict[str, str]:
    """Environment of the command: the checkout importable from any directory, `CX_DATA` absolute."""
    paths = [str(layout.checkout), *filter(None, [environment.get("PYTHONPATH")])]
    data = environment.get("CX_DATA") or str(layout.checkout / ".cx")
    own = {"PYTHONPATH": os.pathsep.join(paths), "CX_DATA": os.path.abspath(data)}
    return for_downloads(environment) | own


def _prepare(layout: Layout, arguments: Sequence[str]) -> int:
    """`ensure`, with every failure as one sentence; 0 when the command can run."""
    try:
        ensure(layout, with_tests=bool(arguments) and arguments[0] in NEEDS_TEST_TOOLS)
    except CxError as error:
        sys.stderr.write(f"cx: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("cx: interrupted; what was downloaded is kept, the same command goes on from there.\n")
        return INTERRUPTED
    except OSError as error:
        problem = EnvironmentProblem(f"The environment could not be made: {error}.")
        sys.stderr.write(f"cx: {problem}\n")
        return problem.exit_code
    return 0


def _become(layout: Layout, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the command."""
    python = str(layout.python)
    # -P: a folder of the user's named like one of our packages must not be imported.
    command = [python, "-P", "-m", "deploy.cli", *arguments]
    os.execve(python, command, command_environment(layout, dict(os.environ)))  # noqa: S606


def main(checkout: str, arguments: Sequence[str]) -> int:
    """Become the command; returns only when the environment could not be made."""
    layout = Layout(Path(checkout))
    return _prepare(layout, arguments) or _become(layout, arguments)
