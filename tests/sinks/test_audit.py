"""`./cx audit` on the real engine: a clean district is equal, and every damage done by hand is found and named."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import main
from schemas.events import EVENT, Event
from schemas.facts import NAMES, Row
from schemas.settings import Settings
from sinks.connection import connect
from sinks.reading import ClickHouseReader
from sinks.tables import CONVERSATIONS, EVENTS
from streams.audit.audit import audit
from streams.audit.findings import Findings
from streams.audit.sources import Sources
from tests.golden import OFFICE, History, at, district, ms
from tests.landed import LandingLog
from tests.sinks.racing import Racing

DIFFERENCE, USAGE, ENVIRONMENT = 6, 2, 3
NOW_MS = ms("2026-10-20 12:00")
PERSON, STAFF = "5f5f5f5f5f5f5f5f", "6a6a6a6a6a6a6a6a"
LANDED_TOGETHER = 5
PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]
COMPARED = (
    *("conversations", "conversation_versions", "units", "districts", "alerts"),
    *("daily_cells", "rolling", "rolling_slices"),
)
ALL = {"answered", "parted", "parted~2", "corrected", "spam", "erased", "x", "y", "waits"}


def erasure(when: str) -> Event:
    """The person is forgotten."""
    moment = at(when).isoformat()
    frame = {"kind": "erased", "event_id": "erasure", "district": "demo", "source": "cx"}
    digest = sha256(PERSON.encode()).hexdigest()
    return EVENT.validate_python(
        frame | {"occurred_at": moment, "received_at": moment, "key_digest": digest}, strict=False
    )


def lived() -> History:
    """Answered, waiting, merged, taken up anew, corrected, rated, spam, and a person who was erased."""
    history = History()
    history.configured(district(promises=PROMISES))
    for name in ("answered", "parted", "corrected", "spam", "erased", "x", "y"):
        history.add("inquiry", "2026-03-02 10:00", name, person=PERSON if name == "erased" else None)
        history.add("reply", "2026-03-02 11:00", name, staff=STAFF)
        history.add("status_changed", "2026-03-02 12:00", name, status="resolved")
    history.add("rating", "2026-03-03 10:00", "answered", score=7)
    history.add("inquiry", "2026-06-02 10:00", "parted")
    history.add("correction", "2026-03-03 10:00", "corrected", unit="b")
    history.add("spam", "2026-03-03 10:00", "spam")
    history.add("merge", "2026-03-03 10:00", "y", into="x")
    history.add("inquiry", "2026-10-06 10:00", "waits")
    history.events.append(erasure("2026-10-07 10:00"))
    return history


def payload(event: Event) -> bytes:
    return event.model_dump_json(exclude_defaults=True).encode()


@pytest.fixture
def log(clickhouse: Settings) -> Iterator[LandingLog]:
    """The district as a worker lands it, a few events at a time."""
    with closing(LandingLog(clickhouse, partial(next, count(NOW_MS, 61_000)))) as made:
        for number, event in enumerate(lived().events):
            made.take(payload(event))
            if number % LANDED_TOGETHER == 0:
                made.land(with_erasures=True)
        made.land(with_erasures=True)
        made.catch_up_days()
        yield made


class Hand:
    """Someone who changes tables without asking."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def delete(self, table: str, condition: str) -> None:
        """Delete rows for good."""
        with connect(self._settings) as client:
            client.execute(f"DELETE FROM {table} WHERE {condition}", settings={"mutations_sync": 1})

    def facts(self, name: str) -> dict[str, Any]:
        """The landed row of a conversation."""
        with closing(ClickHouseReader(self._settings)) as reader:
            (row,) = reader.facts("demo", [name])
        return dict(zip(NAMES, row, strict=True))

    def put(self, row: dict[str, Any]) -> None:
        """Write a row of `conversations` beside what is there."""
        with connect(self._settings) as client:
            client.execute(CONVERSATIONS.insert, [(*row.values(), NOW_MS)])

    def change(self, name: str, **columns: Any) -> None:
        """Replace the row of a conversation by one with other values; a dot is written as two underlines."""
        row = self.facts(name) | {column.replace("__", "."): value for column, value in columns.items()}
        self.delete("conversations", f"conversation = '{name}'")
        self.put(row)


@pytest.fixture
def hand(clickhouse: Settings, log: LandingLog) -> Hand:
    del log
    return Hand(clickhouse)


def audited(settings: Settings) -> Findings:
    return audit([], Sources.of(settings), lambda *_: None, 0.0, 100)


def named(found: Findings) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.column) for each in found.differences]


def test_what_landed_bit_by_bit_is_what_all_events_give(clickhouse: Settings, hand: Hand) -> None:
    found = audited(clickhouse)
    assert named(found) == []
    assert (found.districts, found.events, found.rows["conversations"]) == (1, len(lived().events), len(ALL))
    assert (found.rows["units"], found.different, found.unreadable, found.not_understood) == (6, 0, 0, 0)
    assert found.rows.keys() == {*COMPARED}
    assert (found.days_aside, found.minutes_aside) == (0, 0)
    assert {name for name in ALL if hand.facts(name)["retracted"]} == {"spam", "y"}


