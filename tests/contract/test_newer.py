"""Events of a newer schema: kept, not folded, and part of the facts once a release understands them.

The same on the fake and on the real ClickHouse engine.
"""

import json
from typing import Any

import pytest

from schemas.errors import Unavailable
from schemas.events import EVENT, Event
from schemas.facts import NAMES, row_version
from schemas.vocabulary import to_ms
from sinks.landing import EventRow, Landing
from streams.audit.audit import audit
from streams.audit.sources import Sources
from streams.core.erasure import digest_of_key
from streams.cuts import Delivery, landing_of
from streams.partition import Partition
from streams.recovery import Log, Recovered, recover
from tests.contract.test_erasing import LONG_AFTER
from tests.contract.test_standing import NOW, NUMBER, SINCE, Store, lived, names, store
from tests.core.test_corrections import erased
from tests.golden import History, at, district

__all__ = ["store"]
WHO, OTHER = "5f5f5f5f5f5f5f5f", "6a6a6a6a6a6a6a6a"
EVENTS, VERSION = NAMES.index("events"), NAMES.index("version")


def newer(event_id: str = "n1", conversation: str = "new", **fields: Any) -> bytes:
    """An event of a kind that nobody here knows."""
    moment = at("2026-10-06 09:30").isoformat()
    frame = {"event_id": event_id, "district": "demo", "source": "crm", "occurred_at": moment, "received_at": moment}
    named = {"conversation": conversation} if conversation else {}
    return json.dumps({"kind": "visit_planned", "schema_version": 2, **frame, **named, **fields}).encode()


def payload(event: Event) -> bytes:
    return event.model_dump_json(exclude_defaults=True).encode()


def run(partition: Partition, store: Store, messages: list[bytes], landed_at: int = 1) -> list[str]:
    """Take and land messages as a worker does; the reasons of the dead letters."""
    for offset, message in enumerate(messages):
        partition.take(Delivery(NUMBER, offset, message, 0))
    log = Log(lambda: store.reader)
    for name, wanted in partition.returning():
        partition.restore(name, wanted, log.histories(name, wanted), log.retired_of(name, wanted))
    partition.refold(lambda: False)
    cut = partition.cut()
    store.sink.land(landing_of([cut], landed_at))
    return [letter.reason for letter in cut.dead_letters]


def partition_of(found: Recovered) -> Partition:
    made = Partition(NUMBER, 16, "cx.events")
    made.states = found.states[NUMBER]
    return made


def recovered(store: Store) -> Recovered:
    return recover([NUMBER], 16, store.reader, NOW)


def different(store: Store) -> list[str]:
    findings = audit(["demo"], Sources(lambda: store.reader), lambda *_: None, 0.0)
    return [each.name for each in findings.differences if each.table == "conversations"]


def contents(store: Store) -> list[dict[str, Any]]:
    """What is kept of events that are not understood."""
    return [json.loads(row.content) for row in store.reader.district_events(["demo"]) if not row.understood]


def test_it_is_kept_and_counted_and_changes_no_row(store: Store) -> None:
    lived(store)
    before = list(store.reader.facts("demo", ["new", "old"]))
    partition = partition_of(recovered(store))
    messages = [newer(), newer("n2", "old", room="b-12"), newer("n3", ""), newer()]
    assert run(partition, store, messages) == []
    assert partition.newer == {"demo": 4}
    assert list(store.reader.facts("demo", ["new", "old"])) == before
    assert [content["event_id"] for content in contents(store)] == ["n3", "n1", "n2"]
    assert contents(store)[2]["room"] == "b-12"
    assert different(store) == []
    assert audit(["demo"], Sources(lambda: store.reader), lambda *_: None, 0.0).not_understood == 3
    # One that ended long ago stays out of memory, whatever is kept of it.
    found = recovered(store)
    assert (found.repaired, found.unreadable.total()) == (0, 0)
    assert sorted(found.states[NUMBER]["demo"].conversations) == ["new", "parted", "waits"]
    assert "old" not in names(store.reader.standing_events(["demo"], SINCE))


def kept_by_an_older_release(event: Event) -> EventRow:
    """The row of an event that a release before this one did not understand."""
    content = json.loads(payload(event))
    del content["received_at"]
    at_ms = to_ms(event.occurred_at)
    frame = ("demo", getattr(event, "conversation", ""), event.event_id, 7, event.kind, 1, "crm", at_ms, at_ms)
    return EventRow(*frame, json.dumps(content, sort_keys=True).encode(), 0, NUMBER, 0)


