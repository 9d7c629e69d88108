"""Consistency, benchmark, training, goals: what is compared with what, and when nothing may be said."""

from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.histogram import MIDDLES, Histogram
from streams.core.intervals import Interval
from streams.measures.benchmark import Peers, percentile
from streams.measures.consistency import between_units, funnel
from streams.measures.distributions import Distribution, Ended, median_interval
from streams.measures.goals import GlidePath, progress
from streams.measures.moments import Moments
from streams.measures.training import CELLS, Impact, Observed, Plan, Wave, plan
from streams.measures.windows import Window
from tests.golden import ms
from tests.measures.build import DAY_MS, TREE

HOURS = st.lists(st.integers(0, 10**9), max_size=40)


def _moments(values: list[int]) -> Moments:
    made = Moments()
    for value in values:
        made.add(value)
    return made


def test_the_variance_between_units_is_all_or_nothing_at_the_ends() -> None:
    assert between_units({"a": _moments([5, 5]), "b": _moments([9, 9])}) == 1.0
    assert between_units({"a": _moments([1, 9]), "b": _moments([9, 1])}) == 0.0


def test_chance_alone_is_no_difference_between_units() -> None:
    random = Random(7)
    shares = [
        between_units({str(unit): _moments([random.randint(0, 1000) for _ in range(3)]) for unit in range(10)})
        for _ in range(300)
    ]
    assert sum(share or 0 for share in shares) / len(shares) < 0.12
    same = {str(unit): _moments([unit * 100 + random.randint(0, 100) for _ in range(20)]) for unit in range(10)}
    assert (between_units(same) or 0) > 0.95


@pytest.mark.parametrize("groups", [{}, {"a": [1, 2]}, {"a": [1], "b": [2]}, {"a": [3, 3], "b": [3]}])
def test_too_little_says_nothing_about_units(groups: dict[str, list[int]]) -> None:
    assert between_units({unit: _moments(values) for unit, values in groups.items()}) is None


def _schools(random: Random, spread: float, size: int = 400) -> dict[str, tuple[int, int]]:
    made = {}
    for number in range(60):
        true = min(max(random.gauss(0.8, spread), 0.02), 0.98)
        made[f"s{number}"] = (sum(random.random() < true for _ in range(size)), size)
    return made


def test_funnel_limits_are_widened_where_schools_differ_more_than_chance() -> None:
    random = Random(11)
    naive_rate, rate = 0.0, 0.0
    for _ in range(10):
        counts = _schools(random, spread=0.05)
        found = funnel(counts)
        assert found is not None
        error = 1.96 * (found.centre * (1 - found.centre) / 400) ** 0.5
        naive_rate += sum(abs(hits / n - found.centre) > error for hits, n in counts.values()) / len(counts) / 10
        rate += found.outside / 10
    assert naive_rate > 0.35
    assert rate < 0.12


def test_one_school_far_off_is_outside_and_does_not_widen_its_own_limits() -> None:
    counts = _schools(Random(5), spread=0.02) | {"far": (120, 400)}
    found = funnel(counts)
    assert found is not None
    assert found.cells["far"].outside
    assert found.outside < 0.15


def test_equal_schools_are_all_inside_whatever_their_size() -> None:
    found = funnel({"small": (8, 10), "large": (800, 1000), "empty": (0, 0)})
    assert found is not None
    assert (found.between_sd, found.outside, set(found.cells)) == (0, 0, {"small", "large"})
    small, large = found.cells["small"].limits, found.cells["large"].limits
    assert small.low < large.low < 0.8 < large.high < small.high
    assert funnel({"only": (1, 2)}) is None


@given(HOURS, HOURS)
def test_distributions_merge_like_one_list(left: list[int], right: list[int]) -> None:
    made = [Distribution(Window(0, 10)) for _ in range(3)]
    for measure, lengths in zip(made, (left, right, [*right, *left]), strict=True):
        for length in lengths:
            measure.add(Ended(5, length))
            measure.add(Ended(10, 1))
    made[0].merge(made[1])
    found = made[0].result()
    assert found == made[2].result()
    if found.n:
        assert found.mean_ms == sum(left + right) / found.n
        assert found.median_ms is not None
        assert found.p95_ms is not None
        assert found.median_ms <= (found.p75_ms or 0) <= (found.p90_ms or 0) <= found.p95_ms
        if found.median_ms:
            assert found.consistency == (found.p90_ms or 0) / found.median_ms


def test_the_interval_of_a_median_holds_it_and_needs_six() -> None:
    made = Histogram()
    for length in range(5):
        made.add(length)
    assert median_interval(made) is None
    for length in range(5, 101):
        made.add(length)
    found = median_interval(made)
    assert found is not None
    assert 38 <= found.low < 50 < found.high <= 62


@pytest.mark.parametrize("n", [*range(6, 120), 396, 551])
def test_the_interval_of_a_median_covers_at_least_95_per_cent_and_hardly_more(n: int) -> None:
    made = Histogram(dict.fromkeys(range(n), 1))
    found = median_interval(made)
    assert found is not None
    # Up to 50 ms a bucket is one value; here its number is the rank.
    low, high = (MIDDLES.index(int(end)) for end in found)

    def covered(first: int, last: int) -> int:
        return sum(comb(n, below) for below in range(first + 1, last + 1))

    assert low + high == n - 1
    assert covered(low, high) * 20 >= 19 * 2**n
    assert covered(low + 2, high - 2) * 20 < 19 * 2**n


def _lengths(median: int, n: int = 30) -> Histogram:
    made = Histogram()
    for _ in range(n):
        made.add(median)
    return made