def test_rows_that_were_deleted_are_missing(clickhouse: Settings, hand: Hand) -> None:
    for name in ("erased", "parted~2", "spam", "x", "y"):
        hand.delete("conversations", f"conversation = '{name}'")
    hand.delete("units", "unit = 'a1'")
    found = audited(clickhouse)
    assert found.missing == found.different == 6
    assert named(found) == [
        *(("missing", name, "") for name in ("erased", "parted~2", "spam", "x", "y")),
        ("missing", "a1", ""),
    ]


def test_rows_of_an_older_version_are_behind(clickhouse: Settings, hand: Hand) -> None:
    for name in ("corrected", "parted~2", "x", "y"):
        hand.change(name, version=hand.facts(name)["version"] - 1)
    found = audited(clickhouse)
    assert found.behind == found.different == 4
    assert named(found) == [("behind", name, "version") for name in ("corrected", "parted~2", "x", "y")]


def test_changed_columns_are_named_with_both_values(clickhouse: Settings, hand: Hand) -> None:
    hand.change("answered", first_response_ms=1, ratings__score=(8,))
    hand.change("corrected", department="a")
    hand.change("erased", person=PERSON)
    hand.change("parted~2", waits__opened_at=(ms("2026-06-02 10:01"),))
    hand.change("y", merged_into="")
    found = audited(clickhouse)
    assert found.mismatches == found.different == 5
    assert [each[3:] for each in found.differences] == [
        ("answered", "first_response_ms", "1", "3600000"),
        ("answered", "ratings.score[0]", "8", "7"),
        ("corrected", "department", "a", "b"),
        ("erased", "person", "(hidden)", "(hidden)"),
        ("parted~2", "waits.opened_at[0]", "2026-06-02T15:01:00.000Z", "2026-06-02T15:00:00.000Z"),
        ("y", "merged_into", "", "x"),
    ]


def test_rows_that_nothing_gives_are_extra(clickhouse: Settings, hand: Hand) -> None:
    hand.put(hand.facts("answered") | {"conversation": "invented"})
    hand.put(hand.facts("parted") | {"conversation": "parted~3"})
    hand.put(hand.facts("parted") | {"conversation": "withdrawn", "retracted": 1})
    found = audited(clickhouse)
    assert found.extra == found.different == 2
    assert named(found) == [("extra", "invented", ""), ("extra", "parted~3", "")]


def test_a_row_retracted_for_no_reason_is_missing_and_one_taken_back_differs(clickhouse: Settings, hand: Hand) -> None:
    hand.change("answered", retracted=1)
    hand.change("spam", retracted=0)
    assert named(audited(clickhouse)) == [("missing", "answered", "retracted"), ("mismatch", "spam", "retracted")]


def test_events_that_were_lost_show_in_their_rows(clickhouse: Settings, hand: Hand) -> None:
    hand.delete("events", "conversation = 'answered' AND kind = 'rating'")
    hand.delete("events", "conversation = 'waits'")
    found = audited(clickhouse)
    of_facts = [each for each in found.differences if each.table == "conversations"]
    assert {(each.kind, each.name) for each in of_facts} == {("mismatch", "answered"), ("extra", "waits")}
    assert ("mismatch", "answered", "version") in named(found)
    # What came of them is not what the events give any more, either.
    assert {"conversation_versions", "alerts", "daily_cells", "rolling"} <= {each.table for each in found.differences}


def test_events_that_cannot_be_read_are_counted_and_stop_nothing(clickhouse: Settings, hand: Hand) -> None:
    frame = ["demo", "kept", "e1", 1, "inquiry", 1, "crm", NOW_MS, NOW_MS]
    with connect(clickhouse) as client:
        damaged = [*frame, b'{"kind":"inquiry","goal":Infinity}', 1, 0, 0, NOW_MS, 1]
        newer = [*frame[:2], "e2", *frame[3:], b'{"kind":"hologram"}', 0, 0, 0, NOW_MS, 1]
        client.execute(EVENTS.insert, [damaged, newer])
    found = audited(clickhouse)
    assert (found.events, found.unreadable, found.not_understood) == (len(lived().events) + 2, 1, 1)
    assert named(found) == []
    assert hand.facts("answered")["retracted"] == 0


def test_what_lands_while_the_audit_reads_is_no_difference(clickhouse: Settings, log: LandingLog) -> None:
    def run_on() -> None:
        history = lived()
        calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-03-02"]}}
        snow = history.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-10-08 10:00")
        late = [
            history.add("reply", "2026-10-06 11:00", "waits", event_id="late"),
            history.add("merge", "2026-10-08 10:00", "corrected", into="answered", event_id="merged"),
            history.add("inquiry", "2026-10-08 10:00", "fresh", event_id="fresh"),
        ]
        for event in [snow, *late]:
            log.take(payload(event))
        log.land()

    land = [run_on]
    sources = Sources.of(clickhouse)._replace(reader=lambda: Racing(clickhouse, land))
    found = audit([], sources, lambda *_: None, 0.0, 100)
    assert not land
    assert named(found) == []
    assert found.rows["conversations"] == len(ALL) + 1


