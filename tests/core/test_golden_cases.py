"""The golden cases of docs/definitions.md, G1 to G25 as far as one conversation decides them."""

from typing import Any

import pytest

from tests.golden import History, district, minutes

PROMISES = [{"promise": "hour", "clock": "first_reply", "target": "1h"}]


def story(**more: Any) -> History:
    history = History()
    history.configured(district(**more))
    return history


@pytest.mark.parametrize(
    ("case", "opened", "answered", "unit", "calendar", "business"),
    [
        ("G1", "2026-10-06 10:00", "2026-10-06 10:45", "a", 45, 45),
        ("G2", "2026-10-06 18:30", "2026-10-07 08:10", "a", 13 * 60 + 40, 40),
        ("G3", "2026-10-09 15:00", "2026-10-12 08:30", "a", 65 * 60 + 30, 120),
        ("G4", "2026-03-06 15:00", "2026-03-09 08:30", "a", 64 * 60 + 30, 120),
        ("G5", "2026-10-30 15:00", "2026-11-02 08:30", "a", 66 * 60 + 30, 120),
        ("G6", "2026-11-25 15:30", "2026-11-30 08:00", "a", 112 * 60 + 30, 60),
        ("G7", "2026-10-09 18:00", "2026-10-10 09:00", "a", 15 * 60, 0),
        ("G8", "2026-03-07 12:00", "2026-03-09 00:00", "line", 35 * 60, 35 * 60),
    ],
)
def test_g1_to_g8_two_clocks(case: str, opened: str, answered: str, unit: str, calendar: int, business: int) -> None:
    history = story()
    history.add("inquiry", opened, unit=unit)
    history.add("reply", answered)
    fact = history.fact()
    assert minutes(fact["first_response_ms"]) == calendar, case
    assert minutes(fact["first_response_business_ms"]) == business, case
    (wait,) = fact["waits"]
    assert (minutes(wait["wait_ms"]), minutes(wait["business_ms"])) == (calendar, business)


def test_g9_early_release() -> None:
    base = district().model_dump(mode="json")
    base["calendars"]["office"]["days"] = {"2026-10-09": ["07:30-12:00"]}
    history = story(calendars=base["calendars"])
    history.add("inquiry", "2026-10-09 11:00")
    history.add("reply", "2026-10-12 08:00")
    assert minutes(history.fact()["first_response_business_ms"]) == 90


def test_g10_several_messages_are_one_wait() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("inquiry", "2026-10-06 10:20")
    history.add("reply", "2026-10-06 11:00")
    (wait,) = history.fact()["waits"]
    assert (minutes(wait["wait_ms"]), wait["messages"]) == (60, 2)


def test_g11_automatic_and_internal_messages_answer_nothing() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:00:05", author="automatic_acknowledgement")
    history.add("reply", "2026-10-06 10:10", public=False)
    history.add("reply", "2026-10-06 10:30")
    history.add("reply", "2026-10-06 10:40")
    fact = history.fact()
    assert (minutes(fact["first_response_ms"]), fact["extra_replies"]) == (30, 1)


@pytest.mark.parametrize("from_bot", [True, False])
def test_g12_bot_first_then_a_human(from_bot: bool) -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:00:10", author="bot")
    history.add("transfer", "2026-10-06 10:20", unit="a", from_bot=from_bot)
    history.add("reply", "2026-10-06 10:50")
    fact = history.fact()
    assert (minutes(fact["first_response_ms"]), minutes(fact["staff_first_response_ms"])) == (50, 30)


def test_g13_ownership_is_cut_and_sums_to_the_wait() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", unit="a")
    history.add("transfer", "2026-10-06 11:00", unit="b")
    history.add("reply", "2026-10-06 12:30", unit="b")
    fact = history.fact()
    assert [(s["unit"], minutes(s["segment_ms"])) for s in fact["segments"]] == [("a", 60), ("b", 90)]
    assert (minutes(fact["first_response_ms"]), fact["handoffs"], fact["first_route_correct"]) == (150, 1, 0)
    assert fact["first_response_unit"] == "b"


