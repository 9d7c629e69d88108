"""Repeat contacts and reopenings within seven school days, counted when these are over."""

from streams.measures.returns import Openings, Returns, ReturnsResult, credited
from tests.golden import History
from tests.measures.build import facts, history, until

ANN, BOB = "a" * 16, "b" * 16


def _case(
    made: History, conversation: str, when: str, person: str | None = ANN, topic: str | None = "bus-late"
) -> None:
    fields = {name: value for name, value in (("person", person), ("topic", topic)) if value}
    made.add("inquiry", f"{when} 10:00", conversation, **fields)
    made.add("reply", f"{when} 10:30", conversation)
    made.add("status_changed", f"{when} 10:30", conversation, status="resolved")


def _returns(made: History, when: str) -> ReturnsResult:
    known = facts(made)
    openings, others = Openings(), Openings()
    for number, fact in enumerate(known):
        (openings, others)[number % 2].add(fact)
    openings.merge(others)
    found, rest = Returns(until(when)), Returns(until(when))
    for number, (_, resolved) in enumerate(credited(known, openings)):
        (found, rest)[number % 2].add(resolved)
    found.merge(rest)
    return found.result()


def test_a_repeat_is_of_the_same_person_and_topic_within_seven_school_days() -> None:
    made = history()
    _case(made, "c1", "2026-10-06")
    _case(made, "c2", "2026-10-15")
    _case(made, "c3", "2026-10-06", BOB)
    _case(made, "c4", "2026-10-08", BOB, "lunch")
    _case(made, "c5", "2026-10-06", None)
    # The seventh school day after Tuesday 6 October ends with Thursday 15 October.
    pending = _returns(made, "2026-10-16 00:00")
    assert (pending.repeated.n, pending.pending) == (0, 5)
    found = _returns(made, "2026-10-16 00:01")
    assert (found.repeated.hits, found.repeated.n, found.reopened.n, found.unknown) == (1, 2, 3, 1)


def test_the_eighth_school_day_is_too_late() -> None:
    made = history()
    _case(made, "c1", "2026-10-06")
    _case(made, "c2", "2026-10-16")
    found = _returns(made, "2026-10-17 00:00")
    assert (found.repeated.hits, found.repeated.n) == (0, 1)


def test_a_conversation_opened_before_the_resolve_repeats_nothing() -> None:
    made = history()
    _case(made, "c1", "2026-10-06")
    made.add("inquiry", "2026-10-06 10:15", "c2", person=ANN, topic="bus-late")
    assert _returns(made, "2026-10-16 00:01").repeated.hits == 0


def test_a_conversation_reopened_twice_counts_once() -> None:
    made = history()
    _case(made, "c1", "2026-10-06")
    for day in ("07", "08"):
        made.add("inquiry", f"2026-10-{day} 10:00", "c1", person=ANN, topic="bus-late")
        made.add("status_changed", f"2026-10-{day} 11:00", "c1", status="resolved")
    found = _returns(made, "2026-10-23 00:00")
    assert (found.reopened.hits, found.reopened.n, found.repeated.hits) == (1, 1, 0)


def test_reopened_on_the_eighth_school_day_is_not_counted() -> None:
    made = history()
    _case(made, "c1", "2026-10-06")
    made.add("inquiry", "2026-10-16 10:00", "c1", person=ANN, topic="bus-late")
    found = _returns(made, "2026-10-17 00:00")
    assert (found.reopened.hits, found.reopened.n) == (0, 1)
