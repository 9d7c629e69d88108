"""A press is found in the facts, and not before: what it adds itself, whoever else moved the same number."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from dashboards.live.presses import Declared, Presses, State, Told, open_promises
from dashboards.present import instants
from schemas.events import EVENTS, DistrictConfigured, Inquiry, Rating, Reply
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, Place, configuration_row, event_row
from streams.configured import closed_on, configured
from streams.core.packed import digest_of
from streams.intake.producer import encode
from tests.dashboards.test_now import SAMPLE, TUESDAY, inquiry, ms, rating, reply
from tests.landed import LandingLog

WAITS = inquiry("waits", "2026-10-06T09:30:00-05:00")
EARLIER = inquiry("earlier", "2026-10-05T12:00:00-05:00")


def event(content: dict[str, Any]) -> Any:
    """The event of a content."""
    return EVENTS.validate_python([content], strict=False)[0]


class District:
    """The sample district's facts at a present, and questions about them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now_ms = TUESDAY
        self.log = LandingLog(settings, lambda: self.now_ms)
        self.land(configured(SAMPLE, from_ms(TUESDAY).replace(day=1)), event(EARLIER), event(WAITS))

    @property
    def instants(self) -> dict[str, int]:
        """The present and its day."""
        return instants(SAMPLE.model_dump_json(), self.now_ms)

    def ask(self, sql: str, more: Any) -> list[dict[str, Any]]:
        """The rows of an answer."""
        with connect(self.settings) as client:
            known = {"district": SAMPLE.district, **self.instants, **more}
            rows, columns = client.execute(sql, known, with_column_types=True)
        return [dict(zip([name for name, _ in columns], row, strict=True)) for row in rows]

    def land(self, *events: Any) -> None:
        """Land events together."""
        for each in events:
            self.log.take(b"[" + encode(each).content + b"]")
        self.log.land()

    def look(self, press: Told | Declared) -> State | None:
        """The state of a press."""
        return press.look(self.ask, self.instants)


@pytest.fixture
def district(clickhouse: Settings) -> Iterator[District]:
    """One family that waits since yesterday and one since half past nine."""
    found = District(clickhouse)
    yield found
    found.log.close()


Pressed = tuple[list[Inquiry | Reply | Rating], str]
NOW = "2026-10-06T10:00:00-05:00"


def asked() -> Pressed:
    return [event(inquiry("demo-1", NOW))], "asked_today"


def answered() -> Pressed:
    return [event(reply("waits", NOW))], "answered_today"


def rated() -> Pressed:
    return [event({**rating("waits", 1), "occurred_at": NOW, "received_at": NOW})], "ratings"


def broken_down() -> Pressed:
    return [event(inquiry(f"call-{number}", NOW)) for number in range(3)], "open_waits"


@pytest.mark.parametrize("made", [asked, answered, rated, broken_down])
def test_a_press_is_in_the_facts_once_they_are_made_of_it(district: District, made: Callable[[], Pressed]) -> None:
    events, metric = made()
    press = Told(events, metric)
    assert district.look(press) is None
    # The events have landed, the facts have not: a flush writes one table after the other.
    sink = ClickHouseSink(district.settings)
    rows = []
    for number, each in enumerate(events):
        content = each.model_dump_json().encode()
        rows.append(event_row(each, content, digest_of(content), Place("cx.events", 0, 100 + number)))
    sink.land(Landing(TUESDAY, events=rows))
    sink.close()
    assert district.look(press) is None


@pytest.mark.parametrize("made", [asked, answered, rated, broken_down])
def test_what_a_press_adds_itself_is_told(district: District, made: Callable[[], Pressed]) -> None:
    events, metric = made()
    press = Told(events, metric)
    district.land(event(inquiry("other", "2026-10-06T09:40:00-05:00")), event(reply("earlier", NOW)))
    assert district.look(press) is None
    if len(events) > 1:
        district.land(events[0])
        assert district.look(press) == State(len(events) - 1)
    district.land(*events)
    assert district.look(press) == State(0, len(events))


def test_an_answer_that_came_second_moved_nothing(district: District) -> None:
    events, metric = answered()
    first = event({**reply("waits", "2026-10-06T09:59:00-05:00"), "event_id": "sooner"})
    district.land(first, *events)
    assert district.look(Told(events, metric)) == State(0, 0)


def snow_day(district: District) -> DistrictConfigured:
    """Tuesday closed."""
    return configured(closed_on(SAMPLE, ["2026-10-06"]), from_ms(district.now_ms))


def test_a_snow_day_is_in_the_facts_once_every_open_promise_is_computed_anew(district: District) -> None:
    before = open_promises(district.ask)
    due = {at for (conversation, _, _), at in before.items() if conversation == "waits"}
    today = sum(TUESDAY <= at < district.instants["day_end_ms"] for at in before.values())
    assert due
    assert today > 0
    declared = snow_day(district)
    press = Declared(declared, before)
    district.land(event(inquiry("other", NOW)))
    assert district.look(press) is None
    district.log.take(b"[" + encode(declared).content + b"]")
    district.log.land()
    found = district.look(press)
    assert found is not None
    assert (found.left, found.own) == (0, -today)
    later = sum(open_promises(district.ask)[key] > at for key, at in before.items())
    assert found.more == f"{later} open promises fall due later."


def test_rows_of_an_earlier_document_are_still_to_come(district: District) -> None:
    declared = snow_day(district)
    press = Declared(declared, open_promises(district.ask))
    sink = ClickHouseSink(district.settings)
    sink.land(Landing(TUESDAY, configurations=[configuration_row(declared, 1)]))
    sink.close()
    assert district.look(press) == State(2)


def test_after_closing_time_what_ran_today_falls_due_later(district: District) -> None:
    district.now_ms = ms("2026-10-06T18:00:00-05:00")
    before = open_promises(district.ask)
    declared = snow_day(district)
    press = Declared(declared, before)
    district.land(declared)
    found = district.look(press)
    assert found is not None
    assert (found.left, found.own) == (0, 0)
    assert found.more.endswith("fall due later.")
    assert not found.more.startswith("No")


def test_a_snow_day_that_moves_no_promise_says_so(district: District) -> None:
    district.now_ms = ms("2026-10-06T20:00:00-05:00")
    at = "2026-10-06T19:00:00-05:00"
    district.land(event(reply("earlier", at)), event(reply("waits", at)), event(inquiry("evening", at)))
    before = {key: at for key, at in open_promises(district.ask).items() if key[0] == "evening"}
    declared = snow_day(district)
    press = Declared(declared, before)
    district.land(declared)
    found = district.look(press)
    assert before
    assert found is not None
    assert found.more == "No open promise counted on hours of today, so none falls due later."


def test_presses_are_told_to_their_district_alone_and_asked_for_until_they_are_known(district: District) -> None:
    asked_for = []

    def ask(sql: str, more: Any) -> list[dict[str, Any]]:
        asked_for.append(sql)
        return district.ask(sql, more)

    presses = Presses()
    events, metric = asked()
    presses.add("0" * 16, SAMPLE.district, Told(events, metric))
    look = partial(presses.look, SAMPLE.district, ask, district.instants)
    assert look() == {}
    district.land(*events)
    assert presses.look("elsewhere", ask, district.instants) == {}
    assert look() == {"0" * 16: State(0, 1)}
    often = len(asked_for)
    assert look() == {"0" * 16: State(0, 1)}
    assert len(asked_for) == often
    for number in range(40):
        presses.add(f"{number:016x}", "elsewhere", Told(events, metric))
    assert look() == {}
