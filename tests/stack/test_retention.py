"""Retention on the real stack: beside running workers, before and after restarts, and down to the files on disk."""

import json
import re
import secrets
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from deploy.cli.erase import erase
from deploy.cli.main import main
from deploy.local.state import child_environment
from deploy.local.steps import create_topics
from schemas.settings import Settings
from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from sinks.connection import connect
from sinks.tables import TABLES
from streams.core.erasure import digest_of_key
from streams.intake.retention import LOOKED_FOR, retentions
from tests.fixtures_stack import Workers
from tests.golden import History, district
from tests.stack.processes import facts, until
from tests.stack.test_erase import send

pytestmark = pytest.mark.stack

OLD = {"answered", "x", "y"}
GZIP = re.compile(rb"\x1f\x8b\x08")
Command = Callable[..., dict[str, Any]]


def history(person: str | None = None) -> History:
    """Answered long ago, merged long ago, and one in which somebody waits to this day."""
    made = History()
    made.configured(district())
    for name in ("answered", "x", "y"):
        made.add("inquiry", "2026-03-02 10:00", name, person=person)
        made.add("reply", "2026-03-02 11:00", name, staff=person)
        made.add("rating", "2026-03-02 12:00", name, score=4, rater=person)
    made.add("merge", "2026-03-03 10:00", "y", into="x")
    made.add("inquiry", "2026-03-02 10:00", "waits")
    return made