def reopening(needs_reply: bool) -> dict[str, Any]:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:30")
    history.add("status_changed", "2026-10-06 10:30", status="resolved")
    history.add("inquiry", "2026-10-07 10:00", needs_reply=needs_reply)
    if needs_reply:
        history.add("reply", "2026-10-07 10:20")
        history.add("status_changed", "2026-10-07 10:20", status="resolved")
    return history.fact()


def test_g14_reopened() -> None:
    fact = reopening(needs_reply=True)
    assert [minutes(wait["wait_ms"]) for wait in fact["waits"]] == [30, 20]
    assert minutes(fact["first_response_ms"]) == 30
    assert minutes(fact["first_resolution_ms"]) == 30
    assert minutes(fact["full_resolution_ms"]) == 24 * 60 + 20
    assert minutes(fact["full_resolution_business_ms"]) == 8 * 60 + 50
    assert fact["reopened"] == 1


def test_g15_thanks_does_not_reopen() -> None:
    fact = reopening(needs_reply=False)
    assert (len(fact["waits"]), fact["reopened"], minutes(fact["full_resolution_ms"])) == (1, 0, 30)


def test_g16_outbound_is_no_inquiry() -> None:
    history = story()
    history.add("reply", "2026-10-06 09:00")
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:15")
    fact = history.fact()
    assert (fact["inquiries"], fact["outbound"], fact["first_response_ms"]) == (0, 1, None)
    assert [minutes(wait["wait_ms"]) for wait in fact["waits"]] == [15]


def test_g18_clocks_of_two_sources_that_disagree() -> None:
    history = story()
    history.add("reply", "2026-10-06 09:59:58", source="phone")
    history.add("inquiry", "2026-10-06 10:00")
    fact = history.fact()
    assert (fact["waits"][0]["wait_ms"], fact["skew"], fact["first_response_ms"]) == (0, 1, 0)


def test_g18_six_minutes_before_is_outbound() -> None:
    history = story()
    history.add("reply", "2026-10-06 09:54", source="phone")
    history.add("inquiry", "2026-10-06 10:00")
    fact = history.fact()
    assert (fact["waits"][0]["outcome"], fact["skew"], fact["outbound"]) == ("open", 0, 1)


def test_g20_spam_is_retracted_and_comes_back() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:45")
    history.add("spam", "2026-10-06 11:00")
    assert history.fact()["retracted"] == 1
    history.add("not_spam", "2026-10-06 12:00")
    assert history.fact()["retracted"] == 0


def test_g21_the_last_edit_counts() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:30", unit="b")
    history.add("rating", "2026-10-06 12:00", score=4)
    history.add("rating", "2026-10-15 12:00", score=9)
    (rating,) = history.fact()["ratings"]
    assert (rating["score"], rating["edits"], rating["late"], rating["unit"]) == (9, 1, 0, "b")


def test_g22_a_late_rating_is_only_counted() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("status_changed", "2026-10-06 11:00", status="resolved")
    history.add("rating", "2026-11-15 11:00", score=2)
    assert history.fact()["ratings"][0]["late"] == 1


@pytest.mark.parametrize(
    ("answered", "outcome"),
    [
        ("2026-10-06 16:00", "met"),
        ("2026-10-06 16:05", "met"),
        ("2026-10-07 07:30", "met"),
        ("2026-10-07 07:31", "missed"),
        (None, "open"),
    ],
)
def test_g25_due_at_closing_time_breaches_at_the_next_opening(answered: str | None, outcome: str) -> None:
    history = story(promises=PROMISES)
    history.add("inquiry", "2026-10-06 15:00")
    if answered is not None:
        history.add("reply", answered)
    (verdict,) = history.fact()["verdicts"]
    assert verdict["due_at"] == "2026-10-06T21:00:00.000Z"
    assert verdict["breach_at"] == "2026-10-07T12:30:00.000Z"
    assert verdict["at_risk_at"] == "2026-10-06T20:45:00.000Z"
    assert verdict["outcome"] == outcome


