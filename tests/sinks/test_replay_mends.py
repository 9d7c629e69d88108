"""What `./cx replay` mends beside `conversations`: whatever the audit names of versions and configurations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import count
from typing import Any

import pytest

from schemas.facts import Row
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.reading import ClickHouseReader
from sinks.replays import Replays, Span
from streams.replaying import Journal, Replayed, Tools, replay
from tests.golden import district
from tests.landed import LandingLog
from tests.sinks.racing import Racing
from tests.sinks.test_audit import LANDED_TOGETHER, NOW_MS, PROMISES, audited, lived, payload
from tests.sinks.test_replay import Cut, Failing

Ask = Callable[..., list[tuple[Any, ...]]]
FACTS = ("conversations", "conversation_versions")
MENDED = (*FACTS, "districts", "units")


class Lived:
    """The district as a worker landed it bit by bit, under two configurations; its replays go by the same clock."""

    def __init__(self, settings: Settings) -> None:
        self._now_ms = partial(next, count(NOW_MS, 1_200_000))
        self._settings = settings
        self.log = LandingLog(settings, self._now_ms)

    def replayed(
        self,
        store: Replays | None = None,
        sink: ClickHouseSink | None = None,
        reader: ClickHouseReader | None = None,
    ) -> Replayed:
        """A replay of everything."""
        with ExitStack() as held:
            tools = Tools(
                held.enter_context(closing(reader or ClickHouseReader(self._settings))),
                held.enter_context(closing(store or Replays(self._settings))),
                held.enter_context(closing(sink or ClickHouseSink(self._settings))),
                self._now_ms,
            )
            return replay([], Span(), tools, Journal("test", tools), lambda *_: None)

    def close(self) -> None:
        self.log.close()


@pytest.fixture
def demo(clickhouse: Settings) -> Iterator[Lived]:
    history = lived()
    history.configured(district(promises=PROMISES, revision=2), "2026-10-08 10:00")
    with closing(Lived(clickhouse)) as made:
        for number, event in enumerate(history.events):
            made.log.take(payload(event))
            if number % LANDED_TOGETHER == 0:
                made.log.land(with_erasures=True)
        made.log.land(with_erasures=True)
        made.log.catch_up_days()
        yield made


def wrong(settings: Settings) -> set[tuple[str, str, str]]:
    """What the audit finds: kind, table and whose row it is."""
    return {(each.kind, each.table, each.name) for each in audited(settings).differences}


def altered(query: Ask, table: str, values: str, condition: str) -> None:
    """Change rows as a hand does."""
    assert query(f"SELECT count() FROM {table} WHERE {condition}") != [(0,)]
    query(f"ALTER TABLE {table} UPDATE {values} WHERE {condition} SETTINGS mutations_sync = 2")


def deleted(query: Ask, table: str, condition: str) -> None:
    """Delete rows for good."""
    assert query(f"SELECT count() FROM {table} WHERE {condition}") != [(0,)]
    query(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2")


def newest(name: str) -> str:
    """A condition for the newest version of a conversation."""
    versions = f"SELECT max(version) FROM conversation_versions WHERE conversation = '{name}'"
    return f"conversation = '{name}' AND version = ({versions})"


def landings(query: Ask) -> list[tuple[Any, ...]]:
    """Every version and configuration with when it landed."""
    return [
        *query("SELECT conversation, version, landed_at, earliest FROM conversation_versions FINAL ORDER BY ALL"),
        *query("SELECT event_id, digest, landed_at, earliest FROM districts FINAL ORDER BY ALL"),
    ]


def is_mended(settings: Settings, demo: Lived, query: Ask) -> bool:
    """Whether the audit finds nothing, also after every merge, and a replay would land nothing."""
    assert wrong(settings) == set()
    for table in MENDED:
        query(f"OPTIMIZE TABLE {table} FINAL")
    found = demo.replayed()
    return (found.landed, found.configurations, found.units) == (0, 0, 0) and not wrong(settings)


@pytest.mark.parametrize("tables", [FACTS, FACTS[1:], FACTS[:1]])
def test_a_wrong_value_gives_way_in_every_table_and_stays_known_since_it_landed(
    tables: tuple[str, ...], clickhouse: Settings, demo: Lived, query: Ask
) -> None:
    before = landings(query)
    for table in tables:
        altered(query, table, "inquiries = 77, `waits.unit` = arrayMap(x -> 'b', `waits.unit`)", newest("answered"))
    assert wrong(clickhouse) == {("mismatch", table, "answered") for table in tables}
    found = demo.replayed()
    assert (found.landed, found.incomplete) == (1, 0)
    assert is_mended(clickhouse, demo, query)
    assert landings(query) == before
    ((first,),) = query(f"SELECT landed_at FROM conversation_versions FINAL WHERE {newest('answered')}")
    known = "SELECT inquiries FROM conversations_as_known(at = %(at)s) WHERE conversation = 'answered'"
    assert query(known, {"at": first.isoformat(" ", "milliseconds").removesuffix("+00:00")}) == [(1,)]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_deleted_version_lands_again_as_known_since_then(
    earlier: bool, clickhouse: Settings, demo: Lived, query: Ask
) -> None:
    facts = query("SELECT conversation, version FROM conversations FINAL")
    left = [row for row in landings(query) if not earlier or row[0] != "spam" or row[:2] in facts]
    assert (left == landings(query)) is not earlier
    deleted(query, "conversation_versions", "conversation = 'spam'" if earlier else newest("spam"))
    deleted(query, "conversation_versions", newest("answered"))
    assert {name for _, table, name in wrong(clickhouse) if table == FACTS[1]} >= {"answered"}
    assert demo.replayed().landed == 2
    assert is_mended(clickhouse, demo, query)
    assert landings(query) == left


def test_what_is_left_of_neither_table_lands_as_new(clickhouse: Settings, demo: Lived, query: Ask) -> None:
    for table in FACTS:
        deleted(query, table, "conversation IN ('answered', 'x', 'parted~2')")
    assert demo.replayed().landed == 3
    demo.log.catch_up_days()
    assert is_mended(clickhouse, demo, query)


def test_a_part_that_is_none_any_more_is_retracted_again(clickhouse: Settings, demo: Lived, query: Ask) -> None:
    history = lived()
    second = query(
        "SELECT event_id FROM events FINAL WHERE conversation = 'parted' AND kind = 'inquiry' "
        "ORDER BY occurred_at DESC LIMIT 1"
    )[0][0]
    demo.log.take(payload(history.add("correction", "2026-06-02 10:02", "parted", needs_reply=False, corrects=second)))
    demo.log.land()
    demo.log.catch_up_days()
    assert query("SELECT retracted FROM conversations FINAL WHERE conversation = 'parted~2'") == [(1,)]
    assert wrong(clickhouse) == set()
    deleted(query, "conversation_versions", newest("parted~2"))
    assert wrong(clickhouse) == {("extra", "conversation_versions", "parted~2")}
    assert demo.replayed().landed == 1
    assert is_mended(clickhouse, demo, query)


def test_configurations_and_units_come_back_as_they_landed(clickhouse: Settings, demo: Lived, query: Ask) -> None:
    before = landings(query)
    altered(
        query,
        "districts",
        "document = '{}', received_at = received_at - 60000",
        "revision = 1",
    )
    deleted(query, "districts", "revision = 2")
    deleted(query, "units", "unit = 'a1'")
    assert {(kind, table) for kind, table, _ in wrong(clickhouse)} >= {
        ("missing", "districts"),
        ("mismatch", "districts"),
    }
    found = demo.replayed()
    assert (found.configurations, found.landed) == (2, 0)
    assert found.units > 0
    assert is_mended(clickhouse, demo, query)
    assert [row[:3] for row in landings(query)] == [row[:3] for row in before]


def test_versions_before_the_newest_and_rows_too_many_stay(clickhouse: Settings, demo: Lived, query: Ask) -> None:
    older = f"conversation = 'answered' AND NOT ({newest('answered')})"
    altered(query, "conversation_versions", "inquiries = 77", older)
    query("CREATE TABLE aside AS conversation_versions")
    chosen = f"(SELECT * FROM conversation_versions WHERE {newest('x')})"
    query(f"INSERT INTO aside SELECT * REPLACE ('invented' AS conversation) FROM {chosen}")
    query("ALTER TABLE conversation_versions ATTACH PARTITION ID 'all' FROM aside")
    query("DROP TABLE aside")
    assert wrong(clickhouse) == {("extra", "conversation_versions", "invented")}
    assert demo.replayed().landed == 0
    assert wrong(clickhouse) == {("extra", "conversation_versions", "invented")}
    deleted(query, "conversation_versions", "conversation = 'invented'")
    assert is_mended(clickhouse, demo, query)
    assert query(f"SELECT DISTINCT inquiries FROM conversation_versions WHERE {older}") == [(77,)]


def test_days_that_were_made_of_wrong_rows_are_made_anew(clickhouse: Settings, demo: Lived, query: Ask) -> None:
    for table in FACTS:
        altered(query, table, "inquiries = 0", newest("answered"))
    query("ALTER TABLE daily_marks DELETE WHERE 1 SETTINGS mutations_sync = 2")
    demo.log.catch_up_days()
    assert "daily_cells" in {table for _, table, _ in wrong(clickhouse)}
    demo.replayed()
    for table in FACTS:
        query(f"OPTIMIZE TABLE {table} FINAL")
    assert {table for _, table, _ in wrong(clickhouse)} == {"daily_cells"}
    demo.log.catch_up_days()
    assert wrong(clickhouse) == set()


class Torn(Replays):
    """The process ends before rows are mended, or right after."""

    def __init__(self, settings: Settings, after: bool) -> None:
        super().__init__(settings)
        self._after = after

    def mend(self, district: str, rows: Sequence[Row], at_ms: int) -> list[Row]:
        """As the real one, or not at all."""
        if self._after:
            super().mend(district, rows, at_ms)
        raise Cut


@pytest.mark.parametrize("place", ["before", "between", "landing"])
def test_cut_off_while_rows_are_mended_the_next_call_mends_the_rest(
    place: str, clickhouse: Settings, demo: Lived, query: Ask
) -> None:
    for table in FACTS:
        altered(query, table, "inquiries = 77", newest("answered"))
        deleted(query, table, "conversation = 'waits'")
    deleted(query, "conversation_versions", newest("parted~2"))
    names = {"answered", "waits", "parted~2"}
    store = None if place == "landing" else Torn(clickhouse, place == "between")
    with pytest.raises(Cut):
        demo.replayed(store, Failing(clickhouse, 0, Cut()) if place == "landing" else None)
    left = {name for _, table, name in wrong(clickhouse) if table in FACTS}
    assert left == (names if place == "before" else {"waits"})
    demo.replayed()
    demo.log.catch_up_days()
    assert is_mended(clickhouse, demo, query)


class Overtaken(Replays):
    """The stream lands something between the comparison and the mending."""

    def __init__(self, settings: Settings, land: list[Callable[[], None]]) -> None:
        super().__init__(settings)
        self._land = land

    def mend(self, district: str, rows: Sequence[Row], at_ms: int) -> list[Row]:
        """As of the real one."""
        while self._land:
            self._land.pop()()
        return super().mend(district, rows, at_ms)


@pytest.mark.parametrize("is_late", [False, True])
def test_what_the_stream_lands_meanwhile_stands(is_late: bool, clickhouse: Settings, demo: Lived, query: Ask) -> None:
    def run_on() -> None:
        demo.log.take(payload(lived().add("reply", "2026-10-06 11:00", "waits", event_id="late")))
        demo.log.land()

    for table in FACTS:
        altered(query, table, "inquiries = 77", newest("waits"))
    land = [run_on]
    store = Overtaken(clickhouse, land) if is_late else None
    found = demo.replayed(store, reader=None if is_late else Racing(clickhouse, land))
    assert not land
    assert found.incomplete == 0
    assert query("SELECT inquiries, extra_replies FROM conversations FINAL WHERE conversation = 'waits'") == [(1, 0)]
    demo.log.catch_up_days()
    assert is_mended(clickhouse, demo, query)
