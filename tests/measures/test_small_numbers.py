"""Small numbers: G26, and by exhaustive search that nothing hidden can be computed from what is shown."""

from collections.abc import Mapping
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.measures.small_numbers import State, states

TWO = {"top": ("a", "b"), "a": (), "b": ()}


def test_g26_four_ratings_are_not_shown_and_a_sibling_is_withheld() -> None:
    assert states(TWO, {"top": 44, "a": 4, "b": 40}) == {"top": "shown", "a": "small", "b": "withheld"}


def test_g26_the_smallest_sibling_is_enough() -> None:
    below = {"top": ("a", "b", "c"), "a": (), "b": (), "c": ()}
    found = states(below, {"top": 84, "a": 4, "b": 50, "c": 30})
    assert found == {"top": "shown", "a": "small", "b": "shown", "c": "withheld"}


def test_ten_are_shown_and_nine_are_not() -> None:
    assert states({"a": ()}, {"a": 10}) == {"a": "shown"}
    assert states({"a": ()}, {"a": 9}) == {"a": "small"}


def test_a_unit_of_nobody_costs_its_siblings_nothing() -> None:
    assert states(TWO, {"top": 40, "a": 0, "b": 40}) == {"top": "shown", "a": "small", "b": "shown"}


def test_small_units_that_hide_one_another_need_no_sibling() -> None:
    below = {"top": ("a", "b", "c"), "a": (), "b": (), "c": ()}
    assert states(below, {"top": 42, "a": 6, "b": 6, "c": 30})["c"] == "shown"
    # 9 and 9 are the only two numbers below ten that sum to 18.
    assert states(below, {"top": 48, "a": 9, "b": 9, "c": 30})["c"] == "withheld"


def test_a_withheld_unit_is_not_given_away_by_the_units_below_it() -> None:
    below = {"top": ("a", "b"), "a": (), "b": ("b1", "b2"), "b1": (), "b2": ()}
    found = states(below, {"top": 64, "a": 4, "b": 60, "b1": 20, "b2": 40})
    assert (found["a"], found["b"], found["b1"], found["b2"]) == ("small", "withheld", "withheld", "shown")


def test_a_unit_s_own_few_facts_are_protected_from_its_total() -> None:
    assert states(TWO, {"top": 43, "a": 20, "b": 20}) == {"top": "shown", "a": "withheld", "b": "shown"}


def test_where_no_sibling_is_left_the_total_is_withheld() -> None:
    assert states(TWO, {"top": 34, "a": 4, "b": 30}, known=["b"]) == {"top": "withheld", "a": "small", "b": "shown"}


def test_the_own_team_sees_its_own_and_cannot_reckon_the_sibling() -> None:
    below = {"top": ("a", "b", "c"), "a": (), "b": (), "c": ()}
    n = {"top": 42, "a": 6, "b": 6, "c": 30}
    assert states(below, n)["c"] == "shown"
    assert states(below, n, known=["a"]) == {"top": "shown", "a": "shown", "b": "small", "c": "withheld"}


def test_a_unit_that_is_small_for_another_reason_is_not_given_away_either() -> None:
    assert states(TWO, {"top": 30, "a": 10, "b": 20}, small=["a"]) == {"top": "shown", "a": "small", "b": "withheld"}


def test_counts_that_leave_withheld_units_no_choice_need_one_more() -> None:
    below = {"top": ("m", "q", "r"), "m": ("k",), "k": (), "q": (), "r": ()}
    n = {"top": 60, "m": 10, "k": 5, "q": 10, "r": 40}
    # With k known as 5, m and q hold at least 5 and 10 more: a sum of 15 would tell both.
    found = states(below, n, known=["k"])
    assert found == {"top": "shown", "m": "withheld", "k": "shown", "q": "withheld", "r": "withheld"}


SHAPES: tuple[dict[str, tuple[str, ...]], ...] = (
    {"t": ()},
    {"t": ("a",), "a": ()},
    {"t": ("a", "b"), "a": (), "b": ()},
    {"t": ("a", "b", "c"), "a": (), "b": (), "c": ()},
    {"t": ("a", "b"), "a": ("x", "y"), "b": (), "x": (), "y": ()},
    {"t": ("a", "b"), "a": ("x",), "b": ("y",), "x": (), "y": ()},
    {"t": ("a",), "a": ("b", "c"), "b": (), "c": ()},
)
LEAST, MOST = 3, 7


@st.composite
def trees(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    """A shape and how many ratings each unit has of its own."""
    below = draw(st.sampled_from(SHAPES))
    return below, {unit: draw(st.integers(0, MOST)) for unit in below}


def _totals(below: Mapping[str, tuple[str, ...]], own: Mapping[str, int]) -> dict[str, int]:
    def total(unit: str) -> int:
        return own[unit] + sum(map(total, below[unit]))

    return {unit: total(unit) for unit in below}


def _looks_the_same(shown: Mapping[str, State], true: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Whether a reader who sees the shown numbers and the marks could not tell these two apart."""
    return all(
        other[unit] == true[unit] if state == "shown" else (other[unit] < LEAST) == (state == "small")
        for unit, state in shown.items()
    )


@given(trees())
@settings(max_examples=150, deadline=None)
def test_nothing_hidden_can_be_computed_from_what_is_shown(
    tree: tuple[dict[str, tuple[str, ...]], dict[str, int]],
) -> None:
    """The reader knows the tree, the rule, and even which units have no ratings of their own.

    Another truth that looks the same is sought within two ratings of each unit: one is enough.
    """
    below, own = tree
    true = _totals(below, own)
    shown = states(below, true, least=LEAST)
    possible: dict[str, set[int]] = {unit: set() for unit in below}
    ranges = [range(max(0, own[unit] - 2), own[unit] + 3) if own[unit] else range(1) for unit in below]
    hidden = [unit for unit, state in shown.items() if state != "shown" and true[unit]]
    for guess in product(*ranges):
        other = _totals(below, dict(zip(below, guess, strict=True)))
        if _looks_the_same(shown, true, other):
            for unit in hidden:
                possible[unit].add(other[unit])
            if all(len(possible[unit]) > 1 for unit in hidden):
                break
    for unit in hidden:
        assert len(possible[unit]) > 1, (unit, shown, true)


@given(trees())
def test_no_group_of_a_few_is_left_when_shown_units_are_subtracted(
    tree: tuple[dict[str, tuple[str, ...]], dict[str, int]],
) -> None:
    """All that subtraction gives are sums of blocks: a shown total less the nearest shown totals below it."""
    below, own = tree
    true = _totals(below, own)
    shown = states(below, true, least=LEAST)

    def nearest(unit: str) -> int:
        return sum(true[other] if shown[other] == "shown" else nearest(other) for other in below[unit])

    for unit, state in shown.items():
        assert state != "shown" or true[unit] >= LEAST
        assert state != "withheld" or true[unit] >= LEAST
        left = true[unit] - nearest(unit)
        assert state != "shown" or left == 0 or left >= LEAST
