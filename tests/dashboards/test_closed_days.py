"""Days closed by a press and by the simulation stand in one document: none is lost, no revision is taken twice."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import pytest

from schemas.calendar import never_closes
from schemas.clock import Clock
from schemas.district import District
from schemas.settings import Settings
from schemas.vocabulary import from_ms, to_ms
from sinks.connection import connect
from streams.configured import closed_days, closed_on, configured, with_closed_days
from streams.intake.closing import Closings, Landed, LandedDocuments
from streams.intake.demonstration import Demonstration, Fed, Feeder
from streams.intake.producer import encode
from streams.intake.simulator import sample_district
from streams.present import wall_ms
from tests.dashboards.test_actions import post
from tests.landed import LandingLog

SAMPLE = sample_district()
PRESSED, SIMULATED = "2027-01-19", "2027-01-20"
WAIT_SECONDS = 60.0


def local_ms(text: str) -> int:
    """An instant of the district's winter in ms."""
    return to_ms(datetime.fromisoformat(f"{text}-06:00"))


def winter() -> Demonstration:
    """The sample district in a year in which it opens on the day before a simulated snow day."""
    content = SAMPLE.model_dump(mode="json", exclude_none=True)
    offices = content["calendars"]["offices"]
    offices["closed"] = [*offices.get("closed", []), "2026-10-01/2027-01-18"]
    return Demonstration.of(District.model_validate(content))


class Running:
    """A demonstration over real ClickHouse whose clock is set by hand."""

    def __init__(self, settings: Settings) -> None:
        self.shown = winter()
        self.now_ms = self.shown.opens_ms
        self.settings = settings.model_copy(update={"simulated": SAMPLE.district})
        self.log = LandingLog(self.settings, lambda: self.now_ms)
        _, first = next(iter(self.shown.arrivals()))
        self.log.publish(SAMPLE.district, f"[{first}]".encode())

    def press_snow_day(self, at: str) -> None:
        """Press the page's button at a local time."""
        self.now_ms = local_ms(at)
        clock = Clock(self.now_ms, wall_ms())
        status, found = post(self.settings.model_copy(update={"clock": clock}), self.log, "snow-day")
        assert (status, found["metric"]) == (200, "due_today")

    def feed(self, since: str, until: str) -> None:
        """Start the feeder anew and let it go on from one local time to another."""
        self.now_ms = local_ms(until)
        with closing(LandedDocuments(self.settings, SAMPLE.district)) as newest:
            feeder = Feeder(
                self.shown, self.log, lambda: self.now_ms, Landed(newest), lambda _: feeder.stop(), Fed(local_ms(since))
            )
            feeder.start()
            feeder.join(WAIT_SECONDS)
            assert not feeder.is_alive()
            feeder.check()

    def documents(self) -> dict[int, list[District]]:
        """Every document that has landed, by revision."""
        found: dict[int, list[District]] = {}
        with connect(self.settings) as client:
            rows = client.execute("SELECT revision, document FROM districts FINAL ORDER BY revision")
        for revision, document in rows:
            found.setdefault(revision, []).append(District.model_validate_json(document))
        return found

    def newest(self) -> District:
        """The document that counts; no other has its revision."""
        documents = self.documents()
        assert {len(those) for those in documents.values()} == {1}
        return documents[max(documents)][0]


@pytest.fixture
def running(clickhouse: Settings) -> Iterator[Running]:
    """A demonstration in winter."""
    found = Running(clickhouse)
    yield found
    found.log.close()


def test_a_pressed_and_a_simulated_snow_day_are_both_closed(running: Running) -> None:
    (first,) = running.documents()
    running.press_snow_day("2027-01-19T10:00:00")
    running.feed("2027-01-20T05:35:00", "2027-01-20T05:50:00")
    assert list(running.documents()) == [first, first + 1, first + 2]
    assert {PRESSED, SIMULATED} <= closed_days(running.newest())


