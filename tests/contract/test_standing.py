"""What stands in memory and what is read back of the rest: the same on the fake and on the real ClickHouse engine."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from schemas.events import Event
from schemas.facts import row_version
from schemas.settings import Settings
from schemas.topics import partition_of
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing, Place, Sink, event_row
from sinks.memory import MemorySink
from sinks.reading import ClickHouseReader, LandedEvent, Reader
from streams.core.district import DistrictState
from streams.core.windows import HORIZON_MS
from streams.recovery import Log, recover
from tests.golden import OFFICE, History, district, ms
from tests.sinks.samples import rolling

NUMBER = partition_of("demo", 16)
PLACE = Place("cx.events", NUMBER, 0)
SINCE = ms("2026-10-01 00:00")
NOW = SINCE + HORIZON_MS
PROMISES = [{"promise": "done", "clock": "resolution", "target": "4h"}]


class Store(NamedTuple):
    """A sink and the reader of the same data."""

    sink: Sink
    reader: Reader


@pytest.fixture(params=["memory", "clickhouse"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        memory = MemorySink()
        yield Store(memory, memory)
        return
    settings: Settings = request.getfixturevalue("clickhouse")
    sink, reader = ClickHouseSink(settings), ClickHouseReader(settings)
    yield Store(sink, reader)
    sink.close()
    reader.close()


def land(store: Store, events: list[Event], facts: bool = True) -> DistrictState:
    """Land events and, if wanted, the facts made of them."""
    state = DistrictState("demo")
    applied = [state.apply(event) for event in events]
    rows = [event_row(e, a.content, a.digest, PLACE) for e, a in zip(events, applied, strict=True)]
    store.sink.land(Landing(0, events=rows, conversations=state.settle().rows if facts else []))
    return state


def answered(history: History, name: str, day: str, reply: bool = True) -> None:
    history.add("inquiry", f"{day} 09:00", name)
    if reply:
        history.add("reply", f"{day} 10:00", name)
        history.add("status_changed", f"{day} 10:00", name, status="resolved")


def lived(store: Store) -> History:
    """Old and new, answered and waiting, taken up anew and merged; nothing is behind."""
    history = History()
    history.configured(district(promises=PROMISES))
    answered(history, "new", "2026-10-06")
    answered(history, "old", "2026-01-06")
    answered(history, "older", "2026-01-05")
    answered(history, "waits", "2026-01-06", reply=False)
    answered(history, "parted", "2026-01-06")
    answered(history, "parted", "2026-04-07", reply=False)
    land(store, history.events)
    return history


def names(events: Iterator[LandedEvent]) -> list[str]:
    return sorted({event.conversation for event in events})


def test_what_stands_is_read_whole_and_the_rest_is_left(store: Store) -> None:
    lived(store)
    assert names(store.reader.standing_events(["demo"], SINCE)) == ["", "new", "parted", "waits"]
    everything = list(store.reader.district_events(["demo"]))
    whole = [event for event in everything if event.conversation in ("", "new", "parted", "waits")]
    assert list(store.reader.standing_events(["demo"], SINCE)) == whole
    assert list(store.reader.standing_events(["demo"], 0)) == everything


def test_a_row_that_does_not_count_all_events_stands(store: Store) -> None:
    history = lived(store)
    late = history.add("rating", "2026-01-07 09:00", "old", score=9)
    land(store, [late], facts=False)
    assert "old" in names(store.reader.standing_events(["demo"], SINCE))
    answered(history, "lost", "2026-01-08")
    land(store, history.events[-3:], facts=False)
    assert "lost" in names(store.reader.standing_events(["demo"], SINCE))


def test_recovery_holds_what_stands_and_knows_who_left(store: Store) -> None:
    lived(store)
    found = recover([NUMBER], 16, store.reader, NOW)
    state = found.states[NUMBER]["demo"]
    assert (sorted(state.conversations), found.repaired) == (["new", "parted", "waits"], 0)
    assert ("old" in state.departed, "never-seen" in state.departed) == (True, False)
    assert state.departed.swept_to is None


def test_what_is_due_within_the_windows_stands(store: Store) -> None:
    history = History()
    history.configured(district(promises=PROMISES))
    history.add("inquiry", "2026-09-01 09:00", "soon", due_at="2026-10-20T09:00:00-05:00")
    history.add("inquiry", "2026-09-01 09:00", "past", due_at="2026-09-20T09:00:00-05:00")
    for name in ("soon", "past"):
        history.add("reply", "2026-09-01 10:00", name)
        history.add("status_changed", "2026-09-01 10:00", name, status="resolved")
    whole = land(store, history.events)
    assert whole.evict(NOW) == 1
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    assert sorted(state.conversations) == ["soon"]
    assert state.settle().rows == []
    assert state.rolling.rows(NOW, state.configuration) == whole.rolling.rows(NOW, whole.configuration)
    assert [row.promises_met for row in whole.rolling.rows(NOW, whole.configuration) if row.unit == "demo"] != [0] * 5


def test_a_long_break_has_recovery_reach_further_back(store: Store) -> None:
    history = History()
    calendars = {**district().model_dump(mode="json")["calendars"]}
    calendars["office"] = {**OFFICE, "closed": ["2026-06-01/2026-08-31"]}
    history.configured(district(calendars=calendars))
    answered(history, "spring", "2026-05-29")
    answered(history, "winter", "2026-03-02")
    now_ms = ms("2026-08-20 12:00")
    whole = land(store, history.events)
    assert whole.evict(now_ms) == 1
    state = recover([NUMBER], 16, store.reader, now_ms).states[NUMBER]["demo"]
    assert (sorted(state.conversations), "winter" in state.departed) == (["spring"], True)
    assert state.settle().rows == []
    rows = state.rolling.rows(now_ms, state.configuration)
    assert rows == whole.rolling.rows(now_ms, whole.configuration)
    assert [row.inquiries for row in rows if (row.unit, row.window, row.channel) == ("a", "7sd", "all")] == [1]


def test_what_has_a_promise_is_named_by_what_becomes_true_next(store: Store) -> None:
    history = History()
    history.configured(district(promises=[{"promise": "done", "clock": "resolution", "target": "8h"}]))
    for name, moment in (("broken", "2026-10-01 08:00"), ("next", "2026-10-05 13:00"), ("first", "2026-10-05 11:00")):
        history.add("inquiry", moment, name)
    answered(history, "answered", "2026-10-05")
    history.add("inquiry", "2026-10-05 11:30", "spam")
    history.add("spam", "2026-10-05 11:31", "spam")
    land(store, history.events)
    running = [("demo", name) for name in ("first", "next", "broken")]
    assert store.reader.running(["demo", "unknown"], ms("2026-10-06 08:00")) == running
    assert store.reader.running(["unknown"], 0) == []
    state = recover([NUMBER], 16, store.reader, ms("2026-10-06 08:00")).states[NUMBER]["demo"]
    folded = []
    while state.has_soonest:
        state.refold(1)
        folded += [name for name in state.conversations if state.alerts.is_running(name) and name not in folded]
    assert folded == ["first", "next", "broken"]


def test_an_event_for_one_that_left_is_folded_with_its_history(store: Store) -> None:
    history = lived(store)
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    late = history.add("reply", "2026-01-06 09:30", "old")
    state.apply(late)
    assert state.returning == ["old"]
    log = Log(lambda: store.reader)
    state.restore("old", log.histories("demo", ["old"])["old"])
    whole = DistrictState("demo")
    for event in history.events:
        whole.apply(event)
    expected = next(row for row in whole.settle().rows if row[1] == "old")
    assert state.settle().rows == [expected]


def test_rows_of_an_earlier_configuration_are_found_slice_by_slice(store: Store) -> None:
    history = lived(store)
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-06"]}}
    event = history.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-10-06 12:00")
    land(store, [event], facts=False)
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    assert state.departed.swept_to == ""
    below = row_version(2, 0)
    assert state.oldest_version == below
    everyone = ["new", "old", "older", "parted", "parted~2", "waits"]
    assert store.reader.outdated("demo", below, "", 10) == everyone
    assert store.reader.outdated("demo", below, "old", 2) == ["older", "parted"]
    assert store.reader.outdated("demo", row_version(1, 0), "", 10) == []
    state.recall(everyone)
    assert state.returning == ["old", "older"]


def test_a_district_of_which_nothing_stands_still_knows_who_left(store: Store) -> None:
    history = History()
    answered(history, "old", "2026-01-06")
    land(store, history.events)
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    assert (state.conversations, "old" in state.departed) == ({}, True)


def test_a_merge_into_something_unknown_is_known_after_a_restart(store: Store) -> None:
    history = History()
    history.configured(district())
    answered(history, "y", "2026-01-06")
    history.add("merge", "2026-01-06 12:00", "y", into="x")
    land(store, history.events)
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    state.apply(history.add("inquiry", "2026-01-06 08:00", "x"))
    assert state.returning == []
    whole = DistrictState("demo")
    for event in history.events:
        whole.apply(event)
    assert state.settle().rows == whole.settle().rows


def test_what_was_published_of_ratings_stays_published_after_a_restart(store: Store) -> None:
    lived(store)
    twenty = (0, 0, 0, 0, 0, 0, 0, 20, 0, 0)
    row = rolling("demo", "demo", SINCE)._replace(window="28d", ratings=twenty, changes=3)
    store.sink.land(Landing(0, rolling=[row._replace(published_at=SINCE - 60_000, published_ratings=twenty)]))
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    late = row._replace(at=SINCE + 60_000, ratings=(1, *twenty[1:]))
    (published,) = state.rolling.publishing.publish([late])
    assert (published.published_at, published.published_ratings, published.changes) == (SINCE - 60_000, twenty, 4)


def test_alerts_of_what_left_are_read_back_with_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.recovery.FEW", 0)
    history = History()
    history.configured(district(promises=PROMISES))
    for name in ("old", "older", "lately"):
        answered(history, name, "2026-01-05", reply=False)
        history.add("reply", "2026-01-05 16:00", name)
        history.add("status_changed", "2026-01-05 16:00", name, status="resolved")
    state = land(store, history.events)
    told = state.alerts.advance(ms("2026-01-07 00:00"))
    lately = [one._replace(at=NOW, transition="corrected") for one in told if one.conversation == "lately"][:1]
    store.sink.land(Landing(0, alerts=[*told, *lately]))
    assert [one[:2] for one in store.reader.alerted(["demo"], NOW)] == [("demo", n) for n in ("lately", "old", "older")]
    assert [bool(one[2]) for one in store.reader.alerted(["demo"], NOW)] == [True, False, False]
    assert sorted(store.reader.alerts_of("demo", ["old", "unknown"])) == [o for o in sorted(told) if o[6] == "old"]
    state = recover([NUMBER], 16, store.reader, NOW).states[NUMBER]["demo"]
    late = history.add("reply", "2026-01-05 09:30", "old")
    done = history.add("status_changed", "2026-01-05 09:30", "old", status="resolved")
    for event in (late, done):
        state.apply(event)
    log = Log(lambda: store.reader)
    state.restore("old", log.histories("demo", ["old"])["old"], log.said("demo", ["old"])["old"])
    state.settle()
    made = state.alerts.advance(NOW)
    assert {(one.conversation, one.revision, one.transition) for one in made} == {("old", 0, "corrected")}
    assert state.alerts.advance(NOW + 1) == []
