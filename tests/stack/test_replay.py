"""A replay beside running workers: rows of a changed definition, a cut in the middle, and what only Kafka still has."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from deploy.cli.main import main
from deploy.local.state import child_environment
from schemas.facts import DEFINITION_VERSION, as_json
from schemas.settings import Settings
from sinks.connection import connect
from streams.intake.producer import EventProducer, encode, publish_events
from streams.offline import fold_events
from tests.fixtures_stack import Workers
from tests.golden import History, district
from tests.stack.processes import PATIENCE, all_landed, facts, until

pytestmark = pytest.mark.stack

CONVERSATIONS = 2_000
DIFFERENCE, USAGE = 6, 2
LIVE = 200


def history(conversations: int) -> History:
    made = History()
    made.configured(district())
    for number in range(conversations):
        day = f"2026-09-{1 + number % 28:02d}"
        made.add("inquiry", f"{day} 10:00", f"c{number:05d}", event_id="1")
        made.add("reply", f"{day} 10:{number % 60:02d}:30", f"c{number:05d}", event_id="2")
    return made


def publish(settings: Settings, events: list[Any]) -> None:
    with EventProducer(settings) as producer:
        for _, written in publish_events(map(encode, events), producer):
            written.result(30)


def set_back(settings: Settings) -> None:
    """Make everything that landed look like the work of an older definition: another number and a wrong value."""
    with connect(settings) as client:
        client.execute("CREATE TABLE older AS conversations")
        client.execute("INSERT INTO older SELECT * FROM conversations FINAL")
        replaced = (
            "* REPLACE (version - bitShiftLeft(toUInt64(1), 48) AS version, "
            "toUInt16(definition_version - 1) AS definition_version, 7 AS reopened)"
        )
        client.execute("TRUNCATE TABLE conversations")
        client.execute(f"INSERT INTO conversations SELECT {replaced} FROM older")
        client.execute("DROP TABLE older")


def older(settings: Settings) -> int:
    with connect(settings) as client:
        asked = "SELECT countIf(definition_version < %(now)s) FROM conversations FINAL"
        ((number,),) = client.execute(asked, {"now": DEFINITION_VERSION})
    return int(number)


def offline(events: list[Any]) -> list[dict[str, Any]]:
    refused: list[Any] = []
    lines = (encode(event).content for event in events)
    rows = [as_json(row) for row in fold_events(lines, None, refused.append)]
    assert not refused
    return rows


@pytest.fixture
def environment(stream: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in child_environment(stream).items():
        if name.startswith("CX_"):
            monkeypatch.setenv(name, value)


REPLAY = """
import os, signal, sys
import streams.replaying as replaying
from deploy.cli.main import main

replaying.CONVERSATIONS_PER_SLICE = 100
land, left = replaying.Refold.land, [int(sys.argv[1])]

def land_or_stop(refold, names):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    land(refold, names)

