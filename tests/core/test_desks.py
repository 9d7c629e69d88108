"""What desks really do: close what they merged away, acknowledge by machine, assign late, open cases themselves."""

from typing import Any

import pytest

from tests.golden import History, district, minutes


def story(**more: Any) -> History:
    history = History()
    history.configured(district(**more))
    return history


def fact(history: History, conversation: str) -> dict[str, Any]:
    return next(row for row in history.facts() if row["conversation"] == conversation)


def test_the_first_assignment_is_no_hand_off() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", unit=None)
    history.add("transfer", "2026-10-06 10:20", unit="b")
    found = history.fact()
    assert (found["handoffs"], found["first_route_correct"], found["transfers"]) == (0, 1, [])
    history.add("transfer", "2026-10-06 10:40", unit="a")
    assert [(t["from_department"], t["to_department"]) for t in history.fact()["transfers"]] == [("b", "a")]


@pytest.mark.parametrize(
    ("author", "staff"), [("automatic_acknowledgement", 120), ("campaign", 120), ("automation", 120), ("bot", 60)]
)
def test_only_a_bot_starts_the_staff_clock_anew(author: str, staff: int) -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", unit="a")
    history.add("reply", "2026-10-06 10:00:05", author=author)
    history.add("transfer", "2026-10-06 11:00", unit="b")
    history.add("reply", "2026-10-06 12:00", unit="b")
    found = history.fact()
    assert (minutes(found["staff_first_response_ms"]), minutes(found["first_response_last_bot_ms"])) == (staff, staff)


@pytest.mark.parametrize("closing", ["status_changed", "deleted"])
def test_closing_what_was_merged_away_closes_nothing_else(closing: str) -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", "x")
    history.add("inquiry", "2026-10-06 10:30", "y")
    history.add("merge", "2026-10-06 11:00", "y", into="x")
    fields = {"status": "resolved"} if closing == "status_changed" else {}
    history.add(closing, "2026-10-06 11:00", "y", **fields)
    history.add("reply", "2026-10-06 11:15", "x")
    found = fact(history, "x")
    assert [minutes(wait["wait_ms"]) for wait in found["waits"]] == [75]
    assert (found["deleted"], found["extra_replies"], found["status"]) == (0, 0, "open")


def test_anonymous_ratings_of_merged_families_stay_two() -> None:
    history = story()
    for name, score in (("x", 9), ("y", 2)):
        history.add("inquiry", "2026-10-06 10:00", name)
        history.add("rating", "2026-10-06 12:00", name, score=score)
    history.add("merge", "2026-10-06 13:00", "y", into="x")
    ratings = fact(history, "x")["ratings"]
    assert [(rating["rater"], rating["score"], rating["edits"]) for rating in ratings] == [("", 9, 0), ("", 2, 0)]


def test_equal_event_ids_of_merged_conversations_give_two_promises() -> None:
    history = story(promises=[{"promise": "next", "clock": "next_reply", "target": "1h"}])
    for name, hour in (("x", 10), ("y", 12)):
        history.add("reply", "2026-10-06 08:00", name, event_id="0")
        history.add("inquiry", f"2026-10-06 {hour}:00", name, event_id="1")
        history.add("reply", f"2026-10-06 {hour}:30", name, event_id="2")
    history.add("merge", "2026-10-06 15:00", "y", into="x")
    openers = [verdict["opened_by_event"] for verdict in fact(history, "x")["verdicts"]]
    assert openers == ["1", "y/1"]


def test_g22_a_rating_on_day_40_is_one_more_late_one_and_the_mean_stays() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("status_changed", "2026-10-06 11:00", status="resolved")
    history.add("rating", "2026-10-06 12:00", score=4)
    history.add("rating", "2026-10-07 12:00", score=9)
    history.add("rating", "2026-11-15 11:00", score=1)
    ratings = [(rating["score"], rating["edits"], rating["late"]) for rating in history.fact()["ratings"]]
    assert ratings == [(9, 1, 0), (1, 0, 1)]


def test_a_survey_offer_links_no_rating() -> None:
    history = story()
    history.add("survey_offered", "2026-10-06 10:00")
    history.add("rating", "2026-10-06 12:00", score=4)
    assert history.fact()["linked"] == 0


def test_a_case_that_staff_opened_stays_theirs() -> None:
    history = story(promises=[{"promise": "done", "clock": "resolution", "target": "4h"}])
    history.add("inquiry", "2026-10-06 09:00", opened_by="staff")
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:15")
    found = history.fact()
    assert (found["opened_by"], found["inquiries"], found["first_response_ms"]) == ("staff", 0, None)
    assert found["verdicts"][0]["started_at"] == "2026-10-06T14:00:00.000Z"
    assert [minutes(wait["wait_ms"]) for wait in found["waits"]] == [15]


def test_any_critical_message_makes_a_conversation_difficult() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    assert history.fact()["difficult"] == 0
    history.add("inquiry", "2026-10-06 10:05", critical_category="safety")
    assert history.fact()["difficult"] == 1


