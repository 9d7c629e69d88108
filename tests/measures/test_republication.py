"""Rolling ratings are published in steps of ten changes; what is published is the value of that moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.business_time import BusinessClock
from streams.measures.republication import Rolling, Stay, Stays, credited, leaving, scored
from streams.measures.satisfaction import Satisfaction
from streams.measures.satisfaction import credited as ratings
from streams.measures.windows import Window, window
from tests.golden import OFFICE_CALENDAR, History, ms
from tests.measures.build import TREE, facts, history

CLOCK = BusinessClock(OFFICE_CALENDAR)
LENGTH = 100
ENTRIES = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 10)), max_size=60)


def _stays(entries: list[tuple[int, int]]) -> Stays:
    made = Stays()
    for entered, value in entries:
        made.add(Stay(entered, entered + LENGTH, value))
    return made


def _changes(entries: list[tuple[int, int]], since: int, until: int) -> int:
    both = [change for entered, _ in entries for change in (entered, entered + LENGTH)]
    return sum(since <= change < until for change in both)


@given(ENTRIES)
def test_a_value_is_published_anew_only_with_ten_more_changes(entries: list[tuple[int, int]]) -> None:
    stays = _stays(entries)
    before = 0
    for now in range(420):
        published = stays.published_ms(now) or 0
        if published != before:
            assert published == now
            assert _changes(entries, before, now) >= 10
            assert _changes(entries, 0, now) // 10 > _changes(entries, 0, before) // 10
            before = published
        # Nothing waits longer than it must.
        assert _changes(entries, before, now) < 10
        values = sorted(value for entered, value in entries if entered < published <= entered + LENGTH)
        assert sorted(stays.values(published)) == values


@given(ENTRIES, ENTRIES, st.integers(0, 500))
def test_merging_is_concatenation(left: list[tuple[int, int]], right: list[tuple[int, int]], now: int) -> None:
    merged = _stays(left)
    merged.merge(_stays(right))
    whole = _stays((left + right)[::-1])
    assert merged.published_ms(now) == whole.published_ms(now)
    assert merged.scores(now) == whole.scores(now)


def _rated(made: History, count: int) -> None:
    for number in range(count):
        conversation = f"c{number}"
        made.add("inquiry", "2026-10-01 10:00", conversation)
        made.add("reply", "2026-10-01 11:00", conversation)
        day, hour = 2 + number // 3, 9 + number % 3
        made.add("rating", f"2026-10-{day:02d} {hour:02d}:00", conversation, score=1 + number % 10, survey="s")


@pytest.mark.parametrize("name", ["28d", "7d", "7sd", "day", "week", "month", "year"])
def test_the_stays_of_now_are_the_ratings_of_the_window(name: str) -> None:
    made = history()
    _rated(made, 40)
    known = facts(made)
    for when in ("2026-10-09 10:00", "2026-10-13 00:00", "2026-10-14 00:00:01", "2026-10-20 12:00", "2026-10-30 09:30"):
        now = ms(when)
        current = window(name, now, CLOCK)

        def window_of(_unit: str, current: Window = current) -> Window:
            return current

        stays, direct = Stays(), Satisfaction(current)
        for _, stay in credited(known, scored("satisfaction"), Rolling(name, window_of, TREE.clock)):
            stays.add(stay)
        for _, entry in ratings(known):
            direct.add(entry)
        assert stays.scores(now) == direct.result().scores["satisfaction"], when


def test_what_enters_on_a_day_off_leaves_with_the_seventh_school_day_after_it() -> None:
    left = leaving("7sd", CLOCK)(ms("2026-10-10 12:00"))
    assert left is not None
    # Saturday the 10th: school days 12 to 16, 19 and 20; the window of the 20th begins on the 12th.
    assert left + 1 == ms("2026-10-20 00:00")
    assert window("7sd", left, CLOCK).start_ms <= ms("2026-10-10 12:00") < window("7sd", left + 1, CLOCK).start_ms
