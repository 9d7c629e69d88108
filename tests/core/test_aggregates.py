"""Watched rolling values: beyond long enough, back far enough, nothing of small numbers, nothing anew at a restart."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.incidents import CLOSED, OPENED, IncidentTransition
from schemas.rolling import RollingRow
from schemas.watches import Watch
from streams.core.aggregates import Aggregates
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.histogram import Histogram
from tests.golden import district, ms
from tests.sinks.samples import rolling

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
START = ms("2026-10-06 10:00")
SLOW: dict[str, Any] = {
    "watch": "slow",
    "metric": "first_response_p90",
    "window": "24h",
    "above": "4h",
    "until": "3h",
    "lasting": "30m",
    "units": ["a", "b"],
}
UNHAPPY: dict[str, Any] = {
    "watch": "unhappy",
    "metric": "satisfaction",
    "window": "28d",
    "below": 7,
    "lasting": "1m",
}
NOBODY: dict[str, Any] = {"watch": "nobody", "metric": "inquiries", "window": "1h", "below": 1, "lasting": "20m"}


def configured(*watches: dict[str, Any]) -> Configuration:
    return Configuration("demo", [ConfigurationEvent(1, 0, "c", district(watches=list(watches)))])


def row(minute: int, hours: float = 0.0, count: int = 30, unit: str = "a", **more: Any) -> RollingRow:
    """A unit's row of 24 hours in which this many first responses took so many hours each."""
    histogram = Histogram()
    for _ in range(count):
        histogram.add(int(hours * HOUR_MS))
    made = rolling("demo", unit, START + minute * MINUTE_MS)._replace(channel="all", window="24h")
    spread: dict[str, Any] = {
        "first_response_count": histogram.count,
        "first_response_buckets": histogram.buckets,
        "first_response_counts": histogram.counts,
    }
    return made._replace(**spread | more)


def told(
    aggregates: Aggregates, rows: Iterable[RollingRow], configuration: Configuration, is_silent: bool = False
) -> list[IncidentTransition]:
    return [one for each in rows for one in aggregates.advance([each], configuration, is_silent, each.at)]


