"""Builds an environment with uv from locked requirements: cache first, then the registry. Standard library only."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.pip_settings import for_uv
from deploy.progress import Meter, watch
from schemas.errors import EnvironmentProblem

MB = 1_000_000
DOWNLOAD_MB = 350
INSTALLED_MB = 1_000
REASONS: tuple[tuple[str, str], ...] = (
    (r"no space left|disk quota|os error 28", "The disk is full: free {need} MB and run the same command again."),
    (
        r"hash mismatch|hashes do not match|do not match the hashes",
        "A downloaded package is not the locked one (its hash differs): check the configured index.",
    ),
    (r"\b40[137]\b|unauthorized|forbidden", "The package registry refused access: check pip's index settings."),
    (
        r"dns error|error sending request|failed to fetch|connect|timed out|timeout|tls|certificate|retries",
        "The package registry cannot be reached: check the network, or the index and proxy in pip's settings, and run "
        "the same command again; what was downloaded is kept.",
    ),
    (
        r"no solution found|not found in the|no matching distribution|no wheels|no compatible",
        "The package registry does not have what this Python ({python}) needs: check pip's index, or use Python 3.11.",
    ),
)


def explain(output: str) -> EnvironmentProblem:
    """The problem that a failed download or installation shows, without any address in it."""
    text = re.sub(r"\w+://\S+", "…", output)
    for pattern, sentence in REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            version = ".".join(map(str, sys.version_info[:2]))
            return EnvironmentProblem(sentence.format(need=INSTALLED_MB, python=version))
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
    return EnvironmentProblem(f"The environment could not be made: {last}")


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes one environment folder; `variables` is the process's environment."""

    folder: Path
    checkout: Path
    variables: dict[str, str]

    def build(self, requirements: Path) -> None:
        """Install exactly `requirements`. Blocks for minutes at the first time; raises `EnvironmentProblem`."""
        variables = for_uv(self.variables) | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
        variables.pop("VIRTUAL_ENV", None)
        uv = self._uv(variables)
        self._make_venv(uv, variables)
        python = str(self.folder / "bin" / "python")
        sync = [uv, "pip", "sync", "--require-hashes", "--python", python, str(requirements)]
        if self._run([*sync, "--offline"], variables) is None:
            return
        self._check_space()
        sys.stderr.write(
            f"cx: making the environment in {self.folder.name}: downloads up to {DOWNLOAD_MB} MB, "
            f"{INSTALLED_MB} MB on disk; once only.\n"
        )
        self._watched(sync, variables, "environment", INSTALLED_MB)

    def _uv(self, variables: dict[str, str]) -> str:
        """Path of a uv: the one on the path, else our own copy, fetched with pip."""
        found = shutil.which("uv", path=variables.get("PATH"))
        if found:
            return found
        tools = self._cache() / f"uv-py{sys.version_info[0]}{sys.version_info[1]}"
        for uv in (tools / "venv" / "bin" / "uv", tools / "target" / "bin" / "uv"):
            if (tools / "complete").exists() and uv.exists():
                return str(uv)
        sys.stderr.write("cx: fetching the installer uv: 25 MB, once only.\n")
        return self._fetch_uv(tools, variables)

    def _cache(self) -> Path:
        home = Path(self.variables.get("HOME") or "~").expanduser()
        return Path(self.variables.get("XDG_CACHE_HOME") or home / ".cache") / "cx"

    def _fetch_uv(self, tools: Path, variables: dict[str, str]) -> str:
        """Get uv into `tools`: in a venv, else (no venv, or a system that forbids) beside it with `--target`."""
        shutil.rmtree(tools, ignore_errors=True)
        tools.mkdir(parents=True)
        locked = ["--require-hashes", "--only-binary", ":all:", "-r", str(self.checkout / "deploy/requirements-uv.txt")]
        venv, target = tools / "venv", tools / "target"
        install = ["-m", "pip", "install", "--quiet", "--no-warn-script-location"]
        if self._run([sys.executable, "-m", "venv", str(venv)], variables) is None:
            python, place, uv = str(venv / "bin" / "python"), list[str](), venv / "bin" / "uv"
        elif self._run([sys.executable, "-m", "pip", "--version"], variables) is None:
            python, place, uv = sys.executable, ["--target", str(target)], target / "bin" / "uv"
        else:
            raise EnvironmentProblem(self._how_to_get_pip(variables))
        self._watched([python, *install, *place, *locked], variables, "uv", 60)
        (tools / "complete").touch()
        return str(uv)

    @staticmethod
    def _how_to_get_pip(variables: dict[str, str]) -> str:
        managers = (
            ("apt-get", "sudo apt-get install -y python3-venv"),
            ("dnf", "sudo dnf install -y python3-pip"),
            ("apk", "sudo apk add py3-pip"),
            ("pacman", "sudo pacman -S --noconfirm python-pip"),
            ("brew", "brew install uv"),
        )
        path = variables.get("PATH")
        command = next(
            (say for tool, say in managers if shutil.which(tool, path=path)), f"{sys.executable} -m ensurepip"
        )
        return f"This Python has neither venv nor pip, and there is no uv: type `{command}`, then run this again."

    def _make_venv(self, uv: str, variables: dict[str, str]) -> None:
        """Make the folder with this interpreter, unless it is there with it already."""
        python = self.folder / "bin" / "python"
        if python.exists() and python.resolve() == Path(sys.executable).resolve():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        failure = self._run(
            [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(self.folder)], variables
        )
        if failure is not None:
            raise explain(failure)

    def _check_space(self) -> None:
        """Raises `EnvironmentProblem` when the installation cannot fit."""
        free = shutil.disk_usage(self.folder).free // MB
        if free < INSTALLED_MB:
            raise EnvironmentProblem(
                f"The disk is too full: the environment needs {INSTALLED_MB} MB, {free} MB are free in {self.checkout}."
            )

    @staticmethod
    def _run(command: list[str], variables: dict[str, str]) -> str | None:
        """Run quietly; `None` when it succeeded, else what it said."""
        done = subprocess.run(command, env=variables, capture_output=True, text=True, errors="replace", check=False)
        return None if done.returncode == 0 else done.stdout + done.stderr

    def _watched(self, command: list[str], variables: dict[str, str], phase: str, expected_mb: int) -> None:
        """Run with a progress line. Raises `EnvironmentProblem` when it fails."""
        self._cache().mkdir(parents=True, exist_ok=True)
        failure = watch(command, variables, Meter(phase, expected_mb, (self.folder.parent, self._cache())))
        if failure is not None:
            raise explain(failure)
