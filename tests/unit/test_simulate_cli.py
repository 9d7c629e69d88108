"""`./cx simulate`: lines to standard output, a summary to standard error, sentences for what is wrong."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.cli.main import main
from deploy.cli.simulate import MOST_DISTRICTS
from schemas import examples
from schemas.document import parse
from schemas.errors import DocumentError
from streams.core.admission import admit
from streams.intake.simulator_parameters import DEFAULTS, Manner, Parameters, default_parameters, read_parameters

RIVERBEND = Path(examples.__file__).with_name("district.yaml")
ROOT = Path(__file__).resolve().parents[2]
DAY = ("--from", "2026-10-06", "--to", "2026-10-07")


@pytest.fixture
def little(tmp_path: Path) -> Path:
    """Parameters with few inquiries."""
    path = tmp_path / "little.yaml"
    path.write_text("volume: {inquiries_per_school_day: 20}\n", encoding="utf-8")
    return path


def test_events_and_a_summary(little: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *DAY, "--parameters", str(little), "--json"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    summary = json.loads(said.err)
    assert summary["events"] == len(lines)
    assert summary["seed"] == 1
    assert json.loads(lines[0])["kind"] == "district_configured"
    assert json.loads(lines[0])["received_at"] == "2026-10-06T05:00:00Z"


def test_on_a_terminal_the_bar_keeps_off_the_events(little: Path, tmp_path: Path) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "deploy.cli", "simulate", *DAY, "--parameters", str(little)]
    with (tmp_path / "events.ndjson").open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=slave)
        os.close(slave)
        shown = _read_all(master)
        assert process.wait() == 0
    assert b"simulating" in shown
    lines = (tmp_path / "events.ndjson").read_bytes().splitlines()
    assert f"{len(lines):,} simulated events".encode() in shown
    assert all(admit(line).refused == [] for line in lines)


def _read_all(terminal: int) -> bytes:
    """Everything shown until the other side is closed, which Linux reports as an error."""
    shown = b""
    with suppress(OSError):
        while part := os.read(terminal, 65536):
            shown += part
    os.close(terminal)
    return shown


def test_any_district_can_be_simulated(little: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *DAY, "--parameters", str(little), "--district", str(RIVERBEND)]) == 0
    said = capsys.readouterr()
    events = [event for line in said.out.splitlines() for _, event in admit(line.encode()).events]
    assert len(events) == len(said.out.splitlines())
    assert {event.district for event in events} == {"riverbend"}
    assert "simulated events in" in said.err


def test_a_district_of_nothing_but_a_code_can_be_simulated(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.yaml"
    bare.write_text("district: bare\n", encoding="utf-8")
    assert main(["simulate", *DAY, "--parameters", str(little), "--district", str(bare)]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert admit(line.encode()).refused == []


def test_districts_and_arrays(little: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--parameters", str(little), "--districts", "2", "--arrays", "100", "--district", str(RIVERBEND))
    assert main(["simulate", *DAY, *given]) == 0
    found = [admit(line.encode()) for line in capsys.readouterr().out.splitlines()]
    assert {admission.district for admission in found} == {"riverbend-0001", "riverbend-0002"}
    assert all(admission.refused == [] for admission in found)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--from", "2026-13-01", "--to", "2026-10-07"), "neither a date"),
        (("--from", "2026-10-06T07:00", "--to", "2026-10-07"), "needs an offset"),
        (("--from", "2026-10-07", "--to", "2026-10-07"), "is not after"),
        (("--from", "1969-10-07", "--to", "2026-10-07"), "between the years"),
        ((*DAY, "--parameters", "nowhere.yaml"), "Cannot read nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    given: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *given]) == 2
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""


@pytest.mark.parametrize("number", ["0", "1000", "-1", "many", "1.5"])
def test_too_many_districts_are_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *DAY, f"--districts={number}"])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert f"argument --districts: {number} is no whole number from 1 to {MOST_DISTRICTS}" in said.err
    assert said.out == ""


def test_the_most_districts_are_said_where_one_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    for text in (capsys.readouterr().out, (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")):
        assert f"1 to {MOST_DISTRICTS}" in " ".join(text.split())


def test_a_district_without_room_for_a_number_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = tmp_path / "long.yaml"
    long.write_text(f"district: {'x' * 62}\n", encoding="utf-8")
    assert main(["simulate", *DAY, "--districts", "1", "--district", str(long)]) == 2
    assert "district number 1: district: " in capsys.readouterr().err


def test_fields_given_replace_those_of_the_default() -> None:
    text = "rollout: {speed: 0.5}\nchannels:\n  open: {phone: 1}\nunits: {front: {speed: 2.0}}\n"
    found, usual = read_parameters(text, "mine.yaml"), default_parameters()
    assert found.rollout == usual.rollout.model_copy(update={"speed": 0.5})
    assert found.channels == usual.channels.model_copy(update={"open": {"phone": 1.0}})
    assert found.units == {"front": Manner(speed=2.0)}
    unchanged = Parameters.model_fields.keys() - {"rollout", "channels", "units"}
    assert {name for name in unchanged if getattr(found, name) != getattr(usual, name)} == set()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nhabits:\n  spam: 0.1\n  merged: 1.2\n", "line 4, habits.merged: Input should be less than or equal to 1"),
        ("habits:\n", "line 1, habits: Input should be a valid dictionary or instance of Habits"),
        ("- 1\n", "line 1, document: Input should be a valid dictionary or instance of Parameters"),
        ("weather: 1\n", "line 1, weather: Extra inputs are not permitted"),
        ("people: {cats: 1}\n", "line 1, people.cats: Extra inputs are not permitted"),
        ("units:\n  front: {speed: 0}\n", "line 2, units.front.speed: Input should be greater than 0"),
        (
            "\nincidents:\n  - {kind: silence, at: '02-30T09:00', minutes: 5, feed: email}\n",
            "line 3, incidents[0].silence.at: day is out of range for month",
        ),
        (
            "incidents:\n  - {kind: snow_day, at: '01-20T05:40', inquiries: 5, topic: cats}\n",
            "line 2, incidents[0].topic: cats is not one of topics",
        ),
        (
            "topics: [{topic: only, to: anyone, weight: 0}]\nincidents: []\n",
            "line 1, topics: no weight is above zero",
        ),
        ("volume:\n  hours: {}\n", "line 2, volume.hours: email, in_person, phone, social, web is missing"),
    ],
)
def test_what_is_wrong_with_parameters_is_said_once_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_parameters(text, "mine.yaml")
    assert caught.value.problems == [f"mine.yaml: {problem}"]


def test_the_default_parameters_are_complete_by_themselves() -> None:
    assert parse(DEFAULTS.read_text(encoding="utf-8"), Parameters) == default_parameters()
