"""Goals, consistency and benchmark agree with a slow count from the text of the definitions, on random histories."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.district import District
from schemas.vocabulary import to_ms
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.intervals import Interval
from streams.measures.benchmark import benchmark
from streams.measures.facts import Fact
from streams.measures.goals import Progress
from streams.measures.plans import METRICS, goals, limit_of
from streams.measures.report import Ask, measure
from streams.measures.satisfaction import ScoresResult
from streams.measures.windows import HOUR_MS
from tests.golden import History, at, ms
from tests.measures.lives import ASKED, folded, lives, with_goals
from tests.reference import measuring as slow

# A longer run, as for the facts: CX_REFERENCE_CASES=5000 ./cx test tests/measures/test_agreement.py
CASES = int(os.environ.get("CX_REFERENCE_CASES", "500")) // 10
LIMITS = {"1h": HOUR_MS, "1d": 24 * HOUR_MS, "3d": 72 * HOUR_MS, "40d": 960 * HOUR_MS, "school_day": None}
HOURS = {"1h": 1, "24h": 24, "7d": 168, "28d": 672}
METRIC = st.sampled_from([*METRICS, *(f"answered_within_{limit}" for limit in LIMITS)])
DAY = st.dates(min_value=at("2026-08-01 00:00").date(), max_value=at("2027-03-01 00:00").date())
NUMBER = st.one_of(st.integers(-5, 60).map(float), st.floats(0, 1))
slowly = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def goal(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """A goal of any metric and unit, whose line begins and ends before the question, around it or after it."""
    starts, ends = sorted(draw(st.lists(DAY, min_size=2, max_size=2, unique=True)))
    named = {"unit": draw(st.sampled_from(["a", "a1", "b", "line"]))} if draw(st.booleans()) else {}
    frame = {"goal": f"g{number}", "metric": draw(METRIC), "baseline": draw(NUMBER), "target": draw(NUMBER)}
    return {**frame, **named, "starts": starts.isoformat(), "ends": ends.isoformat()}


@st.composite
def plans(draw: st.DrawFn) -> District:
    """The small district with some goals."""
    return with_goals([draw(goal(number)) for number in range(draw(st.integers(1, 6)))])


def configuration(document: District) -> Configuration:
    return Configuration("demo", [ConfigurationEvent(1, to_ms(at("2020-01-01 00:00")), "configuration-1", document)])


def question(printed: list[dict[str, Any]], document: District, window: str, limit: str) -> slow.Question:
    return slow.Question(printed, document, ms(ASKED), HOURS[window] * HOUR_MS, LIMITS[limit])


def ask(window: str, limit: str, team: str = "") -> Ask:
    found = limit_of(limit)
    assert found is not None
    return Ask(ms(ASKED), window, found, team)


def same(found: float | None, expected: Fraction | float | None, rel: float = 1e-9) -> bool:
    """Whether both are nothing, or the same number; floating point may differ in its last digits."""
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(float(expected), rel=rel, abs=1e-12)


def same_range(found: Interval | None, expected: slow.Range, rel: float = 1e-9) -> bool:
    if found is None or expected is None:
        return found is expected
    return all(same(one, other, rel) for one, other in zip(found, expected, strict=True))


def assert_progress(found: Progress, asked: slow.Question, planned: Any, known: tuple[Any, slow.Range]) -> None:
    """Value, interval, line and verdict of one goal."""
    value, interval = known
    # A median stands for its step of a histogram.
    rel = 0.0101 if planned.metric == "first_response_median_hours" else 1e-9
    expected = slow.line(asked, planned)
    assert same(found.expected, expected)
    assert same(found.value, value, rel)
    assert same_range(found.interval, interval, rel)
    if value is None:
        assert (found.on_track, found.reached) == (None, False)
        return
    low, high = found.interval or (found.value, found.value)
    assert low is not None
    assert high is not None
    rises = planned.target >= planned.baseline
    if not same(high if rises else low, expected):
        assert found.on_track == (high > expected if rises else low < expected)
    if not same(found.value, planned.target):
        assert found.reached == (found.value > planned.target if rises else found.value < planned.target)


@slowly
@given(st.data(), plans(), st.sampled_from([*HOURS]), st.sampled_from([*LIMITS]))
def test_goals_of_the_own_team_are_those_of_a_slow_count(
    data: st.DataObject, document: District, window: str, limit: str
) -> None:
    facts, printed = folded(data.draw(lives(document)))
    tree, asked = configuration(document), ask(window, limit, "demo")
    for found in goals(facts, tree, asked, measure(facts, tree, asked)):
        named = found.goal.metric.removeprefix("answered_within_")
        one = question(printed, document, window, named if named in LIMITS else limit)
        value = slow.value(one, found.goal.metric, found.goal.unit or "demo", slow.values_now)
        assert found.progress is not None
        assert_progress(found.progress, one, found.goal, value)


@slowly
@given(st.data(), plans(), st.sampled_from([*HOURS]))
def test_goals_shown_to_others_rest_on_what_is_published(data: st.DataObject, document: District, window: str) -> None:
    facts, printed = folded(data.draw(lives(document, 60)))
    tree, asked = configuration(document), ask(window, "1d")
    for found in goals(facts, tree, asked, measure(facts, tree, asked)):
        metric, unit = found.goal.metric, found.goal.unit or "demo"
        named = metric.removeprefix("answered_within_")
        one = question(printed, document, window, named if named in LIMITS else "1d")
        assert found.progress is not None
        if metric in slow.OF_RATINGS and found.progress.value is None:
            continue
        assert_progress(found.progress, one, found.goal, slow.value(one, metric, unit, slow.published))
        if metric in slow.OF_RATINGS:
            values = slow.ratings(one, unit, slow.OF_RATINGS[metric])
            assert len(slow.values_now(one, values)) >= 10
            assert len(slow.published(one, values) or ()) >= 10


def assert_scores(found: ScoresResult | None, expected: list[int]) -> None:
    """All statistics of an item."""
    assert found is not None
    high, low = (sum(score >= 8 for score in expected), sum(score <= 3 for score in expected))
    assert (found.n, found.high.hits, found.low.hits) == (len(expected), high, low)
    assert list(found.scores) == [expected.count(score) for score in range(1, 11)]
    assert same(found.mean, slow.mean(expected))
    assert same_range(found.interval, slow.mean_interval(expected))


@slowly
@given(st.data(), st.sampled_from([*HOURS]))
def test_the_districts_own_items_are_those_of_a_slow_count(data: st.DataObject, window: str) -> None:
    document = with_goals([])
    facts, printed = folded(data.draw(lives(document, 60)))
    tree, asked = configuration(document), question(printed, document, window, "1d")
    given = {item["item"] for fact in asked.counting() for item in fact["items"]}
    mine, others = (measure(facts, tree, ask(window, "1d", team)) for team in ("demo", ""))
    for unit, report in mine.items():
        assert set(report.own_items) == given
        for code, found in report.own_items.items():
            values = slow.own_item(asked, unit, code)
            assert_scores(found.scores, slow.values_now(asked, values))
            shown = others[unit].own_items[code].scores
            if shown is not None:
                assert min(len(slow.values_now(asked, values)), shown.n) >= 10
                assert_scores(shown, slow.published(asked, values) or [])


@slowly
@given(st.data(), st.sampled_from([*HOURS]), st.sampled_from([*LIMITS]))
def test_consistency_is_that_of_a_slow_count(data: st.DataObject, window: str, limit: str) -> None:
    document = with_goals([])
    facts, printed = folded(data.draw(lives(document)))
    tree, asked = configuration(document), question(printed, document, window, limit)
    for unit, report in measure(facts, tree, ask(window, limit)).items():
        lengths = slow.first_responses(asked, unit)
        found = report.distributions["first_response"]
        assert found.n == len(lengths)
        assert same(found.mean_ms, slow.mean(lengths))
        assert same(found.consistency, slow.steadiness(lengths), 0.0203)
        assert same(report.consistency.between, slow.share_between(asked, unit), 1e-6)
        assert_funnel(report.consistency.funnel, asked, unit)


def assert_funnel(found: Any, asked: slow.Question, unit: str) -> None:
    cells = {below: slow.decided_within(asked, below) for below in asked.directly_below(unit)}
    expected = slow.limits(cells)
    assert (found is None) == (expected is None)
    if found is None or expected is None:
        return
    assert {name: (cell.hits, cell.n) for name, cell in found.cells.items()} == {n: s for n, s in cells.items() if s[1]}
    for name, (low, high, outside) in expected.items():
        cell = found.cells[name]
        assert same_range(cell.limits, (low, high))
        share = cell.hits / cell.n
        if not (same(share, low) or same(share, high)):
            assert cell.outside == outside
    assert same(found.outside, Fraction(sum(cell.outside for cell in found.cells.values()), len(found.cells)))


# Five per cent apart: no two of them stand in one step of a histogram.
APART = [round(60_000 * 1.05**number) for number in range(60)]
NAMES = [f"d{number}" for number in range(14)]


@st.composite
def groups(draw: st.DrawFn, lengths: st.SearchStrategy[int]) -> dict[str, list[int]]:
    """Lengths of first responses of some districts, most of them with enough for a benchmark."""
    found = {}
    for name in NAMES[: draw(st.sampled_from([3, 9, 10, 11, 14]))]:
        pattern = draw(st.lists(lengths, min_size=1, max_size=7))
        often = draw(st.sampled_from([29, 30, 30, 31, 40, 40]))
        found[name] = [pattern[number % len(pattern)] for number in range(often)]
    return found


def asked_and_answered(groups: Mapping[str, Sequence[int]]) -> dict[str, tuple[list[Fact], list[dict[str, Any]]]]:
    """Each district's facts, of inquiries two days before the question."""
    found = {}
    for name, lengths in groups.items():
        history = History()
        for number, length in enumerate(lengths):
            asked = at("2026-10-31 12:00")
            for kind, moment in (("inquiry", asked), ("reply", asked + timedelta(milliseconds=length))):
                fields = {"occurred_at": moment.isoformat(), "received_at": moment.isoformat()}
                history.add(kind, "2026-10-31 12:00", f"c{number}", **fields)
        found[name] = folded(history)
    return found


