"""What lies exactly on a limit of the definitions, and just beside it."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.core.test_desks import story
from tests.golden import ZONE, History, at, district, minutes


def later(when: str, **length: int) -> str:
    """The local time so much time, not so many days of a calendar, after a local one."""
    found = at(when).astimezone(UTC) + timedelta(**length)
    return f"{found.astimezone(ZONE):%Y-%m-%d %H:%M:%S.%f}"


def answered(score: int | None = None) -> History:
    history = story()
    history.add("inquiry", "2026-10-06 09:00")
    history.add("reply", "2026-10-06 09:30")
    history.add("status_changed", "2026-10-06 10:00", status="resolved")
    if score is not None:
        history.add("rating", "2026-10-07 09:00", score=score)
    return history


def test_the_last_hand_off_by_a_bot_is_not_one_among_people() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 09:00")
    history.add("reply", "2026-10-06 09:01", author="bot")
    history.add("transfer", "2026-10-06 09:10", unit="a")
    history.add("transfer", "2026-10-06 11:50", unit="b")
    history.add("reply", "2026-10-06 12:00", unit="b")
    assert minutes(history.fact()["first_response_last_bot_ms"]) == 170
    history.add("reply", "2026-10-06 11:00", author="bot")
    assert minutes(history.fact()["first_response_last_bot_ms"]) == 10


@pytest.mark.parametrize(("beyond_ms", "late"), [(-1, 0), (0, 0), (1, 1)])
def test_a_rating_counts_up_to_28_days_after_the_resolve(beyond_ms: int, late: int) -> None:
    history = answered()
    history.add("rating", later("2026-10-06 10:00", days=28, milliseconds=beyond_ms), score=2)
    found = history.fact()
    assert found["ratings"][0]["late"] == late
    assert found["difficult"] == 1 - late


@pytest.mark.parametrize(("beyond_ms", "score"), [(-1, 9), (0, 9), (1, 4)])
def test_an_edit_counts_up_to_14_days_after_the_first_score(beyond_ms: int, score: int) -> None:
    history = answered(score=4)
    history.add("rating", later("2026-10-07 09:00", days=14, milliseconds=beyond_ms), score=9)
    (rating,) = history.fact()["ratings"]
    assert rating["score"] == score


@pytest.mark.parametrize(("beyond_ms", "target"), [(-1, 480), (0, 480), (1, 60)])
def test_a_policy_edit_moves_what_is_not_broken_before_it(beyond_ms: int, target: int) -> None:
    def promised(length: str) -> list[dict[str, str]]:
        return [{"promise": "p", "clock": "resolution", "target": length, "hours": "calendar"}]

    history = story(promises=promised("1h"))
    history.add("inquiry", "2026-10-06 09:00")
    edited = later("2026-10-06 10:00", milliseconds=beyond_ms)
    history.configured(district(promises=promised("8h"), revision=2), edited)
    (verdict,) = history.fact()["verdicts"]
    due, started = (datetime.fromisoformat(verdict[name]) for name in ("due_at", "started_at"))
    assert due - started == timedelta(minutes=target)


@pytest.mark.parametrize("told", ["reply", "live"])
def test_whoever_answers_has_it(told: str) -> None:
    promise = {"promise": "owned", "clock": "ownership", "target": "1h"}
    history = story(promises=[promise])
    history.add("inquiry", "2026-10-06 09:00", unit=None)
    if told == "reply":
        history.add("reply", "2026-10-06 09:20", unit=None)
    else:
        history.add("inquiry", "2026-10-06 09:20", unit=None, channel="phone", contact="answered_live")
    found = history.fact()
    (verdict,) = found["verdicts"]
    assert (minutes(found["time_to_owner_ms"]), verdict["outcome"]) == (20, "met")


def test_what_is_resolved_and_never_had_an_owner_owes_none() -> None:
    history = story(promises=[{"promise": "owned", "clock": "ownership", "target": "1h"}])
    history.add("inquiry", "2026-10-06 09:00", unit=None)
    history.add("status_changed", "2026-10-06 11:00", status="resolved")
    assert [verdict["outcome"] for verdict in history.fact()["verdicts"]] == ["cancelled"]
    history.add("inquiry", "2026-10-06 12:00", unit=None)
    assert [verdict["outcome"] for verdict in history.fact()["verdicts"]] == ["open"]
