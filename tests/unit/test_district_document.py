"""`./cx district`: the commented example, and problems by line and field."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.district import EXAMPLE
from deploy.cli.main import main
from schemas.district import Alerts, District
from schemas.document import load, parse
from schemas.errors import DocumentError
from schemas.vocabulary import EARLIEST
from streams.configured import configured
from streams.written.document import read_document
from streams.written.forms import WrittenCalendar

ALTERNATIVES = {"goals": {"unit"}}


def test_the_example_is_valid_commented_and_shows_every_field() -> None:
    text = EXAMPLE.read_text()
    document = read_document(text)
    assert text.count("#") > 20
    assert document.model_fields_set == set(District.model_fields)
    written = load(text).content["calendars"].values()
    assert {name for calendar in written for name in calendar} == set(WrittenCalendar.model_fields)
    assert document.alerts.model_fields_set == set(Alerts.model_fields)
    elsewhere: dict[str, Any] = {"units": [unit for unit, _ in document.walk()], "chains": document.alerts.chains}
    for part in ("units", "promises", "routing", "goals", "rollout", "items", "watches", "chains"):
        shown: set[str] = set()
        parts = elsewhere[part] if part in elsewhere else getattr(document, part)
        for each in parts:
            shown |= each.model_fields_set
        assert shown | ALTERNATIVES.get(part, set()) >= set(type(parts[0]).model_fields), part
    for watched in (document.surges, document.surges.topics, document.surges.posts, document.silences):
        assert watched is not None
        assert watched.model_fields_set == set(type(watched).model_fields)


def test_example_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["district", "example"]) == 0
    assert capsys.readouterr().out == EXAMPLE.read_text()


def test_check_counts_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["district", "check", str(EXAMPLE), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is True
    assert found["district"] == "riverbend"
    assert found["units"] == 15
    assert main(["district", "check", str(EXAMPLE)]) == 0
    assert "is a valid district: riverbend, revision 1, 15 units" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the document is empty"),
        ("district: [", "line 1: not YAML"),
        ("label: x", "line 1, district: Field required"),
        ("district: a\nrevision: none", "line 2, revision: "),
        ("district: a\nunit: []", "line 2, unit: Extra inputs are not permitted"),
        ("district: a\ndistrict: b", "line 2, district: named twice"),
        ("district: a\nunits:\n  - unit: b\n    level: office", "line 4, units[0].level: "),
        ("district: a\ncalendars:\n  c:\n    time_zone: Mars/Base", "line 4, calendars.c.time_zone: unknown time zone"),
        (
            "district: a\ncalendars:\n  c:\n    time_zone: UTC\n    week: {mon: [16:00-08:00]}",
            "calendars.c.week.mon[0]",
        ),
        (
            "district: a\nunits:\n  - {unit: b, level: team, calendar: c}",
            "line 3, units[0].calendar: calendar c does not exist",
        ),
        (
            "district: a\nunits: &units\n  - {unit: b, level: team, units: *units}",
            "too deep or too large; does a part contain itself by an alias?",
        ),
        (
            "a: &a [" + "x, " * 60 + "]\nb: &b [" + "*a, " * 60 + "]\nc: &c [" + "*b, " * 60 + "]",
            "line 1, c[",
        ),
        ("district: a\npromises:\n  - {promise: p, clock: first_reply, target: soon}", "line 3, promises[0].target: "),
        ("district: a\nsurges:\n  topics: {window: 2d, least: 5, usual: 1}", "line 3, surges.topics.window: "),
        ("district: a\nsilences:\n  least: soon", "line 3, silences.least: "),
        (
            "district: a\nwatches:\n  - {watch: w, metric: inquiries, window: 1h, below: 1, units: [b]}",
            "line 3, watches[0].units[0]: unit b does not exist",
        ),
        (
            "district: a\nwatches:\n  - {watch: w, metric: reply_p90, window: 1h, above: 3}",
            "line 3, watches[0]: watch w: a level of reply_p90 is a length such as 4h",
        ),
        (
            "district: a\nwatches:\n"
            "  - {watch: w, metric: open_waits, window: 1h, above: 9}\n"
            "  - {watch: w, metric: open_waits, window: 1h, above: 8}",
            "line 4, watches[1]: watch w is named twice",
        ),
        ("district: a\nalerts:\n  chains:\n    - {chain: c}", "line 4, alerts.chains[0]: chain c tells nobody"),
        (
            "district: a\nunits:\n  - {unit: buses, level: team}\nalerts:\n  chains:\n"
            "    - {chain: c, units: [buses, busses], breached: [lead]}",
            "line 6, alerts.chains[0].units[1]: unit busses does not exist; did you mean buses?",
        ),
        (
            "district: a\nalerts:\n  chains:\n    - {chain: c, breached: [x]}\n    - {chain: c, at_risk: [x]}",
            "line 5, alerts.chains[1].chain: chain c is named twice",
        ),
        ("district: a\nalerts: {daily_budget: 0}", "line 2, alerts.daily_budget: "),
        (
            "district: a\nalerts:\n  chains:\n    - {chain: c, breached: [Anna Smith]}",
            "line 4, alerts.chains[0].breached[0]: ",
        ),
    ],
)
def test_problems_name_line_and_field(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    assert main(["district", "check", str(path), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is False
    assert problem in found["problems"][0]
    assert main(["district", "check", str(path)]) == 2
    assert problem in capsys.readouterr().err


def test_equal_documents_make_equal_event_ids() -> None:
    document = read_document(EXAMPLE.read_text())
    again = parse(json.dumps(document.model_dump(mode="json")), District)
    other = document.model_copy(update={"revision": 2})
    ids = [configured(each, EARLIEST).event_id for each in (document, again, other)]
    assert ids[0] == ids[1] != ids[2]


def test_apply_says_which_server_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, closed_port: int
) -> None:
    monkeypatch.setenv("CX_KAFKA", f"127.0.0.1:{closed_port}")
    monkeypatch.setenv("CX_DATA", str(tmp_path))
    assert main(["district", "apply", str(EXAMPLE)]) == 4
    assert f"cx: Kafka at 127.0.0.1:{closed_port} does not answer" in capsys.readouterr().err


def test_key_is_printed_once_and_only_its_digest_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CX_DATA", str(tmp_path / "data"))
    assert main(["district", "key", "riverbend"]) == 0
    key = capsys.readouterr().out.strip()
    path = tmp_path / "data" / "intake-keys.json"
    assert len(key) >= 40
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(["district", "key", "River Bend"]) == 2


def test_a_control_character_is_no_yaml() -> None:
    with pytest.raises(DocumentError, match="not YAML"):
        parse("district: a\x00b\n", District)


@pytest.mark.parametrize(
    "text",
    [
        "district: d\nschool_year_starts: 02-31\n",
        "district: d\nlabel: My child Anna was hit on the bus, call 617 555 0199\n",
        "district: d\nlabel: anna@example.org\n",
        "district: d\ngoals:\n"
        "  - {goal: g, metric: m, baseline: 1.0, target: 2.0, starts: 2027-01-01, ends: 2026-01-01}\n",
        "district: d\npromises:\n"
        "  - {promise: p, clock: resolution, target: 4h}\n  - {promise: p, clock: resolution, target: 8h}\n",
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(DocumentError, match="line "):
        parse(text, District)
