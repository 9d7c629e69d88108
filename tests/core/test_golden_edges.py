"""Histories at the edges of the definitions: who wrote first, what ends what, and what no longer runs."""

import itertools
from typing import Any

import pytest

from schemas.events import Event
from tests.golden import History, district, fold_all, minutes

UPDATES = [{"promise": "told", "clock": "periodic_update", "target": "4h", "hours": "calendar"}]
DONE = [{"promise": "done", "clock": "resolution", "target": "8h"}]
OTHER = [{"promise": "sooner", "clock": "resolution", "target": "4h"}]
TUESDAY = "2026-10-06"


def _verdicts(history: History, clock: str) -> list[dict[str, Any]]:
    return [verdict for verdict in history.fact()["verdicts"] if verdict["clock"] == clock]


def test_a_reply_to_what_staff_opened_does_not_make_it_outbound() -> None:
    history = History()
    opening = history.add("inquiry", f"{TUESDAY} 10:00", opened_by="staff")
    history.add("reply", f"{TUESDAY} 11:00")
    history.add("status_changed", f"{TUESDAY} 12:00", status="resolved")
    fact = history.fact()
    assert (fact["outbound"], fact["first_resolution_ms"]) == (0, 7_200_000)
    assert fact["opened_at"].startswith(opening.occurred_at.strftime("%Y-%m-%dT%H:%M"))


def test_an_answer_to_what_the_district_wrote_first_waits_although_that_was_resolved() -> None:
    history = History()
    history.add("reply", f"{TUESDAY} 09:00")
    history.add("status_changed", f"{TUESDAY} 09:05", status="resolved")
    history.add("inquiry", f"{TUESDAY} 10:00")
    fact = history.fact()
    assert (fact["outbound"], fact["skew"], fact["reopened"], fact["status"]) == (1, 0, 1, "open")
    assert [wait["outcome"] for wait in fact["waits"]] == ["open"]


def test_a_resolve_long_before_its_inquiry_is_the_same_conversation() -> None:
    history = History()
    history.add("status_changed", "2026-09-01 10:00", status="resolved")
    history.add("inquiry", f"{TUESDAY} 10:00")
    fact = history.fact()
    assert (fact["conversation"], fact["skew"], fact["first_resolution_ms"]) == ("c1", 1, 0)


def test_a_live_answer_that_ends_a_wait_is_the_first_response() -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", f"{TUESDAY} 08:00", contact="missed_call", channel="phone")
    history.add("inquiry", f"{TUESDAY} 09:00", contact="answered_live", channel="phone", unit="b", queue_seconds=60)
    history.add("reply", f"{TUESDAY} 12:00")
    fact = history.fact()
    assert (minutes(fact["first_response_ms"]), fact["first_response_unit"]) == (61, "b")


def test_outbound_has_no_first_response_live_or_not() -> None:
    history = History()
    history.add("reply", f"{TUESDAY} 08:00")
    history.add("inquiry", f"{TUESDAY} 09:00", contact="answered_live", channel="phone", queue_seconds=60)
    assert history.fact()["first_response_ms"] is None


def test_a_hand_off_after_a_live_answer_starts_no_staff_clock() -> None:
    history = History()
    history.add("inquiry", f"{TUESDAY} 10:00", contact="answered_live", channel="phone", queue_seconds=300)
    history.add("transfer", f"{TUESDAY} 11:00", unit="b", from_bot=True)
    fact = history.fact()
    assert (minutes(fact["staff_first_response_ms"]), minutes(fact["first_response_last_bot_ms"])) == (5, 5)


def test_a_reply_at_the_instant_of_the_hand_off_is_the_new_owners() -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", f"{TUESDAY} 10:00")
    history.add("transfer", f"{TUESDAY} 11:00", unit="b")
    history.add("reply", f"{TUESDAY} 11:00")
    history.add("rating", f"{TUESDAY} 11:00", score=9)
    history.add("transfer", f"{TUESDAY} 12:00", unit="line")
    fact = history.fact()
    assert (fact["waits"][0]["replied_by"], fact["first_response_unit"], fact["ratings"][0]["unit"]) == ("b", "b", "b")


def test_a_withdrawal_cancels_the_last_update_also_when_asked_again() -> None:
    history = History()
    history.configured(district(promises=UPDATES))
    history.add("inquiry", f"{TUESDAY} 09:00")
    history.add("reply", f"{TUESDAY} 09:10")
    history.add("status_changed", f"{TUESDAY} 10:00", status="withdrawn")
    history.add("reply", f"{TUESDAY} 10:30")
    history.add("inquiry", f"{TUESDAY} 11:00")
    history.add("reply", f"{TUESDAY} 11:10")
    assert [verdict["outcome"] for verdict in _verdicts(history, "periodic_update")] == ["cancelled", "open"]


