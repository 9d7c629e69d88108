"""`./cx measures`: events in, every measure by unit out; wrong arguments are one sentence."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import main
from schemas import examples

DOCUMENT = Path(examples.__file__).with_name("district.yaml")
AT = "2026-10-06T17:00:00Z"


def _event(conversation: str, kind: str, when: str, **more: Any) -> bytes:
    event = {
        "kind": kind,
        "event_id": f"{conversation}:{kind}:{when}",
        "district": "riverbend",
        "source": "crm",
        "occurred_at": when,
        "received_at": when,
        "conversation": conversation,
        **({"channel": "email"} if kind in ("inquiry", "reply") else {}),
        **more,
    }
    return json.dumps(event).encode() + b"\n"


def _cases(unit: str, scores: list[int]) -> bytes:
    lines = b""
    for number, score in enumerate(scores):
        conversation = f"{unit}-{number}"
        lines += _event(conversation, "inquiry", "2026-10-05T14:00:00Z", unit=unit)
        lines += _event(conversation, "reply", "2026-10-05T15:00:00Z")
        lines += _event(conversation, "rating", "2026-10-05T16:00:00Z", score=score, survey="s")
    return lines


EVENTS = _cases("dispatch", [2] * 4) + _cases("registrar", [9] * 30)


def _run(monkeypatch: pytest.MonkeyPatch, lines: bytes, *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    return main(["measures", "--district", str(DOCUMENT), *arguments])


def test_every_unit_has_its_measures_and_small_numbers_are_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, EVENTS, "--at", AT, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    units = found["units"]
    assert units["riverbend"]["distributions"]["first_response"]["n"] == 34
    assert units["riverbend"]["distributions"]["first_response"]["mean_ms"] == 3_600_000
    states = {unit: report["items"]["satisfaction"]["state"] for unit, report in units.items()}
    assert (states["dispatch"], states["transportation"]) == ("small", "small")
    assert "withheld" in (states["registrar"], states["riverbend"])
    assert units["dispatch"]["items"]["satisfaction"]["scores"] is None
    assert [goal["goal"]["goal"] for goal in found["goals"]] == ["answered-in-a-day"]


def test_the_own_team_sees_its_few_ratings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--at", AT, "--unit", "dispatch")
    assert _run(monkeypatch, EVENTS, *arguments) == 0
    others = capsys.readouterr().out
    assert "satisfaction             <10" in others
    assert "mean 2.00" not in others
    assert _run(monkeypatch, EVENTS, *arguments, "--own-team", "dispatch") == 0
    own = capsys.readouterr().out
    assert "mean 2.00" in own
    assert "registrar" not in own


def test_the_text_names_every_unit_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, EVENTS, "--at", AT, "--window", "7sd", "--within", "school_day") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "riverbend at 2026-10-06T17:00:00Z, window 7sd"
    assert sum(line.startswith("  backlog") for line in lines) == sum(line.startswith("  reopened") for line in lines)
    assert any(line.startswith("unrouted") for line in lines)
    assert any("answered-in-a-day" in line for line in lines)
    assert any(line.startswith("  central-office") and "insufficient data" in line for line in lines)


def test_no_events_give_no_values_and_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, b"", "--at", "2026-10-06") == 0
    said = capsys.readouterr()
    assert "0 open" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--at", "yesterday"), "yesterday is neither a date"),
        (("--at", AT, "--window", "fortnight"), "fortnight is no window"),
        (("--at", AT, "--within", "soon"), "--within soon is none of"),
        (("--at", AT, "--unit", "dispach"), "did you mean dispatch?"),
        (("--at", AT, "--own-team", "nobody"), "unit nobody does not exist"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, EVENTS, *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_refused_events_and_other_districts_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = EVENTS + b"{\n" + _event("x", "inquiry", "2026-10-05T14:00:00Z", district="elsewhere")
    assert _run(monkeypatch, lines, "--at", AT, "--unit", "riverbend") == 2
    said = capsys.readouterr()
    assert "not_json" in said.err
    assert "1 conversations of other districts are left out." in said.err
    assert "n 34" in said.out


def test_a_training_that_was_held_is_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = json.loads(Path(examples.__file__).with_name("training_held.json").read_text())
    lines = EVENTS + json.dumps(training).encode() + b"\n"
    assert _run(monkeypatch, lines, "--at", AT, "--json") == 0
    found = json.loads(capsys.readouterr().out)["trainings"]
    assert {name: result["reason"] for name, result in found.items()} == {"welcome-desk-1": "insufficient data"}
    assert _run(monkeypatch, lines, "--at", AT) == 0
    assert "\nTrainings: " in capsys.readouterr().out
