"""Satisfaction, pillars, coverage: which ratings count, and what of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.measures import satisfaction, surveys
from streams.measures.satisfaction import Satisfaction, SatisfactionResult, Scores
from streams.measures.surveys import Coverage
from tests.golden import History
from tests.measures.build import TREE, facts, history, until

SCORES = st.lists(st.integers(1, 10), max_size=40)


def _scores(values: list[int]) -> Scores:
    made = Scores()
    for value in values:
        made.add(value)
    return made


@given(SCORES, SCORES)
def test_scores_merge_like_one_list_in_any_order(left: list[int], right: list[int]) -> None:
    merged = _scores(left)
    merged.merge(_scores(right))
    both = left + right
    found = merged.result()
    assert found == _scores(both[::-1]).result()
    assert found.n == sum(found.scores) == len(both)
    assert (found.high.hits, found.low.hits) == (sum(s >= 8 for s in both), sum(s <= 3 for s in both))
    if both:
        assert found.mean == sum(both) / len(both)


@pytest.mark.parametrize("score", [0, 11, -1])
def test_a_score_outside_the_scale_is_refused(score: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 10"):
        Scores().add(score)


def _resolved(made: History, conversation: str = "c1", **fields: object) -> None:
    made.add("inquiry", "2026-10-06 10:00", conversation, **fields)
    made.add("reply", "2026-10-06 10:45", conversation)
    made.add("status_changed", "2026-10-06 10:45", conversation, status="resolved")


def _result(made: History, window_end: str) -> SatisfactionResult:
    found = Satisfaction(until(window_end))
    for unit, entry in satisfaction.credited(facts(made)):
        assert unit in TREE.units()
        found.add(entry)
    return found.result()


def test_the_last_edit_counts_once_and_a_late_rating_is_only_counted() -> None:
    made = history()
    _resolved(made)
    made.add("rating", "2026-10-07 09:00", score=4, rater="aaaaaaaaaaaaaaaa", survey="s")
    made.add("rating", "2026-10-08 09:00", score=9, rater="aaaaaaaaaaaaaaaa", survey="s")
    made.add("rating", "2026-11-15 09:00", score=1, rater="bbbbbbbbbbbbbbbb", survey="s")
    edited = _result(made, "2026-10-20 00:00")
    assert (edited.scores["satisfaction"].n, edited.scores["satisfaction"].mean, edited.late) == (1, 9, 0)
    later = _result(made, "2026-11-16 00:00")
    assert (later.scores["satisfaction"].n, later.late) == (0, 1)


def test_items_are_optional_and_each_stands_by_itself() -> None:
    made = history()
    _resolved(made)
    pillars = {"courtesy": 10, "environment": 2}
    made.add("rating", "2026-10-07 09:00", score=8, survey="s", pillars=pillars, trust=3, answered=True)
    found = _result(made, "2026-10-20 00:00")
    assert {item: (s.n, s.mean) for item, s in found.scores.items()} == {
        "satisfaction": (1, 8),
        "courtesy": (1, 10),
        "communication": (0, None),
        "responsiveness": (0, None),
        "environment": (1, 2),
        "trust": (1, 3),
    }
    assert (found.answered.hits, found.answered.n) == (1, 1)


def test_a_rating_without_its_inquiry_counts_as_unlinked_after_72_hours_and_nowhere_else() -> None:
    made = history()
    made.add("rating", "2026-10-07 09:00", score=2, survey="s")
    assert _result(made, "2026-10-10 09:00").unlinked == 0
    found = _result(made, "2026-10-10 09:01")
    assert (found.unlinked, found.scores["satisfaction"].n) == (1, 0)


def test_coverage_is_of_the_conversations_resolved_in_the_window() -> None:
    made = history()
    for conversation in ("c1", "c2", "c3"):
        _resolved(made, conversation)
    for conversation in ("c1", "c2"):
        made.add("survey_offered", "2026-10-06 11:00", conversation, survey="s")
    made.add("rating", "2026-10-07 09:00", "c1", score=8, survey="s", rater="aaaaaaaaaaaaaaaa")
    made.add("rating", "2026-10-07 09:00", "c1", score=8, survey="s", rater="bbbbbbbbbbbbbbbb")
    made.add("rating", "2026-10-07 09:00", "c3", score=8, survey="s")
    made.add("inquiry", "2026-10-06 10:00", "c4")
    made.add("survey_offered", "2026-10-06 11:00", "c4", survey="s")
    left, right = Coverage(until("2026-10-20 00:00")), Coverage(until("2026-10-20 00:00"))
    for number, (_, fact) in enumerate(surveys.credited(facts(made))):
        (left, right)[number % 2].add(fact)
    left.merge(right)
    found = left.result()
    assert (found.offered.hits, found.offered.n, found.ratings, found.ratings_per_offer) == (2, 3, 2, 1.0)
    assert Coverage(until("2026-10-20 00:00")).result().ratings_per_offer is None
