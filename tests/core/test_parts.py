"""A thread taken up long after its resolve: a conversation of its own, linked, and one again when that was wrong."""

from typing import Any

from streams.core.district import DistrictState
from tests.golden import OFFICE, History, district, minutes


def answered(again: str, **more: Any) -> History:
    history = History()
    history.configured(district(**more))
    history.add("inquiry", "2026-10-05 10:00")
    history.add("reply", "2026-10-05 10:30")
    history.add("status_changed", "2026-10-05 11:00", status="resolved")
    history.add("inquiry", again)
    return history


def test_within_fourteen_school_days_it_is_a_reopening() -> None:
    # The fourteenth school day after Monday 5 October is Friday 23 October.
    history = answered("2026-10-23 23:59")
    fact = history.fact()
    assert (fact["reopened"], len(fact["waits"]), fact["full_resolved_at"], fact["reopened_soon"]) == (1, 2, None, 0)


def test_after_them_it_is_a_linked_conversation() -> None:
    history = answered("2026-10-24 00:00")
    history.add("reply", "2026-10-24 00:20")
    first, second = history.facts()
    assert (first["conversation"], first["reopened"], len(first["waits"])) == ("c1", 0, 1)
    assert (second["conversation"], second["continues"], second["inquiries"]) == ("c1~2", "c1", 1)
    assert minutes(second["first_response_ms"]) == 20
    assert first["full_resolved_at"] is not None
    assert first["version"] == second["version"]


def test_a_thanks_or_a_reply_after_them_begins_nothing() -> None:
    history = answered("2026-10-23 09:00")
    history.events[-1] = history.events[-1].model_copy(update={"needs_reply": False})
    history.add("reply", "2026-11-20 10:00")
    assert len(history.facts()) == 1


def test_reopened_soon_is_within_seven_school_days() -> None:
    assert answered("2026-10-14 23:59").fact()["reopened_soon"] == 1
    assert answered("2026-10-15 00:00").fact()["reopened_soon"] == 0


def test_a_break_declared_later_makes_two_parts_one_again() -> None:
    history = answered("2026-10-24 00:00")
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    assert [row[1] for row in state.settle().rows] == ["c1", "c1~2"]
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-10-12"]}}
    state.apply(history.configured(district(calendars=calendars, revision=2), "2026-11-01 10:00"))
    rows = state.settle().rows
    assert [(row[1], row[3]) for row in rows] == [("c1", 0), ("c1~2", 1)]
    assert rows[0][2] == rows[1][2]
    assert [row["conversation"] for row in history.facts()] == ["c1"]


def test_a_rating_belongs_to_the_part_in_which_it_was_given() -> None:
    history = answered("2026-10-24 00:00")
    history.add("rating", "2026-10-06 10:00", score=4)
    history.add("rating", "2026-10-30 10:00", score=9)
    assert [[rating["score"] for rating in row["ratings"]] for row in history.facts()] == [[4], [9]]


def test_a_calendar_that_never_opens_never_parts() -> None:
    history = answered("2027-10-24 00:00", calendars={"office": {"time_zone": "UTC"}, "always": {"time_zone": "UTC"}})
    assert history.fact()["reopened"] == 1
