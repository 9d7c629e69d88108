"""What was known then and what is known now, asked of the real engine: restatements, repeat contacts, loose ratings."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.district import District
from schemas.events import DistrictConfigured
from schemas.settings import Settings
from schemas.vocabulary import from_ms, to_ms
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, Place, configuration_row, event_row
from streams.core.district import DistrictState
from tests.golden import OFFICE, History, district, ms

Ask = Callable[[str], list[tuple[Any, ...]]]
PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]
PLACE = Place("cx.events", 0, 0)


class Lived:
    """A district whose events land one by one, each at its own time."""

    def __init__(self, settings: Settings) -> None:
        self.sink = ClickHouseSink(settings)
        self.state = DistrictState("demo")
        self.history = History()

    def land(self, event: Any) -> Any:
        applied = self.state.apply(event)
        configured = isinstance(event, DistrictConfigured)
        self.sink.land(
            Landing(
                ms_of(event),
                events=[event_row(event, applied.content, applied.digest, PLACE)],
                conversations=self.state.settle().rows,
                configurations=[configuration_row(event, applied.digest)] if configured else [],
            )
        )
        return event

    def add(self, kind: str, when: str, conversation: str = "c1", **fields: Any) -> Any:
        return self.land(self.history.add(kind, when, conversation, **fields))

    def configured(self, document: District, when: str = "2020-01-01 00:00") -> Any:
        return self.land(self.history.configured(document, when))


def ms_of(event: Any) -> int:
    return to_ms(event.received_at)


@pytest.fixture
def lived(clickhouse: Settings) -> Iterator[Lived]:
    made = Lived(clickhouse)
    made.configured(district(promises=PROMISES))
    yield made
    made.sink.close()


@pytest.fixture
def ask(clickhouse: Settings) -> Ask:
    def asked(query: str) -> list[tuple[Any, ...]]:
        with connect(clickhouse) as client:
            return list(client.execute(query))

    return asked


RESTATED = "SELECT conversation, number, before, after, events, configured_by FROM restatements ORDER BY at, number"


def test_ordinary_progress_restates_nothing(lived: Lived, ask: Ask) -> None:
    lived.add("inquiry", "2026-10-06 10:00")
    lived.add("reply", "2026-10-06 10:45")
    lived.add("status_changed", "2026-10-06 10:46", status="resolved")
    lived.add("inquiry", "2026-10-06 12:00")
    lived.add("rating", "2026-10-06 13:00", score=4)
    assert ask(RESTATED) == []


def test_g20_spam_takes_everything_back_and_says_by_which_event(lived: Lived, ask: Ask) -> None:
    lived.add("inquiry", "2026-10-06 10:00")
    lived.add("reply", "2026-10-06 10:45")
    spam = lived.add("spam", "2026-10-06 12:00")
    wanted: list[tuple[Any, ...]] = [("c1", "counts", "yes", "no", [spam.event_id], [])]
    assert ask(RESTATED) == wanted
    back = lived.add("not_spam", "2026-10-06 13:00")
    assert ask(RESTATED) == [*wanted, ("c1", "counts", "no", "yes", [back.event_id], [])]


def test_an_edited_rating_and_a_corrected_unit_are_restatements(lived: Lived, ask: Ask) -> None:
    first = lived.add("inquiry", "2026-10-06 10:00")
    lived.add("reply", "2026-10-06 19:00")
    lived.add("rating", "2026-10-07 12:00", score=4)
    edit = lived.add("rating", "2026-10-08 12:00", score=9)
    unit = lived.add("correction", "2026-10-09 12:00", corrects=first.event_id, unit="line")
    rows = ask(RESTATED)
    assert ("c1", "rating default ", "4", "9", [edit.event_id], []) in rows
    assert ("c1", "first_unit", "a", "line", [unit.event_id], []) in rows
    hour = 3_600_000
    assert ("c1", "first_response_business_ms", str(6 * hour), str(9 * hour), [unit.event_id], []) in rows


def test_g24_a_snow_day_moves_what_was_due_and_names_its_configuration(lived: Lived, ask: Ask) -> None:
    first = lived.add("inquiry", "2026-01-20 15:30")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-21"]}}
    snow = lived.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-01-21 12:00")
    due = f"due_at first_reply {first.event_id}"
    assert ask(RESTATED) == [
        ("c1", due, "2026-01-21 17:00:00.000", "2026-01-22 17:00:00.000", [], [snow.event_id]),
    ]


def test_g19_a_merge_retracts_one_and_moves_the_other(lived: Lived, ask: Ask) -> None:
    lived.add("inquiry", "2026-10-06 10:00", "x")
    lived.add("inquiry", "2026-10-06 10:30", "y")
    reply = lived.add("reply", "2026-10-06 11:15", "y")
    merge = lived.add("merge", "2026-10-06 12:00", "y", into="x")
    assert ("y", "counts", "yes", "no", [merge.event_id], []) in ask(RESTATED)
    current = ask("SELECT conversation, first_response_ms, merged FROM current_conversations")
    assert current == [("x", 75 * 60_000, 1)]
    assert reply.conversation == "y"


def test_what_is_merged_later_is_not_blamed_for_what_changed_before(lived: Lived, ask: Ask) -> None:
    first = lived.add("inquiry", "2026-01-20 15:30", "x")
    lived.add("inquiry", "2026-01-21 09:00", "y")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-21"]}}
    snow = lived.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-01-21 12:00")
    lived.add("merge", "2026-01-22 12:00", "y", into="x")
    (row,) = [row for row in ask(RESTATED) if row[:2] == ("x", f"due_at first_reply {first.event_id}")]
    assert row[4:] == ([], [snow.event_id])


def test_as_known_then_and_as_known_now(lived: Lived, ask: Ask) -> None:
    lived.add("inquiry", "2026-10-06 10:00")
    lived.add("reply", "2026-10-06 10:45")
    lived.add("spam", "2026-10-06 12:00")

    def known(when: str) -> list[tuple[Any, ...]]:
        at = from_ms(ms(when)).strftime("%Y-%m-%d %H:%M:%S.000")
        return ask(f"SELECT conversation, first_response_ms FROM conversations_as_known(at = '{at}')")

    assert known("2026-10-06 09:59") == []
    assert known("2026-10-06 10:30") == [("c1", None)]
    assert known("2026-10-06 11:00") == [("c1", 45 * 60_000)]
    assert known("2026-10-06 12:30") == []
    assert ask("SELECT count() FROM current_conversations") == [(0,)]


@pytest.mark.parametrize(
    ("again", "topic", "repeated"),
    [("2026-10-15 23:59", "bus", 1), ("2026-10-16 00:00", "bus", 0), ("2026-10-08 09:00", "food", 0)],
)
def test_repeat_contact_within_seven_school_days(lived: Lived, ask: Ask, again: str, topic: str, repeated: int) -> None:
    who = "5f5f5f5f5f5f5f5f"
    lived.add("inquiry", "2026-10-06 10:00", "first", person=who, topic="bus")
    lived.add("status_changed", "2026-10-06 11:00", "first", status="resolved")
    lived.add("inquiry", again, "second", person=who, topic=topic)
    assert ask("SELECT conversation, repeated FROM repeat_contacts") == [("first", repeated)]


def test_g23_a_rating_without_its_inquiry_counts_as_unlinked_after_72_hours(lived: Lived, ask: Ask) -> None:
    lived.add("rating", "2026-10-06 10:00", score=9)
    query = "SELECT unit, toUnixTimestamp64Milli(counted_at) FROM unlinked_ratings"
    assert ask(query) == [("demo", ms("2026-10-09 10:00"))]
    lived.add("inquiry", "2026-10-06 12:00")
    assert ask(query) == []
    assert ask("SELECT score FROM ratings") == [(9,)]
