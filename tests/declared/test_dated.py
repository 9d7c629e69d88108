"""Dated things do what is declared: trainings, the rollout, incidents; and districts differ as declared.

What makes units faster or slower shows in pairs of runs that share all chance: lengths differ by the factor alone.
"""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from math import log, sqrt
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pytest

from schemas.vocabulary import from_ms
from streams.intake.simulator import simulate, standing
from streams.intake.simulator_parameters import Burst, Manner, Parameters, Silence, SnowDay
from streams.intake.simulator_world import AVERAGE, World
from tests.declared.lengths import length
from tests.declared.measuring import SIGMAS, Measured, average, declared_numbers, exact, mix, share, unfit
from tests.declared.stories import Story, stories
from tests.simulated import DECLARED, SAMPLE, changed, events, few, local_ms, ms, run, span, without_chance

FEW = 40
MINUTE_MS, DAY_MS = 60_000, 86_400_000
CERTAIN = {"offered": 1.0, "given": 1.0, "late": 0.0, "edited": 0.0, "days": 0.3, "per_doubling": 0.0}
WORLD = World(SAMPLE, DECLARED, 1)
CASES = ["as declared", "altered"]


class Pair(NamedTuple):
    """The same answer in two runs: its instants in the first, ratio of its lengths, points more in its score."""

    unit: str
    asked_ms: int
    replied_ms: int
    ratio: float
    points: float


def plain(parameters: Parameters = DECLARED, **parts: Any) -> Parameters:
    """Every question is answered, resolved and rated, and nothing dated happens but what is given."""
    calm = without_chance(parameters, resolved=1.0, unit_named=1.0)
    neutral = {"trainings": [], "rollout": {"speed": 1.0, "courtesy": 0.0}, "incidents": []}
    return changed(calm, ratings=CERTAIN, **neutral | parts)


def told(parameters: Parameters, first: str, last: str, manner: Manner = AVERAGE) -> dict[str, Story]:
    """Conversations of a span by name."""
    found = [json.loads(text) for _, text in simulate(SAMPLE, parameters, span(first, last), manner)]
    return {story.name: story for story in stories(found) if story.opened_by == "customer"}


def pairs(one: dict[str, Story], other: dict[str, Story]) -> list[Pair]:
    """Answers of conversations that both runs brought to an end."""
    found = []
    for name, story in one.items():
        twin = other.get(name)
        if twin and story.answers and twin.answers and len(story.survey) > 1 < len(twin.survey):
            mine, its = story.answers[0], twin.answers[0]
            # Lengths are whole milliseconds: of a short one, one is much.
            if min(length(WORLD, mine), length(WORLD, its)) > 1:
                ratio = length(WORLD, mine) / length(WORLD, its)
                points = story.survey[1]["score"] - twin.survey[1]["score"]
                found.append(Pair(mine.unit, mine.asked_ms, mine.delivered_ms, ratio, points))
    return found


def assert_moved(found: list[Pair], moved: Callable[[str, int], tuple[float, float]]) -> None:
    """Each length by the factor of its unit when it was asked, scores on average by the points when it was answered."""
    groups: dict[tuple[float, float], list[Pair]] = {}
    for pair in found:
        (factor, _), (_, points) = moved(pair.unit, pair.asked_ms), moved(pair.unit, pair.replied_ms)
        groups.setdefault((factor, points), []).append(pair)
    assert (1.0, 0.0) in groups
    assert sum(len(group) > FEW for group in groups.values()) > 1
    for (factor, points), group in groups.items():
        assert [pair for pair in group if pair.ratio != pytest.approx(factor, rel=1e-3)] == []
        gained = [pair.points for pair in group]
        if len(gained) > FEW:
            assert abs(fmean(gained) - points) <= SIGMAS * stdev(gained) / sqrt(len(gained)), (factor, points)


def below(codes: list[str]) -> set[str]:
    """These units and all under them."""
    return {desk.code for desk in WORLD.below(codes)}


