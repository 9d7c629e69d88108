"""The dashboard's SQL, with Grafana's values put in as Grafana does, on the real engine: the page's own rows."""

import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from dashboards.grafana import EXPRESSIONS, dashboard, query
from dashboards.panels import OF_A_DISTRICT
from dashboards.present import instants
from schemas.calendar import always_open
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing
from tests.dashboards.test_incidents import said
from tests.dashboards.test_now import SAMPLE, TUESDAY, inquiry, land, ms, rating, reply

# Grafana's own pattern for $name, [[name]] and ${name:format}.
VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^\}]+))?(?::([^\}]+))?\}")


def interpolated(sql: str, values: Mapping[str, str]) -> str:
    """SQL as it leaves the browser."""

    def given(found: re.Match[str]) -> str:
        value = values[found[1] or found[2] or found[4]]
        return "'" + value.replace("'", "''") + "'" if (found[3] or found[6]) == "sqlstring" else value

    return VARIABLE.sub(given, sql)


def rows(settings: Settings, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """What ClickHouse answers."""
    with connect(settings) as client:
        found: list[tuple[Any, ...]] = client.execute(sql, parameters)
    return found


@pytest.fixture
def landed(clickhouse: Settings) -> Settings:
    """Waits answered in time, late, open, of today; ratings enough to be shown."""
    land(
        clickhouse,
        [
            inquiry("soon", "2026-10-01T10:00:00-05:00"),
            reply("soon", "2026-10-01T11:00:00-05:00"),
            inquiry("late", "2026-10-01T10:00:00-05:00"),
            reply("late", "2026-10-05T11:00:00-05:00"),
            inquiry("open", "2026-10-01T12:00:00-05:00"),
            inquiry("new", "2026-10-06T09:10:00-05:00"),
            *[rating("soon", number) for number in range(11)],
        ],
    )
    with closing(ClickHouseSink(clickhouse)) as sink:
        sink.land(Landing(TUESDAY, incidents=[said("a", "opened", 60_000), said("b", "closed", 90_000)]))
    return clickhouse


def test_the_variables_are_the_districts_and_their_zones(landed: Settings) -> None:
    district, zone = (variable["query"]["rawSql"] for variable in dashboard()["templating"]["list"])
    ((code, label, *_),) = rows(landed, interpolated(district, {}))
    assert (code, label) == (SAMPLE.district, SAMPLE.label)
    assert rows(landed, interpolated(zone, {"district": code})) == [("America/Chicago",)]
    assert rows(landed, interpolated(zone, {"district": "un'known"})) == [("UTC",)]


@pytest.mark.parametrize("at_ms", [TUESDAY, ms("2026-10-06T23:59:59-05:00"), ms("2026-11-01T12:00:00-06:00")])
def test_every_panel_has_the_rows_of_the_page(landed: Settings, at_ms: int) -> None:
    values = {"district": SAMPLE.district, "zone": "America/Chicago", "__to": str(at_ms)}
    parameters = {"district": SAMPLE.district, **instants(SAMPLE.model_dump_json(), at_ms)}
    targets = [target for model in dashboard()["panels"] for target in model.get("targets", [])]
    asked = [target["rawSql"] for target in targets if "rawSql" in target]
    assert asked == [query(panel) for panel in OF_A_DISTRICT]
    for panel, sql in zip(OF_A_DISTRICT, asked, strict=True):
        found = rows(landed, interpolated(sql, values))
        assert found == rows(landed, panel.sql, parameters), panel.name
        assert found or at_ms != TUESDAY, panel.name


@pytest.mark.parametrize("zone", ["America/Chicago", "America/Anchorage", "Pacific/Honolulu", "Asia/Kolkata", "UTC"])
def test_the_local_day_is_that_of_the_page_also_when_clocks_change(clickhouse: Settings, zone: str) -> None:
    calendar = always_open().model_copy(update={"time_zone": zone})
    district = SAMPLE.model_copy(update={"calendars": {**SAMPLE.calendars, "only": calendar}, "calendar": "only"})
    for text in ("2026-03-08T06:30:00Z", "2026-03-08T23:00:00Z", "2026-11-01T04:59:59Z", "2026-11-02T05:30:00Z"):
        expected = instants(district.model_dump_json(), ms(text))
        values = {"zone": zone, "__to": str(ms(text))}
        names = ("now_ms", "since_ms", "day_ms", "day_end_ms")
        sql = "SELECT " + ", ".join(interpolated(EXPRESSIONS[name], values) for name in names)
        assert rows(clickhouse, sql) == [tuple(expected[name] for name in names)], text