@pytest.fixture
def command(stream: Settings, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command of `./cx` on the test's pipeline, in the year 2030; its JSON. It has to succeed.

    Settings that are given once hold for the commands after it. Workers live in the present.
    """
    settings = {name: value for name, value in child_environment(stream).items() if name.startswith("CX_")}
    settings |= {"CX_CLOCK": "2030-01-01T00:00:00Z@2026-01-01T00:00:00Zx1"}

    def run(*line: str, **more: str) -> dict[str, Any]:
        settings.update(more)
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(name, value)
            assert main([*line, "--json"]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return run


def reasons(settings: Settings) -> list[str]:
    with connect(settings) as client:
        return [reason for (reason,) in client.execute("SELECT reason FROM dead_letters FINAL")]


def in_events(settings: Settings) -> set[str]:
    with connect(settings) as client:
        return {name for (name,) in client.execute("SELECT DISTINCT conversation FROM events")}


def test_what_is_old_leaves_beside_running_workers_and_nothing_begins_anew(
    stream: Settings, workers: Workers, command: Command
) -> None:
    first = workers.start().wait_ready()
    made = history()
    send(stream, made.events)
    first.leave()
    second = workers.start().wait_ready()
    before = facts(stream)
    told = command("retention", CX_KEEP_EVENTS_DAYS="120")
    assert (told["conversations"], told["held"], told["rows"]["conversations"]) == (len(OLD), 1, 0)
    assert in_events(stream) == {"", "waits"}

    def late(kind: str, name: str) -> None:
        send(stream, [made.add(kind, "2026-03-02 10:30", name), made.add("inquiry", "2026-10-06 10:00", "fresh")])

    late("reply", "answered")
    assert reasons(stream) == ["retired"]
    second.leave()
    third = workers.start().wait_ready()
    late("inquiry", "x")
    late("inquiry", "y")
    assert reasons(stream) == ["retired"] * 3
    after = {row["conversation"]: row for row in facts(stream)}
    assert [after[row["conversation"]] for row in before] == before
    assert after["fresh"]["events"] == 3
    assert command("audit")["retired"] == len(OLD)
    assert command("replay", "--source", "kafka")["recovered"] == 0
    told = command("retention", CX_KEEP_FACTS_DAYS="120")
    assert (told["conversations"], told["rows"]["events"]) == (0, 0)
    assert {row["conversation"] for row in facts(stream)} == {"waits", "fresh"}
    # Kafka has kept nothing for so long, so no letter can be tried again.
    assert reasons(stream) == []
    late("reply", "answered")
    third.leave()
    workers.start().wait_ready()
    late("reply", "answered")
    assert reasons(stream) == ["retired"] * 2
    assert {row["conversation"] for row in facts(stream)} == {"waits", "fresh"}
    assert command("audit")["rows"]["conversations"] == 2
    assert command("replay")["landed"] == 0


def test_topics_keep_what_the_settings_say_also_if_they_were_made_before(stream: Settings) -> None:
    a_day_more = timedelta(days=1, minutes=1) + LOOKED_FOR
    assert set(retentions(stream).values()) == {timedelta(days=7) + a_day_more}
    create_topics(stream.model_copy(update={"kafka_days": 3}))
    # A broker hears a moment later of what its controller has acknowledged.
    until(lambda: set(retentions(stream).values()) == {timedelta(days=3) + a_day_more}, "what the settings say now")


def keep_a_second(settings: Settings) -> None:
    """Have Kafka let go of everything by now."""
    changed = {"retention.ms": "1000", "file.delete.delay.ms": "1000"}
    topics = [settings.topic(name) for name in (EVENTS, ALERTS, DEAD_LETTERS)]
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_address)
    try:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, dict(changed)) for topic in topics], raise_on_unknown=False
        )
    finally:
        admin.close()


def in_tables(settings: Settings, marker: str) -> list[str]:
    """Tables with a row that holds the marker, replaced ones included."""
    with connect(settings) as client:
        return [table.name for table in TABLES if marker in str(client.execute(f"SELECT * FROM {table.name}"))]


def in_files(folder: Path, marker: str) -> list[str]:
    """Files in which the marker stands as it is, or compressed by a producer."""
    wanted = marker.encode()
    found = []
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if wanted in content or any(wanted in part for part in _unpacked(content)):
            found.append(path.name)
    return found


def _unpacked(content: bytes) -> Iterator[bytes]:
    for place in GZIP.finditer(content):
        try:
            yield zlib.decompressobj(31).decompress(content[place.start() :])
        except zlib.error:
            continue


def leftovers(settings: Settings, tables: list[str]) -> set[str]:
    """Folders of rows on ClickHouse's disk that none of these tables reads any more: what was rewritten."""
    of_these = "database = currentDatabase() AND {} IN %(tables)s"
    asked = {"tables": tables}
    with connect(settings) as client:
        paths = f"SELECT arrayJoin(data_paths) FROM system.tables WHERE {of_these.format('name')}"
        folders = [Path(folder) for (folder,) in client.execute(paths, asked)]
        parts = f"SELECT path FROM system.parts WHERE active AND {of_these.format('table')}"
        read = {path for (path,) in client.execute(parts, asked)}
    assert len(folders) == len(tables)
    return {f"{path}/" for folder in folders for path in folder.glob("*_*_*_*")} - read


@pytest.mark.timeout(420)
def test_a_planted_marker_is_gone_from_clickhouse_at_once_and_after_retention_from_everywhere(
    stream: Settings, workers: Workers, command: Command
) -> None:
    marker = secrets.token_hex(16)
    kafka = stream.data / "kafka" / "data"
    workers.start().wait_ready()
    made = history(marker)
    send(stream, made.events)
    named = in_tables(stream, marker)
    assert named == ["events", "conversations", "conversation_versions"]
    assert in_files(kafka, marker)
    erase(stream, "demo", digest_of_key(marker))
    assert in_tables(stream, marker) == []
    assert in_files(kafka, marker)
    send(stream, [made.add("reply", "2026-03-02 10:30", "x", staff=marker, received_at="2029-01-01T00:00:00Z")])
    assert in_tables(stream, marker) == []
    assert command("retention", CX_KEEP_EVENTS_DAYS="120", CX_KEEP_FACTS_DAYS="120")["conversations"] == len(OLD)
    keep_a_second(stream)
    until(lambda: not in_files(kafka, marker), "Kafka lets go of the marker")
    until(lambda: not leftovers(stream, named), "ClickHouse lets go of what was rewritten")
    assert in_tables(stream, marker) == []
    assert in_files(stream.data, marker) == []
    assert command("audit")["retired"] == len(OLD)
