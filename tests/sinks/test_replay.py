"""`./cx replay` on the real engine: older rows give way, defects are mended, nothing is lost or shrunk."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from deploy.cli.main import main
from schemas.errors import Unavailable
from schemas.events import Event
from schemas.facts import DEFINITION_VERSION, NAMES
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing
from sinks.reading import ClickHouseReader
from sinks.replays import Replays, Span
from streams.core.erasure import digest_of_key
from streams.replaying import Journal, Replayed, Tools, replay
from tests.golden import OFFICE, district, fold_all, ms
from tests.landed import LandingLog
from tests.sinks.racing import Racing
from tests.sinks.test_audit import ALL, NOW_MS, PERSON, PROMISES, Hand, audited, lived, named, payload

DIFFERENCE, USAGE = 6, 2
UNITS = 6
OLDER = DEFINITION_VERSION - 1


def as_of_an_older_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rows made as a release with an older definition makes them: another number, and another value."""
    monkeypatch.setattr("schemas.facts.DEFINITION_VERSION", OLDER)
    monkeypatch.setattr("streams.core.conversation.DEFINITION_VERSION", OLDER)
    monkeypatch.setattr("streams.core.conversation._is_difficult", lambda *_: True)


@pytest.fixture
def old_log(clickhouse: Settings) -> Iterator[LandingLog]:
    """The district as a worker of an older definition landed it; the same worker goes on if it is asked."""
    with closing(LandingLog(clickhouse, lambda: NOW_MS)) as made, pytest.MonkeyPatch.context() as patched:
        as_of_an_older_definition(patched)
        for event in lived().events:
            made.take(payload(event))
        made.land()
        patched.undo()
        yield made


@pytest.fixture
def hand(clickhouse: Settings) -> Hand:
    return Hand(clickhouse)


class Cut(Exception):
    """The process ends here."""


class Failing(ClickHouseSink):
    """A sink that lands so many times and then fails for ever."""

    def __init__(self, settings: Settings, landings: int, error: Exception) -> None:
        super().__init__(settings)
        self._left = landings
        self._error = error

    def land(self, landing: Landing) -> None:
        """As the real one, or not at all."""
        if landing.conversations:
            if not self._left:
                raise self._error
            self._left -= 1
        super().land(landing)


def replayed(
    settings: Settings,
    span: Span | None = None,
    sink: ClickHouseSink | None = None,
    reader: ClickHouseReader | None = None,
    fresh: bool = False,
) -> Replayed:
    """A replay of everything."""
    tools = Tools(
        reader or ClickHouseReader(settings), Replays(settings), sink or ClickHouseSink(settings), lambda: NOW_MS + 1
    )
    try:
        key = f"test {span}"
        return replay([], span or Span(), tools, Journal(key, tools, fresh), lambda *_: None)
    finally:
        for each in tools[:3]:
            each.close()


def versions(settings: Settings) -> dict[str, int]:
    """Definition version of each row that stands."""
    with connect(settings) as client:
        return dict(client.execute("SELECT conversation, definition_version FROM conversations FINAL"))


@pytest.mark.usefixtures("old_log")
def test_rows_of_an_older_definition_give_way_to_what_all_events_give(clickhouse: Settings, hand: Hand) -> None:
    assert set(versions(clickhouse).values()) == {OLDER}
    assert hand.facts("waits")["difficult"] == 1
    assert audited(clickhouse).behind == 2 * len(ALL) + UNITS
    found = replayed(clickhouse)
    assert (found.landed, found.unchanged, found.incomplete, found.districts) == (len(ALL), 0, 0, 1)
    assert set(versions(clickhouse).values()) == {DEFINITION_VERSION}
    assert named(audited(clickhouse)) == []
    expected = {row["conversation"]: row for row in fold_all(lived().events)}
    assert hand.facts("waits")["difficult"] == int(expected["waits"]["difficult"]) == 0
    assert set(expected) == ALL
    assert hand.facts("erased")["person"] == ""


@pytest.mark.usefixtures("old_log")
def test_a_second_replay_lands_nothing(clickhouse: Settings) -> None:
    replayed(clickhouse)
    with connect(clickhouse) as client:
        written = "SELECT count() FROM {}"
        before = [client.execute(written.format(table)) for table in ("conversation_versions", "alerts", "rolling")]
        again = replayed(clickhouse)
        assert (again.landed, again.unchanged, again.units, again.resumed) == (0, len(ALL), 0, False)
        after = [client.execute(written.format(table)) for table in ("conversation_versions", "alerts", "rolling")]
        assert after == before


