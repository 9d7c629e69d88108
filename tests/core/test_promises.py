"""Promise clocks: every kind, pauses, edited policies, and what an edit may not do."""

from typing import Any

import pytest

from tests.golden import History, district


def story(*promises: dict[str, Any]) -> History:
    history = History()
    history.configured(district(promises=list(promises)))
    return history


def edited(history: History, when: str, *promises: dict[str, Any]) -> None:
    revision = 2 + sum(event.kind == "district_configured" for event in history.events)
    history.configured(district(promises=list(promises), revision=revision), when)


def verdict(history: History, clock: str = "first_reply") -> dict[str, Any]:
    found: list[dict[str, Any]] = [each for each in history.fact()["verdicts"] if each["clock"] == clock]
    (only,) = found
    return only


def local(instant: str | None) -> str:
    """The UTC instant of a fact as a local time of October 2026, Chicago (UTC−5)."""
    assert instant is not None
    day, hour = instant[8:10], int(instant[11:13]) - 5
    return f"{day} {hour:02d}:{instant[14:16]}" if hour >= 0 else f"{int(day) - 1:02d} {hour + 24}:{instant[14:16]}"


FOUR = {"promise": "four", "clock": "first_reply", "target": "4h"}
TWO = {"promise": "two", "clock": "first_reply", "target": "2h"}


def test_a_reply_after_the_promise_is_met_late() -> None:
    history = story(TWO)
    history.add("inquiry", "2026-10-06 08:00")
    history.add("reply", "2026-10-06 10:01")
    found = verdict(history)
    assert (found["outcome"], local(found["due_at"]), local(found["ended_at"])) == ("missed", "06 10:00", "06 10:01")
    assert (local(found["at_risk_at"]), found["revision"], found["opened_by_event"]) == ("06 09:30", 1, "e01")


def test_a_promise_that_is_not_kept_is_to_be_escalated_by_its_own_clock() -> None:
    history = story(TWO)
    history.add("inquiry", "2026-10-06 14:30")
    found = verdict(history)
    assert [local(found[name]) for name in ("breach_at", "escalated_50_at", "escalated_100_at")] == [
        *("07 08:00", "07 09:00", "07 10:00"),
    ]
    history.add("reply", "2026-10-07 08:00")
    kept = verdict(history)
    assert (kept["outcome"], kept["escalated_50_at"], kept["escalated_100_at"]) == ("met", None, None)


def test_ownership_is_met_at_once_by_a_known_unit_and_by_the_first_hand_off_else() -> None:
    promise = {"promise": "owned", "clock": "ownership", "target": "30m"}
    at_once = story(promise)
    at_once.add("inquiry", "2026-10-06 08:00")
    assert (verdict(at_once, "ownership")["outcome"], at_once.fact()["time_to_owner_ms"]) == ("met", 0)
    later = story(promise)
    later.add("inquiry", "2026-10-06 08:00", unit=None)
    assert (verdict(later, "ownership")["outcome"], later.fact()["time_to_owner_ms"]) == ("open", None)
    later.add("transfer", "2026-10-06 08:40", unit="b")
    assert (verdict(later, "ownership")["outcome"], later.fact()["time_to_owner_ms"]) == ("missed", 40 * 60_000)
    by_person = story(promise)
    by_person.add("inquiry", "2026-10-06 08:00", unit=None)
    by_person.add("transfer", "2026-10-06 08:20", staff="5f5f5f5f5f5f5f5f")
    assert verdict(by_person, "ownership")["outcome"] == "met"


def test_the_customer_is_told_something_every_day_until_it_is_resolved() -> None:
    history = story({"promise": "daily", "clock": "periodic_update", "target": "24h", "hours": "calendar"})
    history.add("inquiry", "2026-10-06 08:00")
    history.add("reply", "2026-10-06 09:00")
    history.add("reply", "2026-10-07 08:59")
    history.add("reply", "2026-10-08 10:00")
    found = history.fact()["verdicts"]
    assert [each["outcome"] for each in found] == ["met", "missed", "open"]
    assert [local(each["due_at"]) for each in found] == ["07 09:00", "08 08:59", "09 10:00"]
    history.add("status_changed", "2026-10-08 12:00", status="resolved")
    # A word after the resolve owes no further one.
    history.add("reply", "2026-10-08 13:00")
    assert [each["outcome"] for each in history.fact()["verdicts"]] == ["met", "missed", "met"]


RESOLVED = {"promise": "done", "clock": "resolution", "target": "4h"}


def test_a_resolution_clock_stands_still_while_the_customer_is_waited_for() -> None:
    history = story(RESOLVED)
    history.add("inquiry", "2026-10-06 08:00")
    history.add("status_changed", "2026-10-06 10:00", status="pending")
    waiting = verdict(history, "resolution")
    # At risk comes at 11:00 without a pause; while the pause has no end nothing ever comes.
    assert [waiting[name] for name in ("at_risk_at", "due_at", "breach_at", "outcome")] == [None, None, None, "open"]
    history.add("inquiry", "2026-10-06 15:00")
    going_on = verdict(history, "resolution")
    assert (local(going_on["due_at"]), going_on["paused_ms"]) == ("07 08:30", 5 * 3_600_000)
    history.add("status_changed", "2026-10-07 08:30", status="resolved")
    assert verdict(history, "resolution")["outcome"] == "met"


