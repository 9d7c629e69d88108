"""Lengths and scores of the simulator over a month, and what its events fold into; `tests/declared` has each number."""

from collections import Counter
from math import log, sqrt
from statistics import mean, median
from typing import Any

import pytest

from schemas.facts import Row, as_json
from streams.core.business_time import clock_of
from streams.intake.simulator_ratings import bounds
from streams.offline import Remark, fold_events
from tests.simulated import (
    DECLARED,
    SAMPLE,
    changed,
    events,
    few,
    ms,
    openings,
    run,
    span,
    without_chance,
)

SIGMAS = 4.5
Event = dict[str, Any]


def assert_share(hits: int, of: int, share: float) -> None:
    """So many hits are what this probability gives, within what chance allows."""
    assert of > 0
    assert abs(hits - of * share) <= SIGMAS * sqrt(of * share * (1 - share)) + 1, (hits / of, share)


def first_replies(found: list[Event], unit: str, channel: str) -> list[float]:
    """Business minutes from opening to first reply of one unit's conversations."""
    (calendar,) = (c for name, c in SAMPLE.calendars.items() if name == "offices")
    clock = clock_of(calendar.key())
    asked = {e["conversation"]: ms(e) for e in openings(found) if e["channel"] == channel}
    replied: dict[str, int] = {}
    for event in sorted(found, key=lambda e: str(e["occurred_at"])):
        if event["kind"] == "reply" and event.get("unit") == unit:
            replied.setdefault(event["conversation"], ms(event))
    return [clock.elapsed(at, replied[name]) / 60_000 for name, at in asked.items() if name in replied]


def test_replies_take_as_long_as_declared() -> None:
    (topic,) = (t for t in DECLARED.topics if t.topic == "special-education")
    parameters = changed(
        without_chance(unit_named=1.0), topics=[topic.model_dump()], volume={"inquiries_per_school_day": 120}
    )
    lengths = first_replies(events(span("2026-10-01", "2026-11-01"), parameters), "evaluations", "email")
    assert len(lengths) > 400
    slow = DECLARED.units["special-services"].speed * DECLARED.rollout.speed
    expected = DECLARED.speed.reply_minutes["email"] * slow
    spread = 1.2533 * DECLARED.speed.spread / sqrt(len(lengths))
    assert abs(log(median(lengths) / expected)) <= SIGMAS * spread


@pytest.mark.parametrize("share", [0.1, 0.5, 0.71, 0.95])
@pytest.mark.parametrize("extreme", [0.0, 0.25, 1.0])
def test_scores_have_the_declared_mean_however_extreme(share: float, extreme: float) -> None:
    below = bounds(share, extreme)
    assert len(below) == 9
    assert 1 + sum(1 - bound for bound in below) == pytest.approx(1 + 9 * share)


def rating_parameters(**ratings: float) -> Any:
    certain = {"offered": 1.0, "given": 1.0, "days": 0.5, "late": 0.0, "edited": 0.0}
    same = {"speed": 0.0, "courtesy": 0.0}
    return changed(
        without_chance(resolved=1.0, unit_named=1.0),
        ratings=certain | ratings,
        units={},
        between_units=same,
        between_districts=same,
        rollout={"speed": 1.0, "courtesy": 0.0},
        trainings=[],
        volume={"inquiries_per_school_day": 150},
    )


def test_ratings_have_the_declared_mean() -> None:
    found = events(span("2026-10-05", "2026-10-24"), rating_parameters(per_doubling=0.0))
    scores = [e["score"] for e in found if e["kind"] == "rating"]
    assert len(scores) > 1000
    assert mean(scores) == pytest.approx(DECLARED.ratings.mean, abs=SIGMAS * 2.6 / sqrt(len(scores)))
    with_pillars = [e["pillars"] for e in found if e["kind"] == "rating" and "pillars" in e]
    assert_share(len(with_pillars), len(scores), DECLARED.ratings.pillars_given)
    courtesy, responsiveness = (mean(p[name] for p in with_pillars) for name in ("courtesy", "responsiveness"))
    assert courtesy - responsiveness > 0.4


def test_whoever_waits_longer_rates_lower() -> None:
    found = events(span("2026-10-05", "2026-10-24"), rating_parameters(per_doubling=0.6))
    asked = {e["conversation"]: ms(e) for e in openings(found)}
    replied = {e["conversation"]: ms(e) for e in found if e["kind"] == "reply" and e["conversation"] in asked}
    waits = [
        (replied[e["conversation"]] - asked[e["conversation"]], e["score"])
        for e in found
        if e["kind"] == "rating" and e["conversation"] in replied
    ]
    waits.sort()
    third = len(waits) // 3
    assert mean(score for _, score in waits[:third]) - mean(score for _, score in waits[-third:]) > 0.3


def facts(found: list[str]) -> tuple[list[Row], list[Remark]]:
    remarks: list[Remark] = []
    return list(fold_events((text.encode() for text in found), None, remarks.append)), remarks


def test_a_month_folds_into_plausible_facts() -> None:
    rows, remarks = facts([a.text for a in run(span("2026-10-01", "2026-11-01"), few(60))])
    assert remarks == []
    found = [as_json(row) for row in rows]
    customers = [row for row in found if row["inquiries"] and not row["retracted"]]
    assert 0.85 < len(customers) / len(found) <= 1
    outcomes = Counter(wait["outcome"] for row in customers for wait in row["waits"])
    assert 0.7 < outcomes["answered"] / outcomes.total() < 0.97
    assert {"open", "resolved_no_reply", "unreachable"} <= set(outcomes)
    waited = [row["first_response_ms"] / 3_600_000 for row in customers if row["first_response_ms"] is not None]
    assert 0.2 < median(waited) < 24
    assert 0.03 < mean(row["handoffs"] > 0 for row in customers) < 0.4
    assert any(row["bounces"] for row in customers)
    assert any(row["reopened"] for row in customers)
    assert mean(row["unit"] == "unrouted" for row in customers) == 0
    verdicts = Counter(verdict["outcome"] for row in customers for verdict in row["verdicts"])
    assert verdicts["met"] > verdicts["missed"] > 0
