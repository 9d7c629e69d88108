"""`./cx fold`: events in, facts out, refusals on standard error."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import main
from schemas import examples
from streams.offline import Remark, fold_events
from streams.written.document import read_document

DOCUMENT = Path(examples.__file__).with_name("district.yaml")
ARRAY = Path(examples.__file__).with_name("array_conversation.json")


def _inquiry(district: str, conversation: str, **more: Any) -> bytes:
    event = {
        "kind": "inquiry",
        "event_id": f"{conversation}:1",
        "district": district,
        "source": "s",
        "occurred_at": "2026-10-06T15:00:00Z",
        "received_at": "2026-10-06T15:00:00Z",
        "conversation": conversation,
        "channel": "email",
        **more,
    }
    return json.dumps(event).encode() + b"\n"


def _run(lines: bytes, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    return main(["fold", *arguments])


def test_facts_follow_the_district_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.dumps(json.loads(ARRAY.read_bytes())).encode() + b"\n"
    assert _run(line, monkeypatch, "--district", str(DOCUMENT)) == 0
    (fact,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (fact["unit"], fact["department"], fact["configurations"]) == ("dispatch", "transportation", 1)
    assert fact["first_response_ms"] == 45 * 60_000
    assert [verdict["promise"] for verdict in fact["verdicts"]] == ["reply-in-a-day"]
    assert fact["ratings"][0]["score"] == 9


def test_a_configuration_event_counts_like_the_file() -> None:
    document = read_document(DOCUMENT.read_text())
    routed = _inquiry("riverbend", "c", topic="bus-late")
    configuration = json.loads(Path(examples.__file__).with_name("district_configured.json").read_bytes())
    (by_file,) = fold_events([routed], document, _unexpected)
    (by_event,) = fold_events([routed, json.dumps(configuration).encode()], None, _unexpected)
    (neither,) = fold_events([routed], None, _unexpected)
    assert "dispatch" in by_file
    assert "dispatch" in by_event
    assert "unrouted" in neither


def _unexpected(remark: Remark) -> None:
    raise AssertionError(remark)


def test_several_districts_are_sorted_and_apart() -> None:
    lines = [_inquiry("b", "1"), _inquiry("a", "2"), _inquiry("a", "1")]
    rows = [row[:2] for row in fold_events(lines, None, _unexpected)]
    assert rows == [("a", "1"), ("a", "2"), ("b", "1")]


def test_order_and_repetition_of_lines_do_not_matter() -> None:
    events = [json.dumps(event).encode() for event in json.loads(ARRAY.read_bytes())]
    straight = list(fold_events(events, None, _unexpected))
    assert list(fold_events([*reversed(events), *events], None, _unexpected)) == straight


def test_refused_events_are_named_and_cost_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _inquiry("a", "1") + b"\n{\n" + _inquiry("a", "2", channel="pigeon") + _inquiry("a", "3")
    assert _run(lines, monkeypatch) == 2
    said = capsys.readouterr()
    assert [json.loads(line)["conversation"] for line in said.out.splitlines()] == ["1", "3"]
    assert [line.split()[:3] for line in said.err.splitlines()] == [
        ["line", "3[0]:", "not_json"],
        ["line", "4[0]:", "invalid_field"],
    ]
    assert "channel" in said.err


def test_an_event_of_a_newer_schema_is_mentioned_and_not_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(_inquiry("a", "1", schema_version=9, mood="good"), monkeypatch) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("line 1[0]: newer_schema")


@pytest.mark.parametrize("flaw", [{"kind": "unheard_of"}, {"channel": "hologram"}, {"mood": "good"}])
def test_an_event_of_a_newer_schema_needs_no_receipt_either(
    flaw: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {name: value for name, value in json.loads(_inquiry("a", "1")).items() if name != "received_at"}
    newer = json.dumps([event | {"schema_version": 9} | flaw, event]).encode()
    assert _run(newer, monkeypatch) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert said.err.startswith("line 1[0]: newer_schema")


def test_a_missing_file_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(b"", monkeypatch, "--district", "nowhere.yaml") == 2
    assert capsys.readouterr().err == "cx: Cannot read nowhere.yaml: No such file or directory.\n"


def test_events_without_a_receipt_are_folded_as_received_when_they_happened() -> None:
    event = {
        "kind": "inquiry",
        "event_id": "web-1",
        "district": "riverbend",
        "source": "web-form",
        "channel": "web",
        "conversation": "case-1",
        "occurred_at": "2026-10-06T10:00:00-05:00",
    }
    later = event | {"event_id": "web-2", "conversation": "case-2", "received_at": "2026-10-06T15:00:01Z"}
    bad = event | {"event_id": "web-3", "conversation": "case-3", "channel": "fax"}
    remarks: list[Remark] = []
    rows = list(fold_events([json.dumps([event, later, bad]).encode()], None, remarks.append))
    assert [row[1] for row in rows] == ["case-1", "case-2"]
    assert [(remark.position, remark.reason) for remark in remarks] == [(2, "invalid_field")]