def test_an_update_at_the_instant_of_the_withdrawal_came_before_it() -> None:
    history = History()
    history.configured(district(promises=UPDATES))
    history.add("inquiry", f"{TUESDAY} 09:00")
    history.add("reply", f"{TUESDAY} 09:10")
    history.add("reply", f"{TUESDAY} 10:00")
    history.add("status_changed", f"{TUESDAY} 10:00", status="withdrawn")
    assert [verdict["outcome"] for verdict in _verdicts(history, "periodic_update")] == ["met"]


def test_an_answer_given_while_a_caller_waits_in_the_queue_comes_first() -> None:
    history = History()
    history.configured(district(promises=UPDATES))
    history.add("inquiry", f"{TUESDAY} 09:00", contact="answered_live", channel="phone", queue_seconds=1200)
    history.add("reply", f"{TUESDAY} 09:05")
    spans = [(verdict["started_at"], verdict["ended_at"]) for verdict in _verdicts(history, "periodic_update")]
    assert all(end is None or start <= end for start, end in spans)
    assert len(spans) == 2


def test_no_edit_and_no_pause_moves_what_was_withdrawn_before() -> None:
    history = History()
    history.configured(district(promises=DONE))
    history.configured(district(promises=OTHER, revision=2), f"{TUESDAY} 13:00")
    history.add("inquiry", f"{TUESDAY} 09:00")
    history.add("status_changed", f"{TUESDAY} 10:00", status="withdrawn")
    history.add("status_changed", f"{TUESDAY} 11:00", status="pending")
    history.add("status_changed", f"{TUESDAY} 12:00", status="on_hold")
    (verdict,) = _verdicts(history, "resolution")
    assert (verdict["promise"], verdict["outcome"], verdict["paused_ms"]) == ("done", "cancelled", 0)


def test_what_is_resolved_before_the_inquiry_does_not_keep_its_promise() -> None:
    history = History()
    history.configured(district(promises=DONE))
    history.add("reply", f"{TUESDAY} 09:00")
    history.add("status_changed", f"{TUESDAY} 09:05", status="resolved")
    history.add("inquiry", f"{TUESDAY} 10:00")
    (verdict,) = _verdicts(history, "resolution")
    assert (verdict["outcome"], verdict["ended_at"]) == ("open", None)


def test_two_contents_of_one_configuration_event_count_once_in_any_order() -> None:
    history = History()
    for hours in ("2h", "4h", "6h"):
        promises = [{"promise": hours, "clock": "first_reply", "target": hours}]
        history.configured(district(promises=promises))
    history.add("inquiry", f"{TUESDAY} 09:00")
    orders: list[tuple[Event, ...]] = list(itertools.permutations(history.events))
    assert all(fold_all([*order, *order]) == history.facts() for order in orders)


def test_an_answer_to_what_the_district_wrote_stays_with_whoever_had_it() -> None:
    history = History()
    history.configured(district())
    history.add("reply", f"{TUESDAY} 09:00", unit="a")
    history.add("transfer", f"{TUESDAY} 09:30", unit="b")
    history.add("inquiry", f"{TUESDAY} 10:00", unit=None)
    fact = history.fact()
    assert (fact["first_unit"], fact["unit"], fact["handoffs"], fact["first_route_correct"]) == ("b", "b", 0, 1)
    assert [wait["unit"] for wait in fact["waits"]] == ["b"]


@pytest.mark.parametrize(
    ("names", "goes_to"), [({"unit": None}, "b"), ({"unit": None, "topic": "bus"}, "line"), ({"unit": "a"}, "a")]
)
def test_an_answer_goes_back_to_whoever_wrote_unless_it_is_routed(names: dict[str, Any], goes_to: str) -> None:
    history = History()
    history.configured(district(routing=[{"topics": ["bus"], "unit": "line"}]))
    history.add("reply", f"{TUESDAY} 09:00", unit="b")
    history.add("inquiry", f"{TUESDAY} 10:00", **names)
    fact = history.fact()
    assert (fact["first_unit"], fact["unit"], fact["handoffs"], fact["time_to_owner_ms"]) == (goes_to, goes_to, 0, 0)


def test_a_transfer_that_a_clock_puts_before_the_message_is_no_way_back() -> None:
    history = History()
    history.configured(district())
    history.add("transfer", f"{TUESDAY} 09:59:58", unit="b", source="phone")
    history.add("inquiry", f"{TUESDAY} 10:00", unit="a")
    assert (history.fact()["unit"], history.fact()["handoffs"]) == ("b", 0)