@pytest.mark.parametrize("conversation", ["waits", "old"])
def test_what_this_release_understands_by_now_counts_at_the_next_recovery(store: Store, conversation: str) -> None:
    history = lived(store)
    learned = history.add("reply", "2026-01-06 09:20", conversation)
    store.sink.land(Landing(2, events=[kept_by_an_older_release(learned)]))
    assert different(store) == [conversation]
    found = recovered(store)
    assert found.repaired == 1
    partition = partition_of(found)
    assert run(partition, store, [], 3) == []
    state = Partition(NUMBER, 16, "cx.events")
    for event in history.events:
        state.state("demo").apply(event)
    expected = {row[1]: row for row in state.states["demo"].settle().rows}
    assert list(store.reader.facts("demo", [conversation])) == [expected[conversation]]
    assert different(store) == []
    # Delivered once more it is known, in memory as after leaving it.
    kept = len(list(store.reader.district_events(["demo"])))
    assert run(partition, store, [payload(learned)], 4) == []
    departed = partition_of(recover([NUMBER], 16, store.reader, LONG_AFTER))
    assert conversation in departed.states["demo"].departed or conversation == "waits"
    assert run(departed, store, [payload(learned)], 5) == []
    assert len(list(store.reader.district_events(["demo"]))) == kept
    assert recovered(store).repaired == 0


def of_a_newer_release(store: Store, configurations: int, events: int) -> None:
    """The row of `new` as a worker lands it that understands more."""
    (row,) = store.reader.facts("demo", ["new"])
    changed = list(row)
    changed[VERSION] = row_version(configurations, events)
    changed[EVENTS] = events
    store.sink.land(Landing(9, conversations=[tuple(changed)]))


def test_an_older_worker_starts_beside_rows_that_count_what_it_does_not_understand(store: Store) -> None:
    lived(store)
    run(partition_of(recovered(store)), store, [newer()])
    of_a_newer_release(store, 1, 4)
    found = recovered(store)
    assert (found.repaired, "new" in found.states[NUMBER]["demo"].conversations) == (0, True)


def test_so_it_does_beside_a_configuration_of_a_newer_schema(store: Store) -> None:
    lived(store)
    configuration = {"label": "River Bend Unified", "novel": True}
    message = newer("c2", "", kind="district_configured", configuration=configuration)
    assert run(partition_of(recovered(store)), store, [message]) == []
    of_a_newer_release(store, 2, 3)
    assert recovered(store).repaired == 0


def test_a_set_of_which_nothing_is_kept_aside_and_that_is_too_small_is_still_read_again(store: Store) -> None:
    lived(store)
    run(partition_of(recovered(store)), store, [newer("n1", "waits")])
    of_a_newer_release(store, 1, 4)
    with pytest.raises(Unavailable, match="incomplete"):
        recovered(store)


def test_what_a_newer_worker_understood_is_not_damaged_to_an_older_one(store: Store) -> None:
    lived(store)
    content = json.loads(newer())
    del content["received_at"]
    row = kept_by_an_older_release(EVENT.validate_json(newer(schema_version=1, kind="deleted")))
    row = row._replace(kind="visit_planned", schema_version=2, understood=1, content=json.dumps(content).encode())
    store.sink.land(Landing(2, events=[row]))
    of_a_newer_release(store, 1, 4)
    found = recovered(store)
    assert (found.unreadable.total(), found.repaired) == (0, 0)


@pytest.mark.parametrize("first", ["event", "erasure"])
@pytest.mark.parametrize("fields", [{"guardian": WHO}, {"seen": {"by": [OTHER, WHO]}}, {WHO: 1}, {"person": WHO}])
def test_nothing_but_the_frame_is_left_of_one_that_names_an_erased_person(
    store: Store, first: str, fields: dict[str, Any]
) -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 09:00", "new")
    erasure = erased(WHO, "2026-10-20 10:00")
    kept = newer("n2", "new", room="b-12", guardian=OTHER)
    steps = [newer(**fields), payload(erasure)]
    if first == "erasure":
        steps.reverse()
    partition = Partition(NUMBER, 16, "cx.events")
    run(partition, store, [*map(payload, history.events), kept])
    for number, step in enumerate(steps, 2):
        assert run(partition, store, [step], number) == []
    everything = json.dumps([event.content.decode() for event in store.reader.district_events(["demo"])])
    assert WHO not in everything
    one, two = contents(store)
    assert set(one) == {"conversation", "district", "event_id", "kind", "occurred_at", "schema_version", "source"}
    assert (one["kind"], two["room"], two["guardian"]) == ("visit_planned", "b-12", OTHER)
    assert store.reader.naming("demo", digest_of_key(WHO), 0) == []
    # Delivered once more it is the same row.
    run(partition_of(recovered(store)), store, [newer(**fields)], 4)
    assert len(contents(store)) == 2
    assert WHO not in json.dumps([event.content.decode() for event in store.reader.district_events(["demo"])])
