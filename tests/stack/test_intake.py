"""The ways in on real Kafka and the real ClickHouse engine: producer, import, gateway, `district apply`."""

import asyncio
import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from kafka import KafkaConsumer, TopicPartition

from deploy.cli.imports import run_import
from deploy.cli.main import main
from deploy.local.state import child_environment
from schemas import examples
from schemas.errors import Refused, Unavailable
from schemas.settings import Settings
from schemas.topics import EVENTS, partition_of
from sinks.connection import connect
from streams.core.admission import admit
from streams.intake import landing
from streams.intake.boston311 import EXCERPT
from streams.intake.gateway import gateway
from streams.intake.keys import KeyRing
from streams.intake.producer import LARGEST_REQUEST, EventProducer, Written
from tests.fixtures_stack import Workers
from tests.stack.processes import PATIENCE

pytestmark = pytest.mark.stack

EXAMPLE = Path(examples.__file__).with_name("district.yaml")


def _read(settings: Settings, written: Written) -> bytes:
    """The message at one place of `cx.events`."""
    place = TopicPartition(settings.topic(EVENTS), written.partition)
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_address)
    try:
        consumer.assign([place])
        consumer.seek(place, written.offset)
        found = consumer.poll(timeout_ms=PATIENCE * 1_000, max_records=1)
        value: bytes = found[place][0].value
        return value
    finally:
        consumer.close()


def _facts(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(settings) as client:
        query = "SELECT conversation, version, unit, status, verdicts.outcome FROM conversations FINAL ORDER BY ALL"
        return list(client.execute(query))


def test_a_message_stands_in_its_districts_partition(stream: Settings) -> None:
    with EventProducer(stream) as producer:
        written = producer.publish("demo", b"[1, 2]").result(30)
        producer.flush(30)
    assert written.partition == partition_of("demo", stream.partitions)
    assert _read(stream, written) == b"[1, 2]"


def test_a_topic_that_is_missing_is_named(stream: Settings) -> None:
    lost = stream.model_copy(update={"topic_prefix": "nobody-made-it."})
    with EventProducer(lost) as producer, pytest.raises(Unavailable, match="does not know the topic nobody-made-it"):
        producer.publish("demo", b"{}")


def test_a_message_too_large_is_refused(stream: Settings) -> None:
    with EventProducer(stream) as producer:
        too_large: Future[Written] = producer.publish("demo", b"x" * (LARGEST_REQUEST + 1))
        with pytest.raises(Refused, match="smaller arrays"):
            too_large.result(30)


def test_importing_the_excerpt_twice_gives_the_citys_verdicts_and_the_same_rows(
    stream: Settings, workers: Workers
) -> None:
    workers.start().wait_ready()
    first = run_import("boston311", EXCERPT, stream)
    assert (first.rows, first.events, first.conversations) == (200, 364, 200)
    assert first.verdicts == {"met": 68, "missed": 48, "differs_from_source": 0}
    facts = _facts(stream)
    assert len(facts) == 200
    again = run_import("boston311", EXCERPT, stream)
    assert again.verdicts == first.verdicts
    assert _facts(stream) == facts


def test_an_import_without_a_worker_says_so(stream: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "PATIENCE", landing.Patience(no_worker=0.5))
    path = tmp_path / "events.ndjson"
    event = json.loads(Path(examples.__file__).with_name("heartbeat.json").read_bytes())
    path.write_text(json.dumps(event))
    with pytest.raises(Unavailable, match="No worker is running"):
        run_import("events", path, stream)


def test_gateway_answers_when_kafka_has_acknowledged(stream: Settings, tmp_path: Path) -> None:
    settings = stream.model_copy(update={"intake_keys": tmp_path / "keys.json"})
    key = KeyRing.of(settings).issue("riverbend")
    event = json.loads(Path(examples.__file__).with_name("inquiry.json").read_bytes())

    async def post(producer: EventProducer) -> int:
        async with TestClient(TestServer(gateway(settings, producer))) as client:
            response = await client.post("/v1/events", json=event, headers={"Authorization": f"Bearer {key}"})
            return response.status

    with EventProducer(settings) as producer:
        assert asyncio.run(post(producer)) == 202
    written = Written(partition_of("riverbend", settings.partitions), 0)
    ((_, landed),) = admit(_read(settings, written)).events
    assert landed.event_id == event["event_id"]


def test_district_apply_prints_where_the_document_stands(
    stream: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in child_environment(stream).items():
        monkeypatch.setenv(name, value)
    assert main(["district", "apply", str(EXAMPLE)]) == 0
    partition = partition_of("riverbend", stream.partitions)
    assert f"Published riverbend, revision 1: partition {partition}, offset 0." in capsys.readouterr().out
    ((_, event),) = admit(_read(stream, Written(partition, 0))).events
    assert event.kind == "district_configured"
