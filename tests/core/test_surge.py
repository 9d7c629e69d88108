"""Surges: too much by what is usual, one for one cause, the same whatever the order in which it became known."""

from math import comb
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import Row
from schemas.watches import SurgeRule, Surges
from streams.core.baseline import CHANCE, PRIOR_SHAPE, Baseline, Expected
from streams.core.day_types import BREAK, CLOSED, EARLY_RELEASE, SCHOOL_DAY, DayTypes
from streams.core.openings import Openings
from streams.core.surge import PARTS, Calendar, Found, surges
from tests.core.openings_made import DISTRICT, USUAL, calendar, days, held, history, row, spread
from tests.golden import ms

RULE = USUAL.topics
assert RULE is not None
LATE = "2026-10-06 20:00"


def found(rows: list[Row], now: str = LATE, within: Calendar = DISTRICT) -> list[Found]:
    return surges(held(rows), within, ms(now))


def chance(mean: float, shape: float, count: int) -> float:
    """Probability of so many or more, summed from the far end."""
    share = mean / (mean + shape)
    term = 1.0
    for k in range(count):
        term *= (k + shape) / (k + 1) * share
    total, k = 0.0, count
    while term > total * 1e-12:
        total += term
        term *= (k + shape) / (k + 1) * share
        k += 1
    return float(total * (1 - share) ** shape)


@given(st.floats(0.01, 300.0), st.floats(PRIOR_SHAPE, 6.0))
def test_the_smallest_surprising_count_is_one_chance_in_a_million(mean: float, shape: float) -> None:
    (count,) = Expected(np.array([mean]), np.array([shape])).surprising().tolist()
    assert chance(mean, shape, count) <= CHANCE
    # Means and shapes are rounded to the safe side, by a fiftieth each.
    assert chance(mean * 1.03, shape / 1.03, count - 2) > CHANCE


def test_a_binomial_check_of_the_check() -> None:
    assert chance(3.0, 1.0, 2) == pytest.approx(1 - sum(comb(k, k) * 0.25 * 0.75**k for k in range(2)))