@pytest.mark.parametrize(
    ("due_at", "outcome"),
    [("2026-10-06T16:00:00Z", "met"), ("2026-10-06T15:59:59Z", "missed"), (None, None)],
)
def test_the_sources_own_promise_replaces_the_units_target(due_at: str | None, outcome: str | None) -> None:
    history = story(promises=[{"promise": "never", "clock": "resolution", "target": "1s"}])
    history.add("inquiry", "2026-10-06 10:00", due_at=due_at)
    history.add("status_changed", "2026-10-06 11:00", status="resolved")
    assert [v["outcome"] for v in history.fact()["verdicts"]] == ([outcome] if outcome else [])


def test_resolved_before_it_was_opened_is_clamped() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("status_changed", "2026-10-02 10:00", status="resolved")
    fact = history.fact()
    assert (fact["first_resolution_ms"], fact["skew"], fact["waits"][0]["outcome"]) == (0, 1, "resolved_no_reply")


def test_answered_live_is_a_class_of_its_own() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", channel="phone", contact="answered_live", queue_seconds=12.5)
    fact = history.fact()
    assert (fact["first_response_ms"], fact["waits"][0]["live"], fact["waits"][0]["outcome"]) == (12_500, 1, "answered")


def test_g27_missed_call_and_call_back() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 08:00", channel="phone", contact="missed_call")
    history.add("inquiry", "2026-10-06 08:05", channel="phone", contact="missed_call")
    history.add("reply", "2026-10-06 09:00", channel="phone")
    (wait,) = history.fact()["waits"]
    assert (minutes(wait["wait_ms"]), wait["redials"]) == (60, 1)


def test_nobody_to_answer_is_not_in_the_backlog() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 08:00", channel="phone", contact="missed_call", reachable=False)
    (wait,) = history.fact()["waits"]
    assert (wait["outcome"], wait["ended_at"]) == ("unreachable", None)


def test_an_unknown_unit_is_counted_under_unrouted() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 08:00", unit="nowhere")
    assert history.fact()["unit"] == "unrouted"


def test_a_failed_delivery_answers_nothing() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    reply = history.add("reply", "2026-10-06 10:30")
    history.add("delivery_failed", "2026-10-06 10:31", reply=reply.event_id)
    assert history.fact()["waits"][0]["outcome"] == "open"


def test_a_message_after_a_withdrawal_opens_the_conversation_again() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("status_changed", "2026-10-06 11:00", status="withdrawn", by="customer")
    history.add("inquiry", "2026-10-06 12:00")
    fact = history.fact()
    assert [wait["outcome"] for wait in fact["waits"]] == ["withdrawn", "open"]
    assert (fact["status"], fact["reopened"]) == ("open", 0)


def test_a_live_answer_is_credited_to_who_gave_it() -> None:
    history = story()
    who = "5f5f5f5f5f5f5f5f"
    history.add("inquiry", "2026-10-06 10:00", channel="in_person", contact="answered_live", queue_seconds=5, staff=who)
    fact = history.fact()
    assert (fact["first_response_staff"], fact["first_response_unit"]) == (who, "a")


def test_the_districts_own_items_are_credited_like_their_rating() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:30", unit="b")
    history.add("rating", "2026-10-06 12:00", score=9, items={"clarity": 7, "bus": 4})
    history.add("rating", "2026-10-06 12:00", score=3, rater="5f5f5f5f5f5f5f5f", items={"bus": 2})
    found = [(each["rating"], each["item"], each["score"], each["unit"]) for each in history.fact()["items"]]
    assert found == [(0, "bus", 4, "b"), (0, "clarity", 7, "b"), (1, "bus", 2, "b")]
