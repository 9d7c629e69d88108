"""The whole report: rows as they are and as shown, parents the sum of what lies below, no small numbers."""

import json
from itertools import pairwise
from random import Random

import pytest

from schemas.facts import as_json
from schemas.vocabulary import from_ms
from streams.configured import configured
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.intake.producer import encode
from streams.measures import owners, promises, satisfaction, surveys, waits
from streams.measures.facts import Fact, read_facts, row_of
from streams.measures.owners import Owners
from streams.measures.plans import METRICS, goals, limit_of, rollout
from streams.measures.promises import Promises
from streams.measures.ratings_shown import team
from streams.measures.report import Ask, UnitReport, measure
from streams.measures.satisfaction import ITEMS, Satisfaction
from streams.measures.surveys import Coverage
from streams.measures.units import below, by_unit, own
from streams.measures.waits import AnsweredWithin, Limit
from streams.measures.windows import HOUR_MS, Window
from streams.offline import fold_events
from tests.golden import History, district, ms
from tests.measures.build import DAY_MS, TREE, facts, history, rows
from tests.simulated import SAMPLE, few, local_ms, run, span

AT = local_ms("2026-10-06 13:20")
WINDOW = Window(AT - 28 * DAY_MS, AT)


@pytest.fixture(scope="module")
def simulated() -> list[Fact]:
    """Five weeks of the sample district."""
    lines = [arrival.text.encode() for arrival in run(span("2026-09-01", "2026-10-06"), few(120))]
    found = fold_events(
        [encode(configured(SAMPLE, from_ms(local_ms("2026-09-01")))).content, *lines], None, _unexpected
    )
    return list(read_facts(found))


def _unexpected(remark: object) -> None:
    raise AssertionError(remark)


@pytest.fixture(scope="module")
def tree() -> Configuration:
    """The sample district's units."""
    return Configuration(SAMPLE.district, [ConfigurationEvent(1, 0, "configuration-1", SAMPLE)])


@pytest.fixture(scope="module")
def report(simulated: list[Fact], tree: Configuration) -> dict[str, UnitReport]:
    """All units, four weeks."""
    return measure(simulated, tree, Ask(AT))


def _rated(made: History, unit: str, scores: list[int]) -> None:
    for number, score in enumerate(scores):
        conversation = f"{unit}-{number}"
        made.add("inquiry", "2026-10-05 10:00", conversation, unit=unit)
        made.add("reply", "2026-10-05 11:00", conversation)
        made.add("rating", "2026-10-05 12:00", conversation, score=score, survey="s")


def test_rows_and_what_fold_prints_are_read_alike() -> None:
    made = history(promises=[{"promise": "first", "clock": "first_reply", "target": "2h"}])
    _rated(made, "a", [4, 9])
    made.add("transfer", "2026-10-05 10:30", "a-0", unit="b")
    made.add("status_changed", "2026-10-05 13:00", "a-0", status="resolved")
    made.add("inquiry", "2026-10-05 14:00", "a-0")
    folded = rows(made)
    printed = [json.loads(json.dumps(as_json(row))) for row in folded]
    assert [row_of(shown) for shown in printed] == folded
    assert list(read_facts(map(row_of, printed))) == facts(made)


def test_retracted_conversations_are_no_facts() -> None:
    made = history()
    made.add("inquiry", "2026-10-05 10:00")
    made.add("spam", "2026-10-05 10:01")
    assert facts(made) == []


Numbers = tuple[int, ...]


def _sums_up(tree: Configuration, alone: dict[str, Numbers], whole: dict[str, Numbers]) -> None:
    children = below(tree)
    for unit, found in whole.items():
        parts = [alone[unit], *(whole[other] for other in children[unit])]
        assert found == tuple(map(sum, zip(*parts, strict=True))), unit
    assert any(map(any, whole.values()))


def test_every_parent_s_ratings_are_its_own_and_its_children_s(simulated: list[Fact], tree: Configuration) -> None:
    def numbers(found: dict[str, Satisfaction]) -> dict[str, Numbers]:
        return {unit: measure.result().scores["satisfaction"].scores for unit, measure in found.items()}

    credited = list(satisfaction.credited(simulated))
    alone, whole = (make(tree, lambda _: Satisfaction(WINDOW), credited) for make in (own, by_unit))
    _sums_up(tree, numbers(alone), numbers(whole))


def test_every_parent_s_waits_are_its_own_and_its_children_s(simulated: list[Fact], tree: Configuration) -> None:
    def numbers(found: dict[str, AnsweredWithin]) -> dict[str, Numbers]:
        return {unit: (m.answered, m.decided, m.never, m.pending, m.live) for unit, m in found.items()}

    credited = list(waits.credited(simulated))
    alone, whole = (make(tree, lambda _: AnsweredWithin(WINDOW, Limit(DAY_MS)), credited) for make in (own, by_unit))
    _sums_up(tree, numbers(alone), numbers(whole))


