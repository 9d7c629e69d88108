"""Rows held against each other without a server: every column counts, and versions say which one is old."""

import pytest

from schemas.facts import CONVERSATION, NAMES, Row
from sinks.landing import UnitRow
from streams.audit.comparing import FACTS, TREE, Verdict, compare, shown
from tests.sinks.samples import conversation

VERSION, RETRACTED = NAMES.index("version"), NAMES.index("retracted")


def row(name: str = "c1", events: int = 3, retracted: int = 0, seed: int = 1) -> Row:
    return conversation("d", name, events, retracted, seed)


def kind(landed: Row | None, recomputed: Row | None) -> tuple[str, bool] | None:
    verdict = compare(FACTS, landed, recomputed)
    return None if verdict is None else (verdict.kind, verdict.is_late)


@pytest.mark.parametrize("index", range(RETRACTED + 1, len(CONVERSATION)), ids=lambda index: NAMES[index])
def test_any_other_value_in_any_column_is_a_mismatch_that_names_it(index: int) -> None:
    right = row()
    other = (-9,) if isinstance(right[index], tuple) else -9
    wrong = (*right[:index], other, *right[index + 1 :])
    verdict = compare(FACTS, wrong, right)
    assert verdict is not None
    assert (verdict.kind, verdict.is_late) == ("mismatch", False)
    assert {each.column.partition("[")[0] for each in verdict.differences} == {NAMES[index]}


@pytest.mark.parametrize(
    ("landed", "recomputed", "found"),
    [
        (None, None, None),
        (row(), row(), None),
        (None, row(), ("missing", True)),
        (row(), None, ("extra", True)),
        (row(events=2), row(), ("behind", True)),
        (row(events=4), row(), ("mismatch", True)),
        (row(retracted=1), None, None),
        (row(retracted=1), row(), ("missing", False)),
        (row(), row(retracted=1), ("mismatch", False)),
        (row(retracted=1), row(retracted=1), None),
        (row(retracted=1, seed=2), row(retracted=1), ("mismatch", False)),
        (None, row(retracted=1), ("missing", True)),
        (None, row("c1~2", retracted=1), None),
        (row("c1~2", retracted=1, events=2), row("c1~2", retracted=1), None),
        (row("c1~2"), row("c1~2", retracted=1), ("extra", True)),
    ],
)
def test_what_a_row_is_to_the_one_that_the_events_give(
    landed: Row | None, recomputed: Row | None, found: tuple[str, bool] | None
) -> None:
    assert kind(landed, recomputed) == found


def test_a_row_that_is_wrong_everywhere_shows_its_first_columns_only() -> None:
    verdict = compare(FACTS, row(seed=2), row(seed=3))
    assert isinstance(verdict, Verdict)
    assert len(verdict.differences) == 10


def test_units_are_compared_by_the_same_rules() -> None:
    unit = UnitRow("d", "north", "d", "north", "school", "North", ("north", "d"), 1, 7)
    assert compare(TREE, unit, unit) is None
    verdict = compare(TREE, unit._replace(label="South"), unit)
    assert verdict is not None
    assert verdict.differences[0][1:] == ("units", "d", "north", "label", "South", "North")
    older = compare(TREE, unit._replace(version=6), unit)
    assert older is not None
    assert older.kind == "behind"


def test_values_are_shown_for_people_and_pseudonyms_never() -> None:
    columns = {column.name: column for column in CONVERSATION}
    assert shown(columns["opened_at"], 1_760_000_000_123) == "2025-10-09T08:53:20.123Z"
    assert shown(columns["waits.ended_at"], (None, 0)) == "[null, 1970-01-01T00:00:00.000Z]"
    assert shown(columns["ratings.rater"], ("5f5f5f5f5f5f5f5f",)) == "(hidden)"
    assert shown(columns["waits.unit"], ("x" * 300,)).endswith("…")
