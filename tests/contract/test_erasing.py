"""Erasure of what has landed: nothing says who it was, every number stays; the same on the fake and on the engine."""

import json
from contextlib import closing
from typing import Any

import pytest

from schemas.facts import NAMES
from schemas.settings import Settings
from schemas.topics import partition_of
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.erasing import left
from sinks.landing import Landing
from sinks.memory import MemorySink
from streams.audit.audit import audit
from streams.audit.sources import Sources
from streams.core.erasure import digest_of_key
from streams.cuts import Cut, Delivery
from streams.partition import Partition
from streams.recovery import recover
from tests.contract.test_standing import Store, store
from tests.core.test_corrections import erased
from tests.golden import History, at, district, ms

__all__ = ["store"]
WHO, STAFF = "5f5f5f5f5f5f5f5f", "6a6a6a6a6a6a6a6a"
LONG_AFTER = ms("2030-01-01 00:00")
NUMBER = partition_of("demo", 16)
RETRACTED = NAMES.index("retracted")


def lived() -> History:
    history = History()
    history.configured(district())
    for name in ("one", "two"):
        history.add("inquiry", "2026-10-06 10:00", name, person=WHO, topic="bus")
        history.add("reply", "2026-10-06 10:30", name, staff=STAFF)
        history.add("rating", "2026-10-06 12:00", name, score=3, rater=WHO)
        history.add("rating", "2026-10-06 12:00", name, score=9, rater=STAFF)
    return history


def landing(cut: Cut, at: int) -> Landing:
    return Landing(at, cut.events, cut.conversations, cut.configurations, cut.units, erasures=cut.erasures)


def take(partition: Partition, events: list[Any], at: int, sink: Any) -> None:
    for offset, event in enumerate(events):
        partition.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
    sink.land(landing(partition.cut(), at))


def stored(store: Store) -> str:
    """Everything that reading back gives."""
    return json.dumps([event.content.decode() for event in store.reader.district_events(["demo"])])


def test_nothing_landed_says_who_it_was(store: Store) -> None:
    take(Partition(NUMBER, 16, "cx.events"), lived().events, 1, store.sink)
    assert WHO in stored(store)
    partition = Partition(NUMBER, 16, "cx.events")
    partition.states = recover([NUMBER], 16, store.reader, 0).states[NUMBER]
    take(partition, [erased(WHO, "2026-10-20 10:00")], 2, store.sink)
    assert WHO not in stored(store)
    assert STAFF in stored(store)


@pytest.mark.parametrize("departed", [False, True])
def test_what_recovers_later_is_what_a_district_that_lived_through_it_holds(store: Store, departed: bool) -> None:
    history = lived()
    erasure = erased(WHO, "2026-10-20 10:00")
    take(Partition(NUMBER, 16, "cx.events"), history.events, 1, store.sink)
    partition = Partition(NUMBER, 16, "cx.events")
    partition.states = recover([NUMBER], 16, store.reader, LONG_AFTER if departed else 0).states[NUMBER]
    assert bool(partition.states["demo"].conversations) is not departed
    take(partition, [erasure], 2, store.sink)
    found = recover([NUMBER], 16, store.reader, 0)
    state = found.states[NUMBER]["demo"]
    assert (found.repaired, found.unreadable.total()) == (0, 0)
    state.touch(state.conversations)
    again = state.settle().rows
    through = Partition(NUMBER, 16, "cx.events")
    take(through, [*history.events, erasure], 1, MemorySink())
    through.states["demo"].touch(["one", "two"])
    assert again == through.states["demo"].settle().rows
    # Repeated deliveries of what was erased are known: the digest is that of the original.
    take(partition, history.events[1:], 3, store.sink)
    assert partition.arrivals.get("conflict") is None


def test_what_came_after_the_erasure_and_stands_before_it_is_refused_in_the_log_too(store: Store) -> None:
    history, erasure = lived(), erased(WHO, "2026-10-20 10:00")
    received = at("2026-10-20 11:00").isoformat()
    history.add("inquiry", "2026-10-06 09:00", "one", person=WHO, topic="late", received_at=received)
    history.add("rating", "2026-10-06 13:00", "three", score=1, rater=WHO, received_at=received)
    history.add("status_changed", "2026-10-06 13:00", "two", status="resolved", staff=WHO, received_at=received)
    history.add("alert_acknowledged", "2026-10-06 13:00", "", alert="k", staff=WHO, received_at=received)
    lasting = Partition(NUMBER, 16, "cx.events")
    take(lasting, history.events, 1, store.sink)
    take(lasting, [erasure], 2, store.sink)
    assert WHO not in stored(store)
    refused = [event for event in store.reader.district_events(["demo"]) if event.kind == "refused"]
    assert [event.conversation for event in refused] == ["one", "three", "two"]
    assert not any(b"late" in event.content or b"score" in event.content for event in refused)
    found = recover([NUMBER], 16, store.reader, 0)
    assert (found.repaired, found.unreadable.total()) == (0, 0)
    first = Partition(NUMBER, 16, "cx.events")
    take(first, [history.events[0], erasure, *history.events[1:]], 1, MemorySink())
    for state in (found.states[NUMBER]["demo"], first.states["demo"]):
        state.touch(state.conversations)
    assert found.states[NUMBER]["demo"].settle().rows == first.states["demo"].settle().rows
    landed = {row[1]: row for row in store.reader.facts("demo", ["one", "two", "three"])}
    assert [name for name, row in sorted(landed.items()) if row[RETRACTED]] == ["three"]
    findings = audit(["demo"], Sources(lambda: store.reader), lambda *_: None, 0.0)
    assert (findings.different, findings.unreadable) == (0, 0)


