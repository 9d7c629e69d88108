"""Dead letters on the real stack: tried again by a better release, gone with their retention, too many of them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from deploy.cli.main import main
from deploy.local.state import child_environment
from deploy.local.steps import create_topics
from schemas.settings import Settings
from schemas.topics import EVENTS, partition_of
from sinks.connection import connect
from streams.app import EXIT_DEAD_LETTERS
from streams.predecessors import HaltNote
from tests.fixtures_stack import Workers
from tests.stack.processes import PATIENCE, all_landed, committed, facts, until
from tests.stack.test_stream import Writer, event, histories, offline

pytestmark = pytest.mark.stack

SOME_LEFT = 2
Told = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def writer(stream: Settings) -> Iterator[Writer]:
    made = Writer(stream)
    yield made
    made.close()


@pytest.fixture
def dead_letters(stream: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """`./cx dead-letters` on the test's pipeline: its exit code and JSON lines."""
    for name, value in child_environment(stream).items():
        if name.startswith("CX_"):
            monkeypatch.setenv(name, value)

    def run(*line: str) -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code = main(["dead-letters", *line, "--json"])
        return code, [json.loads(text) for text in capsys.readouterr().out.splitlines()]

    return run


def test_what_a_bad_release_could_not_take_is_taken_by_the_next(
    stream: Settings, workers: Workers, writer: Writer, dead_letters: Told
) -> None:
    everything = histories(districts=1, conversations=2)
    everything["d0"].insert(1, event("d0", 0, "reply", 3, event_id="poison-1"))
    wrong = event("d0", 0, "rating", 5, event_id="wrong", score=11)
    worker = workers.start("tests.faults.poisoned_fold").wait_ready()
    writer.write("d0", json.dumps([*everything["d0"], wrong]).encode())
    until(lambda: all_landed(stream), "all messages acknowledged")
    assert facts(stream) != offline(everything)
    _, open_ones = dead_letters("ls")
    assert [(each["reason"], each["position"]) for each in open_ones] == [("internal", 1), ("invalid_field", 9)]
    worker.leave()
    workers.start().wait_ready()
    code, told = dead_letters("retry", "--all")
    assert code == SOME_LEFT
    assert [(each["result"], each["events"]) for each in told] == [("published", 1), ("refused", 0)]
    assert "score" in told[1]["text"]
    until(lambda: all_landed(stream), "the event that was tried again")
    assert facts(stream) == offline(everything)
    _, left = dead_letters("ls")
    assert [each["reason"] for each in left] == ["invalid_field"]
    place = f"{left[0]['partition']}/{left[0]['offset']}/1"
    assert [each["result"] for each in dead_letters("retry", place)[1]] == ["decided"]


def test_a_message_that_retention_removed_is_said_to_be_gone(
    stream: Settings, workers: Workers, writer: Writer, dead_letters: Told
) -> None:
    workers.start().wait_ready()
    for _ in range(2):
        writer.write("d0", b"not json")
    until(lambda: all_landed(stream), "all messages acknowledged")
    where = TopicPartition(stream.topic(EVENTS), partition_of("d0", stream.partitions))
    admin = KafkaAdminClient(bootstrap_servers=stream.kafka_address)
    try:
        admin.delete_records({where: 1})
    finally:
        admin.close()
    code, told = dead_letters("retry", "--reason", "not_json")
    assert (code, [each["result"] for each in told]) == (SOME_LEFT, ["gone", "refused"])
    assert "retention" in told[0]["text"]


