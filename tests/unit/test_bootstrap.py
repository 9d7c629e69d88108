"""`./cx` makes its environment once, from whatever the machine has, and says in one sentence why it cannot."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.environment import explain
from deploy.pip_settings import for_uv
from tests.unit.fake_checkout import REPOSITORY, Checkout, outcome, python_has, uv_wheel

UNREACHABLE = (
    "error: Request failed after 3 retries: error sending request for url (https://user:pw@host.example/simple)"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.make(tmp_path)


def one_sentence(errors: str) -> str:
    """The last line of stderr; there must be no traceback and no address."""
    assert "Traceback" not in errors
    assert "host.example" not in errors
    return errors.strip().splitlines()[-1]


def test_first_run_makes_the_environment_and_runs_the_command(checkout: Checkout) -> None:
    done = checkout.with_uv().run("import", "events", "file.ndjson")
    assert done.code == 0, done.errors
    assert done.echoed == {
        "arguments": ["import", "events", "file.ndjson"],
        "cwd": str(checkout.home),
        "data": str(checkout.root / ".cx"),
    }
    assert [call.split()[0] for call in checkout.calls()] == ["venv", "pip"]
    assert "--require-hashes" in checkout.syncs()[0]
    assert "--offline" in checkout.syncs()[0]


def test_a_finished_environment_needs_no_uv(checkout: Checkout) -> None:
    checkout.with_uv().run("status")
    checkout.path = []
    done = checkout.run("status", CX_DATA="elsewhere")
    assert done.code == 0, done.errors
    assert done.echoed["data"] == str(checkout.home / "elsewhere")
    assert len(checkout.syncs()) == 1


def test_changed_requirements_are_installed(checkout: Checkout) -> None:
    checkout.with_uv().run("status")
    (checkout.root / "deploy" / "requirements.txt").write_text("one==2\n")
    assert checkout.run("status").code == 0
    assert len(checkout.syncs()) == 2


def test_test_tools_come_with_the_first_test_and_stay(checkout: Checkout) -> None:
    checkout.with_uv()
    for command in ("status", "test", "status", "check"):
        assert checkout.run(command).code == 0
    assert [Path(call.split()[-2]).name for call in checkout.syncs()] == ["requirements.txt", "requirements-test.txt"]
    (checkout.root / "deploy" / "requirements.txt").write_text("one==2\n")
    checkout.run("status")
    assert "requirements-test.txt" in checkout.syncs()[-1]


def test_a_download_is_announced_with_its_size(checkout: Checkout) -> None:
    done = checkout.with_uv("0 1 not cached", "0 0 fine").run("status")
    assert done.code == 0, done.errors
    assert re.search(r"downloads up to \d+ MB, \d+ MB on disk", done.errors)
    assert ["--offline" in call for call in checkout.syncs()] == [True, False]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (UNREACHABLE, "registry cannot be reached"),
        ("error: No space left on device (os error 28)", "disk is full"),
        ("error: Hash mismatch for `one==1`", "not the locked one"),
        ("error: HTTP status client error (403 Forbidden)", "refused access"),
        ("error: something else at https://host.example/x", "something else"),
    ],
)
def test_a_failure_is_one_sentence(checkout: Checkout, words: str, said: str) -> None:
    done = checkout.with_uv("0 1 not cached", f"0 2 {words}").run("status")
    assert done.code == 3
    assert said in one_sentence(done.errors)
    assert done.output == ""
    checkout.plan()
    assert checkout.run("status").code == 0


@pytest.fixture
def _ctrl_c_is_heard() -> Iterator[None]:
    """A shell has its background jobs ignore Ctrl-C, and so would all that these tests start from there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
