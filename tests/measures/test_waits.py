"""Answered within T, the backlog, promises by due time, time to owner: at every instant, with nothing left out."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.measures import owners, promises, waits
from streams.measures.facts import Fact, Held, Wait
from streams.measures.owners import Owners
from streams.measures.promises import Promises
from streams.measures.units import by_unit
from streams.measures.waits import ONE_SCHOOL_DAY, AnsweredWithin, Backlog, Limit, WithinResult, open_at
from streams.measures.windows import HOUR_MS, Window
from tests.golden import History, ms
from tests.measures.build import TREE, facts, history, until

DAY = Limit(24 * HOUR_MS)
FIRST = [{"promise": "first", "clock": "first_reply", "target": "2h"}]


def _within(made: list[Fact], window: Window, limit: Limit = DAY) -> WithinResult:
    found = AnsweredWithin(window, limit)
    for _, entry in waits.credited(made):
        found.add(entry)
    return found.result()


def _asked(made: History, conversation: str, asked: str, replied: str = "", **fields: Any) -> None:
    made.add("inquiry", asked, conversation, **fields)
    if replied:
        made.add("reply", replied, conversation)


def test_a_wait_counts_when_its_time_is_over_and_not_when_it_is_answered() -> None:
    made = history()
    _asked(made, "quick", "2026-10-06 10:00", "2026-10-06 10:10")
    _asked(made, "slow", "2026-10-06 10:00")
    known = facts(made)
    before = _within(known, until("2026-10-07 10:00"))
    assert (before.answered.n, before.pending) == (0, 2)
    after = _within(known, until("2026-10-07 10:01"))
    assert (after.answered.hits, after.answered.n, after.never, after.pending) == (1, 2, 1, 0)


def test_the_last_instant_is_in_time() -> None:
    made = history()
    _asked(made, "c1", "2026-10-06 10:00", "2026-10-07 10:00")
    _asked(made, "c2", "2026-10-06 10:00", "2026-10-07 10:00:01")
    found = _within(facts(made), until("2026-10-08 10:00"))
    assert (found.answered.hits, found.answered.n, found.never) == (1, 2, 0)


def test_resolved_without_reply_and_unreachable_count_and_withdrawn_in_time_does_not() -> None:
    made = history()
    for conversation, status in (("a", "resolved"), ("b", "withdrawn"), ("c", "withdrawn")):
        _asked(made, conversation, "2026-10-06 10:00")
        made.add(
            "status_changed",
            "2026-10-08 12:00" if conversation == "c" else "2026-10-06 12:00",
            conversation,
            status=status,
        )
    _asked(made, "d", "2026-10-06 10:00", contact="missed_call", reachable=False)
    _asked(made, "e", "2026-10-06 10:00", contact="answered_live")
    found = _within(facts(made), until("2026-10-09 10:00"))
    assert (found.answered.hits, found.answered.n, found.never, found.live) == (0, 3, 3, 1)


def test_spam_counts_nowhere() -> None:
    made = history()
    _asked(made, "a", "2026-10-06 10:00")
    made.add("spam", "2026-10-06 10:05", "a")
    assert _within(facts(made), until("2026-10-09 10:00")).answered.n == 0


def test_a_window_shorter_than_t_shows_the_promise_met_by_due_time() -> None:
    made = history(promises=FIRST)
    _asked(made, "kept", "2026-10-06 09:00", "2026-10-06 09:10")
    _asked(made, "broken", "2026-10-06 09:00")
    _asked(made, "early", "2026-10-06 11:30", "2026-10-06 11:31")
    found = _within(facts(made), until("2026-10-06 12:00", hours=2))
    assert (found.by, found.answered.hits, found.answered.n) == ("promise", 1, 2)


def test_a_school_day_ends_by_the_owners_calendars() -> None:
    made = history()
    # Eight open hours from Friday 15:00: one until 16:00, seven on Monday until 14:30.
    _asked(made, "c1", "2026-10-09 15:00", "2026-10-12 14:30")
    assert _within(facts(made), until("2026-10-12 14:30"), ONE_SCHOOL_DAY).pending == 1
    found = _within(facts(made), until("2026-10-12 14:31"), ONE_SCHOOL_DAY)
    assert (found.answered.hits, found.answered.n) == (1, 1)


WAITS = st.builds(
    lambda opened, length, outcome: Wait(
        opened, opened + length if outcome != "open" else None, outcome, "a", None, 0, "e", ()
    ),
    st.integers(0, 300),
    st.integers(0, 200),
    st.sampled_from(["answered", "answered", "open", "withdrawn", "resolved_no_reply"]),
)


def _counted(found: list[Wait], window: Window) -> WithinResult:
    made = AnsweredWithin(window, Limit(50))
    for wait in found:
        made.add(wait)
    return made.result()


@given(st.lists(WAITS, max_size=15), st.integers(50, 300), st.integers(50, 300))
def test_windows_partition_what_is_decided(found: list[Wait], first: int, second: int) -> None:
    start, middle, end = 0, first, first + second
    left, right, whole = (_counted(found, Window(*ends)) for ends in ((start, middle), (middle, end), (start, end)))
    assert left.answered.n + right.answered.n == whole.answered.n
    assert left.answered.hits + right.answered.hits == whole.answered.hits
    assert right.pending == whole.pending


@given(st.lists(WAITS, max_size=12), st.lists(WAITS, max_size=12), st.integers(50, 600))
def test_merging_is_concatenation_and_order_does_not_matter(left: list[Wait], right: list[Wait], end: int) -> None:
    window = Window(0, end)
    merged, other = AnsweredWithin(window, Limit(50)), AnsweredWithin(window, Limit(50))
    for wait in left:
        merged.add(wait)
    for wait in right:
        other.add(wait)
    merged.merge(other)
    assert merged.result() == _counted((left + right)[::-1], window)


def _backlog(made: list[Fact], when: str) -> dict[str, tuple[int, int | None, int]]:
    found = by_unit(TREE, lambda _: Backlog(), open_at(made, ms(when)))
    return {unit: tuple(measure.result()) for unit, measure in found.items() if measure.open}  # type: ignore[misc]


def test_the_backlog_of_a_past_instant_is_of_who_owned_it_then() -> None:
    made = history(promises=FIRST)
    _asked(made, "c1", "2026-10-06 10:00", unit="a1")
    made.add("transfer", "2026-10-06 11:00", "c1", unit="b")
    made.add("reply", "2026-10-06 14:00", "c1")
    _asked(made, "c2", "2026-10-06 13:00", unit="b")
    made.add("status_changed", "2026-10-06 15:30", "c2", status="withdrawn")
    known = facts(made)
    opened = ms("2026-10-06 10:00")
    assert _backlog(known, "2026-10-06 09:59") == {}
    assert _backlog(known, "2026-10-06 10:30") == dict.fromkeys(("demo", "a", "a1"), (1, opened, 0))
    assert [_backlog(known, f"2026-10-06 {time}")["demo"][2] for time in ("12:00", "12:00:01")] == [0, 1]
    assert _backlog(known, "2026-10-06 13:30") == dict.fromkeys(("demo", "b"), (2, opened, 1))
    # Withdrawn later: until then it was open and past due.
    assert _backlog(known, "2026-10-06 15:20")["b"] == (1, ms("2026-10-06 13:00"), 1)
    assert _backlog(known, "2026-10-06 15:30") == {}


def test_nobody_to_answer_is_no_backlog() -> None:
    made = history()
    _asked(made, "c1", "2026-10-06 10:00", contact="missed_call", reachable=False)
    assert _backlog(facts(made), "2026-10-06 10:30") == {}


def test_an_owner_before_the_first_part_is_the_last_one() -> None:
    wait = Wait(10, None, "open", "z", None, 0, "e", (Held("x", 10, 20), Held("y", 20, None)))
    assert [wait.owner(at_ms) for at_ms in (5, 10, 19, 20, 99)] == ["z", "x", "x", "y", "y"]


def test_promises_are_judged_by_due_time_as_they_stood_then() -> None:
    made = history(promises=FIRST)
    _asked(made, "kept", "2026-10-06 09:00", "2026-10-06 09:10")
    _asked(made, "late", "2026-10-06 09:00", "2026-10-06 11:10")
    # Due at closing time: can be kept until the next opening.
    _asked(made, "evening", "2026-10-06 14:00", "2026-10-06 20:00")

    def at(when: str) -> tuple[int, int, int]:
        found = Promises(until(when))
        for _, verdict in promises.credited(facts(made)):
            found.add(verdict)
        result = found.result()
        return result.met.hits, result.met.n, result.pending

    assert at("2026-10-06 11:00") == (0, 0, 0)
    assert at("2026-10-06 11:01") == (1, 2, 0)
    assert at("2026-10-06 18:00") == (1, 2, 1)
    assert at("2026-10-06 21:00") == (2, 3, 0)


def test_time_to_owner_and_the_share_within_a_minute() -> None:
    made = history()
    _asked(made, "at-once", "2026-10-06 10:00", unit="a")
    for conversation, owned in (("in-time", "2026-10-06 10:01"), ("slow", "2026-10-06 10:05")):
        _asked(made, conversation, "2026-10-06 10:00", unit=None)
        made.add("transfer", owned, conversation, unit="b")
    _asked(made, "never", "2026-10-06 10:00", unit=None)
    _asked(made, "now", "2026-10-06 11:59:30", unit="a")

    def asked(when: str) -> Owners:
        found = Owners(until(when))
        for _, entry in owners.credited(facts(made)):
            found.add(entry)
        return found

    found = asked("2026-10-06 12:00").result()
    assert (found.within_minute.hits, found.within_minute.n, found.pending, found.never) == (2, 4, 1, 1)
    assert found.mean_ms == 360_000 / 3
    merged = asked("2026-10-06 12:00")
    merged.merge(asked("2026-10-06 12:00"))
    assert merged.result().within_minute.n == 8
