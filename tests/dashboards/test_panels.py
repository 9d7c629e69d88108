"""Every panel on the real engine, against the same numbers computed in Python from the very rows that landed."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from dashboards.panels import DEPARTMENTS, DISTRICTS, NEWEST, PANELS, TOTALS
from dashboards.shown import Panel
from schemas.facts import NAMES, Row, row_version
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, configuration_row, unit_rows
from streams.core.district import DistrictState
from streams.intake import boston311
from tests.sinks.samples import NOW_MS, conversation

Record = dict[str, Any]
DISTRICT = boston311.DISTRICT
AT_MS = 1_430_000_000_000
"""In April 2015: some of the excerpt's promises are due by then, some are not."""


def boston_rows() -> list[Row]:
    """Facts of the excerpt."""
    state = DistrictState(DISTRICT)
    state.apply(boston311.configuration())
    with boston311.EXCERPT.open(encoding="utf-8") as lines:
        for request in boston311.requests(lines):
            assert isinstance(request, boston311.Request)
            for event in request.events:
                state.apply(event)
    return state.settle().rows


def with_values(row: Row, **values: Any) -> Row:
    """A row with some columns changed, or all columns of a nested group."""
    return tuple(values.get(name.partition(".")[0], value) for name, value in zip(NAMES, row, strict=True))


def answered_rows(rows: list[Row]) -> list[Row]:
    """Some of them with a first response, called live or opened by the district, as the excerpt has none."""
    made = []
    for index, row in enumerate(rows[:40]):
        contact = "answered_live" if index % 7 == 0 else "message"
        changes = {"conversation": f"made-{index:02}", "first_response_ms": index * index * 1000, "contact": contact}
        if index % 5 == 0:
            changes |= {"outbound": 1, "status": "open", "waits": (), "segments": ()}
        made.append(with_values(row, **changes, linked=int(index != 3)))
    return made


@pytest.fixture
def landed(clickhouse: Settings) -> list[Record]:
    """Rows that count, as records; older versions and retracted ones have landed too."""
    rows = boston_rows()
    rows += answered_rows(rows)
    event = boston311.configuration()
    assert event.configuration is not None
    older = [with_values(row, version=1, status="open") for row in rows[::3]]
    gone = with_values(rows[0], conversation="gone", retracted=1)
    sink = ClickHouseSink(clickhouse)
    sink.land(
        Landing(
            NOW_MS,
            conversations=[*rows, *older, gone, conversation("elsewhere", "a", 1)],
            configurations=[configuration_row(event, 1)],
            units=unit_rows(event.configuration, row_version(1, 0)),
        )
    )
    sink.close()
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


Ask = Callable[[Panel], list[Record]]


@pytest.fixture
def ask(clickhouse: Settings) -> Ask:
    """Run a panel for the excerpt's district; its columns are those declared."""

    def answer(panel: Panel) -> list[Record]:
        with connect(clickhouse) as client:
            parameters = {"district": DISTRICT, "now_ms": AT_MS}
            rows, columns = client.execute(panel.sql, parameters, with_column_types=True)
        assert [name for name, _ in columns] == [column.name for column in panel.columns]
        return [dict(zip([name for name, _ in columns], row, strict=True)) for row in rows]

    return answer


def quantile(values: Iterable[int | None], level: float) -> int | None:
    """The value at `level` of the sorted values, the upper one of two."""
    known = sorted(value for value in values if value is not None)
    return known[int(level * len(known))] if known else None