def test_conversations_are_found_by_who_is_in_them_and_when_it_came(store: Store) -> None:
    take(Partition(NUMBER, 16, "cx.events"), lived().events, 1, store.sink)
    digest = digest_of_key(WHO)
    assert store.reader.naming("demo", digest, 0) == ["one", "two"]
    assert store.reader.naming("demo", digest, ms("2026-10-06 12:00")) == ["one", "two"]
    assert store.reader.naming("demo", digest, ms("2026-10-06 12:01")) == []
    assert store.reader.naming("other", digest, 0) == []
    assert store.reader.naming("demo", digest_of_key("7b" * 8), 0) == []


def rated() -> History:
    """Many raters in many conversations, two surveys each, some late, some without a key."""
    history = lived()
    for number, name in enumerate("abcdef"):
        history.add("inquiry", "2026-10-06 10:00", name, person=WHO)
        history.add("reply", "2026-10-06 10:30", name)
        for rater in (WHO, STAFF, f"{number}b" * 8, None):
            for survey in ("after", "before"):
                history.add(
                    "rating", "2026-10-06 12:00", name, score=1 + len(history.events) % 10, rater=rater, survey=survey
                )
            history.add("rating", "2027-10-06 12:00", name, score=1, rater=rater)
    return history


def test_the_facts_in_the_tables_are_those_of_the_stream(store: Store) -> None:
    partition = Partition(NUMBER, 16, "cx.events")
    take(partition, rated().events, 1, store.sink)
    # Everything had left memory: only the tables are rewritten.
    take(Partition(NUMBER, 16, "cx.events"), [erased(WHO, "2027-11-01 10:00")], 2, store.sink)
    partition.states["demo"].apply(erased(WHO, "2027-11-01 10:00"))
    expected = {row[1]: row for row in partition.states["demo"].settle().rows}
    assert {row[1]: row for row in store.reader.facts("demo", sorted(expected))} == expected
    assert WHO not in str(expected)
    assert max(len(row[NAMES.index("ratings.rater")]) for row in expected.values()) >= 10


def test_versions_of_facts_are_rewritten_as_the_rows_that_count(clickhouse: Settings) -> None:
    with closing(ClickHouseSink(clickhouse)) as sink, connect(clickhouse) as client:
        take(Partition(NUMBER, 16, "cx.events"), rated().events, 1, sink)
        assert left(client, "demo", digest_of_key(WHO)) > 0
        take(Partition(NUMBER, 16, "cx.events"), [erased(WHO, "2027-11-01 10:00")], 2, sink)
        assert left(client, "demo", digest_of_key(WHO)) == 0
        columns = ", ".join(f"`{name}`" for name in NAMES)
        rows, versions = (
            client.execute(f"SELECT {columns} FROM {table} FINAL ORDER BY conversation")
            for table in ("conversations", "conversation_versions")
        )
        assert rows == versions


def test_a_row_of_facts_that_names_somebody_as_staff_or_rater_only_is_left_too(clickhouse: Settings) -> None:
    partition = Partition(NUMBER, 16, "cx.events")
    for offset, event in enumerate(lived().events):
        partition.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
    rows = partition.cut().conversations
    bare = {"person": "", "first_response_staff": "", "ratings.rater": ("", "")}
    with closing(ClickHouseSink(clickhouse)) as sink, connect(clickhouse) as client:
        for number, (column, value) in enumerate([("first_response_staff", STAFF), ("ratings.rater", (STAFF, WHO))], 1):
            kept = dict(zip(NAMES, rows[0], strict=True)) | bare | {column: value, "conversation": f"c{number}"}
            sink.land(Landing(1, conversations=[tuple(kept.values())]))
            # Of both tables.
            assert left(client, "demo", digest_of_key(STAFF)) == 2 * number
        assert left(client, "demo", digest_of_key(WHO)) == 2


def test_cut_off_before_the_older_rows_of_events_are_removed_the_next_one_does(
    clickhouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        """The process ends here."""

    def cut(*_: Any) -> None:
        raise Cut

    erasure = [erased(WHO, "2026-10-20 10:00")]
    with closing(ClickHouseSink(clickhouse)) as sink, connect(clickhouse) as client:
        take(Partition(NUMBER, 16, "cx.events"), lived().events, 1, sink)
        with monkeypatch.context() as patched:
            patched.setattr("sinks.erasing.mutate", cut)
            with pytest.raises(Cut):
                take(Partition(NUMBER, 16, "cx.events"), erasure, 2, sink)
        assert left(client, "demo", digest_of_key(WHO)) > 0
        take(Partition(NUMBER, 16, "cx.events"), erasure, 2, sink)
        assert left(client, "demo", digest_of_key(WHO)) == 0
        assert client.execute("SELECT count() FROM events FINAL") == [(len(lived().events) + 1,)]
