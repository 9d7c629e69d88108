"""A simulated school year in the stream: in order of arrival, with snow days entered in winter, row for row."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from kafka import KafkaProducer

from schemas.facts import as_json
from schemas.settings import Settings
from schemas.topics import EVENTS, partition_of
from sinks.connection import connect
from streams.offline import fold_events
from tests.fixtures_stack import Workers
from tests.simulated import SAMPLE, few, run, span
from tests.stack.processes import all_landed, facts, until

pytestmark = pytest.mark.stack

AN_ARRAY = 250
AGAIN = b'"district_configured"'


def _year() -> list[bytes]:
    """Every event of the year by its receipt: the district is configured first, and again on each of its snow days."""
    return [arrival.text.encode() for arrival in run(span("2025-08-01", "2026-08-01"), few(8))]


def _offline(lines: list[bytes]) -> dict[str, dict[str, Any]]:
    refused: list[Any] = []
    rows = {row[1]: as_json(row) for row in fold_events(lines, None, refused.append)}
    assert not refused
    return rows


def _arrays(lines: list[bytes]) -> Iterator[bytes]:
    left = iter(lines)
    while part := list(islice(left, AN_ARRAY)):
        yield b"[" + b",".join(part) + b"]"


def _write(settings: Settings, lines: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_address, acks="all")
    partition = partition_of(SAMPLE.district, settings.partitions)
    for array in _arrays(lines):
        producer.send(settings.topic(EVENTS), array, key=SAMPLE.district.encode(), partition=partition)
    producer.flush(60)
    producer.close(5)


def _rows_of_before(settings: Settings, configurations: int) -> int:
    """Rows that do not know the last snow day yet."""
    with connect(settings) as client:
        counted = "SELECT countIf(configurations < %(known)s) FROM conversations FINAL"
        ((number,),) = client.execute(counted, {"known": configurations})
    return int(number)


def test_a_school_year_in_the_stream_equals_the_same_year_folded_offline(stream: Settings, workers: Workers) -> None:
    lines = _year()
    configurations = sum(AGAIN in line for line in lines)
    assert len(lines) > 15_000
    assert configurations > 1
    worker = workers.start().wait_ready()
    middle = len(lines) // 3
    _write(stream, lines[:middle])
    until(lambda: all_landed(stream), "the first third")
    _write(stream, lines[middle:])
    expected = _offline(lines)
    until(lambda: all_landed(stream) and not _rows_of_before(stream, configurations), "the whole year")
    landed = {row["conversation"]: row for row in facts(stream)}
    # A part that the closure made one with the part before it stays as a retracted row; nothing else may be extra.
    extra = {name: row for name, row in landed.items() if name not in expected}
    assert all(row["retracted"] and "~" in name for name, row in extra.items())
    assert {name: landed[name] for name in landed if name in expected} == expected
    assert worker.process.poll() is None
