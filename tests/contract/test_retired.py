"""Conversations whose events left by retention: nobody folds them again; the same on the fake and on the engine."""

from collections.abc import Callable
from contextlib import closing

import pytest

from schemas.events import Event
from schemas.settings import Settings
from sinks.landing import Landing, RetiredRow
from sinks.memory import MemorySink
from sinks.retention import Cutoffs, Retention
from streams.audit.audit import audit
from streams.audit.findings import Findings
from streams.audit.sources import Sources
from streams.core.district import DistrictState
from streams.cuts import Delivery, landing_of
from streams.partition import Partition
from streams.recovery import Log, Recovered, recover
from tests.contract.test_standing import NOW, NUMBER, SINCE, Store, answered, land, lived, names, store
from tests.golden import OFFICE, History, district, ms

__all__ = ["store"]
LATER = ms("2026-10-20 12:00")
NOTHING_MORE = Cutoffs(0, 0, 0, 0, 0, 0)

Retire = Callable[..., None]


@pytest.fixture
def retire(request: pytest.FixtureRequest, store: Store) -> Retire:
    """Mark conversations of the district; unless `gone` is false, let their events go. Their rows stay."""

    def both(*names: str, gone: bool = True) -> None:
        marks = [RetiredRow("demo", name, SINCE, 3, LATER, 1) for name in names]
        if isinstance(store.sink, MemorySink):
            store.sink.mark(marks)
            if gone:
                store.sink.remove_events()
            return
        settings: Settings = request.getfixturevalue("clickhouse")
        with closing(Retention(settings)) as retention:
            retention.mark(marks)
            if gone:
                retention.remove(NOTHING_MORE)

    return both


def recovered(store: Store) -> Recovered:
    return recover([NUMBER], 16, store.reader, NOW)


def state_of(found: Recovered) -> DistrictState:
    return found.states[NUMBER]["demo"]


def partition_of(found: Recovered) -> Partition:
    made = Partition(NUMBER, 16, "cx.events")
    made.states = found.states[NUMBER]
    return made


def run(partition: Partition, store: Store, events: list[Event]) -> list[str]:
    """Take and land events as a worker does; the reasons of the dead letters."""
    for offset, event in enumerate(events):
        partition.take(Delivery(NUMBER, offset, event.model_dump_json(exclude_defaults=True).encode(), 0))
    log = Log(lambda: store.reader)
    for name, wanted in partition.returning():
        histories = log.histories(name, wanted)
        partition.restore(name, wanted, histories, log.retired_of(name, wanted))
    cut = partition.cut()
    store.sink.land(landing_of([cut], LATER))
    return [letter.reason for letter in cut.dead_letters]


def audited(store: Store) -> Findings:
    return audit(["demo"], Sources(lambda: store.reader), lambda *_: None, 0.0)


def different(store: Store) -> list[str]:
    """Rows of facts that an audit finds to be wrong; unit trees are none of these tests'."""
    return [each.name for each in audited(store).differences if each.table == "conversations"]


def test_nobody_reads_events_of_a_marked_conversation_gone_or_not(store: Store, retire: Retire) -> None:
    lived(store)
    retire("old", "waits", gone=False)
    everyone = ["", "new", "older", "parted"]
    assert names(store.reader.district_events(["demo"])) == everyone
    assert names(store.reader.standing_events(["demo"], SINCE)) == ["", "new", "parted"]
    assert names(store.reader.events_of("demo", ["old", "older", "waits"])) == ["older"]
    assert store.reader.outdated("demo", 1 << 63, "", 9) == ["new", "older", "parted", "parted~2"]
    assert sorted(store.reader.retired(["demo", "other"])) == [("demo", "old"), ("demo", "waits")]
    assert store.reader.retired_of("demo", ["old", "new", "never"]) == {"old"}
    retire("parted")
    assert names(store.reader.district_events(["demo"])) == ["", "new", "older"]
    assert different(store) == []
    assert audited(store).retired == 3


