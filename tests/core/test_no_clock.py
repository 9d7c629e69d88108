"""The facts depend on no clock: the core can read none, and whoever folds the same events gets the same bytes."""

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import schemas
import streams.core
from tests.simulated import few, run, span

# The import contracts forbid `time`; what remains are the constructors of `datetime`, which converts what events say.
PRESENT = {"now", "utcnow", "today"}
FOLD = """
import json, sys
from schemas.facts import as_json
from streams.offline import fold_events
for row in fold_events(sys.stdin.buffer, None, lambda remark: sys.exit(remark.message)):
    sys.stdout.buffer.write(json.dumps(as_json(row)).encode() + b"\\n")
"""
SETTINGS = [
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "0"},
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"},
    {"TZ": "America/New_York", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "424242", "PYTHONOPTIMIZE": "1"},
]


def _sources() -> list[Path]:
    folders = [Path(streams.core.__file__).parent, Path(schemas.__file__).parent]
    return sorted(path for folder in folders for path in folder.glob("*.py"))


@pytest.mark.parametrize("path", _sources(), ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_nothing_in_the_core_asks_what_time_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {func.attr for func in calls if isinstance(func, ast.Attribute)}
    named |= {func.id for func in calls if isinstance(func, ast.Name)}
    assert not named & PRESENT


def _folded(lines: bytes, environment: dict[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("TZ", "LANG", "LC_ALL", "PYTHONHASHSEED")}
    folding = subprocess.run(
        [sys.executable, "-c", FOLD], input=lines, env={**kept, **environment}, capture_output=True, check=True
    )
    assert folding.stdout.count(b"\n") > 100
    return hashlib.sha256(folding.stdout).hexdigest()


def test_whoever_folds_the_same_events_gets_the_same_bytes() -> None:
    arrivals = run(span("2026-10-26", "2026-11-09"), few(40))
    lines = b"\n".join(arrival.text.encode() for arrival in arrivals)
    assert len({_folded(lines, environment) for environment in SETTINGS}) == 1
