"""Two releases on one stack: what the older does not understand is kept, and counts as soon as the newer is there."""

import http.client
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.cli.erase import erase
from deploy.cli.main import main
from deploy.local.state import child_environment
from schemas.settings import Settings
from sinks.connection import connect
from streams.core.erasure import digest_of_key
from streams.intake.producer import Encoded, EventProducer, encode
from tests.fixtures_stack import Workers
from tests.golden import History, at, district, fold_all
from tests.stack.processes import PATIENCE, WorkerProcess, all_landed, ends, facts, until
from tests.stack.test_erase import everything_stored

pytestmark = pytest.mark.stack

NEWER = "tests.faults.newer_release"
PERSON = "5f5f5f5f5f5f5f5f"


def unknown(kind: str, event_id: str, conversation: str, when: str, **fields: Any) -> Encoded:
    """An event that only the newer release understands."""
    moment = at(when).isoformat()
    frame = {"kind": kind, "event_id": event_id, "district": "demo", "source": "crm", "conversation": conversation}
    times = {"occurred_at": moment, "received_at": moment, "schema_version": 2}
    return Encoded("demo", json.dumps(frame | times | fields).encode())


def history() -> tuple[History, list[Encoded]]:
    """What both understand, and what only the newer does: a reply that answers, and a visit."""
    made = History()
    made.configured(district())
    for name in ("answered", "asked", "visits"):
        made.add("inquiry", "2026-10-06 10:00", name, person=PERSON)
    made.add("reply", "2026-10-06 10:30", "answered")
    return made, [
        unknown("reply", "n1", "asked", "2026-10-06 10:20", channel="email", mood="kind"),
        unknown("visit_planned", "n2", "visits", "2026-10-06 10:20", room="b-12", guardian=PERSON),
    ]


def send(settings: Settings, events: list[Encoded]) -> None:
    with EventProducer(settings) as producer:
        for event in events:
            producer.publish(*event).result(30)
    until(lambda: all_landed(settings), "everything landed")


def of_the_newer(settings: Settings, *line: str, lines: bytes = b"") -> list[Any]:
    """A command of the newer release; the JSON it prints, line by line. It has to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", NEWER, *line],
        env={**os.environ, **child_environment(settings)},
        input=lines,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(text) for text in done.stdout.splitlines()]


def as_the_newer_folds(settings: Settings, events: list[Encoded]) -> list[Any]:
    return of_the_newer(settings, "fold", lines=b"\n".join(event.content for event in events))


def refused(settings: Settings) -> list[Any]:
    with connect(settings) as client:
        found: list[Any] = client.execute("SELECT reason, field FROM dead_letters")
        return found


def newer_events(worker: WorkerProcess) -> dict[str, float]:
    """Events of a newer schema that a worker counted, by district."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return {
        sample.labels["district"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "cx_newer_events_total"
    }


def not_understood(settings: Settings) -> int:
    with connect(settings) as client:
        ((number,),) = client.execute("SELECT count() FROM events FINAL WHERE understood = 0")
    return int(number)


@pytest.mark.timeout(420)
def test_an_older_and_a_newer_worker_take_turns(stream: Settings, workers: Workers) -> None:
    older = workers.start().wait_ready()
    made, unknowns = history()
    everything = [*map(encode, made.events), *unknowns]
    send(stream, everything)
    assert (refused(stream), not_understood(stream), newer_events(older)) == ([], 2, {"demo": 2})
    assert facts(stream) == fold_all(made.events)
    # The newer joins, the older leaves.
    newer = workers.start(NEWER)
    older.leave()
    newer.wait_ready()
    until(lambda: facts(stream) == as_the_newer_folds(stream, everything), "what the newer makes of it")
    assert {row["conversation"]: row["waits"][0]["outcome"] for row in facts(stream)}["asked"] == "answered"
    # Back again: it starts beside rows of the newer, adds its own, and overwrites none.
    standing = facts(stream)
    again = workers.start()
    newer.leave()
    again.wait_ready()
    late = [made.add("reply", "2026-10-06 10:10", name) for name in ("asked", "fresh")]
    send(stream, [encode(event) for event in late])
    everything += map(encode, late)
    rows = {row["conversation"]: row for row in facts(stream)}
    assert [rows[row["conversation"]] for row in standing] == standing
    assert rows["fresh"]["definition_version"] < rows["asked"]["definition_version"]
    last = workers.start(NEWER)
    again.leave()
    last.wait_ready()
    until(lambda: facts(stream) == as_the_newer_folds(stream, everything), "what the newer makes of all")
    (audited,) = of_the_newer(stream, "audit", "--json")
    assert (audited["not_understood"], audited["unreadable"], audited["events"]) == (0, 0, len(everything))
    assert refused(stream) == []


def test_what_is_kept_of_an_erased_person_comes_back_from_kafka_without_the_key(
    stream: Settings, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.start().wait_ready()
    made, unknowns = history()
    send(stream, [*map(encode, made.events), *unknowns])
    erase(stream, "demo", digest_of_key(PERSON))
    assert kept(stream, "n2") == ["visit_planned"]
    with connect(stream) as client:
        client.execute("DELETE FROM events WHERE event_id IN ('n1', 'n2')", settings={"mutations_sync": 1})
    written = ends(stream)
    for name, value in child_environment(stream).items():
        if name.startswith("CX_"):
            monkeypatch.setenv(name, value)
    assert main(["replay", "--source", "kafka"]) == 0
    assert (kept(stream, "n1"), kept(stream, "n2")) == (["reply", "kind"], ["visit_planned"])
    # Published again is only the one that names nobody.
    assert sum(ends(stream).values()) == sum(written.values()) + 1
    assert everything_stored(stream).count(PERSON) == 0


def kept(settings: Settings, event_id: str) -> list[str]:
    """Kind, mood and guardian of an event that is not understood, as far as they are kept."""
    with connect(settings) as client:
        asked = "SELECT content FROM events FINAL WHERE understood = 0 AND event_id = %(event_id)s"
        ((content,),) = client.execute(asked, {"event_id": event_id})
    found = json.loads(content)
    return [found[name] for name in ("kind", "mood", "guardian") if name in found]


def test_a_replay_of_the_release_that_understands_it_uses_it(stream: Settings, workers: Workers) -> None:
    older = workers.start().wait_ready()
    made, unknowns = history()
    everything = [*map(encode, made.events), *unknowns]
    send(stream, everything)
    (told,) = of_the_newer(stream, "replay", "--json")
    assert (told["incomplete"], told["unreadable"]) == (0, 0)
    expected = as_the_newer_folds(stream, everything)
    assert facts(stream) == expected
    (told,) = of_the_newer(stream, "replay", "--source", "kafka", "--json")
    assert (told["recovered"], told["landed"]) == (0, 0)
    older.leave()
    workers.start().wait_ready()
    send(stream, everything)
    assert facts(stream) == expected
    assert not_understood(stream) == 2
    (audited,) = of_the_newer(stream, "audit", "--json")
    assert audited["events"] == len(everything)
