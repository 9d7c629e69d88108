"""Recovery over the shipped fake: whole sets, repairs, and rows that this release cannot read."""

import json
from collections.abc import Sequence

import pytest

from schemas.district import District
from schemas.errors import Unavailable
from schemas.events import EVENT, Event, canonical
from schemas.facts import row_version
from schemas.topics import partition_of
from sinks.landing import Landing, Place, event_row, unit_rows
from sinks.memory import MemorySink
from streams.core.district import DistrictState
from streams.core.packed import digest_of
from streams.cuts import Delivery, landing_of
from streams.partition import Partition
from streams.recovery import recover
from tests.golden import History, at, district
from tests.reference.histories import erasure

NUMBER = partition_of("demo", 16)


def landed_before() -> list[Event]:
    """A district with one answered conversation."""
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:45")
    return history.events


def landed() -> MemorySink:
    """The same, landed by a partition."""
    partition = Partition(NUMBER, 16, "cx.events")
    for offset, event in enumerate(landed_before()):
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


def test_what_was_read_back_is_decoded_when_it_is_needed_and_not_before() -> None:
    sink = landed()
    history = History()
    for name in ("c2", "c3"):
        history.add("inquiry", "2026-10-06 11:00", name)
    history.add("merge", "2026-10-06 12:00", "c3", into="c2")
    land(sink, history.events)
    state = recover([NUMBER], 16, sink, 0).states[NUMBER]["demo"]
    # What a merge names is known at once.
    assert undecoded(state) == ["c1", "c2"]
    assert (state.linked("c2"), state.stale, state.evict(1 << 50)) == (["c2", "c3"], 3, 0)
    state.apply(history.add("reply", "2026-10-06 11:30", "c2"))
    assert undecoded(state) == ["c1"]
    state.refold(3)
    assert undecoded(state) == []


@pytest.mark.parametrize(("key", "is_named"), [("5f" * 8, True), ("6a" * 8, False)])
def test_an_erasure_reaches_what_was_read_back_and_is_not_decoded_yet(key: str, is_named: bool) -> None:
    """Only what it names is decoded and lands anew; what the intake received after it is refused."""
    sink = landed()
    history = History()
    for number in (1, 2):
        late = at("2026-10-09 10:00").isoformat()
        history.add("inquiry", "2026-10-06 11:00", "c2", person="5f" * 8, received_at=late, event_id=f"late-{number}")
    history.add("reply", "2026-10-06 11:30", "c2")
    land(sink, history.events)
    state = recover([NUMBER], 16, sink, 0).states[NUMBER]["demo"]
    whole = DistrictState("demo")
    for event in [*landed_before(), *history.events]:
        whole.apply(event)
    whole.settle()
    for each in (state, whole):
        each.apply(erasure(key, at("2026-10-08 10:00")))
    assert undecoded(state) == (["c1"] if is_named else ["c1", "c2"])
    rows = state.settle(0).rows
    assert [row[1] for row in rows] == (["c2"] if is_named else [])
    assert rows == whole.settle(0).rows
    assert "5f" * 8 not in str(rows)


def test_what_retention_took_while_it_was_read_back_is_held_no_longer() -> None:
    state = recover([NUMBER], 16, landed(), 0).states[NUMBER]["demo"]
    state.retire("c1")
    assert (list(state.conversations), state.changed, "c1" in state.departed) == ([], 0, True)


def undecoded(state: DistrictState) -> list[str]:
    return [name for name, held in state.conversations.items() if held.undecoded is not None]


def land(sink: MemorySink, events: Sequence[Event]) -> None:
    """Land further events and the facts made of them, as a worker does."""
    partition = Partition(NUMBER, 16, "cx.events")
    for offset, event in enumerate([*landed_before(), *events]):
        partition.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
    sink.land(landing_of([partition.cut()], 1))
