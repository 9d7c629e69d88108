"""`./cx explain` with no stack: a file of events and a district's document."""

import json
from pathlib import Path

import pytest

from deploy.cli.main import main
from schemas import examples
from tests.golden import OFFICE, History, district

DOCUMENT = Path(examples.__file__).with_name("district.yaml")
ARRAY = Path(examples.__file__).with_name("array_conversation.json")
PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]


@pytest.fixture
def example(tmp_path: Path) -> tuple[str, Path]:
    """A conversation of the examples, and its file with one array on a line."""
    events = json.loads(ARRAY.read_bytes())
    path = tmp_path / "events.ndjson"
    path.write_text(json.dumps(events) + "\n")
    return events[0]["conversation"], path


@pytest.fixture
def snow_day(tmp_path: Path) -> Path:
    history = History()
    history.configured(district(promises=PROMISES))
    history.add("inquiry", "2026-01-20 15:30")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-21"]}}
    history.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-01-21 12:00")
    history.add("reply", "2026-01-22 08:00")
    path = tmp_path / "snow.ndjson"
    path.write_text("".join(event.model_dump_json() + "\n" for event in history.events))
    return path


def test_the_document_decides_as_it_does_for_the_facts(
    example: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    conversation, events = example
    assert main(["explain", conversation, "--json", "--events", str(events), "--document", str(DOCUMENT)]) == 0
    found = json.loads(capsys.readouterr().out)
    (part,) = found["parts"]
    assert (found["district"], part["unit"], part["department"]) == ("riverbend", "dispatch", "transportation")
    assert [clock["promise"] for clock in part["clocks"]] == ["reply-in-a-day"]
    assert {number["name"]: number["value_ms"] for number in part["numbers"]}["first_response_ms"] == 45 * 60_000


@pytest.mark.parametrize("columns", [40, 80, 96, 160])
def test_a_timeline_fits_its_screen_and_says_what_counted(
    snow_day: Path, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["explain", "c1", "--events", str(snow_day)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    assert "\x1b" not in out
    words = " ".join(out.split())
    for said in ("closed 2026-01-21", "revision 2", "Wed 2026-01-21 12:00:00", "outside hours", "ended wait 1"):
        assert said in words


def test_a_whole_wide_timeline(
    snow_day: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["explain", "c1", "--events", str(snow_day)]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    closed = next(line for line in lines if "closed" in line)
    assert " ".join(closed.split()) == (
        "Wed 2026-01-21 00:00:00 Thu 2026-01-22 00:00:00 24:00:00 a office "
        "not counted: closed 2026-01-21, by revision 2, declared only on Wed 2026-01-21 12:00:00"
    )
    assert "40:30:00 of calendar time, 1:00:00 of business time; opened by e01, ended by e03" in lines
    assert (
        "Wed 2026-01-21 12:00:00: c1 due at first reply e01: Wed 2026-01-21 11:00:00 → Thu 2026-01-22 11:00:00, "
        "by configuration configuration-2"
    ) in lines


def test_several_districts_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = json.loads(ARRAY.read_bytes())[0]
    path = tmp_path / "two.ndjson"
    path.write_text("".join(json.dumps(event | {"district": name}) + "\n" for name in ("elm", "oak")))
    asked = ["explain", event["conversation"], "--events", str(path)]
    assert main(asked) == 2
    assert "in several districts: give --district, one of elm, oak." in capsys.readouterr().err
    assert main([*asked, "--district", "oak", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["district"] == "oak"


def test_wrong_requests_are_one_sentence(
    example: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conversation, events = example
    for arguments, said in (
        (["nobody", "--events", str(events)], "Nothing is known of conversation nobody: no event of it has come."),
        ([f"{conversation}~7", "--events", str(events)], f"riverbend has no conversation {conversation}~7"),
        ([conversation, "--events", str(tmp_path / "none")], "No such file"),
        ([conversation, "--document", str(DOCUMENT)], "--document goes with --events"),
    ):
        assert main(["explain", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_refused_lines_are_named_once(example: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    conversation, events = example
    events.write_text(events.read_text() + "{\n")
    assert main(["explain", conversation, "--events", str(events)]) == 0
    assert capsys.readouterr().err.startswith("line 2[0]: not_json")