def said(transitions: Iterable[IncidentTransition]) -> list[tuple[str, str, int]]:
    return [(one.transition, one.unit, (one.at - START) // MINUTE_MS) for one in transitions]


def hours(values: Sequence[float]) -> list[RollingRow]:
    return [row(minute, value) for minute, value in enumerate(values)]


def test_a_value_beyond_its_level_for_its_time_opens_and_one_that_came_back_far_enough_closes() -> None:
    transitions = told(Aggregates("demo"), hours([5] * 40 + [3.5] * 20 + [2.5] * 5), configured(SLOW))
    assert said(transitions) == [(OPENED, "a", 30), (CLOSED, "a", 60)]
    opened, closed = transitions
    assert (opened.kind, opened.metric, opened.about, opened.window_ms) == (
        "value",
        "first_response_p90",
        "slow",
        24 * HOUR_MS,
    )
    assert opened.began_at == START
    assert opened.expected == 4 * HOUR_MS
    assert opened.observed == pytest.approx(5 * HOUR_MS, rel=0.01)
    assert (closed.key, closed.ended_at) == (opened.key, START + 60 * MINUTE_MS)


def test_a_moment_within_begins_the_time_anew() -> None:
    values = ([5.0] * 29 + [3.9]) * 5
    assert told(Aggregates("demo"), hours(values), configured(SLOW)) == []


def test_too_few_values_open_nothing_and_end_nothing() -> None:
    aggregates, configuration = Aggregates("demo"), configured(SLOW)
    assert told(aggregates, [row(minute, 5, 19) for minute in range(60)], configuration) == []
    assert said(told(aggregates, [row(60 + minute, 5) for minute in range(40)], configuration)) == [(OPENED, "a", 90)]
    assert told(aggregates, [row(100 + minute, 1, 19) for minute in range(60)], configuration) == []
    assert said(told(aggregates, [row(160, 1, 0)], configuration)) == [(CLOSED, "a", 160)]


def test_units_are_judged_each_by_itself() -> None:
    aggregates, configuration = Aggregates("demo"), configured(SLOW)
    transitions = [
        one
        for minute in range(40)
        for one in aggregates.advance(
            [row(minute, 5, unit="b"), row(minute, 1), row(minute, 9, unit="line")], configuration, False, START
        )
    ]
    assert said(transitions) == [(OPENED, "b", 30)]


def test_what_is_watched_no_more_is_over() -> None:
    aggregates = Aggregates("demo")
    told(aggregates, hours([5] * 40), configured(SLOW))
    assert said(told(aggregates, [row(41, 5)], configured())) == [(CLOSED, "a", 41)]


def ratings(minute: int, scores: dict[int, int]) -> RollingRow:
    counts = tuple(scores.get(score, 0) for score in range(1, 11))
    made = rolling("demo", "demo", START + minute * MINUTE_MS)._replace(channel="all", window="28d")
    # What came in is another thing than what is published, and is not looked at.
    return made._replace(ratings=(99,) * 10, ratings_count=990, published_ratings=counts)


def test_satisfaction_is_beyond_only_if_its_whole_interval_is() -> None:
    configuration = configured(UNHAPPY)
    unsure = [ratings(minute, {5: 6, 8: 14}) for minute in range(5)]
    sure = [ratings(minute, {5: 60, 8: 140}) for minute in range(5)]
    few = [ratings(minute, {1: 19}) for minute in range(5)]
    assert told(Aggregates("demo"), unsure, configuration) == []
    assert told(Aggregates("demo"), few, configuration) == []
    worse = [ratings(minute, {5: 90, 8: 110}) for minute in range(5)]
    assert said(told(Aggregates("demo"), sure, configuration)) == []
    (opened,) = told(Aggregates("demo"), worse, configuration)
    assert opened.unit == "demo"
    assert opened.observed == pytest.approx(6.65)


def quiet(first: str, minutes: int, count: int = 0) -> list[RollingRow]:
    offset = (ms(first) - START) // MINUTE_MS
    return [row(offset + n, unit="demo", inquiries=count, window="1h") for n in range(minutes)]


def test_nobody_asks_is_judged_while_the_unit_is_open_and_no_feed_is_silent() -> None:
    configuration = configured(NOBODY)
    assert said(told(Aggregates("demo"), quiet("2026-10-06 10:00", 30), configuration)) == [(OPENED, "demo", 20)]
    assert told(Aggregates("demo"), quiet("2026-10-06 10:00", 60, 1), configuration) == []
    assert told(Aggregates("demo"), quiet("2026-10-06 20:00", 60), configuration) == []
    aggregates = Aggregates("demo")
    assert told(aggregates, quiet("2026-10-06 10:00", 60), configuration, is_silent=True) == []
    assert said(told(aggregates, quiet("2026-10-06 11:00", 30), configuration)) == [(OPENED, "demo", 80)]
    assert told(aggregates, quiet("2026-10-06 11:30", 5, 9), configuration, is_silent=True) == []
    assert said(told(aggregates, quiet("2026-10-06 11:35", 5, 9), configuration)) == [(CLOSED, "demo", 95)]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_restart_at_any_minute_says_the_same(random: Random) -> None:
    """Its time so far is in the rows that landed, what was said on the topic of alerts."""
    values = [random.choice([2.0, 3.5, 5.0]) for _ in range(12)]
    rows = hours([value for value in values for _ in range(random.choice([3, 25, 40]))])
    configuration = configured(SLOW)
    whole = told(Aggregates("demo"), rows, configuration)
    aggregates, parts = Aggregates("demo"), []
    cut = 0
    while cut < len(rows):
        before, cut = cut, cut + random.randrange(1, 60)
        parts += told(aggregates, rows[before:cut], configuration)
        aggregates = Aggregates("demo")
        aggregates.known(random.sample(parts, len(parts)))
        aggregates.refill(rows[max(0, cut - 45) : cut], configuration)
    assert parts == whole
    assert len({one.idempotency_key for one in parts}) == len(parts)


def test_what_is_old_is_not_sent_and_neither_is_its_end() -> None:
    aggregates, configuration = Aggregates("demo"), configured(SLOW)
    rows = hours([5] * 40 + [1])
    late = [
        one for each in rows for one in aggregates.advance([each], configuration, False, each.at + NOTIFY_WITHIN_MS)
    ]
    assert [one.notify for one in late] == [1, 1]
    aggregates = Aggregates("demo")
    present = START + 45 * MINUTE_MS + NOTIFY_WITHIN_MS
    late = [one for each in rows for one in aggregates.advance([each], configuration, False, present)]
    assert [(one.transition, one.notify) for one in late] == [(OPENED, 0), (CLOSED, 0)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"above": 4}, "a level of first_response_p90 is a length such as 4h"),
        ({"below": "2h"}, "needs one of above and below"),
        ({"above": None, "until": None}, "needs one of above and below"),
        ({"until": "5h"}, "until lies beyond the level"),
        ({"metric": "open_waits"}, "a level of open_waits is a number"),
        ({"metric": "promises_met", "above": None, "until": None, "below": 1.5}, "is a share, from 0 to 1"),
        ({"metric": "satisfaction", "above": None, "until": None, "below": 7}, "as published: 28d"),
    ],
)
def test_a_watch_that_means_nothing_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Watch.model_validate(SLOW | change)
