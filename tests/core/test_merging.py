"""Merges: the messages move, the secondary is retracted; chains, circles and what is taken back, by the set alone."""

from itertools import permutations
from typing import Any

import pytest

from streams.core.district import DistrictState
from tests.golden import History, district, fold_all, minutes


def story() -> History:
    history = History()
    history.configured(district())
    return history


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["conversation"]: row for row in rows}


def merged() -> History:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", "x")
    history.add("inquiry", "2026-10-06 10:30", "y")
    history.add("merge", "2026-10-06 11:00", "y", into="x")
    history.add("reply", "2026-10-06 11:15", "x")
    return history


def test_g19_the_messages_move_and_the_secondary_is_retracted() -> None:
    rows = by_name(merged().facts())
    x, y = rows["x"], rows["y"]
    assert [minutes(wait["wait_ms"]) for wait in x["waits"]] == [75]
    assert (x["retracted"], x["inquiries"], x["merged"], x["waits"][0]["messages"]) == (0, 1, 1, 2)
    assert (y["retracted"], y["merged_into"]) == (1, "x")
    assert x["version"] == y["version"]


@pytest.mark.parametrize("into", ["x", "y"])
def test_the_earlier_start_is_the_primary_whichever_way_the_merge_was_written(into: str) -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", "x")
    history.add("inquiry", "2026-10-06 10:30", "y")
    history.add("merge", "2026-10-06 11:00", "y" if into == "x" else "x", into=into)
    assert {name: row["merged_into"] for name, row in by_name(history.facts()).items()} == {"x": "", "y": "x"}


def test_what_the_district_wrote_first_is_the_start() -> None:
    history = story()
    history.add("reply", "2026-10-06 09:00", "x")
    history.add("inquiry", "2026-10-06 10:30", "x")
    history.add("inquiry", "2026-10-06 10:00", "y")
    history.add("merge", "2026-10-06 11:00", "x", into="y")
    rows = by_name(history.facts())
    assert {name: row["merged_into"] for name, row in rows.items()} == {"x": "", "y": "x"}
    assert (rows["x"]["opened_at"], rows["x"]["outbound"]) == ("2026-10-06T14:00:00.000Z", 1)


def test_of_equal_starts_the_smaller_id_is_the_primary() -> None:
    history = story()
    for name in ("b", "a"):
        history.add("inquiry", "2026-10-06 10:00", name)
    history.add("merge", "2026-10-06 11:00", "a", into="b")
    assert by_name(history.facts())["b"]["merged_into"] == "a"


def test_chains_and_circles_come_to_one_whatever_the_order() -> None:
    history = story()
    for minute, name in enumerate("dcba"):
        history.add("inquiry", f"2026-10-06 10:0{minute}", name)
    for one, other in ("ab", "bc", "cd", "da"):
        history.add("merge", "2026-10-06 11:00", one, into=other)
    head, merges = history.events[:5], history.events[5:]
    wanted = fold_all(history.events)
    assert {row["conversation"]: row["merged_into"] for row in wanted} == {"a": "d", "b": "d", "c": "d", "d": ""}
    for order in permutations(merges):
        assert fold_all([*head, *order]) == wanted


def test_an_unmerge_restores_both_and_versions_only_grow() -> None:
    history = merged()
    alone = History()
    alone.events = [event for event in history.events if event.kind != "merge"]
    state = DistrictState("demo")
    versions: dict[str, list[int]] = {"x": [], "y": []}
    history.add("unmerge", "2026-10-06 12:00", "y", into="x")
    for event in history.events:
        state.apply(event)
        for row in state.settle().rows:
            versions[row[1]].append(row[2])
    assert all(seen == sorted(set(seen)) for seen in versions.values())
    apart, before = by_name(history.facts()), by_name(alone.facts())
    for name in ("x", "y"):
        for column in ("waits", "retracted", "inquiries", "merged", "merged_into", "first_response_ms"):
            assert apart[name][column] == before[name][column]


def test_spam_takes_part_in_no_merge() -> None:
    history = merged()
    history.add("spam", "2026-10-06 12:00", "y")
    rows = by_name(history.facts())
    assert (rows["x"]["merged"], rows["y"]["retracted"], rows["y"]["merged_into"]) == (0, 1, "")


def test_a_merge_into_something_unknown_waits_for_it() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:30", "y")
    history.add("merge", "2026-10-06 11:00", "y", into="x")
    assert [row["retracted"] for row in history.facts()] == [0]
    history.add("inquiry", "2026-10-06 10:00", "x")
    assert by_name(history.facts())["y"]["merged_into"] == "x"


def test_each_keeps_its_own_corrections_when_event_ids_repeat() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", "x", event_id="1", unit="a")
    history.add("inquiry", "2026-10-06 10:30", "y", event_id="1", unit="a")
    history.add("correction", "2026-10-06 10:40", "y", corrects="1", needs_reply=False)
    history.add("merge", "2026-10-06 11:00", "y", into="x")
    (wait,) = by_name(history.facts())["x"]["waits"]
    assert wait["messages"] == 1
