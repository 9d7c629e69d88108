"""Rows of an erased person that land after the erasure: found, told by the audit, made anonymous once more."""

import json

from sinks.landing import Erasure
from streams.audit.audit import audit
from streams.audit.findings import Findings
from streams.audit.sources import Sources
from streams.core.erasure import digest_of_key
from streams.cuts import Delivery
from streams.forgetting import forget_again
from streams.partition import Partition
from tests.contract.test_erasing import NUMBER, STAFF, WHO, landing, lived, stored, take
from tests.contract.test_standing import Store, store
from tests.core.test_corrections import erased
from tests.golden import ms

__all__ = ["store"]
WHEN = "2026-10-20 10:00"
TABLES = ["conversation_versions", "conversations", "events"]


def land_late(store: Store) -> None:
    """One worker stands still before it lands; another lands the same and an erasure; then the first one goes on."""
    late, events = Partition(NUMBER, 16, "cx.events"), lived().events
    for offset, event in enumerate(events):
        late.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
    held = landing(late.cut(), 1)
    take(Partition(NUMBER, 16, "cx.events"), [*events, erased(WHO, WHEN)], 2, store.sink)
    assert store.reader.still_named("demo") == []
    store.sink.land(held)


def audited(store: Store) -> Findings:
    return audit(["demo"], Sources(lambda: store.reader), lambda *_: None, 0.0)


def test_what_lands_late_is_found_by_table_and_made_anonymous_again(store: Store) -> None:
    land_late(store)
    erasure = Erasure("demo", digest_of_key(WHO), ms(WHEN))
    assert store.reader.erased(["demo", "other"]) == {"demo": {erasure.key_digest: erasure.since_ms}}
    assert store.reader.still_named("demo") == [(table, erasure) for table in TABLES]
    assert forget_again(store.reader, store.sink, "demo", lambda: 3) == 1
    assert store.reader.still_named("demo") == []
    assert WHO not in stored(store)
    assert STAFF in stored(store)
    assert forget_again(store.reader, store.sink, "demo", lambda: 4) == 0
    assert audited(store).different == 0


def test_the_audit_tells_of_events_that_hold_an_erased_key_by_its_digest(store: Store) -> None:
    land_late(store)
    found = audited(store)
    (of_events,) = [each for each in found.differences if each.table == "events"]
    assert (of_events.kind, of_events.district, of_events.name) == ("mismatch", "demo", digest_of_key(WHO))
    assert WHO not in json.dumps(found.differences)
    assert {each.table for each in found.differences} == {"events", "conversations"}


def test_only_what_the_district_itself_erased_is_looked_for(store: Store) -> None:
    take(Partition(NUMBER, 16, "cx.events"), lived().events, 1, store.sink)
    assert store.reader.erased(["demo"]) == {}
    assert store.reader.still_named("demo") == []
    assert forget_again(store.reader, store.sink, "demo", lambda: 2) == 0
    assert WHO in stored(store)
