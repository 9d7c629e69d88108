"""A tiny checkout with the real bootstrap, a fake command line and, where wanted, a fake uv."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = os.path.realpath(sys.executable)
"""The interpreter below the environment that runs the tests: like a fresh machine's."""
BOOTSTRAP = ("cx", "deploy/bootstrap.py", "deploy/environment.py", "deploy/pip_settings.py", "deploy/progress.py")
ECHO = """\
import json, os, sys
sys.stdout.write(json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd(), "data": os.environ["CX_DATA"]}))
"""
UV = """\
#!{python}
import os, sys, time
from pathlib import Path
home = Path(os.environ["HOME"])
with open(home / "uv.log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    folder = Path(sys.argv[-1], "bin")
    folder.mkdir(parents=True)
    (folder / "python").symlink_to({python!r})
else:
    # Each line of the plan is one sync: seconds to take, exit code, what to say.
    plan = home / "uv.plan"
    lines = plan.read_text().splitlines() if plan.exists() else []
    if lines:
        plan.write_text("\\n".join(lines[1:]))
        seconds, code, words = lines[0].split(" ", 2)
        time.sleep(float(seconds))
        sys.stderr.write(words + "\\n")
        sys.exit(int(code))
"""


@dataclass
class Checkout:
    """The folder, a home of its own, a path with or without the fake uv."""

    root: Path
    home: Path
    path: list[Path] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path) -> "Checkout":
        """Copy the bootstrap into `folder`."""
        root, home = folder / "checkout", folder / "home"
        for name in (*BOOTSTRAP, "deploy/requirements-uv.txt", "schemas/errors.py"):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, target)
        (root / "deploy" / "cli").mkdir()
        (root / "deploy" / "cli" / "__main__.py").write_text(ECHO)
        (root / "deploy" / "requirements.txt").write_text("one==1\n")
        (root / "deploy" / "requirements-test.txt").write_text("one==1\ntwo==2\n")
        home.mkdir()
        return cls(root, home)

    def with_uv(self, *plan: str) -> "Checkout":
        """Put the fake uv on the path; `plan` says how its next syncs end."""
        folder = self.home / "bin"
        folder.mkdir(exist_ok=True)
        write_uv(folder / "uv")
        self.path = [folder]
        self.plan(*plan)
        return self

    def plan(self, *lines: str) -> None:
        """How the next syncs end: `SECONDS EXIT_CODE WORDS` each."""
        (self.home / "uv.plan").write_text("\n".join(lines))

    def calls(self) -> list[str]:
        """The fake uv's command lines so far."""
        log = self.home / "uv.log"
        return log.read_text().splitlines() if log.exists() else []

    def syncs(self) -> list[str]:
        """The fake uv's installations so far."""
        return [call for call in self.calls() if call.startswith("pip sync")]

    def environment(self, **more: str) -> dict[str, str]:
        """A bare environment: nothing of this machine's but what is asked for."""
        path = os.pathsep.join(map(str, self.path)) or "/nonexistent"
        return {"HOME": str(self.home), "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        """Start `./cx` in the home folder."""
        return subprocess.Popen(
            [PYTHON, str(self.root / "cx"), *arguments],
            cwd=self.home,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **more: str) -> "Outcome":
        """Run `./cx` in the home folder to its end."""
        return outcome(self.start(*arguments, **more))


@dataclass(frozen=True)
class Outcome:
    """How one `./cx` ended."""

    code: int
    output: str
    errors: str

    @property
    def echoed(self) -> dict[str, object]:
        """What the fake command line saw."""
        seen: dict[str, object] = json.loads(self.output)
        return seen


def outcome(process: "subprocess.Popen[str]") -> Outcome:
    """Wait for the end."""
    output, errors = process.communicate(timeout=120)
    return Outcome(process.returncode, output, errors)


def write_uv(path: Path) -> None:
    """Write the fake uv as an executable."""
    path.write_text(UV.format(python=PYTHON))
    path.chmod(0o755)


def python_has(module: str) -> bool:
    """Whether that interpreter can run a module."""
    return subprocess.run([PYTHON, "-m", module, "--help"], capture_output=True, check=False).returncode == 0


def uv_wheel(folder: Path) -> str:
    """Make a wheel that installs the fake uv; returns a locked requirement for it."""
    folder.mkdir()
    script, wheel = folder / "uv", folder / "uv-9.9.9-py3-none-any.whl"
    write_uv(script)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(script, "uv-9.9.9.data/scripts/uv")
        archive.writestr("uv-9.9.9.dist-info/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 9.9.9\n")
        archive.writestr("uv-9.9.9.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("uv-9.9.9.dist-info/RECORD", "")
    return f"uv==9.9.9 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