def test_letters_of_a_topic_or_partition_that_kafka_lacks_are_gone_and_the_others_are_tried(
    stream: Settings, workers: Workers, writer: Writer, dead_letters: Told
) -> None:
    workers.start().wait_ready()
    writer.write("d0", b"not json")
    until(lambda: all_landed(stream), "all messages acknowledged")
    lacking = [("gone.events", 5), (stream.topic(EVENTS), stream.partitions)]
    with connect(stream) as client:
        for topic, partition in lacking:
            row = {"topic": topic, "partition": partition}
            client.execute(
                "INSERT INTO dead_letters (topic, partition, offset, reason) VALUES",
                [row | {"offset": 3, "reason": "not_json"}],
            )
    code, told = dead_letters("retry", "--all")
    assert code == SOME_LEFT
    results = {each["place"].rsplit("/", 2)[0]: each["result"] for each in told}
    assert results == {f"{topic}/{number}": "gone" for topic, number in lacking} | {
        f"{stream.topic(EVENTS)}/{partition_of('d0', stream.partitions)}": "refused"
    }
    assert len(dead_letters("ls")[1]) == 3


def test_letters_of_topics_with_a_new_prefix_are_kept_beside_those_of_the_old_ones(
    stream: Settings, workers: Workers, writer: Writer, dead_letters: Told
) -> None:
    again = stream.model_copy(update={"topic_prefix": f"again.{stream.topic_prefix}"})
    create_topics(again)
    others, new = Workers(again), Writer(again)
    everything = histories(districts=1, conversations=1)
    known, rest = everything["d0"][:2], everything["d0"][2:]
    try:
        workers.start().wait_ready()
        for payload in (b"not json", json.dumps(known).encode()):
            writer.write("d0", payload)
        until(lambda: all_landed(stream), "what the first Kafka took")
        workers.end()
        others.start().wait_ready()
        for payload in (b"{}", json.dumps(rest).encode()):
            new.write("d0", payload)
        until(lambda: all_landed(again), "what the new one took")
    finally:
        others.end()
        new.close()
    found = {(each["topic"], each["offset"], each["reason"]) for each in dead_letters("ls")[1]}
    assert found == {(stream.topic(EVENTS), 0, "not_json"), (again.topic(EVENTS), 0, "missing_field")}
    assert facts(stream) == offline(everything)


def test_a_worker_that_refuses_most_of_what_it_reads_ends_with_a_code_of_its_own(
    stream: Settings, workers: Workers, writer: Writer
) -> None:
    everything = histories(districts=1, conversations=2)
    worker = workers.start().wait_ready()
    writer.write("d0", json.dumps(everything["d0"]).encode())
    until(lambda: all_landed(stream), "the good events")
    before = committed(stream)
    writer.write("d0", json.dumps([{"kind": "telepathy"}] * 150).encode())
    assert worker.process.wait(PATIENCE) == EXIT_DEAD_LETTERS
    assert "150 unknown_kind kind" in worker.log.read_text()
    assert committed(stream) == before
    with connect(stream) as client:
        assert client.execute("SELECT count() FROM dead_letters") == [(0,)]
    workers.start(CX_DEAD_LETTER_LIMIT="1").wait_ready()
    until(lambda: all_landed(stream), "all messages acknowledged")
    with connect(stream) as client:
        assert client.execute("SELECT count() FROM dead_letters FINAL") == [(150,)]
    assert facts(stream) == offline(everything)


def test_the_worker_after_it_lets_no_other_hundred_pass_however_slowly_they_come(
    stream: Settings, workers: Workers, writer: Writer
) -> None:
    first = workers.start().wait_ready()
    writer.write("d0", json.dumps([{"kind": "telepathy"}] * 99).encode())
    until(lambda: all_landed(stream), "fewer than a hundred")
    writer.write("d0", b"not json")
    assert first.process.wait(PATIENCE) == EXIT_DEAD_LETTERS
    assert workers.start().process.wait(PATIENCE) == EXIT_DEAD_LETTERS
    with connect(stream) as client:
        assert client.execute("SELECT count() FROM dead_letters FINAL") == [(99,)]
    last = workers.start(CX_DEAD_LETTER_LIMIT="1").wait_ready()
    until(lambda: all_landed(stream), "all messages acknowledged")
    until(lambda: not HaltNote(stream).stands, "a worker that has read on")
    last.leave()
    workers.start().wait_ready()
    writer.write("d0", b"not json either")
    until(lambda: all_landed(stream), "what no longer counts")
