"""`./cx retention` on the real engine: what is old leaves whole, the rest stays, and the audit finds no fault."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from deploy.cli.main import main
from deploy.cli.retention import cutoffs
from schemas.errors import UsageError
from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, RetiredRow
from sinks.retention import Cutoffs, Retention
from streams.replaying import Replayed
from streams.retaining import Retained, apply, foresee
from tests.golden import ms
from tests.landed import LandingLog
from tests.sinks.samples import dead_letter, incident, rolling, rolling_slice
from tests.sinks.test_audit import ALL, NOW_MS, PERSON, Hand, audited, lived, named, payload
from tests.sinks.test_replay import replayed

LATER_MS = NOW_MS + 40 * 86_400_000
NEVER = 0
# Of `lived`, what was touched last before this.
AGED = {"answered", "corrected", "spam", "x", "y", "erased"}
EVENTS_BEFORE = ms("2026-06-01 00:00")
ONLY_EVENTS = Cutoffs(EVENTS_BEFORE, NEVER, NEVER, NEVER, NEVER, LATER_MS)
WITH_FACTS = ONLY_EVENTS._replace(facts=EVENTS_BEFORE)
USAGE = 2


@pytest.fixture
def log(clickhouse: Settings) -> Iterator[LandingLog]:
    """The district as a worker lands it, at an instant of its own."""
    with closing(LandingLog(clickhouse, partial(next, count(NOW_MS, 1_000)))) as made:
        for event in lived().events:
            made.take(payload(event))
        made.land(with_erasures=True)
        yield made


@pytest.fixture
def hand(clickhouse: Settings, log: LandingLog) -> Hand:
    del log
    return Hand(clickhouse)


Ask = Callable[[str], list[tuple[Any, ...]]]


def retained(settings: Settings, before: Cutoffs, dry_run: bool = False) -> Retained:
    with closing(Retention(settings)) as store:
        if dry_run:
            return foresee(store, ["demo"], before, LATER_MS, lambda _: None)
        return apply(store, ["demo"], before, LATER_MS, 0.0, lambda _: None)


def conversations(query: Ask, table: str) -> set[str]:
    return {name for (name,) in query(f"SELECT DISTINCT conversation FROM {table}") if name}


@pytest.mark.usefixtures("log")
def test_old_conversations_leave_whole_and_their_facts_stay_as_long_as_they_are_kept(
    clickhouse: Settings, query: Ask
) -> None:
    stored = query("SELECT count() FROM events WHERE conversation IN ('answered','corrected','spam','x','y','erased')")
    before = query("SELECT * FROM conversations FINAL ORDER BY conversation")
    found = retained(clickhouse, ONLY_EVENTS)
    assert (found.conversations, found.held) == (len(AGED), 0)
    assert [(found.rows["events"],)] == stored
    assert conversations(query, "events") == {"parted", "waits"}
    assert query("SELECT * FROM conversations FINAL ORDER BY conversation") == before
    assert {kind for (kind,) in query("SELECT kind FROM events WHERE conversation = ''")} == {
        "district_configured",
        "erased",
    }
    findings = audited(clickhouse)
    assert (named(findings), findings.retired, findings.rows["conversations"]) == ([], len(AGED), 3)
    replay: Replayed = replayed(clickhouse)
    assert (replay.landed, replay.incomplete, replay.conversations) == (0, 0, 2)
    later = retained(clickhouse, WITH_FACTS)
    assert (later.conversations, later.rows["events"], later.rows["conversations"]) == (0, 0, len(AGED))
    assert conversations(query, "conversations") == ALL - AGED
    assert conversations(query, "conversation_versions") == ALL - AGED
    assert named(audited(clickhouse)) == []
    assert replayed(clickhouse).landed == 0
    assert conversations(query, "retired") == AGED


@pytest.mark.usefixtures("log")
def test_a_dry_run_says_what_a_run_does_and_changes_nothing(clickhouse: Settings, query: Ask) -> None:
    tables = ("events", "conversations", "conversation_versions", "alerts", "retired")
    before = [query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]
    foreseen = retained(clickhouse, WITH_FACTS, dry_run=True)
    assert [query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables] == before
    assert retained(clickhouse, WITH_FACTS) == foreseen
    assert foreseen.conversations == len(AGED)
    again = retained(clickhouse, WITH_FACTS)
    assert (again.conversations, set(again.rows.values())) == (0, {0})


@pytest.mark.usefixtures("log")
def test_what_was_touched_waits_landed_lately_or_has_a_row_behind_stays(
    clickhouse: Settings, query: Ask, hand: Hand
) -> None:
    assert retained(clickhouse, ONLY_EVENTS._replace(landed=NOW_MS), dry_run=True).conversations == 0
    hand.change("answered", events=2, version=hand.facts("answered")["version"] - 2)
    hand.change("x", retracted=0, verdicts__outcome=("open",) * len(hand.facts("x")["verdicts.outcome"]))
    everything_old = ONLY_EVENTS._replace(events=LATER_MS)
    found = retained(clickhouse, everything_old)
    # A merge holds y with x; `waits` waits, as does `parted` since it was taken up anew.
    assert conversations(query, "retired") == {"corrected", "spam", "erased"}
    assert (found.conversations, found.held) == (3, 5)


def test_conversations_that_a_merge_names_leave_together_or_not_at_all(
    clickhouse: Settings, query: Ask, log: LandingLog
) -> None:
    history = lived()
    for event in (
        history.add("reply", "2026-10-07 10:00", "y"),
        history.add("merge", "2026-03-04 10:00", "spam", into="never-seen"),
    ):
        log.take(payload(event))
    log.land()
    retained(clickhouse, ONLY_EVENTS)
    assert conversations(query, "retired") == (AGED - {"x", "y"}) | {"never-seen"}
    assert named(audited(clickhouse)) == []
    retained(clickhouse, ONLY_EVENTS._replace(events=ms("2026-10-08 00:00")))
    assert conversations(query, "events") == {"parted", "waits"}
    assert named(audited(clickhouse)) == []


def test_what_is_touched_before_its_events_go_stays(clickhouse: Settings, query: Ask, log: LandingLog) -> None:
    history = lived()

    class Touched(Retention):
        """A worker that had read the history back before the mark lands what came meanwhile."""

        def mark(self, rows: Any) -> None:
            super().mark(rows)
            if rows and not rows[0].final:
                assert conversations(query, "retired") == AGED
                with connect(clickhouse) as client:
                    client.execute("CREATE TABLE marks AS retired")
                    client.execute("INSERT INTO marks SELECT * FROM retired")
                    client.execute("TRUNCATE TABLE retired")
                    log.take(payload(history.add("inquiry", "2026-10-19 10:00", "answered")))
                    log.land()
                    client.execute("INSERT INTO retired SELECT * FROM marks")

    with closing(Touched(clickhouse)) as store:
        found = apply(store, ["demo"], ONLY_EVENTS, LATER_MS, 0.0, lambda _: None)
    assert found.conversations == len(AGED) - 1
    assert conversations(query, "retired") == AGED - {"answered"}
    assert conversations(query, "events") == {"answered", "parted", "waits"}
    assert named(audited(clickhouse)) == []


@pytest.mark.usefixtures("log")
def test_cut_off_after_a_mark_it_looks_again_and_after_a_final_one_it_goes_on(clickhouse: Settings, query: Ask) -> None:
    marks = [RetiredRow("demo", "waits", LATER_MS, 1, NOW_MS, 0), RetiredRow("demo", "spam", NOW_MS, 4, NOW_MS, 1)]
    with closing(Retention(clickhouse)) as store:
        store.mark(marks)
    found = retained(clickhouse, ONLY_EVENTS)
    assert (found.conversations, found.held) == (len(AGED) - 1, 0)
    assert conversations(query, "retired") == AGED
    assert conversations(query, "events") == {"parted", "waits"}
    assert query("SELECT count() FROM retired FINAL WHERE final = 0") == [(0,)]


@pytest.mark.usefixtures("log")
def test_events_that_came_all_the_same_leave_with_the_next_run(clickhouse: Settings, query: Ask) -> None:
    retained(clickhouse, ONLY_EVENTS)
    with connect(clickhouse) as client:
        client.execute("INSERT INTO events (district, conversation, event_id, kind) VALUES", [("demo", "x", "z", "r")])
    assert named(audited(clickhouse)) == []
    assert retained(clickhouse, ONLY_EVENTS).rows["events"] == 1
    assert conversations(query, "events") == {"parted", "waits"}


@pytest.mark.usefixtures("log")
def test_a_version_leaves_when_it_was_replaced_long_enough_ago(clickhouse: Settings, query: Ask, hand: Hand) -> None:
    row = hand.facts("answered")
    with closing(ClickHouseSink(clickhouse)) as sink:
        for number, at_ms in enumerate((NOW_MS + 10, NOW_MS + 20, NOW_MS + 30), 1):
            sink.land(Landing(at_ms, conversations=[tuple((row | {"version": row["version"] + number}).values())]))
    known = "SELECT conversation, version FROM conversations_as_known(at = fromUnixTimestamp64Milli({}, 'UTC'))"
    asked = [known.format(at_ms) + " ORDER BY ALL" for at_ms in range(NOW_MS + 20, NOW_MS + 40, 5)]
    before = [query(text) for text in asked]
    found = retained(clickhouse, ONLY_EVENTS._replace(events=NEVER, versions=NOW_MS + 21))
    assert found.rows["conversation_versions"] == 2
    left = query("SELECT version FROM conversation_versions WHERE conversation = 'answered' ORDER BY version")
    assert left == [(row["version"] + 2,), (row["version"] + 3,)]
    assert [query(text) for text in asked] == before


@pytest.mark.usefixtures("log")
def test_incidents_leave_by_age_once_nothing_of_them_is_younger(clickhouse: Settings, query: Ask) -> None:
    with closing(ClickHouseSink(clickhouse)) as sink:
        told = [
            incident("demo", "over"),
            incident("demo", "over", "closed"),
            incident("demo", "lasting"),
            incident("demo", "lasting", "grown", step=2),
        ]
        ages = (NOW_MS, NOW_MS, NOW_MS, LATER_MS)
        sink.land(Landing(NOW_MS, incidents=[o._replace(at=at) for o, at in zip(told, ages, strict=True)]))
    found = retained(clickhouse, ONLY_EVENTS._replace(events=NEVER, alerts=LATER_MS))
    assert found.rows["incidents"] == 2
    assert query("SELECT key, transition FROM incidents ORDER BY step") == [("lasting", "opened"), ("lasting", "grown")]


@pytest.mark.usefixtures("log")
def test_alerts_leave_by_age_and_those_that_could_be_told_anew_stay(clickhouse: Settings, query: Ask) -> None:
    assert conversations(query, "alerts") == {"parted~2", "waits"}
    found = retained(clickhouse, ONLY_EVENTS._replace(events=NEVER, alerts=LATER_MS))
    assert found.rows["alerts"] == 0
    with connect(clickhouse) as client:
        rows = [("old", "answered", NOW_MS - 9), ("kept", "answered", NOW_MS - 9), ("kept", "answered", LATER_MS)]
        rows += [("merged", "y", NOW_MS - 9)]
        client.execute(
            "INSERT INTO alerts (district, key, transition, at, conversation) VALUES",
            [("demo", key, f"t{at_ms}", at_ms, name) for key, name, at_ms in rows],
        )
    found = retained(clickhouse, ONLY_EVENTS._replace(events=NEVER, alerts=NOW_MS))
    assert found.rows["alerts"] == 1
    assert {key for (key,) in query("SELECT key FROM alerts WHERE length(key) < 9")} == {"kept", "merged"}
    assert retained(clickhouse, WITH_FACTS).rows["alerts"] == 3
    assert conversations(query, "alerts") == {"parted~2", "waits"}


def test_of_old_minutes_the_first_of_each_hour_stays_and_the_newest(clickhouse: Settings, query: Ask) -> None:
    minutes = [ms(f"2026-06-01 {time}") for time in ("10:07", "10:08", "10:59", "11:00", "11:01", "13:59")]
    newer = [ms(f"2026-06-09 {time}") for time in ("10:01", "10:02")]
    with closing(ClickHouseSink(clickhouse)) as sink:
        for at_ms in [*minutes, *newer]:
            first = [rolling("demo", unit, at_ms, seed) for seed, unit in enumerate(("demo", "a"), 1)]
            again = [rolling("demo", unit, at_ms, seed) for seed, unit in enumerate(("demo", "a"), 11)]
            sink.land(Landing(at_ms + 1, rolling=first, slices=[rolling_slice("demo", "bus", at_ms, 1)]))
            sink.land(Landing(at_ms + 2, rolling=again, slices=[rolling_slice("demo", "bus", at_ms, 11)]))
        sink.land(Landing(1, rolling=[rolling("quiet", "quiet", at_ms) for at_ms in minutes[:2]]))
    tables = ("rolling", "rolling_slices")
    before = {table: query(f"SELECT * FROM {table} FINAL WHERE toMinute(at) != 8 ORDER BY ALL") for table in tables}
    done = Cutoffs(NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, minutes=newer[0])
    found = retained(clickhouse, done)
    # A minute's rows stand there twice until they are merged.
    assert 6 <= found.rows["rolling"] <= 12
    assert 3 <= found.rows["rolling_slices"] <= 6
    kept = [minutes[0], minutes[3], minutes[5], *newer]
    for table in tables:
        stays = f"SELECT DISTINCT toUnixTimestamp64Milli(at) FROM {table} WHERE district = 'demo' ORDER BY 1"
        assert query(stays) == [(at_ms,) for at_ms in kept]
        after = query(f"SELECT * FROM {table} FINAL WHERE district = 'demo' ORDER BY ALL")
        assert len(after) == len(kept) * (2 if table == "rolling" else 1)
        assert set(map(str, after)) <= set(map(str, before[table]))
    assert query("SELECT toUnixTimestamp64Milli(at) FROM rolling WHERE district = 'quiet'") == [
        (m,) for m in minutes[:2]
    ]
    assert sum(retained(clickhouse, done).rows.values()) == 0


def test_daily_cells_leave_by_their_day_with_the_facts(clickhouse: Settings, query: Ask) -> None:
    days = ("2026-05-30", "2026-05-31", "2026-06-01")
    query(f"INSERT INTO daily_cells (district, unit, day) SELECT 'demo', 'a', toDate32(arrayJoin({list(days)}))")
    assert retained(clickhouse, ONLY_EVENTS).rows["daily_cells"] == 0
    assert retained(clickhouse, WITH_FACTS).rows["daily_cells"] == 2
    assert query("SELECT toString(day) FROM daily_cells") == [("2026-06-01",)]


@pytest.mark.usefixtures("log")
def test_rolling_windows_dead_letters_and_what_was_said_of_a_moment_leave_by_their_own_age(
    clickhouse: Settings, query: Ask, log: LandingLog
) -> None:
    history = lived()
    for kind, fields in (
        ("heartbeat", {}),
        ("alert_acknowledged", {"alert": "k"}),
        ("training_held", {"training": "t", "theme": "reflective", "units": ["a"]}),
    ):
        log.take(payload(history.add(kind, "2026-05-01 10:00", "", **fields)))
    log.land()
    with closing(ClickHouseSink(clickhouse)) as sink:
        windows = [rolling("demo", "a", at_ms) for at_ms in (NOW_MS - 60_000, NOW_MS - 120_000)]
        sink.land(Landing(NOW_MS + 1, dead_letters=[dead_letter(1)], rolling=windows))
        sink.land(Landing(NOW_MS + 9, dead_letters=[dead_letter(2)]))
    with connect(clickhouse) as client:
        places = [("cx.events", 3, offset, 0, "retried") for offset in (1, 2)]
        client.execute(
            "INSERT INTO dead_letter_decisions (topic, partition, offset, position, decision) VALUES", places
        )
    newest = "(SELECT max(at) FROM rolling WHERE unit = district)"
    rolled = query(f"SELECT count() FROM rolling WHERE at != {newest}")[0][0]
    before = ONLY_EVENTS._replace(dead_letters=NOW_MS + 5, rolling=LATER_MS)
    rows = retained(clickhouse, before).rows
    assert (rows["dead_letters"], rows["dead_letter_decisions"], rows["rolling"]) == (1, 1, rolled)
    assert rolled >= len(windows)
    assert query(f"SELECT countIf(at = {newest}), countIf(at != {newest}) FROM rolling")[0][1] == 0
    assert query("SELECT count() > 0 FROM rolling WHERE unit = district") == [(True,)]
    assert query("SELECT offset, state FROM dead_letter_states") == [(2, "retried")]
    assert {kind for (kind,) in query("SELECT kind FROM events WHERE conversation = ''")} == {
        "district_configured",
        "erased",
        "training_held",
    }
    retained(clickhouse, WITH_FACTS)
    assert {kind for (kind,) in query("SELECT kind FROM events WHERE conversation = ''")} == {
        "district_configured",
        "erased",
    }
    assert PERSON not in str(query("SELECT * FROM events"))


@pytest.fixture
def configured(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment points to the test's database, and Kafka keeps events for a week."""
    assert clickhouse.clickhouse is not None
    monkeypatch.setenv("CX_CLICKHOUSE", clickhouse.clickhouse)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.get_secret_value())
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", clickhouse.clickhouse_database)
    monkeypatch.setattr("deploy.cli.retention.SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("deploy.cli.retention.retentions", lambda _: {EVENTS: timedelta(days=7)})


@pytest.mark.usefixtures("configured", "log")
def test_the_command_goes_by_the_clock_and_the_settings(
    query: Ask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CX_CLOCK", "2030-01-01T00:00:00Z@2026-01-01T00:00:00Zx1")
    assert main(["retention", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dry_run"], told["conversations"], told["held"]) == (True, 0, 0)
    monkeypatch.setenv("CX_KEEP_EVENTS_DAYS", "365")
    assert main(["retention", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "6 conversations would leave" in said
    assert "2 are old enough and stay" in said
    assert main(["retention", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["conversations"], told["rows"]["conversations"]) == (len(AGED), 0)
    assert conversations(query, "conversations") == ALL
    assert main(["retention"]) == 0
    assert "0 conversations left" in capsys.readouterr().out
    assert main(["audit"]) == 0
    assert "6 conversations are retired" in capsys.readouterr().out
    assert main(["explain", "answered"]) == USAGE
    assert "Its events left by retention on 20" in capsys.readouterr().err
    monkeypatch.setenv("CX_KEEP_EVENTS_DAYS", "3000")
    assert main(["retention"]) == USAGE
    assert "CX_KEEP_FACTS_DAYS is less" in capsys.readouterr().err


@pytest.mark.usefixtures("configured", "log")
def test_an_erased_person_who_stands_in_a_row_that_landed_late_is_erased_again(
    query: Ask, hand: Hand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CX_CLOCK", "2026-10-01T00:00:00Z@2026-01-01T00:00:00Zx1")
    hand.change("erased", person=PERSON)
    assert main(["retention", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["erased_again"] == 0
    assert query(f"SELECT count() FROM conversations FINAL WHERE person = '{PERSON}'") == [(1,)]
    assert main(["retention"]) == 0
    assert "1 erased persons stood in rows that landed late" in capsys.readouterr().out
    assert query(f"SELECT count() FROM conversations WHERE person = '{PERSON}'") == [(0,)]
    assert main(["retention", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["erased_again"] == 0


def test_ages_are_counted_from_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.cli.retention.retentions", lambda _: {EVENTS: timedelta(days=7)})
    day = 86_400_000
    settings = Settings(keep_events_days=120, keep_facts_days=130, keep_versions_days=140, keep_alerts_days=150)
    found = cutoffs(settings, 1_000 * day)
    assert found == Cutoffs(880 * day, 870 * day, 860 * day, 850 * day, 600 * day, 965 * day, 993 * day, 993 * day)
    monkeypatch.setattr("deploy.cli.retention.retentions", lambda _: {EVENTS: None})
    assert cutoffs(settings, 1_000 * day).dead_letters == NEVER
    with pytest.raises(UsageError):
        cutoffs(settings.model_copy(update={"keep_facts_days": 119}), 0)