replaying.Refold.land = land_or_stop
sys.exit(main(["replay", "--json"]))
"""


def start_replay(settings: Settings, slices: int = CONVERSATIONS) -> "subprocess.Popen[bytes]":
    """A replay in small slices, in a process of its own that stops after so many, for whoever kills it."""
    variables = {**os.environ, **child_environment(settings)}
    return subprocess.Popen([sys.executable, "-c", REPLAY, str(slices)], env=variables, stdout=subprocess.PIPE)


@pytest.mark.usefixtures("environment")
def test_killed_in_the_middle_and_resumed_while_events_keep_coming(
    stream: Settings, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = workers.start().wait_ready()
    made = history(CONVERSATIONS)
    publish(stream, made.events)
    until(lambda: all_landed(stream), "the history")
    set_back(stream)
    assert older(stream) == CONVERSATIONS
    first = start_replay(stream, CONVERSATIONS // 200)
    until(lambda: older(stream) < CONVERSATIONS * 3 // 4, "a part of the replay")
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=PATIENCE)
    left = older(stream)
    assert 0 < left < CONVERSATIONS
    second = start_replay(stream)
    sent = len(made.events)
    step = CONVERSATIONS // LIVE
    for number in range(0, CONVERSATIONS, step):
        made.add("inquiry", "2026-10-06 10:00", f"c{number:05d}", event_id="3")
        made.add("inquiry", "2026-10-06 10:00", f"new{number:05d}", event_id="1")
        if number % (step * 20) == 0:
            publish(stream, made.events[sent:])
            sent = len(made.events)
            time.sleep(0.02)
    publish(stream, made.events[sent:])
    out, _ = second.communicate(timeout=PATIENCE)
    told = json.loads(out)
    assert (second.returncode, told["resumed"], told["incomplete"]) == (0, True, 0)
    assert told["conversations"] <= left + LIVE + 100
    until(lambda: all_landed(stream), "what came during the replay")
    assert facts(stream) == offline(made.events)
    capsys.readouterr()
    assert main(["audit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["conversations"] == CONVERSATIONS + LIVE
    assert worker.process.poll() is None


@pytest.mark.usefixtures("environment")
def test_what_clickhouse_lost_comes_back_from_kafka_and_the_worker_goes_on_with_it(
    stream: Settings, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    workers.start().wait_ready()
    made = history(50)
    publish(stream, made.events)
    until(lambda: all_landed(stream), "the history")
    with connect(stream) as client:
        for table in ("events", "conversations"):
            gone = f"DELETE FROM {table} WHERE conversation IN ('c00007', 'c00008')"
            client.execute(gone, settings={"mutations_sync": 1})
        client.execute("DELETE FROM events WHERE conversation = 'c00009' AND kind = 'reply'")
        client.execute("TRUNCATE TABLE districts")
        client.execute("DELETE FROM events WHERE conversation = ''")
    # A worker that begins now waits: it takes no set for whole that counts less than its row.
    workers.end()
    worker = workers.start()
    assert main(["replay"]) == DIFFERENCE
    capsys.readouterr()
    assert main(["replay", "--source", "kafka", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["recovered"], told["incomplete"], told["conversations"]) == (6, 0, 50)
    worker.wait_ready()
    made.add("inquiry", "2026-10-06 10:00", "c00007", event_id="3")
    publish(stream, made.events[-1:])
    until(lambda: all_landed(stream), "what came after")
    assert facts(stream) == offline(made.events)
    assert main(["replay", "--source", "kafka", "--district", "demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recovered"] == 0
    assert main(["replay", "--source", "kafka", "--district", "nowhere"]) == USAGE
    assert "no events of nowhere, in Kafka neither" in capsys.readouterr().err
    assert main(["audit"]) == 0


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("source", ["clickhouse", "kafka"])
def test_what_a_hand_left_wrong_beside_the_facts_is_mended_from_either_source(
    source: str, stream: Settings, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    workers.start().wait_ready()
    made = history(50)
    publish(stream, made.events)
    until(lambda: all_landed(stream), "the history")
    landings = "SELECT conversation, version, landed_at, earliest FROM conversation_versions FINAL ORDER BY ALL"
    with connect(stream) as client:
        # Days made by now are made anew in ten minutes only: they never hold what the hand changes.
        until(lambda: client.execute("SELECT count() FROM daily_marks") != [(0,)], "the days")
        before = client.execute(landings)
        waiting = {"mutations_sync": 1}
        for table in ("conversations", "conversation_versions"):
            client.execute(f"ALTER TABLE {table} UPDATE inquiries = 77 WHERE conversation = 'c00007'", settings=waiting)
        changed = "ALTER TABLE conversation_versions UPDATE difficult = 1 WHERE conversation = 'c00008'"
        client.execute(changed, settings=waiting)
        client.execute("DELETE FROM conversation_versions WHERE conversation = 'c00009'", settings=waiting)
        client.execute("DELETE FROM districts WHERE 1", settings=waiting)
    assert main(["audit"]) == DIFFERENCE
    capsys.readouterr()
    assert main(["replay", "--source", source, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["landed"], told["configurations"], told["incomplete"], told["recovered"]) == (3, 1, 0, 0)
    assert main(["audit"]) == 0
    with connect(stream) as client:
        for table in ("conversations", "conversation_versions", "districts"):
            client.execute(f"OPTIMIZE TABLE {table} FINAL")
        newest = "SELECT conversation, max(version) FROM conversation_versions GROUP BY conversation"
        mended = {row[:2]: row for row in client.execute(landings)}
        known = {row[:2]: row for row in before}
        assert all(mended[key] == known[key] for key in client.execute(newest))
    assert main(["audit"]) == 0
    assert facts(stream) == offline(made.events)