def trainings(case: str) -> list[dict[str, Any]]:
    """The declared trainings, or others at the same moments."""
    found = [training.model_dump() for training in DECLARED.trainings]
    own = ({"speed": 0.5, "courtesy": -1.5}, {"speed": 2.0, "courtesy": 1.0})
    extra: list[dict[str, Any]] = [{**change, "lasts_days": 9, "participants": 77} for change in own]
    return found if case == CASES[0] else [one | more for one, more in zip(found, extra, strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_trainings_do_what_is_declared_as_long_as_is_declared(case: str) -> None:
    given = trainings(case)
    trained = plain(few(200), trainings=given)
    after = told(trained, "2026-09-23", "2026-10-10")

    def moved(unit: str, at_ms: int) -> tuple[float, float]:
        factor, points = 1.0, 0.0
        for one in given:
            start = local_ms(one["at"])
            if start <= at_ms < start + one["lasts_days"] * DAY_MS and unit in below(one["units"]):
                factor, points = factor * one["speed"], points + one["courtesy"]
        return factor, points

    assert_moved(pairs(after, told(plain(few(200)), "2026-09-23", "2026-10-10")), moved)
    held = [event for event in events(span("2026-09-25", "2026-09-26"), trained) if event["kind"] == "training_held"]
    assert {e["training"]: e["participants"] for e in held} == {e["training"]: e["participants"] for e in given}


@pytest.mark.parametrize("manner", [DECLARED.rollout.model_dump(), {"speed": 0.5, "courtesy": -1.5}])
def test_a_wave_of_the_rollout_changes_its_units_from_its_day_on(manner: dict[str, float]) -> None:
    first, last = "2026-07-28", "2026-08-14"
    wave = SAMPLE.rollout[0]

    def moved(unit: str, at_ms: int) -> tuple[float, float]:
        is_on = at_ms >= local_ms(f"{wave.starts}") and unit in below(wave.units)
        return (manner["speed"], manner["courtesy"]) if is_on else (1.0, 0.0)

    both = (told(plain(few(200), **parts), first, last) for parts in ({"rollout": manner}, {}))
    assert_moved(pairs(*both), moved)


def bursts(case: str) -> list[Burst]:
    """The declared bursts, or others at the same moments."""
    found = [incident for incident in DECLARED.incidents if isinstance(incident, Burst)]
    other = {"minutes": 400.0, "inquiries": 900, "peak": 0.7, "slowdown": 2.2}
    channels: dict[str, Any] = {"channels": {"phone": 40.0, "email": 30.0, "web": 20.0, "social": 10.0}}
    return (
        found if case == CASES[0] else [Burst.model_validate(burst.model_dump() | other | channels) for burst in found]
    )


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_bursts_are_as_large_as_long_and_as_slow_as_declared(case: str, number: int) -> None:
    burst = bursts(case)[number]
    start = local_ms(f"2026-{burst.at}")
    end = start + 2 * burst.minutes * MINUTE_MS
    first, last = (f"{from_ms(at + days * DAY_MS):%Y-%m-%d}" for at, days in ((start, -1), (int(end), 25)))
    topic = next(topic.model_dump() for topic in DECLARED.topics if topic.topic == burst.topic)
    about = plain(few(60), topics=[topic])
    slow, usual = (
        told(plain(about, incidents=[burst.model_dump() | change]), first, last) for change in ({}, {"slowdown": 1.0})
    )
    asked = [story for name, story in slow.items() if name.startswith(f"{burst.kind}-{burst.topic}-")]
    assert unfit(in_a_burst(burst, asked, start), declared_numbers(changed(incidents=[burst.model_dump()]))) == set()

    def moved(_: str, at_ms: int) -> tuple[float, float]:
        return (burst.slowdown if start <= at_ms < end else 1.0), 0.0

    assert_moved(pairs(slow, usual), moved)


def in_a_burst(burst: Burst, asked: list[Story], start: int) -> list[Measured]:
    """Number, times and channels of what a burst brought; times rise to the peak and fall, straight (a triangle)."""
    name = f"incidents.{burst.kind}"
    after = [(ms(story.opening) - start) / MINUTE_MS for story in asked]
    assert 0 <= min(after) < max(after) <= burst.minutes
    spread = burst.minutes * sqrt((1 - burst.peak + burst.peak**2) / 18)
    early = sum(minutes < burst.peak * burst.minutes for minutes in after)
    return [
        exact(f"{name}.inquiries", len(asked)),
        average(f"{name}.minutes", after, spread, lambda d: d(f"{name}.minutes") * (1 + d(f"{name}.peak")) / 3),
        share(f"{name}.peak", early, len(after)),
        *mix(f"{name}.channels", (story.channel for story in asked), list(burst.channels)),
    ]


@pytest.mark.parametrize("minutes", [None, 90.0])
def test_a_silence_lasts_as_long_as_declared(minutes: float | None) -> None:
    (declared,) = (incident for incident in DECLARED.incidents if isinstance(incident, Silence))
    silence = declared if minutes is None else declared.model_copy(update={"minutes": minutes})
    source = DECLARED.arrival.sources[silence.feed]
    start = local_ms(f"2026-{silence.at}")
    end = start + int(silence.minutes * MINUTE_MS)
    day = f"{from_ms(start):%Y-%m-%d}"
    arrived = run(span(day, f"{from_ms(start + DAY_MS):%Y-%m-%d}"), changed(few(600), incidents=[silence.model_dump()]))
    mails = [arrival for arrival in arrived if arrival.event["source"] == source.source]
    received = [
        arrival.received_ms for arrival in mails if start <= ms(arrival.event) < end - 20_000 * source.delay_seconds
    ]
    assert [arrival for arrival in mails if start <= arrival.received_ms < end] == []
    on_time = [at for at in received if at < end + 10_000 * source.delay_seconds]
    assert len(on_time) > 30
    # Some are late besides.
    assert len(on_time) / len(received) > 0.95
    assert any(start - 600_000 < arrival.received_ms < start for arrival in mails)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_a_snow_day_is_told_as_late_and_asked_about_as_often_as_declared(case: str, number: int) -> None:
    snow = [incident for incident in DECLARED.incidents if isinstance(incident, SnowDay)][number]
    if case == CASES[1]:
        snow = snow.model_copy(update={"days_late": 5, "inquiries": 77})
    at = local_ms(f"2027-{snow.at}")
    told_on = date.fromisoformat(f"2027-{snow.at[:5]}")
    found = events(
        span(f"{told_on}", f"{told_on + timedelta(days=2)}"), changed(few(20), incidents=[snow.model_dump()])
    )
    before, after = (event for event in found if event["kind"] == "district_configured")
    assert ms(after) == at
    closed = [event["configuration"]["calendars"]["offices"]["days"] for event in (before, after)]
    assert set(closed[1]) - set(closed[0]) == {f"{told_on - timedelta(days=snow.days_late)}"}
    asked = {
        event["conversation"] for event in found if event.get("conversation", "").startswith(f"snow-{snow.topic}-")
    }
    assert len({name.removesuffix("-twin").replace("-again", "") for name in asked}) == snow.inquiries


@pytest.mark.parametrize("spread", [DECLARED.between_districts.model_dump(), {"speed": 0.8, "courtesy": 0.9}])
def test_districts_differ_as_declared(spread: dict[str, float]) -> None:
    parameters = changed(between_districts=spread)
    codes = [SAMPLE.model_copy(update={"district": f"district-{number}"}) for number in range(2000)]
    manners = [standing(document, parameters, 1) for document in codes]
    found = {"speed": [log(manner.speed) for manner in manners], "courtesy": [manner.courtesy for manner in manners]}
    for name, values in found.items():
        assert abs(fmean(values)) <= SIGMAS * spread[name] / sqrt(len(values))
        assert abs(stdev(values) - spread[name]) <= SIGMAS * spread[name] / sqrt(2 * len(values))


def test_how_a_district_differs_shows_in_all_it_does() -> None:
    within = ("2026-10-05", "2026-10-14")
    slow = told(plain(few(200)), *within, Manner(speed=3.0, courtesy=-1.5))
    found = pairs(slow, told(plain(few(200)), *within))
    assert len(found) > 300
    assert [pair for pair in found if pair.ratio != pytest.approx(3.0, rel=1e-3)] == []
    points = [pair.points for pair in found]
    assert abs(fmean(points) + 1.5) <= SIGMAS * stdev(points) / sqrt(len(points))


COMPARED: dict[str, Callable[..., None]] = {
    r"between_districts\.(speed|courtesy)": test_districts_differ_as_declared,
    r"rollout\.(speed|courtesy)": test_a_wave_of_the_rollout_changes_its_units_from_its_day_on,
    r"trainings\..*\.(speed|courtesy|participants|lasts_days)": (
        test_trainings_do_what_is_declared_as_long_as_is_declared
    ),
    r"incidents\.(breakdown|post)\.(minutes|inquiries|peak|slowdown|channels\..*)": (
        test_bursts_are_as_large_as_long_and_as_slow_as_declared
    ),
    r"incidents\.silence\.minutes": test_a_silence_lasts_as_long_as_declared,
    r"incidents\.snow_day-\d+\.(days_late|inquiries)": (
        test_a_snow_day_is_told_as_late_and_asked_about_as_often_as_declared
    ),
}


def test_every_dated_number_is_compared() -> None:
    parts = {pattern.split("\\.")[0] for pattern in COMPARED}
    dated = [name for name in declared_numbers(DECLARED) if name.split(".")[0] in parts]
    assert parts == {"between_districts", "rollout", "trainings", "incidents"}
    assert [name for name in dated if not any(re.fullmatch(pattern, name) for pattern in COMPARED)] == []