def measures(records: list[Record]) -> Record:
    """What a panel says of some conversations."""
    verdicts = [
        (outcome, breach)
        for each in records
        for outcome, breach in zip(each["verdicts.outcome"], each["verdicts.breach_at"], strict=True)
    ]
    asked = [r for r in records if r["opened_by"] == "customer" and r["contact"] != "answered_live"]
    responses = [record["first_response_ms"] for record in asked]
    resolutions = [record["first_resolution_ms"] for record in records]
    return {
        "conversations": len(records),
        "open": sum(
            r["status"] not in ("resolved", "withdrawn") and not (r["outbound"] and not r["waits.outcome"])
            for r in records
        ),
        "met": sum(outcome == "met" for outcome, _ in verdicts),
        "missed": sum(outcome == "missed" for outcome, _ in verdicts),
        "past_due": sum(outcome == "open" and breach is not None and breach < AT_MS for outcome, breach in verdicts),
        "first_response_median_ms": quantile(responses, 0.5),
        "first_response_p90_ms": quantile(responses, 0.9),
        "resolution_median_ms": quantile(resolutions, 0.5),
        "resolution_p90_ms": quantile(resolutions, 0.9),
    }


def counted(landed: list[Record]) -> list[Record]:
    """Those that are more than a rating without its conversation."""
    return [record for record in landed if record["linked"]]


def test_totals_are_those_of_the_rows(landed: list[Record], ask: Ask) -> None:
    expected = measures(counted(landed))
    newest = max(record["opened_at"] for record in counted(landed))
    assert ask(TOTALS) == [{**expected, "newest_opened_at": newest, "newest_landed_at": NOW_MS}]
    assert 0 < expected["past_due"] < expected["open"] < expected["conversations"]


def test_departments_are_those_of_the_rows_and_sum_to_the_totals(landed: list[Record], ask: Ask) -> None:
    found = {record.pop("department"): record for record in ask(DEPARTMENTS)}
    labels = {unit.unit: unit.label for unit, _ in boston311.configuration().configuration.walk()}
    expected: dict[str, list[Record]] = {}
    for record in counted(landed):
        expected.setdefault(record["department"], []).append(record)
    assert found == {code: {"label": labels[code], **measures(rows)} for code, rows in expected.items()}
    (totals,) = ask(TOTALS)
    for name in ("conversations", "open", "met", "missed", "past_due"):
        assert sum(record[name] for record in found.values()) == totals[name]


def verdict(record: Record) -> str:
    """What the newest arrivals say of a conversation's promises."""
    outcomes = record["verdicts.outcome"]
    breaches = zip(outcomes, record["verdicts.breach_at"], strict=True)
    if "missed" in outcomes:
        return "missed"
    if any(outcome == "open" and breach is not None and breach < AT_MS for outcome, breach in breaches):
        return "past_due"
    return "running" if "open" in outcomes else "met" if "met" in outcomes else ""


def test_the_newest_arrivals_come_in_order_with_labels(landed: list[Record], ask: Ask) -> None:
    newest = sorted(counted(landed), key=lambda r: (r["opened_at"], r["conversation"]), reverse=True)[:15]
    labels = {unit.unit: unit.label for unit, _ in boston311.configuration().configuration.walk()}
    assert ask(NEWEST) == [
        {
            "opened_at": record["opened_at"],
            "department": labels[record["department"]],
            "unit": labels[record["unit"]],
            "topic": record["topic"],
            "channel": record["channel"],
            "status": record["status"],
            "verdict": verdict(record),
        }
        for record in newest
    ]


@pytest.mark.usefixtures("landed")
def test_districts_have_their_names_and_zones(ask: Ask) -> None:
    assert ask(DISTRICTS) == [
        {"district": DISTRICT, "label": "City of Boston 311", "time_zone": "America/New_York", "conversations": 240},
        {"district": "elsewhere", "label": "elsewhere", "time_zone": "UTC", "conversations": 1},
    ]


def test_with_nothing_landed_every_panel_answers(ask: Ask) -> None:
    (totals,) = ask(TOTALS)
    assert {name for name, value in totals.items() if value == 0} == {
        "conversations",
        "open",
        "met",
        "missed",
        "past_due",
    }
    assert {value for value in totals.values() if value != 0} == {None}
    assert [ask(panel) for panel in (DISTRICTS, DEPARTMENTS, NEWEST)] == [[], [], []]


def test_every_number_is_explained_and_no_person_is_shown() -> None:
    for panel in PANELS:
        assert all(column.meaning.endswith(".") for column in panel.columns)
        assert not {"person", "rater", "staff", "conversation"} & {column.name for column in panel.columns}
