"""The page's first view: one school day by the district's calendar, the sentence, and its panels on real rows."""

from datetime import datetime
from typing import Any

import pytest

from dashboards.now import FIRST_VIEW
from dashboards.present import instants, sentence
from schemas.events import EVENTS
from schemas.settings import Settings
from schemas.vocabulary import to_ms
from sinks.connection import connect
from streams.configured import configured
from streams.intake.producer import encode
from streams.intake.simulator import sample_district
from tests.landed import LandingLog

SAMPLE = sample_district()
HOUR_MS = 3_600_000


def ms(text: str) -> int:
    """An instant in ms."""
    return to_ms(datetime.fromisoformat(text))


TUESDAY = ms("2026-10-06T10:00:00-05:00")
AROUND: dict[str, Any] = {"district": SAMPLE.district, "source": "test"}


def inquiry(name: str, at: str, **fields: Any) -> dict[str, Any]:
    """An e-mail to the bus dispatch."""
    common = {"kind": "inquiry", "channel": "email", "unit": "dispatch", "topic": "bus-late", **AROUND, **fields}
    return {**common, "event_id": f"{name}-1", "conversation": name, "occurred_at": at, "received_at": at}


def reply(name: str, at: str) -> dict[str, Any]:
    """An answer to it."""
    common = {"kind": "reply", "channel": "email", "unit": "dispatch", **AROUND}
    return {**common, "event_id": f"{name}-2", "conversation": name, "occurred_at": at, "received_at": at}


def rating(name: str, number: int) -> dict[str, Any]:
    """A rating of 8 by a person of its own."""
    at = "2026-10-06T09:30:00-05:00"
    common = {"kind": "rating", "score": 8, "rater": f"{number:016x}", **AROUND}
    return {**common, "event_id": f"{name}-r{number}", "conversation": name, "occurred_at": at, "received_at": at}


def land(settings: Settings, contents: list[dict[str, Any]]) -> None:
    """The facts of these events and of the sample district, its alerts and rolling rows, as a worker lands them."""
    log = LandingLog(settings, lambda: TUESDAY)
    event = configured(SAMPLE, datetime.fromisoformat("2026-09-01T00:00:00-05:00"))
    log.take(encode(event).content)
    for content in contents:
        log.take(encode(EVENTS.validate_python([content], strict=False)[0]).content)
    log.land()
    log.close()


