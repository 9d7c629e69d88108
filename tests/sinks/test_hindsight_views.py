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
from tests.golden import OFFICE, History, at, district, ms

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
    lived.add("transfer", "2026-10-06 10:20", unit="b")
    lived.add("reply", "2026-10-06 10:45")
    lived.add("status_changed", "2026-10-06 10:46", status="resolved")
    lived.add("inquiry", "2026-10-06 12:00")
    lived.add("transfer", "2026-10-06 12:10", unit="a")
    lived.add("rating", "2026-10-06 13:00", score=4, pillars={"courtesy": 2}, items={"food": 7})
    lived.add("status_changed", "2026-10-06 13:10", status="resolved")
    lived.add("status_changed", "2026-10-06 13:20", status="reopened")
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
    then, now = "2026-01-21 17:00:00.000", "2026-01-22 17:00:00.000"
    day = (f"school_day_at {first.event_id}", "2026-01-21 21:00:00.000", "2026-01-22 21:00:00.000")
    moved = [(f"{name} first_reply {first.event_id}", then, now) for name in ("breach_at", "due_at")]
    assert ask(RESTATED) == [("c1", *each, [], [snow.event_id]) for each in (*moved, day)]


def test_a_closure_that_only_moves_what_still_keeps_a_promise_is_a_restatement(lived: Lived, ask: Ask) -> None:
    first = lived.add("inquiry", "2026-10-06 12:00")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-10-07"]}}
    lived.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-10-08 12:00")
    moved = {row[1]: row[2:4] for row in ask(RESTATED)}
    assert f"due_at first_reply {first.event_id}" not in moved
    kept_until = ("2026-10-07 12:30:00.000", "2026-10-08 12:30:00.000")
    assert moved[f"breach_at first_reply {first.event_id}"] == kept_until


def test_a_hand_off_heard_of_late_says_who_held_the_clock_and_how_long(lived: Lived, ask: Ask) -> None:
    first = lived.add("inquiry", "2026-10-06 10:00")
    lived.add("reply", "2026-10-06 12:30", unit="b")
    assert ask(RESTATED) == []
    late = lived.add("transfer", "2026-10-06 11:00", unit="b", received_at=at("2026-10-06 15:00").isoformat())
    place = f"{first.event_id} 1"
    assert ask(RESTATED) == [
        ("c1", f"segment_{name} {place}", str(150 * 60_000), str(60 * 60_000), [late.event_id], [])
        for name in ("business_ms", "ms")
    ]


def test_an_edit_of_a_pillar_alone_is_a_restatement(lived: Lived, ask: Ask) -> None:
    lived.add("inquiry", "2026-10-06 10:00")
    said: dict[str, Any] = {"score": 8, "trust": 5, "answered": True, "items": {"food": 7}}
    lived.add("rating", "2026-10-06 12:00", pillars={"courtesy": 8, "communication": 6}, **said)
    edited = {**said, "trust": 6, "answered": False, "items": {"food": 2}}
    edit = lived.add("rating", "2026-10-06 13:00", pillars={"courtesy": 2, "communication": 6}, **edited)
    changed = [("answered", "1", "0"), ("courtesy", "8", "2"), ("item food", "7", "2"), ("trust", "5", "6")]
    wanted: list[tuple[Any, ...]] = [
        ("c1", f"{name} default ", before, after, [edit.event_id], []) for name, before, after in changed
    ]
    assert ask(RESTATED) == wanted


def test_a_reopening_that_was_none_and_the_length_of_a_full_resolution_are_restated(lived: Lived, ask: Ask) -> None:
    lived.add("inquiry", "2026-10-06 10:00")
    lived.add("status_changed", "2026-10-06 10:30", status="resolved")
    thanks = lived.add("inquiry", "2026-10-07 10:00")
    lived.add("status_changed", "2026-10-07 10:20", status="resolved")
    assert ask(RESTATED) == []
    taken_back = lived.add("correction", "2026-10-07 11:00", corrects=thanks.event_id, needs_reply=False)
    again: tuple[Any, ...] = (
        "c1",
        "reopened_at 2026-10-06T15:30:00.000Z",
        "2026-10-07 15:00:00.000",
        "",
        [taken_back.event_id],
        [],
    )
    assert again in ask(RESTATED)
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-10-07"]}}
    snow = lived.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-10-08 12:00")
    full = "full_resolution_business_ms 2026-10-07T15:20:00.000Z"
    lengths = (str(530 * 60_000), str(360 * 60_000))
    assert ("c1", full, *lengths, [], [snow.event_id]) in ask(RESTATED)


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


KNOWN = ("waits", "segments", "ratings", "verdicts", "items", "resolutions", "transfers")


def test_every_view_of_facts_can_be_asked_as_it_was_known(lived: Lived, ask: Ask) -> None:
    who = "5f5f5f5f5f5f5f5f"
    first = lived.add("inquiry", "2026-10-06 10:00", person=who, topic="bus")
    lived.add("transfer", "2026-10-06 10:10", unit="b")
    lived.add("status_changed", "2026-10-06 10:20", status="resolved")
    lived.add("rating", "2026-10-06 10:30", score=4, items={"food": 7})
    lived.add("inquiry", "2026-10-07 10:00", "c2", person=who, topic="bus")
    lived.add("rating", "2026-10-07 10:10", "c3", score=2)

    def asked(view: str, when: str | None = None) -> list[tuple[Any, ...]]:
        at_ms = ms("2030-01-01 00:00" if when is None else when)
        return ask(f"SELECT * FROM {view}_as_known(at = fromUnixTimestamp64Milli({at_ms}, 'UTC')) ORDER BY ALL")

    for view in (*KNOWN, "repeat_contacts", "unlinked_ratings"):
        now = ask(f"SELECT * FROM {view} ORDER BY ALL")
        assert asked(view) == now != []
        names = ask(f"DESCRIBE (SELECT * FROM {view}_as_known(at = now64(3)))")
        assert [row[0] for row in names] == [row[0] for row in ask(f"DESCRIBE {view}")]
    before = {view: asked(view, "2026-10-06 12:00") for view in KNOWN}
    lived.add("correction", "2026-10-08 10:00", corrects=first.event_id, unit="line", topic="food")
    lived.add("spam", "2026-10-08 11:00", "c2")
    assert {view: asked(view, "2026-10-06 12:00") for view in KNOWN} == before
    assert [row[-2] for row in asked("repeat_contacts", "2026-10-06 12:00")] == [0]
    assert [row[-2] for row in asked("repeat_contacts", "2026-10-07 12:00")] == [1]
    assert [row[-2] for row in asked("repeat_contacts")] == [0]
    assert asked("waits", "2026-10-06 12:00") != asked("waits")
    assert asked("unlinked_ratings", "2026-10-07 09:00") == []


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
