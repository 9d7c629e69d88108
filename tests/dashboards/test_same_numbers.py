"""What the page shows at an instant is what `./cx fold` prints: each number of the first view and of the windows.

Simulated weeks go through a partition into ClickHouse, piece by piece, as a worker would bring them; the same lines are
folded offline, and the numbers are computed anew in Python from those rows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

import pytest
from pydantic import SecretStr

from dashboards.now import EVERY_UNIT
from dashboards.panels import OF_A_DISTRICT
from dashboards.present import instants, sentence
from schemas.facts import GROUPS, NAMES
from schemas.rolling import ALL_WINDOWS, SCHOOL_DAYS, WINDOWS
from schemas.settings import Settings
from sinks.connection import connect
from sinks.migrate import migrate
from streams.configured import configured
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.histogram import Histogram
from streams.intake.producer import encode
from streams.offline import fold_events
from tests.contract.native_server import PASSWORD, LocalServer
from tests.core.rolling_rows import school_days_ago
from tests.landed import LandingLog
from tests.simulated import SAMPLE, Arrival, few, local_ms, run, span

Record = dict[str, Any]
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOW_MS = local_ms("2026-10-06 13:20:31.250")
MINUTE_MS = NOW_MS - NOW_MS % 60_000
SINCE_MS = NOW_MS - 28 * DAY_MS
DAY_START_MS, DAY_END_MS = local_ms("2026-10-06"), local_ms("2026-10-07")
LOOKS_MS = [*range(NOW_MS - 30 * HOUR_MS, NOW_MS, HOUR_MS), NOW_MS]
"""When the log lands: at each of these a rolling row of every window is kept."""
CONFIGURED = encode(configured(SAMPLE, datetime.fromisoformat("2026-09-01T00:00:00-05:00"))).content
UNITS = Configuration(SAMPLE.district, [ConfigurationEvent(1, 0, "c", SAMPLE)])
NOT_ASKED = ("spam", "merged", "withdrawn", "no_reply_needed")


def folded(lines: Iterable[bytes]) -> list[Record]:
    """Rows of `./cx fold` that count, by column."""
    rows = fold_events([CONFIGURED, *lines], None, lambda remark: pytest.fail(remark.message))
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return [record for record in records if not record["retracted"]]


def entries(records: Iterable[Record], group: str) -> Iterator[Record]:
    """The entries of a nested group, each with its conversation under `of`."""
    names = [column.name for column in GROUPS[group]]
    for record in records:
        for values in zip(*(record[name] for name in names), strict=True):
            yield {"of": record, **{name.partition(".")[2]: value for name, value in zip(names, values, strict=True)}}


@pytest.fixture(scope="module")
def arrivals() -> list[Arrival]:
    """Five weeks of a small simulated district, in order of receipt."""
    found = run(span("2026-09-01", "2026-10-07"), few(40))
    return sorted((one for one in found if one.received_ms <= NOW_MS), key=lambda one: one.received_ms)


@pytest.fixture(scope="module")
def records(arrivals: list[Arrival]) -> list[Record]:
    """The facts at the instant looked at."""
    return folded(one.text.encode() for one in arrivals)


def land(settings: Settings, arrivals: list[Arrival]) -> None:
    """Everything, a landing for each look with what had been received by then."""
    clock = [0]
    log = LandingLog(settings, lambda: clock[0])
    log.take(CONFIGURED)
    received = iter(arrivals)
    for look_ms, some in groupby(received, key=lambda one: next(at for at in LOOKS_MS if one.received_ms <= at)):
        clock[0] = look_ms
        for one in some:
            log.take(one.text.encode())
        log.land()
    clock[0] = NOW_MS
    log.land()
    log.close()


@pytest.fixture(scope="module")
def page(clickhouse_server: LocalServer, arrivals: list[Arrival]) -> Iterator[dict[str, list[Record]]]:
    """Rows of every panel at the instant looked at."""
    settings = Settings(
        clickhouse=f"127.0.0.1:{clickhouse_server.port}",
        clickhouse_password=SecretStr(PASSWORD),
        clickhouse_database="cx_same_numbers",
    )
    migrate(settings)
    land(settings, arrivals)
    parameters = {"district": SAMPLE.district, **instants(SAMPLE.model_dump_json(), NOW_MS)}
    with connect(settings) as client:
        yield {
            panel.name: [
                dict(zip([column.name for column in panel.columns], row, strict=True))
                for row in client.execute(panel.sql, parameters)
            ]
            for panel in (*OF_A_DISTRICT, EVERY_UNIT)
        }
        client.execute(f"DROP DATABASE {settings.clickhouse_database}")


def asked(wait: Record) -> bool:
    """A wait that families are owed an answer for."""
    return wait["of"]["opened_by"] == "customer" and wait["outcome"] not in NOT_ASKED


def share(part: int, whole: int) -> float | None:
    """A share; None of nothing."""
    return part / whole if whole else None


def judged(waits: list[Record]) -> tuple[int, int]:
    """Waits of 28 days whose school day is over, and those of them answered within it."""
    over = [
        wait
        for wait in waits
        if asked(wait)
        and wait["opened_at"] >= SINCE_MS
        and wait["school_day_at"] is not None
        and wait["school_day_at"] <= NOW_MS
    ]
    return len(over), sum(w["outcome"] == "answered" and w["ended_at"] <= w["school_day_at"] for w in over)


def oldest_ms(waits: list[Record]) -> int | None:
    """How long the oldest open wait has lasted."""
    return max((NOW_MS - wait["opened_at"] for wait in waits if wait["outcome"] == "open"), default=None)


def inside(at_ms: int | None, window: str, unit: str) -> bool:
    """Whether something of a unit lies in the window that ends with the last full minute."""
    return at_ms is not None and start_of(window, unit) <= at_ms < MINUTE_MS


@cache
def start_of(window: str, unit: str) -> int:
    """Where that window begins for a unit."""
    if window == SCHOOL_DAYS:
        return school_days_ago(7, MINUTE_MS, unit, UNITS)
    return MINUTE_MS - WINDOWS[window]


def rolled(records: list[Record], window: str) -> Record:
    """First responses and promises of the window."""
    responses = Histogram()
    for record in records:
        at_ms, unit = record["first_response_at"], record["first_response_unit"]
        counts = record["linked"] and record["opened_by"] == "customer" and record["contact"] != "answered_live"
        if counts and inside(at_ms, window, unit):
            responses.add(record["first_response_ms"])
    due = [v for v in entries(records, "verdicts") if inside(v["due_at"], window, v["unit"])]
    met = sum(v["outcome"] == "met" for v in due)
    past = [v["breach_at"] is not None and v["breach_at"] < MINUTE_MS for v in due]
    missed = sum(v["outcome"] == "missed" or (v["outcome"] == "open" and p) for v, p in zip(due, past, strict=True))
    mean = round(responses.sum_ms / responses.count) if responses.count else None
    quantiles = {"median_ms": responses.quantile(0.5), "p90_ms": responses.quantile(0.9)}
    return {**quantiles, "mean_ms": mean, "kept": share(met, met + missed), "rolled_at": MINUTE_MS}


def given(records: list[Record]) -> list[tuple[int, int]]:
    """Ratings that count, as (when, score)."""
    linked = [record for record in records if record["linked"]]
    return [(rating["rated_at"], rating["score"]) for rating in entries(linked, "ratings") if not rating["late"]]


def published(arrivals: list[Arrival]) -> Record:
    """The mean that may be shown, of how many, and of which minute: as known then, replaced with every tenth change."""
    named = {one.event["conversation"] for one in arrivals if one.event["kind"] == "rating"}
    rated = [one for one in arrivals if one.event.get("conversation") in named]
    shown, shown_ms, before, changes = Counter[int](), 0, Counter[int](), 0
    for look_ms in LOOKS_MS:
        at_ms = look_ms - look_ms % 60_000
        known = folded(one.text.encode() for one in rated if one.received_ms <= look_ms)
        scores = Counter(score for at, score in given(known) if at_ms - 28 * DAY_MS <= at < at_ms)
        changes += ((scores - before) + (before - scores)).total()
        before = scores
        if changes >= 10:
            shown, shown_ms, changes = scores, at_ms, 0
    mean = sum(score * times for score, times in shown.items()) / shown.total()
    return {"satisfaction": pytest.approx(mean, rel=1e-12), "published_at": shown_ms, "published_n": shown.total()}


def test_tiles_and_sentence(page: dict[str, list[Record]], records: list[Record], arrivals: list[Arrival]) -> None:
    waits = list(entries(records, "waits"))
    dues = [verdict["due_at"] for verdict in entries(records, "verdicts") if verdict["outcome"] == "open"]
    decided, within = judged(waits)
    satisfaction = published(arrivals)
    assert page["now"] == [
        {
            "open_waits": sum(wait["outcome"] == "open" for wait in waits),
            "oldest_ms": oldest_ms(waits),
            "asked_today": sum(asked(wait) and wait["opened_at"] >= DAY_START_MS for wait in waits),
            "answered_today": sum(w["outcome"] == "answered" and w["ended_at"] >= DAY_START_MS for w in waits),
            "due_today": sum(due is not None and NOW_MS <= due < DAY_END_MS for due in dues),
        }
    ]
    ratings = sum(SINCE_MS < rated <= NOW_MS for rated, _ in given(records))
    assert page["lately"] == [{"within": share(within, decided), "decided": decided, "ratings": str(ratings)}]
    assert page["rolled"] == [{**rolled(records, "28d"), **satisfaction}]
    assert satisfaction["published_at"] < MINUTE_MS
    said = sentence(page["lately"][0], page["every_unit"])
    far = {}
    for department, own in by_department(waits).items():
        of_all, in_time = judged(own)
        if of_all >= 30 and in_time / of_all <= within / decided - 0.05:
            far[department] = (of_all * (within / decided) - in_time, labels()[department], in_time / of_all)
    ((_, name, its_share),) = far.values()
    assert said == (
        f"{round(100 * within / decided)} of 100 families were answered within one school day; "
        f"{name} is the exception, with {round(100 * its_share)} of 100."
    )


def by_department(waits: list[Record]) -> dict[str, list[Record]]:
    """Waits by the school or department of their conversation."""
    found: dict[str, list[Record]] = {}
    for wait in waits:
        found.setdefault(wait["of"]["department"], []).append(wait)
    return found


def test_rolling_windows(page: dict[str, list[Record]], records: list[Record]) -> None:
    assert page["rolling"] == [
        {
            "window": window,
            "inquiries": sum(
                r["inquiries"] and r["linked"] and inside(r["opened_at"], window, r["unit"]) for r in records
            ),
            **rolled(records, window),
        }
        for window in ALL_WINDOWS
    ]


def test_the_day(page: dict[str, list[Record]], records: list[Record]) -> None:
    waits = [wait for wait in entries(records, "waits") if wait["outcome"] not in ("spam", "unreachable")]
    expected = []
    for starts_at in range(DAY_START_MS, NOW_MS + 1, HOUR_MS):
        end_ms = min(starts_at + HOUR_MS, NOW_MS + 1)
        begun = [wait for wait in waits if wait["opened_at"] < end_ms]
        still = [wait for wait in begun if wait["ended_at"] is None or wait["ended_at"] >= end_ms]
        arrived = [
            wait
            for wait in begun
            if wait["opened_at"] >= starts_at and (wait["ended_at"] is None or wait["ended_at"] >= DAY_START_MS)
        ]
        expected.append({"starts_at": starts_at, "arrivals": len(arrived), "open_waits": len(still)})
    assert page["day"] == expected
    assert len(expected) == 14
    assert sum(hour["arrivals"] for hour in expected) > 0


def labels() -> dict[str, str]:
    """Names of units."""
    return {unit.unit: unit.label or unit.unit for unit, _ in SAMPLE.walk()}


def test_units_by_open_waits(page: dict[str, list[Record]], records: list[Record]) -> None:
    expected = []
    for department, waits in by_department(list(entries(records, "waits"))).items():
        decided, within = judged(waits)
        expected.append(
            {
                "department": department,
                "label": labels().get(department, department),
                "open_waits": sum(wait["outcome"] == "open" for wait in waits),
                "oldest_ms": oldest_ms(waits),
                "decided": decided,
                "within": share(within, decided) if decided >= 10 else None,
            }
        )
    expected.sort(key=lambda unit: (-unit["open_waits"], -unit["decided"], unit["department"]))
    assert page["units"] == expected[:15]


def test_the_newest_broken_promises(page: dict[str, list[Record]], records: list[Record]) -> None:
    broken = [
        verdict
        for verdict in entries(records, "verdicts")
        if verdict["breach_at"] is not None
        and verdict["breach_at"] < NOW_MS
        and verdict["outcome"] in ("open", "missed")
    ]
    expected = [
        {
            "broken_at": verdict["breach_at"],
            "late_ms": (verdict["ended_at"] or NOW_MS) - verdict["breach_at"],
            "unit": labels().get(verdict["unit"], verdict["unit"]),
            "topic": verdict["of"]["topic"],
            "channel": verdict["of"]["channel"],
            "clock": verdict["clock"],
            "promise": verdict["promise"],
            "verdict": "missed" if verdict["outcome"] == "missed" else "past_due",
        }
        for verdict in broken
    ]
    # Several break at one instant; which of those come last on the page is by their keys.
    newest = sorted((row["broken_at"] for row in expected), reverse=True)[:10]
    assert [row["broken_at"] for row in page["breaches"]] == newest
    assert all(row in expected for row in page["breaches"])
    assert len(newest) == 10