def test_ctrl_c_says_how_to_go_on(checkout: Checkout) -> None:
    process = checkout.with_uv("0 1 not cached", "60 0 never").start("status")
    deadline = time.monotonic() + 60
    while len(checkout.syncs()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    done = outcome(process)
    assert done.code == 130
    assert "what was downloaded is kept" in one_sentence(done.errors)


def test_two_at_once_make_one_environment(checkout: Checkout) -> None:
    checkout.with_uv("0.7 0 slow")
    both = [outcome(process) for process in [checkout.start("status"), checkout.start("status")]]
    assert [done.code for done in both] == [0, 0], both
    assert len(checkout.syncs()) == 1


@pytest.mark.parametrize("has_venv", [True, False])
def test_uv_is_fetched_with_pip(checkout: Checkout, tmp_path: Path, has_venv: bool) -> None:
    if not python_has("ensurepip" if has_venv else "pip"):
        pytest.skip("this Python comes without it")
    (checkout.root / "deploy" / "requirements-uv.txt").write_text(uv_wheel(tmp_path / "wheels"))
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    if not has_venv:
        settings["PYTHONPATH"] = str(broken_modules(tmp_path / "broken", "venv"))
    done = checkout.run("status", **settings)
    assert done.code == 0, done.errors
    assert "fetching the installer uv" in done.errors
    (checkout.root / ".cx-env" / "cx-marker.json").unlink()
    assert "fetching" not in checkout.run("status", **settings).errors


def test_without_venv_and_pip_the_way_out_is_named(checkout: Checkout, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text("#!/bin/sh\n")
    (tools / "apt-get").chmod(0o755)
    checkout.path = [tools]
    done = checkout.run("status", PYTHONPATH=str(broken_modules(tmp_path / "broken", "venv", "pip")))
    assert done.code == 3
    assert "`sudo apt-get install -y python3-venv`" in one_sentence(done.errors)


def broken_modules(folder: Path, *names: str) -> Path:
    """A folder whose modules fail, as those that a distribution leaves out do."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.py").write_text("raise SystemExit(1)\n")
    return folder


def test_an_old_python_is_told_so() -> None:
    source = (REPOSITORY / "cx").read_text()
    ast.parse(source, feature_version=(3, 4))
    pretend = "import sys, runpy; sys.version_info = (3, 8, 1); runpy.run_path(sys.argv[1], run_name='__main__')"
    command = [sys.executable, "-c", pretend, str(REPOSITORY / "cx")]
    done = subprocess.run(command, env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "needs Python >= 3.11, and this is 3.8.1" in one_sentence(done.stderr)


def test_pips_settings_reach_uv(tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://a.example/simple\nproxy = http://proxy.example:3128\n"
        "[install]\nextra-index-url =\n    https://b.example/simple\n    https://c.example/simple\n"
    )
    given = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(configuration)}
    seen = for_uv(given | {"PIP_FIND_LINKS": "/a /b", "PIP_CERT": "/ca.pem", "HTTP_PROXY": "http://other.example"})
    assert seen["UV_DEFAULT_INDEX"] == "https://a.example/simple"
    assert seen["UV_INDEX"] == "https://b.example/simple https://c.example/simple"
    assert seen["UV_FIND_LINKS"] == "/a,/b"
    assert seen["SSL_CERT_FILE"] == "/ca.pem"
    assert seen["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert seen["HTTP_PROXY"] == "http://other.example"
    assert for_uv(given | {"UV_DEFAULT_INDEX": "https://own.example"})["UV_DEFAULT_INDEX"] == "https://own.example"


def test_an_unknown_failure_shows_its_last_words_without_addresses() -> None:
    assert str(explain("warning\nerror: odd thing at https://user:pw@host.example/x\n")).endswith("odd thing at …")


def test_test_requirements_hold_all_of_the_runtime() -> None:
    def pins(name: str) -> set[str]:
        text = (REPOSITORY / "deploy" / name).read_text()
        return {line.split(" ")[0] for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))}

    assert pins("requirements.txt") < pins("requirements-test.txt")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt", "requirements-uv.txt"])
def test_requirements_name_no_host(name: str) -> None:
    text = (REPOSITORY / "deploy" / name).read_text()
    assert "://" not in text
    assert "index-url" not in text