def test_a_percentile_counts_those_below_and_half_the_ties() -> None:
    peers, others = Peers(), Peers()
    for number, median in enumerate([10, 20, 20, 30, 31, 32, 33, 34, 35, 36]):
        (peers, others)[number % 2].add(f"d{number}", _lengths(median, 15))
        (others, peers)[number % 2].add(f"d{number}", _lengths(median, 15))
    peers.merge(others)
    found = peers.result()
    assert [found[f"d{number}"].percentile for number in (0, 1, 2, 9)] == [5, 20, 20, 95]
    assert found["d1"].group == 10


def test_a_benchmark_needs_thirty_values_and_ten_districts() -> None:
    peers = Peers()
    for number in range(9):
        peers.add(f"d{number}", _lengths(number + 1))
    peers.add("few", _lengths(5, 29))
    found = peers.result()
    assert (found["few"].percentile, found["few"].median_ms, found["few"].reason) == (
        None,
        None,
        "fewer than 30 values",
    )
    assert (found["d0"].percentile, found["d0"].reason) == (None, "fewer than 10 districts")
    peers.add("few", _lengths(5, 1))
    assert peers.result()["d0"].percentile == 5
    with pytest.raises(ValueError, match="needs a group"):
        percentile(1, [])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_percentiles_lie_between_0_and_100_and_average_50(values: list[int]) -> None:
    found = [percentile(value, values) for value in values]
    assert all(0 < each < 100 for each in found)
    assert abs(sum(found) / len(found) - 50) < 1e-9


def _impact(values: dict[str, list[int]]) -> Impact:
    made = Impact(Plan(frozenset({"t"}), frozenset({"o"}), (Window(0, 10),), (Window(10, 20),)))
    for cell, found in values.items():
        who, _, when = cell.partition("_")
        for value in found:
            made.add(Observed("t" if who == "trained" else "o", 5 if when == "before" else 15, value))
    made.add(Observed("elsewhere", 5, 999))
    made.add(Observed("t", 20, 999))
    return made


def test_what_happened_to_everybody_is_no_effect_of_the_training() -> None:
    values = {
        "trained_before": [100, 102] * 20,
        "trained_after": [70, 72] * 20,
        "others_before": [90, 92] * 20,
        "others_after": [80, 82] * 20,
    }
    found = _impact(values).result()
    assert found.effect == -20
    assert found.interval is not None
    assert found.interval.low < -20 < found.interval.high < 0
    # Four cells of forty, each with a variance of 40 ÷ 39.
    assert found.interval.high + 20 == pytest.approx(1.95996 * (4 / 39) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("short", CELLS)
def test_fewer_than_thirty_in_any_cell_is_insufficient_data(short: str) -> None:
    values = {cell: [1] * (29 if cell == short else 30) for cell in CELLS}
    found = _impact(values).result()
    assert (found.effect, found.interval, found.reason) == (None, None, "insufficient data")
    whole = _impact(values)
    whole.merge(_impact({short: [1]}))
    assert whole.result().effect == 0


def test_the_same_school_weeks_of_those_trained_and_those_not_yet() -> None:
    first = Wave(ms("2026-11-11 00:00"), frozenset({"a"}))
    later = Wave(ms("2027-02-01 00:00"), frozenset({"b"}))
    earlier = Wave(ms("2026-09-01 00:00"), frozenset({"line"}))
    span = Window(ms("2026-10-12 00:00"), ms("2026-12-14 00:00"))
    found = plan(TREE, [first, later, earlier], first, span)
    assert found.trained == {"a", "a1"}
    assert found.others == {"demo", "b", "unrouted"}
    assert [week.start_ms for week in found.before] == [
        ms(f"2026-{day} 00:00") for day in ("10-12", "10-19", "10-26", "11-02")
    ]
    # The week in which it began is left out; Thanksgiving week has three school days.
    assert [week.start_ms for week in found.after] == [
        ms(f"2026-{day} 00:00") for day in ("11-16", "11-23", "11-30", "12-07")
    ]


def test_as_many_weeks_before_as_after() -> None:
    wave = Wave(ms("2026-11-09 00:00"), frozenset({"a"}))
    found = plan(TREE, [wave], wave, Window(ms("2026-09-07 00:00"), ms("2026-11-24 00:00")))
    assert [week.start_ms for week in found.before] == [ms("2026-10-26 00:00"), ms("2026-11-02 00:00")]
    assert len(found.after) == 2


UP = GlidePath(0.6, 0.9, 0, 100 * DAY_MS)
DOWN = GlidePath(30.0, 10.0, 0, 100 * DAY_MS)


def test_the_path_is_straight_between_its_ends() -> None:
    days = (-5, 0, 50, 100, 200)
    assert [round(UP.at(day * DAY_MS), 9) for day in days] == [0.6, 0.6, 0.75, 0.9, 0.9]
    assert DOWN.at(25 * DAY_MS) == 25


@pytest.mark.parametrize(
    ("path", "value", "interval", "on_track", "reached"),
    [
        (UP, 0.70, Interval(0.66, 0.75), True, False),
        (UP, 0.70, Interval(0.66, 0.7499), False, False),
        (UP, 0.70, None, False, False),
        (UP, 0.92, Interval(0.88, 0.94), True, True),
        (DOWN, 22.0, Interval(20.0, 24.0), True, False),
        (DOWN, 22.0, Interval(20.1, 24.0), False, False),
        (DOWN, 9.0, Interval(8.0, 11.0), True, True),
        (UP, None, None, None, False),
    ],
)
def test_a_goal_is_on_track_if_the_favourable_end_reaches_the_path(
    path: GlidePath, value: float | None, interval: Interval | None, on_track: bool | None, reached: bool
) -> None:
    found = progress(path, 50 * DAY_MS, value, interval)
    assert (found.on_track, found.reached) == (on_track, reached)
    assert found.expected == pytest.approx(path.at(50 * DAY_MS))