def test_what_a_defect_or_a_hand_left_wrong_is_mended(clickhouse: Settings, old_log: LandingLog, hand: Hand) -> None:
    del old_log
    replayed(clickhouse)
    hand.change("answered", first_response_ms=1)
    hand.change("x", merged=0, retracted=1)
    hand.delete("conversations", "conversation IN ('parted', 'y')")
    hand.delete("units", "unit = 'a1'")
    hand.put(hand.facts("parted~2") | {"conversation": "parted~3"})
    found = replayed(clickhouse)
    assert (found.landed, found.units) == (5, UNITS)
    assert hand.facts("parted~3")["retracted"] == 1
    assert named(audited(clickhouse)) == []


@pytest.mark.usefixtures("old_log")
def test_a_span_takes_whole_conversations_with_an_event_in_it_and_what_a_merge_names(clickhouse: Settings) -> None:
    found = replayed(clickhouse, Span(ms("2026-03-03 10:00"), ms("2026-03-04 00:00")))
    assert found.conversations == 4
    new = {name for name, version in versions(clickhouse).items() if version == DEFINITION_VERSION}
    assert new == {"answered", "corrected", "spam", "x", "y"}
    replayed(clickhouse, Span(ms("2026-06-02 00:00"), ms("2026-06-03 00:00")))
    new = {name for name, version in versions(clickhouse).items() if version == DEFINITION_VERSION}
    assert {"parted", "parted~2"} < new
    assert "waits" not in new