def test_what_keeps_moving_is_looked_at_until_it_stands(clickhouse: Settings, log: LandingLog) -> None:
    history = lived()

    def run_on(times: int) -> None:
        log.take(payload(history.add("reply", "2026-10-06 11:00", "waits", event_id=f"late-{times}")))
        log.land()

    class Restless(ClickHouseReader):
        """Something lands between the reading of events and that of facts, again and again."""

        left = 4

        def facts(self, district: str, names: Sequence[str]) -> Iterator[Row]:
            if "waits" in names and Restless.left:
                Restless.left -= 1
                run_on(Restless.left)
            return super().facts(district, names)

    sources = Sources.of(clickhouse)._replace(reader=lambda: Restless(clickhouse))
    found = audit([], sources, lambda *_: None, 0.0, 100)
    assert (named(found), found.moving, Restless.left) == ([], 0, 0)
    Restless.left = 100
    found = audit([], sources, lambda *_: None, 0.0, 100)
    assert (named(found), found.moving > 0) == ([], True)


def test_one_that_comes_late_and_is_merged_is_found_with_the_other(clickhouse: Settings, log: LandingLog) -> None:
    def run_on() -> None:
        history = lived()
        for event in (
            history.add("inquiry", "2026-10-08 10:00", "fresh", event_id="fresh"),
            history.add("merge", "2026-10-08 10:05", "fresh", into="waits", event_id="merged"),
        ):
            log.take(payload(event))
        log.land()

    land = [run_on]
    sources = Sources.of(clickhouse)._replace(reader=lambda: Racing(clickhouse, land))
    assert named(audit([], sources, lambda *_: None, 0.0, 100)) == []


def test_conversations_fold_slice_by_slice_and_merges_find_each_other(
    clickhouse: Settings, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.audit.audit.CONVERSATIONS_PER_SLICE", 1)
    monkeypatch.setattr("streams.audit.audit.NAMES_PER_PAGE", 2)
    assert named(audited(clickhouse)) == []
    hand.change("y", merged_into="z")
    hand.put(hand.facts("answered") | {"conversation": "invented"})
    assert named(audited(clickhouse)) == [("extra", "invented", ""), ("mismatch", "y", "merged_into")]


@pytest.fixture
def configured(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment points to the test's database."""
    assert clickhouse.clickhouse is not None
    monkeypatch.setenv("CX_CLICKHOUSE", clickhouse.clickhouse)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.get_secret_value())
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", clickhouse.clickhouse_database)
    monkeypatch.setattr("deploy.cli.audit.RECHECK_SECONDS", 0.0)


@pytest.mark.usefixtures("configured")
def test_the_command_says_it_in_words_json_metrics_and_its_exit_code(
    hand: Hand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "audit.prom"
    assert main(["audit", "--metrics-file", str(metrics)]) == 0
    assert "is what the events give" in capsys.readouterr().out
    assert "cx_audit_mismatches 0.0" in metrics.read_text()
    hand.change("answered", first_response_ms=1)
    hand.delete("conversations", "conversation = 'waits'")
    line = ["audit", "--district", "demo", "--json", "--differences", "1", "--metrics-file", str(metrics)]
    assert main(line) == DIFFERENCE
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert (result["mismatches"], result["missing"], len(result["differences"])) == (1, 1, 1)
    assert result["differences"][0]["column"] == "first_response_ms"
    assert "2 rows are not what their events give" in told.err
    assert {"cx_audit_mismatches 1.0", "cx_audit_missing 1.0"} <= set(metrics.read_text().splitlines())
    assert main(["audit"]) == DIFFERENCE
    assert "first_resp" in capsys.readouterr().out


@pytest.mark.usefixtures("configured", "log")
def test_a_district_without_events_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--district", "demo", "--district", "nowhere"]) == USAGE
    assert "no events of nowhere." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["no/such.prom", "file/such.prom", "folder"])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr("deploy.cli.audit.audit", lambda *_: pytest.fail("it began"))
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert main(["audit", "--metrics-file", str(tmp_path / name)]) == ENVIRONMENT
    assert "cannot be written" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.usefixtures("configured", "log")
def test_a_file_that_cannot_be_written_any_more_is_said_after_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()

    def audit_meanwhile(*given: Any) -> Findings:
        folder.rmdir()
        return audit(*given)

    monkeypatch.setattr("deploy.cli.audit.audit", audit_meanwhile)
    assert main(["audit", "--metrics-file", str(folder / "such.prom")]) == ENVIRONMENT
    told = capsys.readouterr()
    assert "is what the events give" in told.out
    assert "cannot be written" in told.err