def test_days_are_told_apart() -> None:
    types = DayTypes(DISTRICT.types.configuration)
    kinds = {
        "2026-10-06": SCHOOL_DAY,
        "2026-10-10": CLOSED,
        "2026-10-13": BREAK,
        "2026-10-30": EARLY_RELEASE,
        "2026-11-26": CLOSED,
    }
    for day, kind in kinds.items():
        noon = int(types.local(np.array([ms(f"{day} 12:00") // 1000]))[0])
        assert types.of(noon // 86_400) == kind, day


def test_local_hours_follow_the_clocks() -> None:
    instants = np.array([ms(f"2026-{day} 09:30") // 1000 for day in ("03-07", "03-08", "10-31", "11-01", "12-31")])
    assert (DISTRICT.types.local(instants) % 86_400 == 9.5 * 3_600).all()


def test_on_the_first_day_only_what_is_far_beyond_the_stated_prior_is_a_surge() -> None:
    """Nothing is known: an hour is taken to bring three, give or take a lot."""
    assert RULE is not None
    shortest = RULE.window_s / PARTS[-1] / 3_600
    (enough,) = Expected(np.array([RULE.usual * shortest]), np.array([PRIOR_SHAPE])).surprising().tolist()
    assert RULE.least <= enough < 15
    assert found([row(s) for s in spread("2026-10-06 08:00", 3, enough - 1)]) == []
    (one,) = found([row(s) for s in spread("2026-10-06 08:00", 3, enough)])
    assert (one.about, one.unit, one.began_with, len(one.joined)) == ("bus-late", "dispatch", enough, enough)
    assert one.began_s == spread("2026-10-06 08:00", 3, enough)[-1]


def test_what_comes_at_once_is_known_before_what_rises_slowly() -> None:
    """The same calls, in three minutes or in half an hour, in a district whose mornings bring three an hour."""
    past = history("2026-10-06", {8: 3})
    (sudden,) = found(past + [row(s) for s in spread("2026-10-06 08:00", 3, 24)])
    (slow,) = found(past + [row(s) for s in spread("2026-10-06 08:00", 30, 24)])
    assert sudden.began_with < slow.began_with
    began = ms("2026-10-06 08:00") // 1000
    assert sudden.began_s - began < 120 < 600 < slow.began_s - began


def test_a_season_that_raises_every_hour_is_no_surge_and_a_burst_within_it_is() -> None:
    """Two an hour all day long, then twelve from one midnight on; in the middle of that fifty within minutes."""
    past = history("2026-10-05", dict.fromkeys(range(24), 2))
    season = [row(s) for s in spread("2026-10-05 00:00", 44 * 60, 44 * 12)]
    assert found(past + season) == []
    burst = [row(s) for s in spread("2026-10-06 10:00", 10, 50)]
    (one,) = found(past + season + burst)
    assert ms("2026-10-06 10:00") < one.began_s * 1000 < ms("2026-10-06 10:10")


def test_what_every_monday_brings_is_no_surge_and_the_same_at_another_hour_is() -> None:
    mondays = [day for day in days("2026-09-07", "2026-09-28") if day in ("2026-09-14", "2026-09-21", "2026-09-28")]
    past = history("2026-10-05", {10: 2}) + [row(s) for day in mondays for s in spread(f"{day} 08:00", 60, 60)]
    usual = [row(s) for s in spread("2026-10-05 08:00", 60, 62)]
    assert found(past + usual) == []
    elsewhere = [row(s) for s in spread("2026-10-05 14:00", 60, 62)]
    assert [one.unit for one in found(past + elsewhere)] == ["dispatch"]
    other_day = [row(s) for s in spread("2026-10-06 08:00", 60, 62)]
    assert [one.unit for one in found(past + other_day)] == ["dispatch"]


def test_a_break_is_compared_with_breaks_and_not_with_school_days() -> None:
    """Thirty an hour are usual on school days; the first day of a break knows nothing, the fourth one does."""
    past = history("2026-10-12", {9: 36}, first="2026-09-08")
    on = [row(s) for s in spread("2026-10-15 09:00", 60, 60)]
    quiet = [row(s) for day in ("2026-10-12", "2026-10-13", "2026-10-14") for s in spread(f"{day} 09:00", 60, 1)]
    assert [one.unit for one in found(past + quiet + on, "2026-10-15 20:00")] == ["dispatch"]
    back = [row(s) for s in spread("2026-10-19 09:00", 60, 60)]
    assert found(past + quiet + back, "2026-10-19 20:00") == []


def test_one_bad_morning_does_not_make_the_next_one_usual() -> None:
    past = history("2026-10-06", {8: 3})
    bad = [row(s) for s in spread("2026-09-29 08:00", 60, 200)]
    again = [row(s) for s in spread("2026-10-06 08:00", 60, 200)]
    first, second = (found(past + bad + more, now) for more, now in (([], "2026-09-29 20:00"), (again, LATE)))
    assert len(first) == len(second) == 1
    assert second[0].began_with == first[0].began_with


def test_a_breakdown_is_one_surge_in_the_unit_it_is_about_and_ends_by_itself() -> None:
    past = history("2026-10-06", {8: 3}) + history("2026-10-06", {8: 2}, topic="bus-route", unit="routes")
    calls = [row(s, unit="dispatch" if n % 10 else "desk-1") for n, s in enumerate(spread("2026-10-06 07:00", 90, 300))]
    (one,) = found(past + calls)
    assert (one.metric, one.about, one.unit) == ("inquiries", "bus-late", "dispatch")
    assert one.began_s < ms("2026-10-06 07:10") // 1000
    assert one.ended_s is not None
    assert ms("2026-10-06 08:30") < one.ended_s * 1000 < ms("2026-10-06 09:40")
    assert 260 < len(one.joined) < 300
    (lasting,) = found(past + calls, "2026-10-06 08:00")
    assert lasting.ended_s is None
    assert lasting.began_s == one.began_s


def test_what_is_everywhere_a_little_is_a_surge_of_the_district() -> None:
    past = [made for n in range(6) for made in history("2026-10-06", {9: 1}, topic="portal", unit=f"desk-{n}")]
    calls = [row(s, "portal", f"desk-{n % 6}") for n, s in enumerate(spread("2026-10-06 09:00", 20, 60))]
    (one,) = found(past + calls)
    assert (one.unit, one.about) == ("demo", "portal")


def test_two_causes_are_two_surges() -> None:
    calls = [row(s) for s in spread("2026-10-06 07:00", 60, 200)]
    others = [row(s, "portal", "desk-2") for s in spread("2026-10-06 07:30", 60, 200)]
    assert [(one.about, one.unit) for one in found(calls + others)] == [
        ("bus-late", "dispatch"),
        ("portal", "desk-2"),
    ]


def test_people_under_a_post_count_once_however_often_they_write() -> None:
    loud = [row(s, thread="post-1", person="a" * 16) for s in spread("2026-10-06 07:00", 60, 200)]
    assert found(loud) == []
    many = [row(s, thread="post-2", person=f"{n:016x}") for n, s in enumerate(spread("2026-10-06 07:00", 60, 80))]
    (one,) = found(loud + many)
    assert (one.metric, one.about, one.unit, len(one.joined)) == ("people", "post-2", "dispatch", 80)


def test_a_rule_can_be_another_one_or_none() -> None:
    calls = [row(s) for s in spread("2026-10-06 07:00", 20, 12)]
    strict = Surges(topics=SurgeRule(window="20m", least=5, usual=0.1), posts=None)
    assert found(calls) == []
    assert len(found(calls, within=calendar(surges=strict.model_dump()))) == 1
    assert found(calls * 20, within=calendar(surges=Surges(topics=None).model_dump())) == []


def _some(random: Random) -> list[Row]:
    rows = [row(ms("2026-10-01 00:00") // 1000 + random.randrange(6 * 86_400), unit="routes") for _ in range(80)]
    rows += [
        row(ms("2026-10-05 07:00") // 1000 + random.randrange(5_400), unit=random.choice(["dispatch", "desk-1"]))
        for _ in range(120)
    ]
    rows += [
        row(ms("2026-10-05 09:00") // 1000 + random.randrange(9_000), thread="p", person=f"{random.randrange(60):016x}")
        for _ in range(80)
    ]
    return rows


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_surges_are_those_of_the_facts_known_whatever_was_known_before(random: Random) -> None:
    rows = _some(random)
    expected = surges(held(rows), DISTRICT, ms(LATE))
    assert expected
    openings = Openings()
    steps = [(f"c{number}", one) for number, one in enumerate(rows)]
    noise = [(f"c{number}", row(ms(LATE) // 1000 - random.randrange(200_000))) for number in range(0, len(rows), 3)]
    spam = [(f"spam-{n}", row(ms("2026-10-05 07:30") // 1000 + n)) for n in range(40)]
    first = [*noise, *spam, *steps[: len(steps) // 2]]
    random.shuffle(first)
    for name, one in first:
        openings.replace(name, one)
    surges(openings, DISTRICT, ms(LATE))
    for name, _ in spam:
        if random.random() < 0.5:
            openings.remove(name)
        else:
            openings.replace(name, row(0, retracted=1))
    again = [*steps, *steps[::3]]
    random.shuffle(again)
    for name, one in again:
        openings.replace(name, one)
    assert surges(openings, DISTRICT, ms(LATE)) == expected
    openings.prune(ms("2026-08-25 00:00") // 1000)
    assert surges(openings, DISTRICT, ms(LATE)) == expected


def test_what_left_the_horizon_is_forgotten_with_its_topics() -> None:
    openings = Openings()
    for number in range(500):
        openings.replace(f"old-{number}", row(1_000 + number, f"topic-{number}"))
    openings.replace("new", row(90_000, "topic-7", "routes"))
    openings.prune(50_000)
    assert len(openings) == 1
    held_now = openings.of("new")
    assert held_now is not None
    assert (held_now.topic, held_now.unit, held_now.second) == ("topic-7", "routes", 90_000)
    assert openings.of("old-7") is None
    assert len(openings.units) == 1


def test_a_single_old_date_does_not_make_a_history() -> None:
    """Else everything before would have been quiet, and any morning a surge."""
    types = DISTRICT.types
    calls = [row(s) for s in spread("2026-10-06 08:00", 28, 24)]
    assert found(calls) == []
    assert found([row(ms("2026-09-10 08:00") // 1000), *calls]) == []
    quiet = Baseline(types, np.array([ms("2026-09-10 08:00") // 1000]), 3.0, 0)
    end = np.array([ms("2026-10-06 08:30") // 1000])
    assert quiet.expected(end, 1_800).mean[0] < 0.1