def test_every_parent_s_promises_are_its_own_and_its_children_s(simulated: list[Fact], tree: Configuration) -> None:
    def numbers(found: dict[str, Promises]) -> dict[str, Numbers]:
        return {unit: (m.met, m.missed, m.pending) for unit, m in found.items()}

    credited = list(promises.credited(simulated))
    alone, whole = (make(tree, lambda _: Promises(WINDOW), credited) for make in (own, by_unit))
    _sums_up(tree, numbers(alone), numbers(whole))


def test_every_parent_s_surveys_and_owners_are_its_own_and_its_children_s(
    simulated: list[Fact], tree: Configuration
) -> None:
    def covered(found: dict[str, Coverage]) -> dict[str, Numbers]:
        return {unit: (m.resolved, m.offered, m.ratings) for unit, m in found.items()}

    def owned(found: dict[str, Owners]) -> dict[str, Numbers]:
        return {unit: (m.decided, m.within, m.lengths.sum_ms) for unit, m in found.items()}

    offers, asked = list(surveys.credited(simulated)), list(owners.credited(simulated))
    _sums_up(tree, *(covered(make(tree, lambda _: Coverage(WINDOW), offers)) for make in (own, by_unit)))
    _sums_up(tree, *(owned(make(tree, lambda _: Owners(WINDOW), asked)) for make in (own, by_unit)))


def test_the_order_of_facts_does_not_matter(
    simulated: list[Fact], tree: Configuration, report: dict[str, UnitReport]
) -> None:
    shuffled = list(simulated)
    Random(3).shuffle(shuffled)
    assert measure(shuffled, tree, Ask(AT)) == report


def test_a_department_reads_the_same_whatever_else_the_district_has(
    simulated: list[Fact], tree: Configuration, report: dict[str, UnitReport]
) -> None:
    inside = [fact for fact in simulated if "transportation" in tree.path(tree.known_unit(fact.first_unit))]
    assert measure(inside, tree, Ask(AT))["transportation"].owners == report["transportation"].owners


def test_what_is_shown_of_ratings_has_ten(report: dict[str, UnitReport]) -> None:
    states = {"shown": 0, "small": 0, "withheld": 0}
    for found in report.values():
        for item in ITEMS:
            shown = found.items[item]
            states[shown.state] += 1
            n = shown.scores.n if shown.scores else shown.answered.n if shown.answered else None
            assert (n is None) == (shown.state != "shown")
            assert n is None or n >= 10
        assert found.uncounted is None
    assert min(states["shown"], states["small"]) > 20


def test_g26_four_ratings_and_the_sibling_that_would_tell() -> None:
    made = history()
    _rated(made, "a", [1, 2, 3, 4])
    _rated(made, "b", [7] * 20)
    _rated(made, "line", [9] * 40)
    found = measure(facts(made), TREE, Ask(ms("2026-10-06 10:00")))
    assert {unit: found[unit].items["satisfaction"].state for unit in ("demo", "a", "b", "line")} == {
        "demo": "shown",
        "a": "small",
        "b": "withheld",
        "line": "shown",
    }
    assert found["a"].items["satisfaction"].scores is None
    assert found["a"].coverage.coverage is None


def test_g26_the_own_team_sees_its_four() -> None:
    made = history()
    _rated(made, "a", [1, 2, 3, 4])
    _rated(made, "b", [7] * 20)
    found = measure(facts(made), TREE, Ask(ms("2026-10-06 10:00"), own_team="a"))
    scores = found["a"].items["satisfaction"].scores
    assert scores is not None
    assert (scores.n, scores.mean) == (4, 2.5)
    assert found["a"].uncounted == (0, 0)
    assert team(TREE, "a") == {"a", "a1"}
    assert team(TREE, "") == frozenset()