def test_a_simulated_snow_day_is_declared_once_however_often_the_demonstration_starts(running: Running) -> None:
    running.feed("2027-01-20T05:35:00", "2027-01-20T05:38:00")
    assert SIMULATED not in closed_days(running.newest())
    for _ in range(2):
        running.feed("2027-01-20T05:38:00", "2027-01-20T05:50:00")
        assert SIMULATED in closed_days(running.newest())
    assert len(running.documents()) == 2
    running.press_snow_day("2027-01-21T10:00:00")
    running.feed("2027-01-20T05:38:00", "2027-01-20T05:50:00")
    assert len(running.documents()) == 3
    assert {SIMULATED, "2027-01-21"} <= closed_days(running.newest())


@pytest.mark.parametrize("later_ms", [-1, 1])
def test_two_documents_of_one_number_are_brought_together(running: Running, later_ms: int) -> None:
    """Whoever wins: a press that had not seen the simulated day, and a simulated day that had not seen the press."""
    (documents,) = running.documents().values()
    before = documents[0]
    with closing(LandedDocuments(running.settings, SAMPLE.district)) as newest:
        closings = Closings(newest)
        closings.owe(frozenset({SIMULATED}))
        simulated = closings.due(running.now_ms)
        assert simulated is not None
        pressed = configured(closed_on(before, [PRESSED]), from_ms(running.now_ms + later_ms))
        assert pressed.revision == simulated.revision == before.revision + 1
        # Not landed yet: nothing is said twice.
        assert closings.due(running.now_ms) is None
        for event in (pressed, simulated):
            running.log.publish(SAMPLE.district, b"[" + encode(event).content + b"]")
        both = closings.due(running.now_ms)
        assert both is not None
        running.log.publish(SAMPLE.district, b"[" + encode(both).content + b"]")
        assert closings.due(running.now_ms) is None
    documents = running.documents()[before.revision + 2]
    assert [{PRESSED, SIMULATED} <= closed_days(document) for document in documents] == [True]


def test_a_day_that_was_opened_again_stays_open(running: Running) -> None:
    with closing(LandedDocuments(running.settings, SAMPLE.district)) as newest:
        closings = Closings(newest)
        closings.owe(frozenset({SIMULATED}))
        simulated = closings.due(running.now_ms)
        assert simulated is not None
        running.log.publish(SAMPLE.district, b"[" + encode(simulated).content + b"]")
        assert closings.due(running.now_ms) is None
        content = json.loads(simulated.configuration.model_dump_json(exclude_none=True))
        for calendar in content["calendars"].values():
            calendar.get("days", {}).pop(SIMULATED, None)
        again = District.model_validate(content | {"revision": simulated.revision + 1})
        opened = configured(again, from_ms(running.now_ms))
        running.log.publish(SAMPLE.district, b"[" + encode(opened).content + b"]")
        assert closings.due(running.now_ms) is None
    assert SIMULATED not in closed_days(running.newest())


def test_a_snow_day_closes_every_calendar_that_ever_closes_on_that_day_only() -> None:
    closed = closed_on(SAMPLE, [SIMULATED])
    assert closed.revision == SAMPLE.revision + 1
    kept = {name for name, calendar in SAMPLE.calendars.items() if never_closes(calendar)}
    assert kept == {"always"}
    for name, calendar in closed.calendars.items():
        assert calendar.days.get(SIMULATED) == (None if name in kept else [])
    assert closed.model_copy(update={"revision": 1, "calendars": {}}) == SAMPLE.model_copy(update={"calendars": {}})
    assert closed_days(closed) - closed_days(SAMPLE) == {SIMULATED}


def test_where_nothing_ever_closes_nothing_is_declared() -> None:
    for document in (
        District(district="bare"),
        District(district="bare", calendars={"all": SAMPLE.calendars["always"]}),
    ):
        assert with_closed_days([document], {SIMULATED}) is None
