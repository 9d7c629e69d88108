"""Recovery over the shipped fake: whole sets, repairs, and rows that this release cannot read."""

import json

import pytest

from schemas.district import District
from schemas.errors import Unavailable
from schemas.events import EVENT, canonical
from schemas.facts import row_version
from schemas.topics import partition_of
from sinks.landing import Landing, Place, event_row, unit_rows
from sinks.memory import MemorySink
from streams.core.packed import digest_of
from streams.cuts import Delivery, landing_of
from streams.partition import Partition
from streams.recovery import recover
from tests.golden import History, district

NUMBER = partition_of("demo", 16)


def landed() -> MemorySink:
    """A district with one answered conversation, landed by a partition."""
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:45")
    partition = Partition(NUMBER, 16, "cx.events")
    for offset, event in enumerate(history.events):
        partition.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
    cut = partition.cut()
    sink = MemorySink()
    sink.land(Landing(0, events=cut.events, conversations=cut.conversations))
    return sink


def test_what_landed_whole_comes_back_and_needs_no_repair() -> None:
    found = recover([NUMBER], 16, landed(), 0)
    assert (found.events, found.repaired, found.unreadable.total()) == (3, 0, 0)


def test_a_row_behind_its_events_is_made_again() -> None:
    sink = landed()
    event = History().add("rating", "2026-10-06 12:00", event_id="late", score=9)
    content = canonical(event)
    sink.land(Landing(0, events=[event_row(event, content, digest_of(content), Place("cx.events", NUMBER, 9))]))
    found = recover([NUMBER], 16, sink, 0)
    assert found.repaired == 1
    (row,) = found.states[NUMBER]["demo"].settle().rows
    assert 9 in {value[0] for value in row if isinstance(value, tuple) and value}


def test_a_unit_tree_that_did_not_land_or_is_of_an_earlier_definition_lands_again() -> None:
    sink = landed()
    expected = unit_rows(district(), row_version(1, 0))
    assert recover([NUMBER], 16, sink, 0).units == {NUMBER: expected}
    sink.land(Landing(0, units=[row._replace(version=row.version - (1 << 48)) for row in expected]))
    found = recover([NUMBER], 16, sink, 0)
    assert found.units == {NUMBER: expected}
    partition = Partition(NUMBER, 16, "cx.events")
    partition.states = found.states[NUMBER]
    partition.owe([], found.units[NUMBER])
    sink.land(landing_of([partition.cut()], 1))
    assert recover([NUMBER], 16, sink, 0).units == {}
    sink.land(Landing(0, units=[row._replace(version=row.version + (1 << 48)) for row in expected]))
    assert recover([NUMBER], 16, sink, 0).units == {}


def test_a_set_that_came_back_smaller_than_its_row_is_read_again() -> None:
    sink = landed()
    (row,) = sink.rows("conversations")
    grown = tuple(row["version"] + 1 if name == "version" else row[name] for name in row if name != "landed_at")
    sink.land(Landing(0, conversations=[grown]))
    with pytest.raises(Unavailable, match="incomplete"):
        recover([NUMBER], 16, sink, 0)


def test_a_stored_event_that_cannot_be_read_is_counted_and_stops_nothing() -> None:
    sink = landed()
    event = History().add("reply", "2026-10-06 11:00", event_id="damaged")
    row = event_row(event, b'{"kind":"reply","goal":Infinity}', 1, Place("cx.events", NUMBER, 9))
    sink.land(Landing(0, events=[row]))
    found = recover([NUMBER], 16, sink, 0)
    state = found.states[NUMBER]["demo"]
    assert [row[1] for row in state.settle().rows] == ["c1"]
    assert (found.events, state.conversations.unreadable) == (4, 1)


def test_a_conversation_of_which_nothing_can_be_read_is_as_one_that_never_came() -> None:
    sink = landed()
    event = History().add("reply", "2026-10-06 11:00", "c2", event_id="damaged")
    sink.land(Landing(0, events=[event_row(event, b"{}", 1, Place("cx.events", NUMBER, 9))]))
    state = recover([NUMBER], 16, sink, 0).states[NUMBER]["demo"]
    assert state.settle().rows == []
    assert (list(state.conversations), state.changed, state.conversations.unreadable) == (["c1"], 0, 1)


def test_a_district_s_own_event_that_cannot_be_read_is_counted_at_once() -> None:
    sink = landed()
    event = History().configured(district(revision=2))
    sink.land(Landing(0, events=[event_row(event, b"{}", 1, Place("cx.events", NUMBER, 9))]))
    assert dict(recover([NUMBER], 16, sink, 0).unreadable) == {"demo": 1}


def test_a_tree_too_deep_to_be_read_back_is_refused() -> None:
    unit: dict[str, object] = {"unit": "u0", "level": "team"}
    for depth in range(1, 14):
        unit = {"unit": f"u{depth}", "level": "team", "units": [unit]}
    with pytest.raises(ValueError, match="12 levels"):
        District.model_validate({"district": "demo", "units": [unit]})


def test_the_deepest_configuration_survives_being_stored_in_an_array() -> None:
    unit: dict[str, object] = {"unit": "u0", "level": "team"}
    for depth in range(1, 12):
        unit = {"unit": f"u{depth}", "level": "team", "units": [unit]}
    history = History()
    event = history.configured(District.model_validate({"district": "demo", "units": [unit]}))
    content = canonical(event)
    sink = MemorySink()
    sink.land(Landing(0, events=[event_row(event, content, digest_of(content), Place("cx.events", NUMBER, 0))]))
    assert recover([NUMBER], 16, sink, 0).events == 1
    assert EVENT.validate_json(json.dumps(json.loads(event.model_dump_json()))) == event
