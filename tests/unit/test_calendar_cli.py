"""`./cx calendar`: lines in, the same lines with times out."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.calendar import answers
from deploy.cli.main import main
from tests.golden import ALWAYS, OFFICE, OFFICE_CALENDAR


def _answer(**line: Any) -> dict[str, Any]:
    ((answer, sound),) = answers([json.dumps(line).encode()], OFFICE_CALENDAR)
    assert sound is ("error" not in answer)
    return answer


@pytest.mark.parametrize(
    ("start", "end", "calendar", "business"),
    [
        ("2026-10-06T10:00:00-05:00", "2026-10-06T10:45:00-05:00", 2700, 2700),
        ("2026-03-06T15:00:00-06:00", "2026-03-09T08:30:00-05:00", 232_200, 7200),
        ("2026-10-30T15:00:00-05:00", "2026-11-02T08:30:00-06:00", 239_400, 7200),
        ("2026-11-25T15:30:00-06:00", "2026-11-30T08:00:00-06:00", 405_000, 3600),
        ("2026-10-09T18:00:00-05:00", "2026-10-10T09:00:00-05:00", 54_000, 0),
    ],
    ids=["G1", "G4", "G5", "G6", "G7"],
)
def test_interval(start: str, end: str, calendar: int, business: int) -> None:
    answer = _answer(start=start, end=end)
    assert (answer["calendar_seconds"], answer["business_seconds"]) == (calendar, business)


def test_target_due_at_closing_time_is_broken_at_the_next_opening() -> None:
    answer = _answer(start="2026-10-06T15:00:00-05:00", target_seconds=3600)
    assert answer["due"] == "2026-10-06T21:00:00Z"
    assert answer["breach"] == "2026-10-07T12:30:00Z"


def test_a_calendar_that_never_opens_is_never_due() -> None:
    closed = {"time_zone": "America/Chicago", "week": {}}
    answer = _answer(start="2026-10-06T15:00:00Z", target_seconds=1, calendar=closed)
    assert answer["due"] is None
    assert answer["breach"] is None


def test_a_line_brings_its_own_calendar_and_keeps_its_other_keys() -> None:
    line = {"start": "2026-03-07T18:00:00Z", "end": "2026-03-09T05:00:00Z", "calendar": ALWAYS, "id": [1, "é"]}
    answer = _answer(**line)
    assert answer == {**line, "calendar_seconds": 126_000, "business_seconds": 126_000}


def test_end_and_target_together_and_fractions_of_a_second() -> None:
    answer = _answer(start="2026-10-06T15:00:00.250Z", end="2026-10-06T15:00:01Z", target_seconds=0.5)
    assert answer["business_seconds"] == pytest.approx(0.75, abs=0)
    assert answer["due"] == "2026-10-06T15:00:00.750Z"


def test_zero_is_an_integer_and_not_null() -> None:
    answer = _answer(start="2026-10-10T15:00:00Z", end="2026-10-10T15:00:00Z")
    assert json.dumps(answer["business_seconds"]) == "0"


_START = "2026-10-06T15:00:00Z"


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"nonsense", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b'{"end": "2026-10-06T15:00:00Z"}', "start: missing"),
        (b'{"start": "2026-10-06T15:00:00Z"}', "end: missing"),
        (b'{"start": "2026-10-06T15:00:00", "end": "2026-10-06T15:00:00Z"}', "start: "),
        (b'{"start": "2026-10-06T15:00:00Z", "end": 5}', "end: "),
        (b'{"start": "2026-10-06T15:00:00Z", "end": "2026-10-06T14:59:59Z"}', "end: lies before start"),
        (b'{"start": "2026-10-06T15:00:00Z", "target_seconds": -1}', "target_seconds: "),
        (b'{"start": "2026-10-06T15:00:00Z", "target_seconds": NaN}', "target_seconds: "),
        (b'{"start": "2026-10-06T15:00:00Z", "target_seconds": true}', "target_seconds: "),
        (b'{"start": "2026-10-06T15:00:00Z", "target_seconds": 1, "calendar": {"time_zone": "X"}}', "calendar.time"),
        (b'{"start": "2026-10-06T15:00:00Z", "target_seconds": 1, "calendar": 7}', "calendar: "),
    ],
)
def test_a_wrong_line_says_where_and_why_and_its_neighbours_are_answered(line: bytes, field: str) -> None:
    good = json.dumps({"start": _START, "target_seconds": 0}).encode()
    (first, _), (second, sound), (third, _) = answers([good, line, good], OFFICE_CALENDAR)
    assert not sound
    assert second["error"].startswith(f"line 2: {field}")
    assert first["due"] == third["due"] == _START


def test_without_any_calendar_the_line_says_so() -> None:
    ((answer, _),) = answers([json.dumps({"start": _START, "target_seconds": 1}).encode()], None)
    assert answer["error"].startswith("line 1: calendar: missing")


def test_command_reads_yaml_and_ends_with_2_after_a_wrong_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "calendar.yaml"
    path.write_text(json.dumps(OFFICE))
    lines = b'{"start":"2026-10-06T15:00:00Z","end":"2026-10-06T16:00:00Z"}\n\nwrong\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["calendar", "--file", str(path)]) == 2
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["business_seconds"] == 3600
    assert second == {"error": "line 3: not JSON"}