def medians(known: Mapping[str, tuple[list[Fact], list[dict[str, Any]]]]) -> dict[str, int]:
    """The median of each district that has thirty first responses in 28 days."""
    lengths = {name: slow.first_responses(of_district(printed), "demo") for name, (_, printed) in known.items()}
    found = {name: slow.quantile(each, Fraction(1, 2)) for name, each in lengths.items() if len(each) >= 30}
    return {name: median for name, median in found.items() if median is not None}


def of_district(printed: list[dict[str, Any]], limit: str = "1d") -> slow.Question:
    return question(printed, with_goals([]), "28d", limit)


@slowly
@given(groups(st.sampled_from(APART)), st.sampled_from([*LIMITS]), st.integers(0, len(NAMES) - 1))
def test_a_benchmark_is_that_of_a_slow_count(drawn: dict[str, list[int]], limit: str, which: int) -> None:
    known = asked_and_answered(drawn)
    group = medians(known)
    shares = {name: slow.answered_within(of_district(printed, limit), "demo") for name, (_, printed) in known.items()}
    enough = {name: share for name, share in shares.items() if share[1] >= 30}
    cells = slow.limits(enough) if len(enough) >= 10 else None
    name = NAMES[which % len(known)]
    found = benchmark(name, {each: facts for each, (facts, _) in known.items()}, ms(ASKED), ask("28d", limit).limit)
    first, within = found.lengths["first_response"], found.within
    assert (first.n, first.group) == (len(drawn[name]), len(group))
    counts = name in group and len(group) >= 10
    assert same(first.percentile, slow.percentile(name, group) if counts else None)
    assert same(first.median_ms, group.get(name), 0.0101)
    assert ((within.answered.hits, within.answered.n), within.group) == (shares[name], len(enough))
    assert (within.cell is None) == (cells is None or name not in enough)
    if within.cell is not None and cells is not None:
        assert same_range(within.cell.limits, cells[name][:2])


@slowly
@given(groups(st.integers(0, 10**8)), st.integers(0, len(NAMES) - 1))
def test_only_medians_within_two_per_cent_may_be_ties(drawn: dict[str, list[int]], which: int) -> None:
    known = asked_and_answered(drawn)
    group = medians(known)
    name = NAMES[which % len(known)]
    found = benchmark(name, {each: facts for each, (facts, _) in known.items()}, ms(ASKED), ask("28d", "1d").limit)
    place, own = found.lengths["first_response"].percentile, group.get(name)
    assert (place is None) == (own is None or len(group) < 10)
    if place is not None and own is not None:
        below = sum(other * 51 < own * 50 for other in group.values())
        above = sum(other * 50 > own * 51 for other in group.values())
        # Ranks end in a half: a tenth of one is far more than a division rounds.
        rank = place * len(group) / 100
        assert below + 0.4 < rank < len(group) - above - 0.4