def ask(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Every panel of the first view on Tuesday at ten."""
    parameters = {"district": SAMPLE.district, **instants(SAMPLE.model_dump_json(), TUESDAY)}
    with connect(settings) as client:
        return {
            panel.name: [
                dict(zip([column.name for column in panel.columns], row, strict=True))
                for row in client.execute(panel.sql, parameters)
            ]
            for panel in FIRST_VIEW
        }


def test_the_day_is_the_districts_own() -> None:
    found = instants(SAMPLE.model_dump_json(), ms("2026-10-05T10:00:00-05:00"))
    assert found["day_ms"] == ms("2026-10-05T00:00:00-05:00")
    assert found["day_end_ms"] - found["day_ms"] == 24 * HOUR_MS
    always = instants(None, ms("2026-10-05T23:00:00-05:00"))
    assert always["day_ms"] == ms("2026-10-06T00:00:00+00:00")


@pytest.mark.parametrize(
    ("units", "end"),
    [
        ([], "no school or department is far behind."),
        ([("Transportation", 400, 0.7)], "Transportation is the exception, with 70 of 100."),
        ([("Near", 400, 0.88)], "no school or department is far behind."),
        (
            [("Small", 40, 0.5), ("Large", 400, 0.7)],
            "Large stands out, with 70 of 100, and 1 more lies five points behind or worse.",
        ),
        (
            [("Small", 40, 0.5), ("Large", 400, 0.7), ("Less", 60, 0.6)],
            "Large stands out, with 70 of 100, and 2 more lie five points behind or worse.",
        ),
    ],
)
def test_the_sentence_names_whom_most_families_wait_for(units: list[tuple[str, int, float]], end: str) -> None:
    rows = [{"label": label, "decided": decided, "within": within} for label, decided, within in units]
    assert sentence({"within": 0.91}, rows) == f"91 of 100 families were answered within one school day; {end}"


def shown(settings: Settings) -> dict[str, Any]:
    """The tiles on Tuesday at ten."""
    found = ask(settings)
    return {**found["now"][0], **found["lately"][0], **found["rolled"][0]}


def test_nothing_to_judge_is_said(clickhouse: Settings) -> None:
    tiles = shown(clickhouse)
    assert tiles["within"] is None
    assert tiles["ratings"] == "<10"
    assert sentence(tiles, []).startswith("Nothing can be judged yet")


def test_without_a_rolling_row_its_tiles_are_empty(clickhouse: Settings) -> None:
    tiles = shown(clickhouse)
    of_rows = ("median_ms", "p90_ms", "mean_ms", "kept", "satisfaction", "rolled_at", "published_at", "published_n")
    assert {tiles[name] for name in of_rows} == {None}


HISTORY = [
    inquiry("soon", "2026-10-01T10:00:00-05:00"),
    reply("soon", "2026-10-01T11:00:00-05:00"),
    inquiry("late", "2026-10-01T10:00:00-05:00"),
    reply("late", "2026-10-05T11:00:00-05:00"),
    inquiry("open", "2026-10-01T12:00:00-05:00"),
    inquiry("new", "2026-10-06T09:10:00-05:00"),
]


def test_the_first_view_is_that_of_the_facts(clickhouse: Settings) -> None:
    land(clickhouse, [*HISTORY, *[rating("soon", number) for number in range(9)]])
    found = ask(clickhouse)
    tiles = shown(clickhouse)
    expected = {"open_waits": 2, "decided": 3, "asked_today": 1, "answered_today": 0, "ratings": "<10"}
    assert {name: tiles[name] for name in expected} == expected
    assert tiles["within"] == pytest.approx(1 / 3)
    assert tiles["satisfaction"] is None
    assert tiles["oldest_ms"] == TUESDAY - ms("2026-10-01T12:00:00-05:00")
    assert tiles["mean_ms"] == (HOUR_MS + 97 * HOUR_MS) / 2
    assert tiles["rolled_at"] == TUESDAY
    (unit,) = found["units"]
    assert (unit["label"], unit["open_waits"], unit["within"]) == ("Transportation", 2, None)
    day = {row["starts_at"]: row for row in found["day"]}
    assert day[ms("2026-10-06T09:00:00-05:00")]["arrivals"] == 1
    assert [row["open_waits"] for row in found["day"]][-2:] == [2, 2]


def test_broken_promises_are_those_alerted_and_not_taken_back(clickhouse: Settings) -> None:
    land(clickhouse, HISTORY)
    before = ask(clickhouse)["breaches"]
    assert {row["verdict"] for row in before} == {"missed", "past_due"}
    assert {row["unit"] for row in before} == {"Bus Dispatch"}
    late = next(row for row in before if row["verdict"] == "missed")
    assert late["broken_at"] + late["late_ms"] == ms("2026-10-05T11:00:00-05:00")
    told = [row for row in before if row["verdict"] == "past_due"]
    assert {row["broken_at"] + row["late_ms"] for row in told} == {TUESDAY}


def test_ten_ratings_are_shown(clickhouse: Settings) -> None:
    ratings = [rating("soon", number) for number in range(10)]
    asked, answered = "2026-10-01T10:00:00-05:00", "2026-10-01T11:00:00-05:00"
    land(clickhouse, [inquiry("soon", asked), reply("soon", answered), *ratings])
    tiles = shown(clickhouse)
    assert (tiles["ratings"], tiles["satisfaction"], tiles["published_n"]) == ("10", 8.0, 10)
    assert tiles["published_at"] == TUESDAY


def test_a_late_rating_moves_nothing_that_was_shown(clickhouse: Settings) -> None:
    ratings = [rating("soon", number) for number in range(20)]
    asked, answered = "2026-10-01T10:00:00-05:00", "2026-10-01T11:00:00-05:00"
    event = configured(SAMPLE, datetime.fromisoformat("2026-09-01T00:00:00-05:00"))
    now_ms = TUESDAY - 120_000
    log = LandingLog(clickhouse, lambda: now_ms)
    log.take(encode(event).content)
    for content in [inquiry("soon", asked), reply("soon", answered), *ratings]:
        log.take(encode(EVENTS.validate_python([content], strict=False)[0]).content)
    log.land()
    before = shown(clickhouse)
    now_ms = TUESDAY
    log.take(encode(EVENTS.validate_python([rating("soon", 20) | {"score": 1}], strict=False)[0]).content)
    log.land()
    log.close()
    after = shown(clickhouse)
    assert (before["satisfaction"], before["published_at"]) == (8.0, TUESDAY - 120_000)
    assert (after["satisfaction"], after["published_at"]) == (8.0, TUESDAY - 120_000)
    assert (after["ratings"], after["rolled_at"]) == ("21", TUESDAY)


def test_every_number_of_the_first_view_is_explained() -> None:
    for panel in FIRST_VIEW:
        assert panel.meaning.endswith(".")
        assert all(column.meaning.endswith(".") for column in panel.columns)
