"""What lands beside the facts, on the real engine: the audit finds every value that was changed, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from schemas.events import Event
from schemas.facts import DEFINITION_VERSION
from schemas.incidents import incident_key
from schemas.settings import Settings
from sinks.tables import TABLES
from streams.audit.audit import audit
from streams.audit.findings import Findings
from streams.audit.sources import Sources
from tests.golden import History, district, ms
from tests.landed import LandingLog
from tests.reference.histories import histories
from tests.sinks.test_audit import COMPARED, payload

Ask = Callable[..., list[tuple[Any, ...]]]
MINUTE_MS = 60_000
INSTANT = "%Y-%m-%d %H:%M:%S.%f"
HOUR_MS = 60 * MINUTE_MS
TABLE = {table.name: table for table in TABLES}
PROMISES = [{"promise": "an-hour", "clock": "first_reply", "target": "60m"}]
SURGE = 25


class Day:
    """A district that lands by a clock of its own, and is audited by it."""

    def __init__(self, settings: Settings, began_ms: int) -> None:
        self.now_ms = began_ms
        self.log = LandingLog(settings, lambda: self.now_ms)
        self._sources = Sources.of(settings)._replace(now_ms=lambda: self.now_ms)

    def land(self, *events: Event) -> None:
        """Land these, a few seconds later than what landed before."""
        for event in events:
            self.log.take(payload(event))
        self.now_ms += 7_000
        self.log.land(with_erasures=True)

    def audited(self, **more: Any) -> Findings:
        return audit([], self._sources._replace(**more), lambda *_: None, 0.0, 1_000)

    def close(self) -> None:
        self.log.close()


@pytest.fixture
def history() -> History:
    made = History()
    made.configured(district(promises=PROMISES))
    return made


@pytest.fixture
def day(clickhouse: Settings, history: History) -> Iterator[Day]:
    """A morning: what is answered, what waits for too long, ratings, hand-offs, and a surge."""
    with closing(Day(clickhouse, ms("2026-10-06 08:00"))) as made:
        made.land(*history.events)
        for hour in range(8, 11):
            made.now_ms = ms(f"2026-10-06 {hour:02}:50")
            name = f"c{hour}"
            made.land(history.add("inquiry", f"2026-10-06 {hour:02}:10", name, topic="bus", channel="email"))
            made.now_ms += 5 * MINUTE_MS
            made.land(
                history.add("reply", f"2026-10-06 {hour:02}:40", name),
                history.add("transfer", f"2026-10-06 {hour:02}:45", name, unit="b", event_id=f"to-{hour}"),
                history.add("rating", f"2026-10-06 {hour:02}:50", name, score=hour % 10 + 1),
                history.add("inquiry", f"2026-10-06 {hour:02}:20", f"w{hour}", topic="grades", channel="phone"),
            )
        rush = [history.add("inquiry", f"2026-10-06 13:{at // 5:02}", f"r{at}", topic="heat") for at in range(SURGE)]
        made.now_ms = ms("2026-10-06 13:30")
        made.land(*rush)
        made.now_ms = ms("2026-10-06 14:00")
        made.land()
        made.log.catch_up_days()
        made.now_ms += HOUR_MS
        made.land()
        yield made


def wrong(found: Findings) -> set[tuple[str, str, str]]:
    return {(each.kind, each.table, each.column.partition("[")[0]) for each in found.differences}


def test_a_day_that_nobody_touched_is_what_its_events_give(day: Day) -> None:
    found = day.audited()
    assert found.differences == []
    assert found.rows.keys() == {*COMPARED, "incidents"}
    assert min(found.rows.values()) >= 1
    assert (found.days_aside, found.minutes_aside) == (0, 0)


def other(column: str, kind: str) -> str:
    """An expression for another value of a column."""
    if kind.startswith("Array"):
        return f"arrayPushBack(`{column}`, {'{}'.format(repr('x')) if 'String' in kind else '1'})"
    if "DateTime64" in kind:
        return f"ifNull(`{column}`, toDateTime64(0, 3, 'UTC')) + toIntervalMinute(1)"
    return f"concat(`{column}`, 'x')" if "String" in kind else f"ifNull(`{column}`, 0) + 1"


class Hand:
    """Changes values in place: the row is written once more, and on a tie the last one counts."""

    def __init__(self, query: Ask) -> None:
        self._query = query

    def keys(self, table: str, condition: str = "1") -> list[tuple[Any, ...]]:
        names = ", ".join(TABLE[table].order_by)
        return self._query(f"SELECT {names} FROM {table} FINAL WHERE {condition} ORDER BY {names}")

    def change(self, table: str, key: tuple[Any, ...], column: str, value: str) -> None:
        where = " AND ".join(f"`{name}` = %(k{place})s" for place, name in enumerate(TABLE[table].order_by))
        names = ", ".join(f"`{name}`" for name in TABLE[table].names)
        values = ", ".join(value if name == column else f"`{name}`" for name in TABLE[table].names)
        # As a text, as columns read it: the driver would write an instant in the server's time zone.
        asked = {
            f"k{place}": f"{part:{INSTANT}}" if isinstance(part, datetime) else part for place, part in enumerate(key)
        }
        self._query(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} FINAL WHERE {where}", asked)

    def delete(self, table: str, condition: str) -> None:
        self._query(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2")


@pytest.fixture
def hand(query: Ask) -> Hand:
    return Hand(query)


COMPARED_OF_ALERTS = ("at", "unit", "owner", "promise", "started_at", "due_at", "breach_at", "ended_at", "critical")
COMPARED_OF_INCIDENTS = ("metric", "about", "unit", "window_ms", "began_at")
# What is compared of each table: of alerts a step that stands, of windows the newest minute, of versions the newest.
STANDING = {
    "alerts": "transition = 'breached'",
    "incidents": "transition = 'opened'",
    "rolling": "at = (SELECT max(at) FROM rolling)",
    "rolling_slices": "at = (SELECT max(at) FROM rolling)",
    "conversation_versions": "(conversation, version) IN (SELECT conversation, version FROM conversations FINAL)",
}
EVERY = (*COMPARED, "incidents")
UNCOMPARED = {"landed_at", "earliest", "rebuilt_at"}


def columns(table: str) -> list[tuple[str, str]]:
    """The columns of a table that say something, but for its key; those of one nested group have to be equally long."""
    made = TABLE[table]
    chosen = {"alerts": COMPARED_OF_ALERTS, "incidents": COMPARED_OF_INCIDENTS}.get(table)
    found = [
        (column.name, column.type)
        for column in made.columns
        if column.name not in UNCOMPARED | {*made.order_by, made.replaced_by}
        and "." not in column.name
        and (chosen is None or column.name in chosen)
    ]
    # A row that says that there is none hides what else is wrong with it.
    return sorted(found, key=lambda each: each[0] == "retracted")


def test_any_value_that_somebody_changed_is_found_in_its_table(day: Day, hand: Hand) -> None:
    keys = {table: hand.keys(table, STANDING.get(table, "1")) for table in EVERY}
    left = {table: columns(table) for table in EVERY}
    assert all(keys.values())
    while any(left.values()):
        some = {table: left[table][: len(keys[table])] for table in EVERY}
        left = {table: left[table][len(keys[table]) :] for table in EVERY}
        for table in EVERY:
            for key, (column, kind) in zip(keys[table], some[table], strict=False):
                hand.change(table, key, column, other(column, kind))
        found = {(each.table, each.column.partition("[")[0]) for each in day.audited().differences}
        # All that an incident is about is in its key.
        wanted = {(table, "key" if table == "incidents" else column) for table in EVERY for column, _ in some[table]}
        assert wanted - found == set()


def test_alerts_that_are_said_of_something_else_are_found(day: Day, hand: Hand) -> None:
    changed = ["conversation", "clock", "opened_by_event", "kind"]
    keys = hand.keys("alerts", STANDING["alerts"])
    for key, column in zip(keys, changed, strict=False):
        hand.change("alerts", key, column, f"concat(`{column}`, 'x')")
    found = day.audited()
    assert {table for _, table, _ in wrong(found)} == {"alerts"}
    assert found.different >= len(changed)


def test_rows_that_somebody_deleted_are_missing(day: Day, hand: Hand) -> None:
    newest = "(conversation, version) IN (SELECT conversation, version FROM conversations WHERE conversation = 'c8')"
    deleted = [
        ("alerts", "transition = 'breached'", "missing"),
        ("alerts", "transition = 'at_risk' AND conversation = 'w10'", "missing"),
        ("conversation_versions", "conversation = 'c9'", "missing"),
        ("conversation_versions", newest, "behind"),
        ("daily_cells", "unit = 'a'", "missing"),
        ("districts", "1", "missing"),
        ("incidents", "transition = 'opened'", "missing"),
        ("rolling", "unit = 'a' AND at = (SELECT max(at) FROM rolling)", "missing"),
        ("rolling", "unit = 'demo' AND at = (SELECT max(at) FROM rolling)", "missing"),
        ("rolling_slices", "dimension = 'topic' AND at = (SELECT max(at) FROM rolling)", "missing"),
    ]
    for table, condition, _ in deleted:
        assert hand.keys(table, condition)
        hand.delete(table, condition)
    found = day.audited()
    assert {(kind, table) for kind, table, _ in wrong(found)} == {(kind, table) for table, _, kind in deleted}
    told = [each.name for each in found.differences if each.table == "alerts"]
    assert "w10 first_reply at_risk" in told


def test_rows_that_somebody_invented_are_extra(day: Day, hand: Hand) -> None:
    invented = [
        *(("alerts", "conversation"), ("conversation_versions", "conversation"), ("daily_cells", "unit")),
        *(("districts", "event_id"), ("rolling", "unit"), ("rolling_slices", "value")),
    ]
    for table, column in invented:
        hand.change(table, hand.keys(table, STANDING.get(table, "1"))[-1], column, f"concat(`{column}`, 'x')")
    extra = {table for kind, table, _ in wrong(day.audited()) if kind == "extra"}
    # A version lands in the facts as well.
    assert extra == {table for table, _ in invented} | {"conversations"}


def test_a_district_that_nobody_told_of_is_found(day: Day, hand: Hand) -> None:
    hand.change("units", hand.keys("units")[0], "district", "'ghostville'")
    assert [(each.kind, each.district) for each in day.audited().differences] == [("extra", "ghostville")]


def test_an_incident_that_somebody_invented_is_extra(day: Day, hand: Hand, query: Ask) -> None:
    (key,) = hand.keys("incidents", "transition = 'opened'")
    ((began_ms, window_ms),) = query("SELECT toUnixTimestamp64Milli(began_at), window_ms FROM incidents LIMIT 1")
    other_key = incident_key("demo", ("b", "inquiries", "heat"), window_ms, began_ms)
    hand.change("incidents", key, "key", f"'{other_key}'")
    invented = ("demo", other_key, *key[2:])
    hand.change("incidents", invented, "unit", "'b'")
    assert wrong(day.audited()) == {("extra", "incidents", "")}


def test_what_comes_late_leaves_what_was_known_as_it_was(day: Day, history: History, query: Ask) -> None:
    minute = query("SELECT max(at) FROM rolling")
    day.land(
        history.add("reply", "2026-10-06 08:30", "w8", event_id="late"),
        history.add("spam", "2026-10-06 09:00", "c9", event_id="not-meant"),
        history.add("merge", "2026-10-06 14:30", "w10", into="w9", event_id="one"),
    )
    assert query("SELECT max(at) FROM rolling") == minute
    found = day.audited()
    assert (found.differences, found.days_aside, found.minutes_aside) == ([], 0, 0)
    day.now_ms += 2 * HOUR_MS
    day.land()
    day.log.catch_up_days()
    assert day.audited().differences == []
    assert query("SELECT count() FROM alerts WHERE transition = 'corrected'")[0][0] > 0


def test_cells_are_held_against_what_had_landed_when_they_were_made(day: Day, history: History, hand: Hand) -> None:
    day.land(*(history.add("reply", "2026-10-06 14:30", f"r{at}", event_id=f"at-last-{at}") for at in range(SURGE)))
    assert day.audited().differences == []
    key = hand.keys("daily_cells", "inquiries > 0 AND day = '2026-10-06'")[0]
    hand.change("daily_cells", key, "waits_ended", "waits_ended + 1000")
    assert wrong(day.audited()) == {("mismatch", "daily_cells", "waits_ended")}
    day.log.catch_up_days()
    assert day.audited().differences == []


def test_cells_made_in_many_pieces_are_compared_and_without_a_mark_none_is(day: Day, hand: Hand, query: Ask) -> None:
    names = ", ".join(f"`{name}`" for name in TABLE["daily_cells"].names)
    spread = names.replace("`rebuilt_at`", "rebuilt_at + toIntervalMillisecond(rowNumberInAllBlocks() + 1)")
    query(f"INSERT INTO daily_cells ({names}) SELECT {spread} FROM daily_cells FINAL")
    assert (day.audited().differences, day.audited().days_aside) == ([], 0)
    hand.change("daily_cells", hand.keys("daily_cells")[-1], "handoffs", "handoffs + 1000")
    assert wrong(day.audited()) == {("mismatch", "daily_cells", "handoffs")}
    hand.delete("daily_marks", "1")
    found = day.audited()
    assert (found.differences, found.days_aside > 0) == ([], True)


def test_cells_of_days_that_retention_may_have_removed_are_left_aside(day: Day, hand: Hand) -> None:
    hand.delete("daily_cells", "1")
    assert wrong(day.audited()) == {("missing", "daily_cells", "")}
    found = day.audited(facts_ms=0)
    assert (found.differences, found.days_aside > 0) == ([], True)


def test_cells_are_held_against_the_calendars_they_were_made_by(day: Day, history: History, hand: Hand) -> None:
    calendars = district().model_dump(mode="json")["calendars"]
    calendars["office"]["time_zone"] = "Pacific/Auckland"
    day.land(history.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-10-06 14:55"))
    found = day.audited()
    assert (found.differences, found.days_aside) == ([], 0)
    hand.change("daily_cells", hand.keys("daily_cells", "inquiries > 0")[0], "inquiries", "inquiries + 1")
    assert wrong(day.audited()) == {("mismatch", "daily_cells", "inquiries")}
    day.log.catch_up_days()
    assert day.audited().differences == []


def test_a_minute_of_a_clock_that_went_back_is_left_aside(day: Day, history: History) -> None:
    day.now_ms += 2 * HOUR_MS
    day.land(history.add("inquiry", "2026-10-06 14:50", "ahead"))
    day.now_ms -= 2 * HOUR_MS - 90_000
    day.land(history.add("inquiry", "2026-10-06 14:40", "behind"))
    found = day.audited()
    assert found.minutes_aside > 0
    assert not any(each.table.startswith("rolling") for each in found.differences)


def of_another_definition(query: Ask) -> None:
    names = ", ".join(f"`{name}`" for name in TABLE["conversation_versions"].names)
    values = names.replace("`definition_version`", str(DEFINITION_VERSION - 1)).replace("`version`", "toUInt64(1)", 1)
    values = values.replace("`landed_at`", "(SELECT max(landed_at) FROM rolling)")
    query(f"INSERT INTO conversation_versions ({names}) SELECT {values} FROM conversation_versions LIMIT 1")


def landed_again(query: Ask) -> None:
    query(
        "INSERT INTO replays (replay, part, started_at, noted_at) "
        "SELECT 'definition 1, source kafka cx.events', '', max(landed_at), max(landed_at) FROM rolling"
    )


@pytest.mark.parametrize("what", [of_another_definition, landed_again])
def test_minutes_are_compared_as_far_as_it_can_be_told_what_was_known(
    what: Callable[[Ask], None], day: Day, hand: Hand, query: Ask
) -> None:
    hand.change("rolling", hand.keys("rolling", STANDING["rolling"])[0], "inquiries", "inquiries + 1")
    assert wrong(day.audited()) == {("mismatch", "rolling", "inquiries")}
    what(query)
    found = day.audited()
    assert (found.differences, found.minutes_aside > 0) == ([], True)
    assert "rolling" not in found.rows
    day.now_ms += HOUR_MS
    day.land()
    found = day.audited()
    assert (found.differences, found.rows["rolling"] > 0) == ([], True)


@tuned(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=histories(), data=st.data())
def test_whatever_landed_in_whatever_pieces_is_what_its_events_give(
    clickhouse: Settings, query: Ask, events: list[Event], data: st.DataObject
) -> None:
    for table in TABLE:
        query(f"TRUNCATE TABLE {table}")
    order = data.draw(st.permutations(events))
    instants = sorted(int(event.received_at.timestamp() * 1000) for event in events)
    with closing(Day(clickhouse, data.draw(st.sampled_from(instants)))) as day:
        while order:
            size = data.draw(st.integers(1, len(order)))
            day.now_ms += data.draw(st.sampled_from([MINUTE_MS, HOUR_MS, 50 * HOUR_MS]))
            day.land(*order[:size])
            order = order[size:]
            if data.draw(st.booleans()):
                day.log.catch_up_days()
        found = day.audited()
        assert (found.differences, found.minutes_aside) == ([], 0)
