"""Boston's requests as events: quirks of the file, and the city's own verdicts by the core alone."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.errors import UsageError
from schemas.events import Inquiry
from schemas.facts import as_json
from streams.intake.boston311 import (
    COLUMNS,
    EXCERPT,
    ORIGINS,
    Rejected,
    Request,
    configuration,
    instant,
    requests,
    slug,
)
from streams.intake.files import lines_of, text_of
from streams.intake.importing import compared
from streams.intake.producer import encode
from streams.offline import Remark, fold_events

GOOD = {
    "CASE_ENQUIRY_ID": "101",
    "OPEN_DT": "06/01/2015 09:00:00 AM",
    "TARGET_DT": "06/03/2015 09:00:00 AM",
    "CLOSED_DT": "06/03/2015 09:00:00 AM",
    "OnTime_Status": "ONTIME",
    "REASON": "Street Lights",
    "TYPE": "Street Light Outages",
    "QUEUE": "PWDx_Street Light Outages",
    "Department": "PWDx",
    "Source": "Self Service",
}


def _read(*rows: dict[str, str]) -> list[Request | Rejected]:
    lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
    return list(requests(f"{line}\n" for line in lines))


def _excerpt() -> list[Request]:
    found = list(requests(text_of(lines_of(EXCERPT))))
    assert not [row for row in found if isinstance(row, Rejected)]
    return [row for row in found if isinstance(row, Request)]


def test_one_row() -> None:
    (request,) = _read(GOOD)
    assert isinstance(request, Request)
    opened, closed = (json.loads(encode(event).content) for event in request.events)
    assert opened["occurred_at"] == opened["received_at"] == "2015-06-01T13:00:00Z"
    assert opened["due_at"] == closed["occurred_at"] == "2015-06-03T13:00:00Z"
    assert (opened["unit"], opened["topic"]) == ("pwdx-street-light-outages", "street-light-outages")
    assert (opened["event_id"], closed["event_id"]) == ("101:opened", "101:closed")
    assert request.verdict == "met"


def test_an_empty_target_is_a_promise_of_none() -> None:
    (request,) = _read({**GOOD, "TARGET_DT": "", "CLOSED_DT": ""})
    assert isinstance(request, Request)
    assert json.loads(encode(request.events[0]).content)["due_at"] is None
    assert (len(request.events), request.verdict) == (1, None)


@pytest.mark.parametrize(
    ("label", "closed", "verdict"),
    [
        ("ONTIME", "06/03/2015 09:00:00 AM", "met"),
        ("OVERDUE", "06/03/2015 09:00:01 AM", "missed"),
        ("", "06/03/2015 09:00:00 AM", "met"),
        ("", "06/03/2015 09:00:01 AM", "missed"),
        ("OVERDUE", "", None),
    ],
)
def test_the_citys_verdict(label: str, closed: str, verdict: str | None) -> None:
    (request,) = _read({**GOOD, "OnTime_Status": label, "CLOSED_DT": closed})
    assert isinstance(request, Request)
    assert request.verdict == verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01/01/2015 12:05:09 AM", datetime(2015, 1, 1, 5, 5, 9, tzinfo=UTC)),
        ("01/01/2015 12:05:09 PM", datetime(2015, 1, 1, 17, 5, 9, tzinfo=UTC)),
        ("07/04/2015 11:59:59 PM", datetime(2015, 7, 5, 3, 59, 59, tzinfo=UTC)),
        ("11/01/2015 01:30:00 AM", datetime(2015, 11, 1, 5, 30, tzinfo=UTC)),
        ("03/08/2015 02:30:00 AM", datetime(2015, 3, 8, 7, 30, tzinfo=UTC)),
    ],
    ids=["midnight", "noon", "summer", "repeated", "skipped"],
)
def test_local_times(text: str, expected: datetime) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("change", "reason", "column"),
    [
        ({"OPEN_DT": "2015-06-01 09:00"}, "bad_date", "OPEN_DT"),
        ({"OPEN_DT": "02/30/2015 09:00:00 AM"}, "bad_date", "OPEN_DT"),
        ({"TARGET_DT": "06/03/2015 13:00:00 PM"}, "bad_date", "TARGET_DT"),
        ({"CLOSED_DT": "soon"}, "bad_date", "CLOSED_DT"),
        ({"CLOSED_DT": "06/03/0001 09:00:00 AM"}, "bad_date", "CLOSED_DT"),
        ({"TARGET_DT": "01/01/1950 09:00:00 AM"}, "bad_date", "TARGET_DT"),
        ({"OPEN_DT": ""}, "missing_value", "OPEN_DT"),
        ({"CASE_ENQUIRY_ID": ""}, "missing_value", "CASE_ENQUIRY_ID"),
        ({"CASE_ENQUIRY_ID": "a b"}, "invalid_value", "CASE_ENQUIRY_ID"),
        ({"Source": "Pigeon"}, "unknown_source", "Source"),
    ],
)
def test_a_bad_row_is_named_and_its_neighbours_are_read(change: dict[str, str], reason: str, column: str) -> None:
    first, second, third = _read(GOOD, {**GOOD, **change}, GOOD)
    assert isinstance(first, Request)
    assert second == Rejected(3, reason, column)  # type: ignore[arg-type]
    assert isinstance(third, Request)


def test_short_and_long_rows_are_rejected() -> None:
    whole = ",".join(GOOD.values())
    lines = [",".join(COLUMNS), "101,06/01/2015", f"{whole},more", whole]
    short, long, good = requests(f"{line}\n" for line in lines)
    assert short == Rejected(2, "column_count", "")
    assert long == Rejected(3, "column_count", "")
    assert isinstance(good, Request)


@pytest.mark.parametrize("lines", [[], ["a,b\n"]])
def test_another_file_is_one_sentence(lines: list[str]) -> None:
    with pytest.raises(UsageError, match="CASE_ENQUIRY_ID"):
        list(requests(lines))


def test_slug_is_a_code_or_empty() -> None:
    assert slug("ISD_Building (INTERNAL)") == "isd-building-internal"
    assert slug("—") == ""
    assert len(slug("x y" * 60)) <= 64


def test_excerpt_holds_every_source_and_quirk() -> None:
    found = _excerpt()
    assert len(found) == 200
    pairs = [(r.events[0], r.events[1] if len(r.events) > 1 else None) for r in found]
    assert any(closed and closed.occurred_at < opened.occurred_at for opened, closed in pairs)
    assert any(closed and closed.occurred_at == opened.occurred_at for opened, closed in pairs)
    assert any(closed is None for _, closed in pairs)
    assert any(isinstance(opened, Inquiry) and opened.due_at is None for opened, _ in pairs)
    text = EXCERPT.read_text()
    assert all(f",{source}," in text for source in ORIGINS)


def test_every_unit_of_the_excerpt_is_configured_and_the_core_agrees_with_the_city() -> None:
    found = _excerpt()
    lines = [encode(configuration()).content, *(encode(e).content for r in found for e in r.events)]
    remarks: list[Remark] = []
    facts = [as_json(row) for row in fold_events(lines, None, remarks.append)]
    assert remarks == []
    assert "unrouted" not in {fact["unit"] for fact in facts}
    ours = {f["conversation"]: v["outcome"] for f in facts for v in f["verdicts"] if v["clock"] == "resolution"}
    verdicts = compared({r.conversation: r.verdict for r in found}, ours)
    assert verdicts == {"met": 68, "missed": 48, "differs_from_source": 0}
    by_staff = sum(fact["opened_by"] == "staff" for fact in facts)
    assert Counter(fact["inquiries"] for fact in facts) == {1: 200 - by_staff, 0: by_staff}
    assert by_staff == 56


def test_the_configuration_is_always_the_same_event() -> None:
    assert encode(configuration()) == encode(configuration())


def test_a_gzipped_file_reads_the_same_and_a_cut_one_is_one_sentence(tmp_path: Path) -> None:
    whole = tmp_path / "a.gz"
    whole.write_bytes(gzip.compress(EXCERPT.read_bytes()))
    assert list(lines_of(whole)) == list(lines_of(EXCERPT))
    cut = tmp_path / "b.gz"
    cut.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(UsageError, match="damaged or cut off"):
        list(lines_of(cut))
