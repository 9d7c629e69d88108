"""Every number the simulator declares is what comes out, and each comparison sees its own number alone."""

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import pytest

from streams.intake.simulator_parameters import Parameters
from streams.intake.simulator_world import World
from tests.declared.altered import altered_parameters
from tests.declared.habits import habits
from tests.declared.lengths import lengths
from tests.declared.measuring import Measured, declared_numbers, unfit
from tests.declared.scores import scores, surveys
from tests.declared.stories import stories
from tests.declared.year import Year, days_between
from tests.simulated import DECLARED, SAMPLE, changed, events, run, span, without_chance


class Size(NamedTuple):
    """Questions a school day in the simulation of a year, and in that of three weeks."""

    year: float
    weeks: float


FIRST, AFTER = "09-28", "10-17"
ALTERED = altered_parameters()
NUMBERS = {"as declared": declared_numbers(DECLARED), "altered": declared_numbers(ALTERED)}
PARAMETERS = {"as declared": DECLARED, "altered": ALTERED}
CASES = list(PARAMETERS)
A_DAY = {"as declared": Size(100.0, 500.0), "altered": Size(150.0, 800.0)}
DATED = ("between_districts.", "incidents.", "rollout.", "trainings.")
"""Compared in `test_dated.py`, which simulates what is dated."""
MIX = re.compile(r"hours|channels|platforms|stakeholders|generations|languages|kinds")
POINTS = re.compile(r"courtesy|pillars\.|trust$")
ALONE = {
    "topics.benefits.stakeholders.staff",
    "topics.payroll.stakeholders.staff",
    "topics.invoice.stakeholders.community",
}
"""The only one of its mix: whatever it weighs, it is all."""


class Outcome(NamedTuple):
    """What a simulation gave: of a year of questions, and of three weeks of whole conversations."""

    year: list[Measured]
    weeks: list[Measured]


def a_year(parameters: Parameters, inquiries: float) -> list[Measured]:
    """A year in which people ask once and nobody answers."""
    asking = changed(
        without_chance(parameters, never_answered=1.0, unit_named=1.0),
        volume={"inquiries_per_school_day": inquiries},
        arrival={"heartbeat_minutes": 1440},
    )
    first, last = date(2026, 8, 1), date(2027, 8, 1)
    asked = [event for event in events(span(f"{first}", f"{last}"), asking) if event["kind"] == "inquiry"]
    return Year(asked, days_between(first, last), asking, World(SAMPLE, asking, 1)).measured()


def three_weeks(parameters: Parameters, inquiries: float) -> list[Measured]:
    """All that begins in three weeks, followed until the last rating has come, with nothing dated in between."""
    topics = parameters.model_dump()["topics"]
    for topic in topics:
        topic["seasons"].append({"first": AFTER, "last": "09-27", "factor": 0.0})
    calm = changed(
        parameters,
        topics=topics,
        incidents=[],
        trainings=[],
        rollout={"speed": 1.0, "courtesy": 0.0},
        volume={"inquiries_per_school_day": inquiries},
    )
    arrived = run(span(f"2026-{FIRST}", "2026-12-08"), calm)
    told = stories({arrival.event["event_id"]: arrival.event for arrival in arrived}.values())
    world = World(SAMPLE, calm, 1)
    return [
        *habits(arrived, told, calm, world),
        *lengths(told, world, calm),
        *surveys(told),
        *scores(told, world, calm),
    ]


@pytest.fixture(scope="module")
def outcomes() -> Callable[[str], Outcome]:
    """Each simulation once."""
    found: dict[str, Outcome] = {}

    def outcome(case: str) -> Outcome:
        if case not in found:
            parameters, size = PARAMETERS[case], A_DAY[case]
            found[case] = Outcome(a_year(parameters, size.year), three_weeks(parameters, size.weeks))
        return found[case]

    return outcome


def numbers(case: str, part: str) -> dict[str, float]:
    """What a case declares; the questions a day are those that were simulated."""
    return NUMBERS[case] | {"volume.inquiries_per_school_day": getattr(A_DAY[case], part)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("part", Outcome._fields)
def test_what_comes_out_is_what_is_declared(outcomes: Callable[[str], Outcome], case: str, part: str) -> None:
    assert unfit(getattr(outcomes(case), part), numbers(case, part)) == set()


@pytest.mark.parametrize("part", Outcome._fields)
def test_each_comparison_sees_its_own_number_and_no_other(outcomes: Callable[[str], Outcome], part: str) -> None:
    measured, declared = getattr(outcomes("altered"), part), numbers("altered", part)
    readers: defaultdict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        for name in one.reads(declared.__getitem__):
            readers[name].append(one)
    names = {one.name for one in measured} - ALONE
    missed = {name: unfit(readers[name], declared | {name: other(name, declared[name])}) for name in names}
    assert {name for name in names if name not in missed[name]} == set()
    assert [(name, fallen) for name in names for fallen in missed[name] if not entangled(name, fallen)] == []


def other(name: str, number: float) -> float:
    """A number twice as high; points, which have no natural zero, are two higher."""
    return number + 2 if POINTS.search(name) else 2 * number


def entangled(name: str, fallen: str) -> bool:
    """True for the same number or cells of one mix; kinds of day, weekdays and topics together say how many ask."""
    whole = ("volume.", "topics.")
    if all(one.startswith(whole) and not MIX.search(one) for one in (name, fallen)):
        return True
    return name == fallen or (bool(MIX.search(name)) and name.rpartition(".")[0] == fallen.rpartition(".")[0])


def test_every_declared_number_is_compared(outcomes: Callable[[str], Outcome]) -> None:
    compared = {one.name for case in CASES for part in outcomes(case) for one in part}
    declared = set(NUMBERS["as declared"])
    assert compared == {name for name in declared if not name.startswith(DATED)}
    same = {name for name in compared if NUMBERS["altered"][name] == NUMBERS["as declared"][name]}
    assert same == set()
