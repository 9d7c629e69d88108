"""What is shown of ratings never tells one of them: late ones, edits and restarts included."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.rolling import Published, RollingRow
from streams.core.publishing import STEP, Publishing
from tests.sinks.samples import rolling

MINUTE_MS = 60_000
HISTOGRAMS = st.lists(st.lists(st.integers(0, 7), min_size=10, max_size=10).map(tuple), min_size=1, max_size=40)
NOTHING = (0,) * 10


def _row(at_ms: int, ratings: tuple[int, ...], unit: str = "north") -> RollingRow:
    blank = rolling("d", unit, at_ms)._replace(window="28d", ratings=ratings, ratings_count=sum(ratings))
    return blank._replace(published_at=None, published_ratings=(), changes=0)


def _as_landed(row: RollingRow) -> Published:
    return Published(row.district, row.unit, row.ratings, row.published_at, row.published_ratings, row.changes)


def _run(histograms: list[tuple[int, ...]], publishing: Publishing | None = None, since: int = 0) -> list[RollingRow]:
    publishing = publishing or Publishing()
    rows = [_row((since + place) * MINUTE_MS, ratings) for place, ratings in enumerate(histograms)]
    return [made for row in rows for made in publishing.publish([row])]


def _changes(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    return sum(max(now - then, then - now) for then, now in zip(before, after, strict=True))


@given(HISTOGRAMS)
def test_what_is_published_stays_until_ten_ratings_came_or_left(histograms: list[tuple[int, ...]]) -> None:
    since = 0
    published: tuple[int, ...] = ()
    for before, row in pairwise([_row(-1, NOTHING), *_run(histograms)]):
        since += _changes(before.ratings, row.ratings)
        if since >= STEP:
            since, published = 0, row.ratings
            assert row.published_at == row.at
        assert row.published_ratings == published
        assert row.changes == since < STEP


@given(HISTOGRAMS, st.integers(0, 40))
def test_a_restart_goes_on_where_the_last_row_was(histograms: list[tuple[int, ...]], cut: int) -> None:
    whole, head = _run(histograms), _run(histograms[:cut])
    restarted = Publishing()
    restarted.known(map(_as_landed, head[-1:]))
    assert head + _run(histograms[cut:], restarted, since=len(head)) == whole


def test_a_late_rating_moves_nothing_that_was_shown() -> None:
    twenty = (0, 0, 0, 0, 0, 0, 0, 20, 0, 0)
    shown, late, taken_back = _run([twenty, (1, *twenty[1:]), twenty])
    for row in (late, taken_back):
        assert (row.published_at, row.published_ratings) == (shown.at, twenty)
    assert [row.changes for row in (shown, late, taken_back)] == [0, 1, 2]


def test_units_are_apart_and_other_windows_publish_nothing() -> None:
    publishing = Publishing()
    ten, nine = (10, *NOTHING[1:]), (9, *NOTHING[1:])
    day = _row(0, ten)._replace(window="24h")
    phone = _row(0, ten)._replace(channel="phone")
    many, few, *others = publishing.publish([_row(0, ten, "many"), _row(0, nine, "few"), day, phone])
    assert (many.published_ratings, few.published_ratings) == (ten, ())
    assert others == [day, phone]