def test_the_districts_own_items_keep_the_rule_for_small_numbers_and_their_names() -> None:
    declared = district(items=[{"item": "clarity", "label": "Clear words"}, {"item": "courtesy", "label": "Kindness"}])
    tree = Configuration("demo", [ConfigurationEvent(1, 0, "configuration-1", declared)])
    made = history()
    for unit, times in (("a", 4), ("b", 20), ("line", 40)):
        for number in range(times):
            made.add("inquiry", "2026-10-05 10:00", f"{unit}-{number}", unit=unit)
            items = {"bus": 2, **({"courtesy": 1} if unit == "line" else {})}
            made.add("rating", "2026-10-05 12:00", f"{unit}-{number}", score=9, pillars={"courtesy": 10}, items=items)
    found = measure(facts(made), tree, Ask(ms("2026-10-06 10:00")))
    assert all(list(report.own_items) == ["clarity", "bus", "courtesy"] for report in found.values())
    states = {unit: found[unit].own_items["bus"].state for unit in ("demo", "a", "b", "line")}
    assert states == {"demo": "shown", "a": "small", "b": "withheld", "line": "shown"}
    line = found["line"]
    own, pillar = line.own_items["courtesy"].scores, line.items["courtesy"].scores
    assert own is not None
    assert pillar is not None
    assert (own.n, own.mean, own.low.hits, pillar.mean) == (40, 1, 40, 10)
    assert (line.own_items["clarity"].state, line.own_items["clarity"].scores) == ("small", None)


def test_a_single_rating_more_changes_nothing_that_is_shown() -> None:
    made = history()
    _rated(made, "a", [7] * 20)
    before = measure(facts(made), TREE, Ask(ms("2026-10-06 10:00")))
    made.add("rating", "2026-10-05 12:30", "a-0", score=1, survey="other")
    after = measure(facts(made), TREE, Ask(ms("2026-10-06 10:00")))
    assert after["a"].items["satisfaction"] == before["a"].items["satisfaction"]
    for number in range(9):
        made.add("rating", f"2026-10-05 12:3{number}:30", f"a-{number}", score=1, survey="third")
    again = measure(facts(made), TREE, Ask(ms("2026-10-06 10:00")))
    shown = again["a"].items["satisfaction"].scores
    assert shown is not None
    assert shown.n == 30


def test_quantiles_are_of_merged_histograms_and_ordered(report: dict[str, UnitReport]) -> None:
    for found in report.values():
        for lengths in found.distributions.values():
            known = [lengths.median_ms, lengths.p75_ms, lengths.p90_ms, lengths.p95_ms]
            values = [value for value in known if value is not None]
            assert all(left <= right for left, right in pairwise(values))
    counts = {unit: found.distributions["reply"].n for unit, found in report.items()}
    assert counts["meadowlark-simulated"] > 500


def test_goals_of_the_document_are_held_against_their_own_limit(
    simulated: list[Fact], tree: Configuration, report: dict[str, UnitReport]
) -> None:
    found = goals(
        simulated, tree, Ask(AT, limit=Limit(HOUR_MS)), measure(simulated, tree, Ask(AT, limit=Limit(HOUR_MS)))
    )
    assert [goal.goal.metric for goal in found] == ["answered_within_1d", "satisfaction_mean"]
    within, rated = (goal.progress for goal in found)
    assert within is not None
    assert rated is not None
    top = report["meadowlark-simulated"]
    scores = top.items["satisfaction"].scores
    assert within.value == top.within.answered.share
    assert scores is not None
    assert rated.value == scores.mean


def test_every_metric_of_a_goal_has_a_value(report: dict[str, UnitReport]) -> None:
    top = report["meadowlark-simulated"]
    assert [name for name, read in METRICS.items() if read(top).value is None] == []
    empty = measure([], TREE, Ask(AT))["demo"]
    assert [name for name, read in METRICS.items() if read(empty).value is not None] == []


def test_limits_as_they_are_written() -> None:
    assert limit_of("2h") == Limit(2 * HOUR_MS)
    assert limit_of("1d") == Limit(DAY_MS)
    assert limit_of("school_day") == Limit(8 * HOUR_MS, school_day=True)
    assert [limit_of(text) for text in ("", "0h", "5", "1w", "answered")] == [None] * 5


def test_a_wave_is_compared_with_those_not_yet_trained() -> None:
    waves = [
        {"wave": "first", "starts": "2026-09-21", "units": ["a"]},
        {"wave": "next", "starts": "2027-01-11", "units": ["b"]},
    ]
    made = history(rollout=waves)
    for week, (fast, start) in enumerate(((0, "2026-09-14"), (1, "2026-09-21"))):
        for number in range(35):
            for unit in ("a", "b"):
                conversation = f"{unit}-{week}-{number}"
                made.add("inquiry", f"{start} 09:{number:02d}", conversation, unit=unit)
                quick = unit == "a" and fast
                made.add("reply", f"{start} 12:00" if quick else "2026-09-27 12:00", conversation)
    configuration = Configuration("demo", [ConfigurationEvent(1, 0, "e", district(rollout=waves))])
    found = rollout(facts(made), configuration, Ask(ms("2026-09-29 12:00")))
    assert set(found) == {"first"}
    assert (found["first"].effect, found["first"].n["others_after"]) == (1.0, 35)
    assert rollout(facts(made)[:20], configuration, Ask(ms("2026-09-29 12:00")))["first"].reason == "insufficient data"