@pytest.mark.usefixtures("old_log")
def test_cut_off_in_the_middle_the_next_call_goes_on(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.replaying.CONVERSATIONS_PER_SLICE", 2)
    monkeypatch.setattr("streams.replaying.NAMES_PER_PAGE", 3)
    with pytest.raises(Cut):
        replayed(clickhouse, sink=Failing(clickhouse, 2, Cut()))
    assert list(versions(clickhouse).values()).count(DEFINITION_VERSION) == 3
    with pytest.raises(Unavailable):
        replayed(clickhouse, sink=Failing(clickhouse, 1, Unavailable("away")))
    rest = replayed(clickhouse)
    assert rest.resumed
    assert 0 < rest.conversations < 6
    assert set(versions(clickhouse).values()) == {DEFINITION_VERSION}
    assert named(audited(clickhouse)) == []
    assert not replayed(clickhouse).resumed


@pytest.mark.usefixtures("old_log")
def test_started_over_it_takes_everything_again(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.replaying.CONVERSATIONS_PER_SLICE", 2)
    with pytest.raises(Cut):
        replayed(clickhouse, sink=Failing(clickhouse, 1, Cut()))
    found = replayed(clickhouse, fresh=True)
    assert (found.resumed, found.conversations) == (False, 8)


def test_what_lands_during_the_replay_is_neither_lost_nor_set_back(clickhouse: Settings, old_log: LandingLog) -> None:
    history = lived()

    def run_on() -> None:
        calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-03-02"]}}
        document = district(promises=PROMISES, calendars=calendars, revision=2)
        snow = history.configured(document, "2026-10-08 10:00")
        late = [
            history.add("reply", "2026-10-06 11:00", "waits", event_id="late"),
            history.add("merge", "2026-10-08 10:00", "corrected", into="answered", event_id="merged"),
            history.add("inquiry", "2026-10-08 10:00", "fresh", event_id="fresh"),
        ]
        for event in [snow, *late]:
            old_log.take(payload(event))
        old_log.land()

    land = [run_on]
    found = replayed(clickhouse, reader=Racing(clickhouse, land))
    assert not land
    assert found.incomplete == 0
    # The stream itself sweeps what is older than the closure, so everything is as all events give it.
    assert named(audited(clickhouse)) == []
    assert set(versions(clickhouse).values()) == {DEFINITION_VERSION}


def land_all_but_the_erasure(log: LandingLog, hand: Hand) -> Event:
    """Land the history with a wrong row, up to the erasure of a person; gives the erasure."""
    *events, erasure = lived().events
    for event in events:
        log.take(payload(event))
    log.land()
    hand.change("erased", first_response_ms=1)
    return erasure


def assert_nobody_stands(settings: Settings) -> None:
    """No row of any table names the erased person, replaced ones included."""
    with connect(settings) as client:
        for table in ("events", "conversations", "conversation_versions"):
            assert PERSON not in str(client.execute(f"SELECT * FROM {table}"))


def test_a_person_erased_meanwhile_does_not_come_back(clickhouse: Settings, hand: Hand) -> None:
    with closing(LandingLog(clickhouse, lambda: NOW_MS)) as log:
        erasure = land_all_but_the_erasure(log, hand)
        assert hand.facts("erased")["person"] == PERSON

        def forget() -> None:
            log.take(payload(erasure))
            log.land(with_erasures=True)
            assert hand.facts("erased")["person"] == ""

        found = replayed(clickhouse, reader=Racing(clickhouse, [forget]))
    assert found.landed == 1
    assert hand.facts("erased")["first_response_ms"] == 3_600_000
    assert hand.facts("erased")["person"] == ""
    assert_nobody_stands(clickhouse)
    assert digest_of_key(PERSON) == erasure.key_digest  # type: ignore[union-attr]


class Erasing(ClickHouseSink):
    """A sink whose process ends when it is to erase somebody."""

    def land(self, landing: Landing) -> None:
        """As the real one, or not at all."""
        if landing.erasures:
            raise Cut
        super().land(landing)


def test_cut_off_before_it_erased_again_the_next_one_does(clickhouse: Settings, hand: Hand) -> None:
    with closing(LandingLog(clickhouse, lambda: NOW_MS)) as log:
        erasure = land_all_but_the_erasure(log, hand)

        def forget() -> None:
            log.take(payload(erasure))
            log.land(with_erasures=True)

        with pytest.raises(Cut):
            replayed(clickhouse, reader=Racing(clickhouse, [forget]), sink=Erasing(clickhouse))
    assert hand.facts("erased")["person"] == PERSON
    assert replayed(clickhouse).resumed
    assert_nobody_stands(clickhouse)
    assert named(audited(clickhouse)) == []


def test_a_row_that_counts_more_events_than_are_left_is_never_shrunk(
    clickhouse: Settings, old_log: LandingLog, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    del old_log
    monkeypatch.setattr("streams.replaying.LOOK_AGAIN_SECONDS", 0.0)
    hand.delete("events", "conversation = 'answered' AND kind = 'rating'")
    before = hand.facts("answered")
    found = replayed(clickhouse)
    assert (found.incomplete, found.landed) == (1, len(ALL) - 1)
    assert hand.facts("answered") == before


def test_rows_of_a_newer_release_stay(clickhouse: Settings, old_log: LandingLog, hand: Hand) -> None:
    del old_log
    replayed(clickhouse)
    row = hand.facts("answered")
    newer = {"definition_version": DEFINITION_VERSION + 1, "version": row["version"] + (1 << 48), "difficult": 1}
    hand.put(row | newer)
    found = replayed(clickhouse)
    assert (found.newer, found.landed, found.incomplete) == (1, 0, 0)
    assert hand.facts("answered")["difficult"] == 1
    assert len(NAMES) == len(row)


@pytest.fixture
def configured(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment points to the test's database."""
    assert clickhouse.clickhouse is not None
    monkeypatch.setenv("CX_CLICKHOUSE", clickhouse.clickhouse)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.get_secret_value())
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", clickhouse.clickhouse_database)
    monkeypatch.setattr("streams.replaying.LOOK_AGAIN_SECONDS", 0.0)


@pytest.mark.usefixtures("configured", "old_log")
def test_the_command_says_it_in_words_and_json(hand: Hand, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--from", "2026-03-01", "--to", "2026-04-01", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["conversations"], told["landed"], told["resumed"]) == (7, len(ALL) - 1, False)
    assert main(["replay", "--from", "2026-01-01", "--district", "demo"]) == 0
    assert "1 rows landed, 8 stood as they are" in capsys.readouterr().out
    hand.delete("events", "conversation = 'waits'")
    hand.delete("events", "conversation = 'answered' AND kind = 'rating'")
    assert main(["replay"]) == DIFFERENCE
    assert "1 rows count more events than could be read" in capsys.readouterr().err


@pytest.mark.usefixtures("configured", "old_log")
def test_what_cannot_be_replayed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--district", "nowhere"]) == USAGE
    assert main(["replay", "--from", "yesterday"]) == USAGE
    assert main(["replay", "--from", "2026-02-01", "--to", "2026-01-01"]) == USAGE
    said = capsys.readouterr().err
    for part in ("no events of nowhere", "no instant", "not before"):
        assert part in said
