"""`./cx explain` on the real engine: what has landed is explained as the same events from a file are."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli.main import main
from schemas.settings import Settings
from streams.explaining.gathering import Gathered, from_clickhouse, from_file
from streams.offline import Remark
from tests.golden import OFFICE, at, district, ms
from tests.sinks.test_hindsight_views import PROMISES, Lived


@pytest.fixture
def lived(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lived]:
    made = Lived(clickhouse)
    made.configured(district(promises=PROMISES))
    address, port = clickhouse.clickhouse_address
    monkeypatch.setenv("CX_CLICKHOUSE", f"{address}:{port}")
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", clickhouse.clickhouse_database)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.get_secret_value())
    yield made
    made.sink.close()


NOW_MS = ms("2026-01-27 12:00")


def _snow_day(lived: Lived) -> None:
    """G24 with a correction, an edited rating, and another conversation merged into it."""
    first = lived.add("inquiry", "2026-01-20 15:30")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-21"]}}
    lived.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-01-21 12:00")
    lived.add("reply", "2026-01-22 12:00")
    lived.add("status_changed", "2026-01-22 12:10", status="resolved")
    lived.add("inquiry", "2026-01-22 13:00")
    lived.add("reply", "2026-01-22 13:30")
    lived.add("status_changed", "2026-01-22 13:30", status="resolved")
    lived.add("rating", "2026-01-23 12:00", score=4, pillars={"courtesy": 2}, items={"food": 3})
    lived.add("rating", "2026-01-24 12:00", score=9, pillars={"courtesy": 7}, answered=True, items={"food": 5})
    lived.add("transfer", "2026-01-21 09:00", unit="b", received_at=at("2026-01-24 13:00").isoformat())
    lived.add("correction", "2026-01-25 12:00", corrects=first.event_id, unit="line")
    lived.add("inquiry", "2026-01-26 11:00", "c2")
    lived.add("merge", "2026-01-26 12:00", "c2", into="c1")


def _from_lines(lived: Lived) -> Gathered:
    lines = [event.model_dump_json().encode() for event in lived.history.events]
    return from_file(lambda: lines, None, ("c1", None), _unexpected)


def _unexpected(remark: Remark) -> None:
    raise AssertionError(remark)


def test_what_landed_and_a_file_give_the_same_events_and_restatements(clickhouse: Settings, lived: Lived) -> None:
    _snow_day(lived)
    lived.add("inquiry", "2026-01-20 15:40", "stranger")
    landed, read = from_clickhouse(clickhouse, ("c1", None)), _from_lines(lived)
    assert (landed.district, len(landed.events)) == ("demo", len(read.events))
    assert {(event.event_id, event.kind) for event, _ in landed.events} == {
        (event.event_id, event.kind) for event, _ in read.events
    }
    told = {each.number.split()[0] for each in read.restatements}
    assert {"due_at", "breach_at", "segment_ms", "courtesy", "item", "first_unit"} <= told

    def ordered(gathered: Gathered) -> list[str]:
        return sorted(each.model_dump_json() for each in gathered.restatements)

    assert ordered(landed) == ordered(read)


def test_the_command_explains_the_primary_from_clickhouse_and_from_a_file_alike(
    lived: Lived, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.cli.explain.now_ms", lambda _: NOW_MS)
    _snow_day(lived)
    assert main(["explain", "c1", "--json"]) == 0
    landed = json.loads(capsys.readouterr().out)
    events = tmp_path / "events.ndjson"
    events.write_text("".join(event.model_dump_json() + "\n" for event in lived.history.events))
    assert main(["explain", "c1", "--json", "--events", str(events)]) == 0
    read = json.loads(capsys.readouterr().out)
    assert landed["parts"] == read["parts"]
    assert [slice_["why"] for slice_ in landed["parts"][0]["waits"][0]["slices"]].count("closed 2026-01-21") == 1


def test_a_secondary_names_its_primary_and_is_followed_to_it(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    _snow_day(lived)
    assert main(["explain", "c2"]) == 0
    assert capsys.readouterr().out.startswith("c2 was merged into c1: `--follow` explains that one.\n")
    assert main(["explain", "c2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"][0]["merged_into"] == "c1"
    assert main(["explain", "c2", "--follow", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["conversation"] == "c1"


def test_an_unknown_conversation_is_one_sentence(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    lived.add("inquiry", "2026-01-20 15:30")
    assert main(["explain", "c9"]) == 2
    assert capsys.readouterr().err == "cx: Nothing is known of conversation c9: no event of it has come.\n"
    assert main(["explain", "c1", "--district", "riverbend"]) == 2
    assert "conversation c1 in district riverbend" in capsys.readouterr().err