def test_what_is_open_ends_when_its_case_is_deleted() -> None:
    promises = [
        {"promise": "first", "clock": "first_reply", "target": "2h"},
        {"promise": "done", "clock": "resolution", "target": "8h"},
    ]
    history = story(promises=promises)
    history.add("inquiry", "2026-10-06 10:00")
    history.add("deleted", "2026-10-07 10:00")
    found = history.fact()
    (wait,) = found["waits"]
    assert (found["deleted"], found["status"], wait["outcome"]) == (1, "withdrawn", "withdrawn")
    assert (minutes(wait["wait_ms"]), wait["ended_by_event"]) == (24 * 60, "e02")
    assert [verdict["outcome"] for verdict in found["verdicts"]] == ["cancelled", "cancelled"]
    history.add("inquiry", "2026-10-07 11:00")
    history.add("reply", "2026-10-07 11:30")
    again = history.fact()
    assert [each["outcome"] for each in again["waits"]] == ["withdrawn", "answered"]
    assert (again["reopened"], again["status"]) == (0, "open")


def test_deleting_what_was_resolved_changes_nothing_but_the_mark() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:30")
    history.add("status_changed", "2026-10-06 10:30", status="resolved")
    before = history.fact()
    history.add("deleted", "2026-10-07 10:00")
    after = history.fact()
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"deleted", "events", "version"}


EVERY_CLOCK = [
    {"promise": clock, "clock": clock, "target": "1h"}
    for clock in ("first_reply", "next_reply", "resolution", "ownership", "periodic_update")
]


@pytest.mark.parametrize(
    "fields", [{"automatic": True}, {"needs_reply": False}, {"automatic": True, "opened_by": "staff"}]
)
def test_nothing_is_promised_where_nobody_asked_for_anything(fields: dict[str, Any]) -> None:
    history = story(promises=EVERY_CLOCK)
    history.add("inquiry", "2026-10-06 10:00", unit="gone", **fields)
    history.add("reply", "2026-10-06 10:10")
    assert history.fact()["verdicts"] == []
    history.add("inquiry", "2026-10-06 11:00")
    assert {verdict["clock"] for verdict in history.fact()["verdicts"]} > {"next_reply", "resolution", "ownership"}


def test_a_promise_of_the_source_stands_whatever_was_asked() -> None:
    history = story(promises=EVERY_CLOCK)
    history.add("inquiry", "2026-10-06 10:00", needs_reply=False, due_at="2026-10-06T17:00:00Z")
    (verdict,) = history.fact()["verdicts"]
    assert (verdict["clock"], verdict["promise"], verdict["outcome"]) == ("resolution", "source", "open")


def test_a_question_that_turns_out_to_need_no_reply_takes_its_promises_back() -> None:
    history = story(promises=EVERY_CLOCK)
    history.add("inquiry", "2026-10-06 10:00")
    assert len(history.fact()["verdicts"]) == 3
    history.add("correction", "2026-10-06 12:00", corrects="e01", needs_reply=False)
    assert history.fact()["verdicts"] == []


@pytest.mark.parametrize("kind", ["nothing", "transfer", "note"])
def test_a_resolve_of_what_began_before_the_feed_has_no_length(kind: str) -> None:
    history = story()
    if kind == "transfer":
        history.add("transfer", "2026-10-06 09:00", unit="b")
    elif kind == "note":
        history.add("reply", "2026-10-06 09:00", public=False)
    history.add("status_changed", "2026-10-06 10:00", status="resolved")
    found = history.fact()
    assert (found["first_resolution_ms"], found["first_resolved_at"], found["full_resolution_ms"]) == (None,) * 3
    assert (found["status"], len(found["resolutions"])) == ("resolved", 1)
    history.add("inquiry", "2026-10-06 08:00")
    assert minutes(history.fact()["first_resolution_ms"]) == 120


def test_the_first_resolve_from_the_start_on_is_the_first_resolution() -> None:
    history = story()
    history.add("status_changed", "2026-10-06 09:00", status="resolved", source="other")
    history.add("inquiry", "2026-10-06 10:00")
    history.add("status_changed", "2026-10-06 10:40", status="resolved")
    found = history.fact()
    assert (minutes(found["first_resolution_ms"]), minutes(found["full_resolution_ms"]), found["skew"]) == (40, 40, 0)


def test_of_who_cannot_be_answered_no_promise_breaks() -> None:
    history = story(promises=EVERY_CLOCK)
    call = {"channel": "phone", "contact": "missed_call"}
    history.add("inquiry", "2026-10-06 10:00", reachable=False, **call)
    outcomes = {verdict["clock"]: verdict["outcome"] for verdict in history.fact()["verdicts"]}
    assert outcomes == {"first_reply": "cancelled", "resolution": "cancelled", "ownership": "met"}
    history.add("inquiry", "2026-10-06 10:30", **call)
    outcomes = {verdict["clock"]: verdict["outcome"] for verdict in history.fact()["verdicts"]}
    assert (outcomes["next_reply"], outcomes["resolution"]) == ("open", "open")
