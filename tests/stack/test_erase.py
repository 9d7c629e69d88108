"""A person is forgotten through the real stack: a planted marker is gone, the facts stay, later events are refused."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.cli.erase import erase
from deploy.cli.main import main
from deploy.local.state import child_environment
from schemas.clock import Clock
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from sinks.connection import connect
from streams.core.erasure import digest_of_key
from streams.intake.producer import EventProducer, encode
from streams.intake.retention import retentions
from streams.present import wall_ms
from tests.fixtures_stack import Workers
from tests.golden import History, district
from tests.stack.processes import all_landed, ends, facts, until

pytestmark = pytest.mark.stack

MARKER = "beadbeadbeadbeadbeadbeadbeadbead"
OTHER = "5f5f5f5f5f5f5f5f"
UNHEARD = "0123456789abcdef"


def history() -> History:
    made = History()
    made.configured(district())
    for name, who in (("one", MARKER), ("two", OTHER)):
        made.add("inquiry", "2026-10-06 10:00", name, person=who)
        made.add("reply", "2026-10-06 10:30", name)
        made.add("rating", "2026-10-06 12:00", name, score=4, rater=who)
    return made


def send(settings: Settings, events: list[Any]) -> None:
    with EventProducer(settings) as producer:
        for event in events:
            producer.publish(*encode(event)).result(30)
    until(lambda: all_landed(settings), "everything landed")


def as_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands of this process read the test's settings."""
    for name, value in child_environment(settings).items():
        if name.startswith("CX_"):
            monkeypatch.setenv(name, value)


def everything_stored(settings: Settings) -> str:
    """All rows of all tables that could hold a key, older versions that are not merged yet included."""
    with connect(settings) as client:
        tables = ("events", "conversations", "conversation_versions", "dead_letters", "alerts")
        return str([client.execute(f"SELECT * FROM {table}") for table in tables])


@pytest.mark.parametrize("restarted", [False, True])
def test_the_planted_marker_is_gone_and_the_numbers_stay(stream: Settings, workers: Workers, restarted: bool) -> None:
    worker = workers.start().wait_ready()
    made = history()
    send(stream, made.events)
    before = {row["conversation"]: row for row in facts(stream)}
    assert MARKER in everything_stored(stream)
    done = erase(stream, "demo", digest_of_key(MARKER))
    assert done.kafka_until is not None
    assert done.kafka_until > done.erased_at
    assert MARKER not in everything_stored(stream)
    assert OTHER in everything_stored(stream)
    if restarted:
        worker.leave()
        workers.start().wait_ready()
    late = made.add("inquiry", "2026-10-07 10:00", "three", person=MARKER)
    send(stream, [late.model_copy(update={"received_at": done.erased_at}), *made.events[:4]])
    assert MARKER not in everything_stored(stream)
    after = {row["conversation"]: row for row in facts(stream)}
    assert {name for name, row in after.items() if not row["retracted"]} == set(before)
    assert after["three"]["waits"] == []
    assert after["one"]["person"] == ""
    for column in ("waits", "first_response_ms", "inquiries", "events", "version"):
        assert after["one"][column] == before["one"][column]
    assert after["two"] == before["two"]
    with connect(stream) as client:
        assert client.execute("SELECT reason FROM dead_letters FINAL") == [("erased",)]


def test_the_command_says_until_when_the_rest_holds_it(
    stream: Settings, workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workers.start().wait_ready()
    send(stream, history().events)
    as_environment(stream, monkeypatch)
    assert main(["erase", "--district", "demo", "--person", MARKER, "--json"]) == 0
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert (said["clickhouse"], said["key_digest"]) == ("gone", digest_of_key(MARKER))
    # Two events and a row of facts in each of two tables.
    assert said["rows"] >= 4
    assert said["kafka_until"] > said["erased_at"]
    assert MARKER not in told.out + told.err
    assert main(["erase", "--district", "demo", "--person", UNHEARD]) == 0
    assert "0 rows sealed" in capsys.readouterr().out
    with connect(stream) as client:
        assert client.execute("SELECT count() FROM events WHERE kind = 'erased'") == [(2,)]


def test_the_dates_are_of_the_clock_that_kafka_and_backups_go_by(stream: Settings, workers: Workers) -> None:
    clock = "2030-01-01T00:00:00Z@2026-01-01T00:00:00Zx60"
    workers.start(CX_CLOCK=clock).wait_ready()
    send(stream, history().events)
    kept = max(each for each in retentions(stream).values() if each is not None)
    begun = from_ms(wall_ms())
    done = erase(stream.model_copy(update={"clock": Clock.parse(clock)}), "demo", digest_of_key(MARKER))
    ended = from_ms(wall_ms())
    assert done.erased_at.year >= 2030
    assert done.kafka_until is not None
    assert begun <= done.kafka_until - kept <= ended
    assert begun <= done.backups_until - timedelta(days=stream.backup_days) <= ended


def test_a_district_that_is_mistyped_is_refused_and_stays_unknown(
    stream: Settings, workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workers.start().wait_ready()
    send(stream, history().events)
    as_environment(stream, monkeypatch)
    before = ends(stream)
    assert main(["erase", "--district", "nowhere", "--person", MARKER]) == 2
    assert "There are no events of nowhere." in capsys.readouterr().err
    assert ends(stream) == before
    assert MARKER in everything_stored(stream)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--district", "Not A Code", "--person", MARKER],
        ["--district", "demo", "--person", "jane"],
        ["--district", "demo", "--digest", MARKER],
    ],
)
def test_what_is_no_key_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setenv("CX_DATA", str(tmp_path))
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", SecretStr("x").get_secret_value())
    assert main(["erase", *arguments]) == 2
    assert arguments[-1] not in capsys.readouterr().err or "Not A Code" in arguments
