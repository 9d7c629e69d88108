"""The page's first view: one school day by the district's calendar, the sentence, and its panels on real rows."""

from datetime import datetime
from typing import Any

import pytest

from dashboards.now import BREACHES, DAY, FIRST_VIEW, NOW, UNITS
from dashboards.present import instants, school_day_before, sentence
from schemas.calendar import always_open
from schemas.events import MESSAGE, Event
from schemas.facts import row_version
from schemas.settings import Settings
from schemas.vocabulary import to_ms
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, configuration_row, unit_rows
from streams.configured import configured
from streams.core.business_time import clock_of
from streams.core.district import DistrictState
from streams.intake.simulator import sample_district

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
    """The facts of these events and of the sample district, as a worker lands them."""
    state = DistrictState(SAMPLE.district)
    event = configured(SAMPLE, datetime.fromisoformat("2026-09-01T00:00:00-05:00"))
    applied = state.apply(event)
    for content in contents:
        found: Event | list[Event] = MESSAGE.validate_python(content, strict=False)
        assert not isinstance(found, list)
        state.apply(found)
    sink = ClickHouseSink(settings)
    rows = [configuration_row(event, applied.digest)], unit_rows(SAMPLE, row_version(1, 0))
    sink.land(Landing(TUESDAY, conversations=state.settle().rows, configurations=rows[0], units=rows[1]))
    sink.close()


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


def test_one_school_day_ago_skips_nights_and_weekends() -> None:
    found = instants(SAMPLE.model_dump_json(), ms("2026-10-05T10:00:00-05:00"))
    assert 0 <= ms("2026-10-02T10:30:00-05:00") - found["decided_ms"] <= 60_000
    assert found["day_ms"] == ms("2026-10-05T00:00:00-05:00")
    assert found["day_end_ms"] - found["day_ms"] == 24 * HOUR_MS


def test_always_open_a_school_day_is_eight_hours() -> None:
    clock = clock_of(always_open().key())
    assert 0 <= TUESDAY - 8 * HOUR_MS - school_day_before(clock, TUESDAY) <= 60_000


@pytest.mark.parametrize(
    ("units", "end"),
    [
        ([], "no school or department is far behind."),
        ([("Transportation", 400, 0.7)], "Transportation is the exception, with 70 of 100."),
        ([("Small", 40, 0.5), ("Large", 400, 0.7)], "Large is the exception, with 70 of 100."),
        ([("Tiny", 29, 0.1)], "no school or department is far behind."),
    ],
)
def test_the_sentence_names_whom_most_families_wait_for(units: list[tuple[str, int, float]], end: str) -> None:
    rows = [{"label": label, "decided": decided, "within": within} for label, decided, within in units]
    assert sentence({"within": 0.91}, rows) == f"91 of 100 families were answered within one school day; {end}"


def test_nothing_to_judge_is_said(clickhouse: Settings) -> None:
    found = ask(clickhouse)
    assert found["now"][0]["within"] is None
    assert found["now"][0]["ratings"] == "<10"
    assert sentence(found["now"][0], found["units"]).startswith("Nothing can be judged yet")


def test_the_first_view_is_that_of_the_facts(clickhouse: Settings) -> None:
    land(
        clickhouse,
        [
            inquiry("soon", "2026-10-01T10:00:00-05:00"),
            reply("soon", "2026-10-01T11:00:00-05:00"),
            inquiry("late", "2026-10-01T10:00:00-05:00"),
            reply("late", "2026-10-05T11:00:00-05:00"),
            inquiry("open", "2026-10-01T12:00:00-05:00"),
            inquiry("new", "2026-10-06T09:10:00-05:00"),
            *[rating("soon", number) for number in range(9)],
        ],
    )
    found = ask(clickhouse)
    (now,) = found["now"]
    expected = {"open_waits": 2, "decided": 3, "asked_today": 1, "answered_today": 0, "ratings": "<10"}
    assert {name: now[name] for name in expected} == expected
    assert now["within"] == pytest.approx(1 / 3)
    assert now["satisfaction"] is None
    assert now["oldest_ms"] == TUESDAY - ms("2026-10-01T12:00:00-05:00")
    assert now["mean_ms"] == (HOUR_MS + 97 * HOUR_MS) / 2
    (unit,) = found["units"]
    assert (unit["label"], unit["open_waits"], unit["within"]) == ("Transportation", 2, None)
    day = {row["starts_at"]: row for row in found["day"]}
    assert day[ms("2026-10-06T09:00:00-05:00")]["arrivals"] == 1
    assert [row["open_waits"] for row in found["day"]][-2:] == [2, 2]
    assert [row["verdict"] for row in found["breaches"]].count("past_due") >= 1


def test_ten_ratings_are_shown(clickhouse: Settings) -> None:
    ratings = [rating("soon", number) for number in range(10)]
    asked, answered = "2026-10-01T10:00:00-05:00", "2026-10-01T11:00:00-05:00"
    land(clickhouse, [inquiry("soon", asked), reply("soon", answered), *ratings])
    (now,) = ask(clickhouse)["now"]
    assert (now["ratings"], now["satisfaction"]) == ("10", 8.0)


def test_every_number_of_the_first_view_is_explained() -> None:
    for panel in (NOW, DAY, UNITS, BREACHES):
        assert panel.meaning.endswith(".")
        assert all(column.meaning.endswith(".") for column in panel.columns)