def test_what_was_reached_before_a_pause_stays() -> None:
    history = story(RESOLVED)
    history.add("inquiry", "2026-10-06 08:00")
    history.add("status_changed", "2026-10-06 11:30", status="pending")
    found = verdict(history, "resolution")
    assert (local(found["at_risk_at"]), found["due_at"]) == ("06 11:00", None)
    history.add("status_changed", "2026-10-06 13:00", status="reopened")
    found = verdict(history, "resolution")
    assert (local(found["due_at"]), found["paused_ms"], history.fact()["reopened"]) == ("06 13:30", 90 * 60_000, 0)


def test_on_hold_is_the_districts_own_time_and_pauses_nothing() -> None:
    history = story(RESOLVED)
    history.add("inquiry", "2026-10-06 08:00")
    history.add("status_changed", "2026-10-06 10:00", status="on_hold")
    assert local(verdict(history, "resolution")["due_at"]) == "06 12:00"


def test_a_pause_over_a_hand_off_counts_in_neither_calendar() -> None:
    history = story({**RESOLVED, "target": "6h"})
    history.add("inquiry", "2026-10-06 14:00", unit="a")
    history.add("status_changed", "2026-10-06 15:00", status="pending")
    history.add("transfer", "2026-10-06 20:00", unit="line")
    history.add("inquiry", "2026-10-06 21:00")
    # One hour in the office until 15:00; five more from 21:00 on the line that never closes.
    assert local(verdict(history, "resolution")["due_at"]) == "07 02:00"


def test_an_edited_policy_moves_a_running_clock() -> None:
    history = story(FOUR)
    history.add("inquiry", "2026-10-06 08:00")
    edited(history, "2026-10-06 09:00", TWO)
    found = verdict(history)
    assert (found["promise"], local(found["due_at"]), found["revision"]) == ("two", "06 10:00", 3)


def test_no_clock_breaks_before_the_edit_that_moved_it() -> None:
    history = story(FOUR)
    history.add("inquiry", "2026-10-06 08:00")
    edited(history, "2026-10-06 11:00", TWO)
    found = verdict(history)
    assert {local(found[name]) for name in ("at_risk_at", "due_at", "breach_at")} == {"06 11:00"}
    history.add("reply", "2026-10-06 11:01")
    assert verdict(history)["outcome"] == "missed"


def test_an_edit_moves_neither_what_has_ended_nor_what_is_broken() -> None:
    ended = story(FOUR)
    ended.add("inquiry", "2026-10-06 08:00")
    ended.add("reply", "2026-10-06 11:00")
    edited(ended, "2026-10-06 12:00", TWO)
    assert (verdict(ended)["promise"], verdict(ended)["outcome"]) == ("four", "met")
    broken = story(TWO)
    broken.add("inquiry", "2026-10-06 08:00")
    edited(broken, "2026-10-06 12:00", FOUR)
    broken.add("reply", "2026-10-06 11:30")
    assert (verdict(broken)["promise"], verdict(broken)["outcome"]) == ("two", "missed")


def test_a_policy_that_comes_or_goes_while_the_clock_runs() -> None:
    comes = story()
    comes.add("inquiry", "2026-10-06 08:00")
    edited(comes, "2026-10-06 11:00", TWO)
    assert local(verdict(comes)["breach_at"]) == "06 11:00"
    goes = story(FOUR)
    goes.add("inquiry", "2026-10-06 08:00")
    edited(goes, "2026-10-06 11:00")
    assert goes.fact()["verdicts"] == []


@pytest.mark.parametrize(
    ("fields", "promise"),
    [({"priority": "critical"}, "urgent"), ({"topic": "bus"}, "bus"), ({"topic": "food"}, "four")],
)
def test_priority_and_topic_choose_the_promise(fields: dict[str, str], promise: str) -> None:
    urgent = {**TWO, "promise": "urgent", "priorities": ["critical"]}
    history = story(urgent, {**TWO, "promise": "bus", "topics": ["bus"]}, FOUR)
    inquiry = history.add("inquiry", "2026-10-06 08:00", **fields)
    assert verdict(history)["promise"] == promise
    history.add("correction", "2026-10-06 12:00", corrects=inquiry.event_id, topic="bus")
    assert verdict(history)["promise"] == ("urgent" if promise == "urgent" else "bus")


def test_a_revision_that_leaves_the_promise_as_it_was_moves_nothing() -> None:
    history = story(TWO)
    history.add("inquiry", "2026-10-06 15:00")
    before = verdict(history)
    # The target is reached at 08:30 the next day; at risk came at 07:30 + 30 min.
    edited(history, "2026-10-07 08:10", TWO)
    assert verdict(history) == {**before, "revision": 3}
    edited(history, "2026-10-07 08:20", {**TWO, "target": "3h"})
    found = verdict(history)
    assert (local(found["at_risk_at"]), local(found["due_at"]), found["revision"]) == ("07 08:45", "07 09:30", 4)
