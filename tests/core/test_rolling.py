"""Rolling windows: equal to a naive count whatever was replaced before, parents are sums, boundaries are half-open."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.facts import NAMES, Row
from schemas.rolling import ALL_WINDOWS, PILLARS, ROLLING, WINDOWS, RollingRow
from schemas.vocabulary import UNROUTED
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.district import DistrictState
from streams.core.histogram import Histogram
from streams.core.rolling import Rolling
from streams.core.windows import HORIZON_MS
from tests.core.rolling_rows import Naive, school_days_ago
from tests.golden import History, district, ms

NOW_MS = ms("2026-10-06 10:00")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
CONFIGURATION = Configuration("demo", [ConfigurationEvent(1, 0, "c", district())])
UNITS = st.sampled_from(["a", "a1", "b", "line", "demo", UNROUTED, "gone"])
STARTS = [NOW_MS - length for length in WINDOWS.values()]
STARTS += [school_days_ago(7, NOW_MS, unit, CONFIGURATION) for unit in ("demo", "line")]
# Windows' boundaries and their neighbours, and anything within the horizon.
INSTANTS = st.one_of(
    st.sampled_from([end + step for end in (NOW_MS, *STARTS) for step in (-1, 0, 1)]),
    st.integers(NOW_MS - HORIZON_MS, NOW_MS + HOUR_MS),
)
LENGTHS = st.one_of(st.integers(0, 200), st.integers(0, 10**9))


def _group(name: str, entries: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    columns = [column for column in NAMES if column.startswith(f"{name}.")]
    return {column: tuple(entry.get(column.partition(".")[2]) for entry in entries) for column in columns}


def _wait(draw: st.DrawFn) -> dict[str, Any]:
    opened_ms, length_ms = draw(INSTANTS), draw(LENGTHS)
    outcome = draw(st.sampled_from(["open", "answered", "answered", "resolved_no_reply", "withdrawn", "unreachable"]))
    ended = outcome not in ("open", "unreachable")
    return {
        "unit": draw(UNITS),
        "opened_at": opened_ms,
        "ended_at": opened_ms + length_ms if ended else None,
        "wait_ms": length_ms if ended else None,
        "business_ms": draw(LENGTHS) if ended else None,
        "school_day_at": draw(st.none() | st.just(opened_ms + length_ms) | INSTANTS),
        "outcome": outcome,
        "live": draw(st.integers(0, 1)) if outcome == "answered" else 0,
    }


def _rating(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "unit": draw(UNITS),
        "rated_at": draw(INSTANTS),
        "score": draw(st.integers(1, 10)),
        "late": draw(st.sampled_from([0, 0, 1])),
        **{pillar: draw(st.none() | st.integers(1, 10)) for pillar in PILLARS},
    }


def _transfer(draw: st.DrawFn) -> dict[str, Any]:
    return {"at": draw(INSTANTS), "unit": draw(UNITS), "bounce": draw(st.integers(0, 1))}


def _verdict(draw: st.DrawFn) -> dict[str, Any]:
    due_ms = draw(st.none() | INSTANTS)
    breach_ms = None if due_ms is None else draw(st.none() | st.just(due_ms + draw(LENGTHS)) | st.just(NOW_MS))
    return {
        "unit": draw(UNITS),
        "due_at": due_ms,
        "breach_at": breach_ms,
        "outcome": draw(st.sampled_from(["met", "missed", "cancelled", "open", "open"])),
    }


@st.composite
def facts(draw: st.DrawFn) -> Row:
    """A row of facts with what the windows read, of any age."""
    answered = draw(st.booleans())
    fact: dict[str, Any] = {
        "district": "demo",
        "retracted": draw(st.sampled_from([0, 0, 0, 1])),
        "linked": draw(st.sampled_from([1, 1, 1, 0])),
        "inquiries": draw(st.integers(0, 1)),
        "opened_by": draw(st.sampled_from(["customer", "customer", "staff"])),
        "contact": draw(st.sampled_from(["message", "message", "answered_live"])),
        "channel": draw(st.sampled_from(["email", "phone", "in_person", ""])),
        "topic": draw(st.sampled_from(["", "bus-late", "enrolment"])),
        "stakeholder": draw(st.sampled_from(["parent", "staff", "unknown"])),
        "unit": draw(UNITS),
        "opened_at": draw(INSTANTS),
        "first_response_at": draw(INSTANTS) if answered else None,
        "first_response_ms": draw(LENGTHS) if answered else None,
        "first_response_business_ms": draw(LENGTHS) if answered else None,
        "first_response_unit": draw(UNITS) if answered else "",
    }
    for name, make in (("waits", _wait), ("ratings", _rating), ("verdicts", _verdict), ("transfers", _transfer)):
        fact |= _group(name, [make(draw) for _ in range(draw(st.integers(0, 3)))])
    return tuple(fact.get(name) for name in NAMES)


STEPS = st.lists(st.tuples(st.sampled_from("uvwxyz"), st.none() | facts(), st.booleans()), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_rows_are_what_a_naive_count_gives_whatever_was_replaced(steps: list[tuple[str, Row | None, bool]]) -> None:
    rolling, current = Rolling("demo"), dict[str, Row]()
    for conversation, row, look in steps:
        if row is None:
            rolling.remove(conversation)
            current.pop(conversation, None)
        else:
            rolling.replace(conversation, row)
            current[conversation] = row
        if look:
            rolling.rows(NOW_MS - MINUTE_MS, CONFIGURATION)
    naive, made = Naive(current.values(), CONFIGURATION, NOW_MS), rolling.minute(NOW_MS, CONFIGURATION)
    assert sorted(made.rows()) == sorted(naive.rows())
    assert sorted(made.slices()) == sorted(naive.slices())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(facts(), facts(), facts())
def test_a_minute_that_was_taken_stays_what_it_was(before: Row, after: Row, other: Row) -> None:
    rolling = Rolling("demo")
    rolling.replace("u", before)
    taken, expected = rolling.minute(NOW_MS, CONFIGURATION), rolling.rows(NOW_MS, CONFIGURATION)
    rolling.replace("u", after)
    rolling.replace("v", other)
    assert taken.rows() == expected


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(facts(), max_size=6), st.sampled_from([1, 20, 100]))
def test_facets_in_pieces_give_the_same_rows(rows: list[Row], most: int) -> None:
    rolling = Rolling("demo")
    for number, row in enumerate(rows):
        rolling.replace(str(number), row)
    whole = rolling.minute(NOW_MS, CONFIGURATION)
    pieces = whole._replace(most_rows=most)
    assert sorted(pieces.rows()) == sorted(whole.rows())
    assert sorted(pieces.slices()) == sorted(whole.slices())


def _additive(row: RollingRow) -> tuple[int, ...]:
    names = [c.name for c in ROLLING if c.type in ("UInt32", "Int64")]
    return (*(getattr(row, name) for name in names), *row.ratings, *row.courtesy, *row.environment)


def _summed(rows: list[RollingRow]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*map(_additive, rows), strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(facts(), max_size=12))
def test_parents_and_all_channels_are_sums(rows: list[Row]) -> None:
    rolling = Rolling("demo")
    for number, row in enumerate(rows):
        rolling.replace(str(number), row)
    made = {(row.unit, row.channel, row.window): row for row in rolling.rows(NOW_MS, CONFIGURATION)}
    for window in ALL_WINDOWS:
        for unit in CONFIGURATION.units():
            by_channel = [row for key, row in made.items() if key[0] == unit and key[2] == window and key[1] != "all"]
            whole = made[unit, "all", window]
            if by_channel:
                assert _additive(whole) == _summed(by_channel)
            merged = Histogram()
            for row in by_channel:
                merged.merge(Histogram.stored(row.reply_buckets, row.reply_counts, row.reply_sum_ms))
            assert merged == Histogram.stored(whole.reply_buckets, whole.reply_counts, whole.reply_sum_ms)
        child, parent = made["a1", "all", window], made["a", "all", window]
        assert all(low <= high for low, high in zip(_additive(child), _additive(parent), strict=True))
        tops = [made[unit, "all", window] for unit in ("a", "b", "line", UNROUTED)]
        own = _own(rows, window)
        assert _additive(made["demo", "all", window]) == _summed([*tops, own])


def _own(rows: list[Row], window: str) -> RollingRow:
    """What the district itself holds, without its units: counted on a tree of the district alone."""
    naive = Naive(rows, _Alone("demo", [ConfigurationEvent(1, 0, "c", district())]), NOW_MS)
    return naive.row("demo", "all", window)


class _Alone(Configuration):
    """A tree without ways up."""

    def path(self, unit: str) -> tuple[str, ...]:
        return (unit,) if unit in self.units() else (UNROUTED,)


def test_nothing_still_gives_a_row_for_every_unit_and_window() -> None:
    rows = Rolling("demo").rows(NOW_MS, CONFIGURATION)
    assert [(row.unit, row.channel, row.window) for row in rows] == [
        (unit, "all", window) for unit in ("demo", "a", "a1", "b", "line", UNROUTED) for window in ALL_WINDOWS
    ]
    assert set(map(_additive, rows)) == {(0,) * len(_additive(rows[0]))}


def settled(history: History) -> DistrictState:
    """The district after these events."""
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    state.settle()
    return state


def looked_up(state: DistrictState, now: str, unit: str = "demo", channel: str = "all") -> dict[str, RollingRow]:
    """The rows of a unit and channel by window."""
    rows = state.rolling.rows(ms(now), state.configuration)
    return {row.window: row for row in rows if (row.unit, row.channel) == (unit, channel)}


def test_a_late_event_changes_every_window_it_belongs_to() -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-05 09:00", unit="a1")
    state = settled(history)
    before = looked_up(state, "2026-10-06 10:00", "a")
    assert {window: (row.open_waits, row.inquiries) for window, row in before.items()} == {
        "1h": (1, 0),
        "24h": (1, 0),
        "7d": (1, 1),
        "28d": (1, 1),
        "7sd": (1, 1),
    }
    assert {row.oldest_open_at for row in before.values()} == {ms("2026-10-05 09:00")}
    state.apply(history.add("reply", "2026-10-05 11:00"))
    state.settle()
    after = looked_up(state, "2026-10-06 10:00", "a")
    assert [row.reply_sum_ms for row in after.values()] == [0, *[2 * HOUR_MS] * 4]
    assert {row.open_waits for row in after.values()} == {0}
    assert {row.oldest_open_at for row in after.values()} == {None}


def test_spam_leaves_the_windows_and_comes_back() -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 09:30")
    state = settled(history)
    counted = []
    for kind in ("spam", "not_spam"):
        state.apply(history.add(kind, "2026-10-06 09:40" if kind == "spam" else "2026-10-06 09:50"))
        state.settle()
        row = looked_up(state, "2026-10-06 10:00")["1h"]
        counted.append((len(state.rolling), row.inquiries, row.open_waits))
    assert counted == [(0, 0, 0), (1, 1, 1)]


def test_a_running_promise_is_pending_until_its_last_instant_has_passed() -> None:
    history = History()
    history.configured(district(promises=[{"promise": "first", "clock": "first_reply", "target": "2h"}]))
    history.add("inquiry", "2026-10-06 14:00")
    state = settled(history)
    seen = []
    # Due at closing time, broken only when the office opens again.
    for now in ("2026-10-06 16:00", "2026-10-06 16:01", "2026-10-07 07:30", "2026-10-07 07:31"):
        row = looked_up(state, now)["24h"]
        seen.append((row.promises_met, row.promises_missed, row.promises_pending))
    assert seen == [(0, 0, 0), (0, 0, 1), (0, 0, 1), (0, 1, 0)]


def test_what_is_older_than_the_horizon_is_forgotten_unless_it_is_open() -> None:
    history = History()
    history.configured(district())
    for conversation in ("closed", "open"):
        history.add("inquiry", "2026-08-03 09:00", conversation)
    history.add("reply", "2026-08-03 10:00", "closed")
    state = settled(history)
    assert len(state.rolling) == 2
    assert looked_up(state, "2026-10-06 10:00")["28d"].open_waits == 1
    assert len(state.rolling) == 1


def test_a_conversation_that_lost_all_its_events_leaves_the_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 09:30")
    state = settled(history)
    assert len(state.rolling) == 1

    def broken(*_: object) -> Row:
        raise ZeroDivisionError

    monkeypatch.setattr("streams.core.together.fold", broken)
    state.touch(["c1"])
    assert len(state.settle().culprits) == 1
    assert len(state.rolling) == 0


def test_a_conversation_that_cannot_be_filled_is_left_to_the_next_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 09:30")
    state = settled(history)

    def broken(*_: object) -> Row:
        raise ZeroDivisionError

    monkeypatch.setattr("streams.core.together.fold", broken)
    state.refill()
    assert state.refold(1).rows == []
    assert state.changed == 1


def test_a_recovered_district_is_filled_again() -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 09:00")
    history.add("reply", "2026-10-06 09:30")
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    state.clean()
    assert len(state.rolling) == 0
    state.refill()
    assert state.settle().rows == []
    assert state.changed == 0
    assert state.rolling.rows(NOW_MS, state.configuration) == settled(history).rolling.rows(NOW_MS, state.configuration)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_holds_its_start_and_not_its_end(window: str) -> None:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 09:00")
    state, at_ms = settled(history), ms("2026-10-06 09:00")
    seen = []
    for now_ms in (at_ms, at_ms + 1, at_ms + WINDOWS[window], at_ms + WINDOWS[window] + 1):
        rows = state.rolling.rows(now_ms, state.configuration)
        seen.append([row.inquiries for row in rows if (row.unit, row.channel, row.window) == ("a", "all", window)])
    assert seen == [[0], [1], [1], [0]]
