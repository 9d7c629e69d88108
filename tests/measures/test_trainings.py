"""What a training did: the set of its events, and the same comparison recomputed slowly, wait by wait."""

from datetime import date, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest

from schemas.events import Event
from streams.measures.plans import trainings
from streams.measures.report import Ask
from streams.measures.training import INSUFFICIENT, Wave
from streams.measures.trainings import Trainings
from streams.measures.waits import Limit
from streams.measures.windows import HOUR_MS
from tests.golden import History, at, ms
from tests.measures.build import TREE, facts, history

ASKED = "2026-11-02 00:00"
MONDAYS = [date(2026, 8, 31) + timedelta(days=7 * week) for week in range(9)]
HELD = "2026-10-01 14:00"


def held(history: History, when: str = HELD, **fields: Any) -> Event:
    """A training of the units; department A without others named."""
    return history.add(
        "training_held", when, "", **({"training": "desk", "theme": "understanding", "units": ["a"]} | fields)
    )


def sessions(*events: Event) -> dict[str, dict[str, Wave]]:
    known = Trainings("demo")
    for event in events:
        known.add(event)
    return known.sessions(TREE)


def lived(seed: int, *, often: int) -> tuple[History, list[tuple[str, str, str]]]:
    """Waits at random moments of nine weeks, answered within two hours or after three, and what was drawn."""
    random, made, drawn = Random(seed), history(), []
    for number in range(often):
        day = random.choice(MONDAYS) + timedelta(days=random.randrange(7))
        unit = random.choice(["a", "a1", "b", "line"])
        quick = random.random() < (0.8 if unit in ("a", "a1") and day > date(2026, 10, 1) else 0.4)
        when = f"{day} {random.randrange(8, 12):02d}:{random.randrange(60):02d}"
        made.add("inquiry", when, f"c{number}", unit=unit)
        made.add("reply", f"{day} {13 if quick else 23}:59", f"c{number}")
        drawn.append((unit, when, "13:59" if quick else "23:59"))
    return made, drawn


def slowly(drawn: list[tuple[str, str, str]]) -> tuple[float, float]:
    """Effect and half of its interval: four lists of zeros and ones, from weeks counted on the fingers."""
    # Held in the week of 28 September: four whole weeks lie after it, so four before it are compared.
    before, after = MONDAYS[:4], MONDAYS[5:9]
    lists: dict[tuple[bool, bool], list[int]] = {(who, when): [] for who in (True, False) for when in (False, True)}
    for unit, when, answered in drawn:
        day = date.fromisoformat(when[:10])
        monday = day - timedelta(days=day.weekday())
        in_time = (at(f"{when[:10]} {answered}") - at(when)) <= timedelta(hours=6)
        if monday in before or monday in after:
            lists[unit in ("a", "a1"), monday in after].append(int(in_time))
    means = {cell: sum(values) / len(values) for cell, values in lists.items()}
    squared = sum(
        sum((value - means[cell]) ** 2 for value in values) / (len(values) - 1) / len(values)
        for cell, values in lists.items()
    )
    effect = (means[True, True] - means[True, False]) - (means[False, True] - means[False, False])
    return effect, 1.959964 * squared**0.5


@pytest.mark.parametrize("seed", range(5))
def test_the_effect_of_a_training_is_that_of_a_slow_count(seed: int) -> None:
    made, drawn = lived(seed, often=600)
    found = trainings(facts(made), TREE, Ask(ms(ASKED), limit=Limit(6 * HOUR_MS)), sessions(held(History())))
    effect, half = slowly(drawn)
    assert list(found) == ["desk"]
    assert found["desk"].effect == pytest.approx(effect)
    assert found["desk"].interval == pytest.approx((effect - half, effect + half), rel=1e-6)


def test_too_few_waits_say_nothing_about_a_training() -> None:
    made, _ = lived(1, often=60)
    found = trainings(facts(made), TREE, Ask(ms(ASKED), limit=Limit(6 * HOUR_MS)), sessions(held(History())))
    assert (found["desk"].effect, found["desk"].reason) == (None, INSUFFICIENT)


def test_one_that_is_still_to_come_has_done_nothing() -> None:
    assert trainings([], TREE, Ask(ms("2026-09-30 00:00")), sessions(held(History()))) == {}


def test_sessions_are_a_function_of_the_set_of_events() -> None:
    history = History()
    first = held(history)
    same_day = held(history, "2026-10-01 09:00", units=["b"])
    other_day = held(history, "2026-10-08 09:00", units=["line"])
    other = held(history, "2026-10-08 09:00", training="phone")
    conflict = first.model_copy(update={"touch_point": "hall"})
    strange = first.model_copy(update={"district": "elsewhere"})
    events = [first, same_day, other_day, other, conflict, strange]
    found = sessions(*events)
    assert found["desk"] == {
        "2026-10-01": Wave(ms("2026-10-01 09:00"), frozenset({"a", "b"})),
        "2026-10-08": Wave(ms("2026-10-08 09:00"), frozenset({"line"})),
    }
    assert found["phone"] == {"2026-10-08": Wave(ms("2026-10-08 09:00"), frozenset({"a"}))}
    for order in permutations(events):
        assert sessions(*order, first) == found


def test_a_training_of_two_days_has_a_result_a_day_and_compares_with_who_had_none() -> None:
    history = History()
    found = sessions(held(history), held(history, "2026-10-08 09:00", units=["b"]))
    made, _ = lived(2, often=900)
    results = trainings(facts(made), TREE, Ask(ms(ASKED), limit=Limit(6 * HOUR_MS)), found)
    assert list(results) == ["desk 2026-10-01", "desk 2026-10-08"]
    # B had a session within the span and belongs to neither side: only the line is left to compare with.
    alone = trainings(facts(made), TREE, Ask(ms(ASKED), limit=Limit(6 * HOUR_MS)), sessions(held(History())))
    assert results["desk 2026-10-01"].n["others_after"] < alone["desk"].n["others_after"]
