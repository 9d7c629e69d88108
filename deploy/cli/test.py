"""`./cx test` and `./cx check`: one runner for a person and for CI."""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deploy.cli.command import Command, no_arguments

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Phase:
    """One tool's run: what it proves, and its command line."""

    name: str
    command: tuple[str, ...]


STATIC: tuple[Phase, ...] = (
    Phase("style", ("ruff", "check", ".", "cx")),
    Phase("format", ("ruff", "format", "--check", ".", "cx")),
    Phase("types", ("mypy",)),
    Phase("import directions", ("lint-imports",)),
)

# What asserts seconds that a person is promised runs with nothing beside it.
ALONE = "timed"
# A file's tests share what they started; files begin in the order in which tests/conftest.py puts them.
IN_ORDER = ("--dist", "loadfile", "--no-loadscope-reorder")
TESTS: tuple[Phase, ...] = (
    Phase("tests, three at a time", ("pytest", "-n", "3", *IN_ORDER, "-m", f"not ({ALONE})")),
    Phase("tests that need the machine alone", ("pytest", "-m", ALONE)),
)


def _run_phase(phase: Phase, console: Console) -> int:
    """Run one tool from the checkout's root, its output passing through; returns its exit code."""
    console.rule(f"[bold]{phase.name}[/]", align="left")
    started = time.monotonic()
    program, *arguments = phase.command
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    code = subprocess.run([str(TOOLS / program), *arguments], cwd=CHECKOUT, env=environment, check=False).returncode
    verdict = "[green]passed[/]" if code == 0 else f"[red]failed, exit code {code}[/]"
    console.print(f"{phase.name}: {verdict} in {time.monotonic() - started:.0f} s")
    return code


def _run_all(phases: tuple[Phase, ...]) -> int:
    """Run all phases, also after a failure; the first failure's exit code."""
    console = Console(stderr=True)
    codes = [_run_phase(phase, console) for phase in phases]
    return next((code for code in codes if code), 0)


def _run_test(args: argparse.Namespace) -> int:
    return _run_all((Phase("tests", ("pytest", *args.rest)),) if args.rest else (*STATIC, *TESTS))


def _run_check(_args: argparse.Namespace) -> int:
    return _run_all(STATIC)


COMMANDS = {
    "test": Command(
        "Style, types, import directions, then every test. Arguments go to pytest; with any, only pytest runs.",
        no_arguments,
        _run_test,
        takes_rest=True,
    ),
    "check": Command("Style, types and import directions; no tests.", no_arguments, _run_check),
}
