"""Two clocks that disagree about a later wait, and resolves of what is resolved already."""

from typing import Any

import pytest

from tests.golden import History, district

TUESDAY = "2026-10-06"


def story(**more: Any) -> History:
    history = History()
    history.configured(district(**more))
    return history


def answered() -> History:
    history = story()
    history.add("inquiry", f"{TUESDAY} 10:00")
    history.add("reply", f"{TUESDAY} 10:30", source="phone")
    return history


def outcomes(fact: dict[str, Any]) -> list[tuple[str, int | None]]:
    return [(wait["outcome"], wait["wait_ms"]) for wait in fact["waits"]]


HALF_AN_HOUR = 1_800_000


@pytest.mark.parametrize(("when", "skew"), [("11:59:58", 1), ("11:55", 1), ("11:54:59", 0)])
def test_a_reply_of_another_source_just_before_a_later_message_answers_it(when: str, skew: int) -> None:
    history = answered()
    history.add("reply", f"{TUESDAY} {when}", source="phone")
    history.add("inquiry", f"{TUESDAY} 12:00")
    fact = history.fact()
    assert outcomes(fact) == [("answered", HALF_AN_HOUR), ("answered", 0) if skew else ("open", None)]
    assert (fact["skew"], fact["extra_replies"], fact["first_response_ms"]) == (skew, 1 - skew, HALF_AN_HOUR)


def test_the_same_source_disagrees_with_nobody() -> None:
    history = answered()
    history.add("reply", f"{TUESDAY} 11:58")
    history.add("inquiry", f"{TUESDAY} 12:00")
    assert (outcomes(history.fact())[1], history.fact()["skew"]) == (("open", None), 0)


def test_a_reply_that_ended_a_wait_answers_no_later_message() -> None:
    history = answered()
    history.add("inquiry", f"{TUESDAY} 11:00")
    history.add("reply", f"{TUESDAY} 11:58", source="phone")
    history.add("inquiry", f"{TUESDAY} 12:00")
    assert outcomes(history.fact())[2] == ("open", None)


def test_the_next_line_of_a_talk_goes_on_with_the_answer_before_it() -> None:
    history = answered()
    history.add("reply", f"{TUESDAY} 10:30:20", source="phone")
    history.add("inquiry", f"{TUESDAY} 10:31")
    assert outcomes(history.fact())[1] == ("open", None)


def test_the_first_response_stays_where_it_is() -> None:
    history = story()
    history.add("inquiry", f"{TUESDAY} 10:00")
    history.add("status_changed", f"{TUESDAY} 10:10", status="resolved")
    history.add("reply", f"{TUESDAY} 11:58", source="phone")
    history.add("inquiry", f"{TUESDAY} 12:00")
    fact = history.fact()
    assert (fact["first_response_ms"], outcomes(fact)[1], fact["skew"]) == (118 * 60_000, ("open", None), 0)


def test_a_clamped_reply_keeps_the_promise_of_the_later_wait() -> None:
    history = story(promises=[{"promise": "next", "clock": "next_reply", "target": "1h"}])
    history.add("inquiry", f"{TUESDAY} 10:00")
    history.add("reply", f"{TUESDAY} 10:30", source="phone")
    history.add("reply", f"{TUESDAY} 11:59", source="phone")
    history.add("inquiry", f"{TUESDAY} 12:00")
    (verdict,) = history.fact()["verdicts"]
    assert (verdict["outcome"], verdict["ended_at"]) == ("met", verdict["started_at"])


def lates(*statuses: tuple[str, str], rated: str) -> list[int]:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    for status, day in statuses:
        history.add("status_changed", f"2026-{day} 11:00", status=status)
    history.add("rating", f"2026-{rated} 11:00", score=5)
    return [rating["late"] for rating in history.fact()["ratings"]]


def test_to_resolve_again_what_is_resolved_accepts_no_rating_anew() -> None:
    assert lates(("resolved", "10-06"), rated="11-02") == [0]
    assert lates(("resolved", "10-06"), rated="11-04") == [1]
    assert lates(("resolved", "10-06"), ("resolved", "10-08"), rated="11-04") == [1]
    assert lates(("resolved", "10-06"), ("withdrawn", "10-07"), ("resolved", "10-08"), rated="11-04") == [1]


def test_each_episode_has_its_own_28_days() -> None:
    assert lates(("resolved", "10-06"), ("reopened", "10-07"), ("resolved", "10-08"), rated="11-04") == [0]
    # While it is open again nothing new was resolved.
    assert lates(("resolved", "10-06"), ("reopened", "10-07"), rated="11-04") == [1]
