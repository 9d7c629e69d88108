"""Dead letters and decisions on the real engine: nothing is deleted, and the latest decision counts."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from deploy.cli.main import main
from schemas.settings import Settings
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.dead_letters import DeadLetters, Decision, LetterPlace, Wanted
from sinks.landing import DeadLetterRow, Landing
from tests.sinks.samples import NOW_MS

USAGE = 2
TOPIC = "cx.events"


def row(offset: int, position: int = 0, reason: str = "internal", district: str = "demo") -> DeadLetterRow:
    return DeadLetterRow(TOPIC, 3, offset, position, reason, "", "what was wrong", "", district, "reply")


@pytest.fixture
def store(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadLetters]:
    """Four letters of two messages; the environment points to their database."""
    with closing(ClickHouseSink(clickhouse)) as sink:
        sink.land(Landing(NOW_MS, dead_letters=[row(1), row(1, 1, "invalid_field")]))
        sink.land(Landing(NOW_MS + 60_000, dead_letters=[row(2, district="other"), row(2**40)]))
    assert clickhouse.clickhouse is not None
    monkeypatch.setenv("CX_CLICKHOUSE", clickhouse.clickhouse)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.get_secret_value())
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", clickhouse.clickhouse_database)
    with closing(DeadLetters(clickhouse)) as made:
        yield made


def places(store: DeadLetters, wanted: Wanted) -> list[tuple[int, int]]:
    return [(letter.offset, letter.position) for letter in store.letters(wanted)]


def test_letters_are_found_by_place_district_reason_time_and_state(store: DeadLetters) -> None:
    everything = [(1, 0), (1, 1), (2, 0), (2**40, 0)]
    assert places(store, Wanted()) == everything
    assert places(store, Wanted((LetterPlace(TOPIC, 3, 1),))) == [(1, 0), (1, 1)]
    some = (LetterPlace(TOPIC, 3, 1, 1), LetterPlace(TOPIC, 3, 2), LetterPlace(TOPIC, 4, 2), LetterPlace("x", 3, 1, 1))
    assert places(store, Wanted(some)) == [(1, 1), (2, 0)]
    assert places(store, Wanted(district="other")) == [(2, 0)]
    assert places(store, Wanted(reason="invalid_field", district="demo")) == [(1, 1)]
    assert places(store, Wanted(since_ms=NOW_MS + 60_000)) == everything[2:]
    assert places(store, Wanted(state="retried")) == []
    (letter,) = store.letters(Wanted(reason="invalid_field"))
    assert letter[4:] == ("invalid_field", "", "what was wrong", "", "demo", "reply", NOW_MS, "open", "", "", None)


def test_the_latest_decision_counts_and_every_one_stays(store: DeadLetters, clickhouse: Settings) -> None:
    dropped = Decision(TOPIC, 3, 1, 0, NOW_MS + 5, "dropped", "ops", "test-data")
    retried = Decision(TOPIC, 3, 1, 0, NOW_MS + 9, "retried", "me", "")
    store.decide([retried, dropped, retried])
    (letter,) = store.letters(Wanted((LetterPlace(TOPIC, 3, 1, 0),), state=None))
    assert (letter.state, letter.who, letter.why, letter.decided_at) == ("retried", "me", "", NOW_MS + 9)
    assert places(store, Wanted()) == [(1, 1), (2, 0), (2**40, 0)]
    with connect(clickhouse) as client:
        assert client.execute("SELECT decision FROM dead_letter_decisions FINAL ORDER BY decided_at") == [
            ("dropped",),
            ("retried",),
        ]


def test_the_command_lists_and_drops(
    store: DeadLetters, clickhouse: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead-letters", "ls"]) == 0
    assert "cx.events/3/1/1" in capsys.readouterr().out
    line = ["dead-letters", "drop", "3/1", f"3/{2**40}/0", "--who", "ops", "--why", "test-data", "--json"]
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out) == {
        "dropped": ["cx.events/3/1/0", "cx.events/3/1/1", f"cx.events/3/{2**40}/0"]
    }
    assert main(["dead-letters", "ls", "--json"]) == 0
    (left,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (left["offset"], left["state"], left["decided_at"]) == (2, "open", None)
    assert main(["dead-letters", "ls", "--state", "dropped", "--reason", "invalid_field", "--json"]) == 0
    (gone,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (gone["position"], gone["who"], gone["why"], gone["message"]) == (1, "ops", "test-data", "what was wrong")
    assert main(["dead-letters", "drop", "--district", "other", "--who", "ops", "--why", "source-fixed"]) == 0
    assert places(store, Wanted()) == []
    with connect(clickhouse) as client:
        assert client.execute("SELECT count() FROM dead_letters FINAL") == [(4,)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["drop", "--who", "ops", "--why", "x"], "Name places or a filter"),
        (["drop", "9/9", "--who", "ops", "--why", "x"], "no such dead letter"),
        (["drop", "3/1", "--who", "ops", "--why", "the parent was angry"], "is no code"),
        (["ls", "--since", "yesterday"], "no instant"),
        (["ls", "three"], "is no place"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_cannot_be_done_is_said(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letters", *line]) == USAGE
    assert said in capsys.readouterr().err