def test_recovery_holds_nothing_of_it_and_takes_no_row_of_it_for_outdated(store: Store, retire: Retire) -> None:
    history = lived(store)
    retire("old", "parted")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-06"]}}
    land(store, [history.configured(district(calendars=calendars, revision=2), "2026-10-06 12:00")], facts=False)
    found = recovered(store)
    state = state_of(found)
    assert sorted(state.conversations) == ["new", "waits"]
    assert all(name in state.departed for name in ("old", "older", "parted"))
    assert store.reader.outdated("demo", state.oldest_version, "", 9) == ["new", "older", "waits"]


def test_what_comes_for_it_is_refused_and_its_row_stays_as_it_is(store: Store, retire: Retire) -> None:
    history = lived(store)
    (before,) = store.reader.facts("demo", ["old"])
    retire("old")
    partition = partition_of(recovered(store))
    late = [history.add("reply", "2026-01-06 09:30", "old"), history.add("reply", "2026-01-06 09:30", "older")]
    assert run(partition, store, late) == ["retired"]
    assert list(store.reader.facts("demo", ["old"])) == [before]
    assert "old" not in names(store.reader.district_events(["demo"]))
    assert next(store.reader.facts("demo", ["older"]))[2] > before[2]
    # Delivered once more it is refused once more, and a worker that starts anew says the same.
    assert run(partition, store, late) == ["retired"]
    assert run(partition_of(recovered(store)), store, late) == ["retired"]
    assert state_of(recovered(store)).returning == []
    assert different(store) == []


def test_a_conversation_of_which_no_row_is_left_does_not_begin_anew(store: Store, retire: Retire) -> None:
    history = History()
    answered(history, "gone", "2026-01-06")
    land(store, history.events, facts=False)
    retire("gone")
    assert store.reader.districts() == ["demo"]
    found = recovered(store)
    assert "gone" in state_of(found).departed
    late = [history.add("inquiry", "2026-10-06 09:00", "gone"), history.add("inquiry", "2026-10-06 09:00", "fresh")]
    assert run(partition_of(found), store, late) == ["retired"]
    assert [row[1] for row in store.reader.facts("demo", ["fresh", "gone"])] == ["fresh"]


def test_what_goes_while_recovery_reads_is_no_incomplete_set(store: Store, retire: Retire) -> None:
    lived(store)
    versions_of = store.reader.versions_of

    def marked_meanwhile(wanted: dict[str, list[str]]) -> object:
        retire("new")
        return versions_of(wanted)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store.reader, "versions_of", marked_meanwhile)
        found = recovered(store)
    assert (sorted(state_of(found).conversations), found.repaired) == (["parted", "waits"], 0)


def test_a_merge_with_it_changes_only_the_other(store: Store, retire: Retire) -> None:
    history = lived(store)
    retire("old")
    (before,) = store.reader.facts("demo", ["old"])
    partition = partition_of(recovered(store))
    merge = history.add("merge", "2026-10-07 09:00", "new", into="old")
    assert run(partition, store, [merge]) == []
    assert list(store.reader.facts("demo", ["old"])) == [before]
    (row,) = store.reader.facts("demo", ["new"])
    alone = DistrictState("demo")
    for event in history.events:
        if getattr(event, "conversation", "new") == "new":
            alone.apply(event)
    assert [row] == alone.settle().rows
    assert recovered(store).repaired == 0
    assert different(store) == []


def test_a_row_of_one_merged_with_it_before_it_left_keeps_no_worker_from_starting(store: Store, retire: Retire) -> None:
    history = lived(store)
    merge = history.add("merge", "2026-10-07 09:00", "new", into="old")
    together = DistrictState("demo")
    for event in history.events:
        together.apply(event)
    land(store, [merge], facts=False)
    rows = [row for row in together.settle().rows if row[1] in ("new", "old")]
    store.sink.land(Landing(LATER, conversations=rows))
    retire("old")
    assert recovered(store).repaired == 0
