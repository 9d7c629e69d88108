"""What was told beyond the acknowledged place, as it is written beside the offset."""

from hypothesis import given
from hypothesis import strategies as st

from streams.couriers.places import MOST_BITS, read, written


@given(st.integers(0, 1 << 40), st.sets(st.integers(0, MOST_BITS - 1), max_size=50))
def test_it_is_read_back_as_it_was_written(place: int, told: set[int]) -> None:
    text = written(place, [place + number for number in told])
    assert read(place, text) == {place + number for number in told}
    assert len(text) <= 4_096


def test_what_lies_before_the_place_or_too_far_after_it_is_left_out() -> None:
    assert read(10, written(10, [3, 9, 10, 12, 10 + MOST_BITS])) == {10, 12}


def test_what_somebody_else_wrote_says_nothing() -> None:
    assert read(10, "") == read(10, "a note") == set()
