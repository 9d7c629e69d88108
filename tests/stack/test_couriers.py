"""Receivers told from the real Kafka: in order, at least once with the same key, and never in anybody else's way."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from prometheus_client import CollectorRegistry

from deploy.cli.main import main
from deploy.local.machine import free_ports
from deploy.local.state import child_environment
from schemas.alerts import AlertTransition, as_json
from schemas.settings import Settings
from schemas.topics import ALERTS, partition_of
from streams.couriers.reading import group_of
from streams.couriers.service import Couriers
from streams.metrics import WorkerMetrics
from streams.present import wall_ms
from streams.told import stands
from tests.mailbox import Mailbox
from tests.receiver import Receiver
from tests.sinks.samples import alert
from tests.stack.processes import until

pytestmark = pytest.mark.stack

FIRST_PAUSE = 0.05
HOUR_MS = 3_600_000
FOUND = 6


Alerts = Callable[..., tuple[int, list[dict[str, Any]]]]


class Writer:
    """Says alerts on `cx.alerts` as a worker does: in transactions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_address, transactional_id=f"{settings.topic_prefix}test-{uuid4().hex}"
        )
        self._producer.init_transactions()

    def say(self, alerts: Sequence[AlertTransition], is_decided: bool = True, written_ms: int | None = None) -> None:
        """One transaction; taken back at its end if it is not decided so."""
        self._producer.begin_transaction()
        topic = self._settings.topic(ALERTS)
        for each in alerts:
            number = partition_of(each.district, self._settings.partitions)
            value = json.dumps(as_json(each)).encode()
            self._producer.send(topic, value, each.idempotency_key.encode(), partition=number, timestamp_ms=written_ms)
        if is_decided:
            self._producer.commit_transaction()
        else:
            self._producer.abort_transaction()

    def write(self, district: str, value: bytes) -> None:
        """A message of somebody else, into the district's partition."""
        self._producer.begin_transaction()
        number = partition_of(district, self._settings.partitions)
        self._producer.send(self._settings.topic(ALERTS), value, partition=number)
        self._producer.commit_transaction()

    def close(self) -> None:
        """Let go of the connection."""
        self._producer.close()


@pytest.fixture
def writer(stream: Settings) -> Iterator[Writer]:
    made = Writer(stream)
    yield made
    made.close()


def numbered(*numbers: int, district: str = "d", **more: Any) -> list[AlertTransition]:
    return [alert(district, f"k{number}")._replace(at=wall_ms(), **more) for number in numbers]


class Running:
    """The couriers of one process, and what they count."""

    def __init__(self, settings: Settings, numbers: Iterable[int] | None) -> None:
        self.registry = CollectorRegistry()
        self.couriers = Couriers(settings, WorkerMetrics(self.registry), FIRST_PAUSE)
        self.couriers.assign(range(settings.partitions) if numbers is None else numbers)
        self.couriers.start()

    def count(self, receiver: str, outcome: str) -> float:
        labels = {"receiver": receiver, "outcome": outcome}
        return self.registry.get_sample_value("cx_notifications_total", labels) or 0

    def value(self, name: str, receiver: str) -> float:
        return self.registry.get_sample_value(name, {"receiver": receiver}) or 0


@contextmanager
def running(settings: Settings, numbers: Iterable[int] | None = None) -> Iterator[Running]:
    """Of these partitions, or of all."""
    made = Running(settings, numbers)
    try:
        yield made
    finally:
        made.couriers.close()


def having(settings: Settings, folder: Path, receivers: Sequence[dict[str, Any]], **more: Any) -> Settings:
    """The settings with a file of these receivers."""
    path = folder / "receivers.yaml"
    path.write_text(yaml.safe_dump({"receivers": list(receivers)} | more))
    return settings.model_copy(update={"receivers": path})


def hook(receiver: Receiver, name: str = "hook", **more: Any) -> dict[str, Any]:
    return {"receiver": name, "kind": "webhook", "url": receiver.address} | more


def forget(settings: Settings, receiver: str, number: int) -> None:
    """As if a receiver's courier had died before it acknowledged anything of a partition."""
    with closing(KafkaConsumer(bootstrap_servers=settings.kafka_address, group_id=group_of(settings, receiver))) as own:
        own.commit({TopicPartition(settings.topic(ALERTS), number): OffsetAndMetadata(0, "", -1)})


def keys(receiver: Receiver) -> list[str]:
    return [call.headers["idempotency-key"].partition("-")[0] for call in receiver.calls]


def test_a_receiver_gets_what_is_meant_for_it_in_order_and_goes_on_after_a_restart(
    stream: Settings, writer: Writer, tmp_path: Path
) -> None:
    with Receiver() as all_of_it, Receiver() as some:
        settings = having(stream, tmp_path, [hook(all_of_it), hook(some, "some", recipients=["cabinet", "x"])])
        everybody: dict[str, Any] = {"recipients": ("everybody",), "grouped": ()}
        writer.say(numbered(1, **everybody))
        with running(settings):
            until(lambda: keys(all_of_it) == keys(some) == ["k1"], "what is for everybody")
            writer.say(numbered(2, recipients=("lead",), grouped=()))
            writer.say(numbered(3, **everybody), is_decided=False)
            writer.say(numbered(4, notify=0, muted="quiet", **everybody))
            writer.say(numbered(5, recipients=("lead", "cabinet"), grouped=()))
            until(lambda: keys(some) == ["k1", "k5"], "what is for the cabinet")
            until(lambda: keys(all_of_it) == ["k1", "k2", "k5"], "what is for anybody")
        writer.say(numbered(6, 7, 8, **everybody))
        with running(settings):
            until(lambda: keys(some) == ["k1", "k5", "k6", "k7", "k8"], "what was said while nobody read")
            until(lambda: keys(all_of_it) == ["k1", "k2", "k5", "k6", "k7", "k8"], "the same")


def test_a_new_receiver_begins_with_the_last_hours(stream: Settings, writer: Writer, tmp_path: Path) -> None:
    writer.say(numbered(1), written_ms=wall_ms() - 7 * HOUR_MS)
    writer.say(numbered(2), written_ms=wall_ms() - 5 * HOUR_MS)
    with Receiver() as receiver, running(having(stream, tmp_path, [hook(receiver)])):
        until(lambda: keys(receiver) == ["k2"], "what is recent")
        writer.write("d", b"[1]")
        writer.say(numbered(3))
        until(lambda: keys(receiver) == ["k2", "k3"], "what is new")
    number = partition_of("d", stream.partitions)
    hung: list[str] = []
    told = stands(stream, hung.append, [number])[number].told
    assert ([each.key for each in told], hung) == (["k1", "k2", "k3"], [])


def test_a_dead_receiver_keeps_nobody_waiting_and_loses_nothing(
    stream: Settings, writer: Writer, tmp_path: Path, alerts: Alerts
) -> None:
    (port, mail_port) = free_ports(2)
    mail = {"receiver": "mail", "kind": "email", "host": "127.0.0.1", "port": mail_port, "security": "none"}
    dead = {"receiver": "dead", "kind": "webhook", "url": f"http://127.0.0.1:{port}/"}
    with Receiver() as receiver:
        settings = having(
            stream, tmp_path, [dead, mail | {"sender": "cx@d.example", "to": ["lead@d.example"]}, hook(receiver)]
        )
        with running(settings) as one:
            writer.say(numbered(*range(20)))
            until(lambda: len(receiver.calls) == 20, "the living one told")
            until(lambda: one.count("dead", "failed") >= 3, "the dead one tried again")
            until(lambda: one.count("mail", "failed") >= 3, "the mail tried again")
            assert one.value("cx_receiver_failing_seconds", "dead") > 0
            assert one.value("cx_receiver_failing_seconds", "hook") == 0
            until(lambda: one.value("cx_notifications_waiting", "hook") == 0, "nothing left for the living one")
            code, left = alerts(settings, "ls", "--undelivered")
            assert code == FOUND
            assert {(each["receiver"], each["state"]) for each in left} == {("dead", "waiting"), ("mail", "waiting")}
            assert len(left) == 40
        with Mailbox(mail_port) as mailbox, running(settings) as again:
            until(lambda: len(mailbox.mail) == 20, "every mail once the server is back")
            assert [each["Idempotency-Key"] for each in mailbox.mail] == [f"k{n}-0-breached" for n in range(20)]
            until(lambda: again.count("mail", "delivered") == 20, "each counted")
        assert len(receiver.calls) == 20
    assert {each["receiver"] for each in alerts(settings, "ls", "--undelivered")[1]} == {"dead"}


def test_what_fails_for_a_while_is_told_again_with_the_same_key_before_what_follows(
    stream: Settings, writer: Writer, tmp_path: Path
) -> None:
    with Receiver([500, 429, 503, 404]) as receiver, running(having(stream, tmp_path, [hook(receiver)])) as one:
        writer.say(numbered(1, 2))
        until(lambda: one.count("hook", "delivered") == 2, "both told")
        assert keys(receiver) == ["k1"] * 5 + ["k2"]
        assert (one.count("hook", "failed"), one.count("hook", "refused")) == (4, 0)


def test_what_a_receiver_refuses_for_good_is_visible_and_holds_nothing_up(
    stream: Settings, writer: Writer, tmp_path: Path, alerts: Alerts
) -> None:
    with Receiver([422]) as receiver:
        settings = having(stream, tmp_path, [hook(receiver)])
        with running(settings) as one:
            writer.say(numbered(1, 2))
            until(lambda: keys(receiver) == ["k1", "k2"], "the next one told")
            until(lambda: one.count("hook", "refused") == 1, "the refusal counted")
        code, left = alerts(settings, "ls", "--undelivered")
        assert code == FOUND
        assert [(each["receiver"], each["state"], each["alert"]["key"]) for each in left] == [("hook", "refused", "k1")]
        assert "status 422" in left[0]["reason"]
        assert alerts(settings, "ls", "--undelivered", "--district", "other") == (0, [])


def test_who_had_enough_gets_the_rest_in_one_message_and_a_restart_repeats_none_of_it(
    stream: Settings, writer: Writer, tmp_path: Path
) -> None:
    with Receiver() as receiver, Receiver() as other:
        mine = [hook(receiver, "lead", recipients=["lead"]), hook(other, "cabinet", recipients=["cabinet"])]
        slow = having(stream, tmp_path, mine, group_minutes=60)
        with running(slow):
            writer.say(numbered(1, recipients=("lead", "cabinet"), grouped=()))
            writer.say(numbered(2, 3, recipients=("lead", "cabinet"), grouped=("lead",)))
            until(lambda: keys(other) == ["k1", "k2", "k3"], "who did not have enough told one by one")
            until(lambda: keys(receiver) == ["k1"], "the first one told")
        quick = having(stream, tmp_path, mine, group_minutes=0.01)
        with running(quick):
            until(lambda: len(receiver.calls) == 2, "the group")
            writer.say(numbered(4, recipients=("lead",), grouped=()))
            until(lambda: len(receiver.calls) == 3, "what follows")
        told = json.loads(receiver.calls[1].body)
        assert [each["key"] for each in told["alerts"]] == ["k2", "k3"]
        assert receiver.calls[1].headers["idempotency-key"] == told["idempotency_key"]
        assert keys(receiver)[2] == "k4"
        assert keys(other) == ["k1", "k2", "k3"]


def test_a_group_that_is_told_again_is_the_same_whatever_came_since(
    stream: Settings, writer: Writer, tmp_path: Path
) -> None:
    lead: dict[str, Any] = {"recipients": ("lead",), "grouped": ("lead",)}
    with Receiver() as receiver:
        settings = having(stream, tmp_path, [hook(receiver)], group_minutes=0.01)
        writer.say(numbered(1, 2, **lead))
        with running(settings) as first:
            until(lambda: first.count("hook", "delivered") == 2, "the group")
        forget(settings, "hook", partition_of("d", settings.partitions))
        writer.say(numbered(3, **lead))
        with running(settings):
            until(lambda: len(receiver.calls) == 3, "the group again, and what came since")
        sent = [call.headers["idempotency-key"] for call in receiver.calls]
        assert sent[0] == sent[1]
        assert sent[0].startswith("group-")
        assert keys(receiver)[2] == "k3"


def test_what_was_told_while_a_group_waits_is_not_told_again_by_whoever_goes_on(
    stream: Settings, writer: Writer, alerts: Alerts, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        settings = having(stream, tmp_path, [hook(receiver)], group_minutes=60)
        with running(settings) as first:
            writer.say(numbered(1, recipients=("lead",), grouped=("lead",)))
            writer.say(numbered(2, 3, recipients=("lead",), grouped=()))
            until(lambda: first.count("hook", "delivered") == 2, "what is not grouped")
        _, left = alerts(settings, "ls", "--undelivered")
        assert [each["alert"]["key"] for each in left] == ["k1"]
        with running(settings):
            writer.say(numbered(4, recipients=("lead",), grouped=()))
            until(lambda: "k4" in keys(receiver), "what follows")
        with running(having(stream, tmp_path, [hook(receiver)], group_minutes=0.01)) as last:
            until(lambda: len(receiver.calls) == 4, "the group")
            until(lambda: last.value("cx_notifications_waiting", "hook") == 0, "its acknowledgement")
        assert keys(receiver) == ["k2", "k3", "k4", "k1"]
        assert alerts(settings, "ls", "--undelivered") == (0, [])


def test_a_process_tells_of_its_own_partitions_and_goes_on_where_another_left_them(
    stream: Settings, writer: Writer, tmp_path: Path
) -> None:
    districts = [f"d{number}" for number in range(12)]
    numbers = [partition_of(name, stream.partitions) for name in districts]
    mine = set(numbers[:6])
    with Receiver() as receiver:
        settings = having(stream, tmp_path, [hook(receiver)])

        def told(key: str) -> list[str]:
            bodies = [json.loads(call.body) for call in receiver.calls]
            return sorted(body["district"] for body in bodies if body["key"] == key)

        writer.say([each for name in districts for each in numbered(1, district=name)])
        with running(settings, mine) as stays:
            until(lambda: len(told("k1")) == sum(number in mine for number in numbers), "one share")
            with running(settings, set(numbers) - mine) as leaves:
                until(lambda: told("k1") == sorted(districts), "the other share")
                until(lambda: leaves.value("cx_notifications_waiting", "hook") == 0, "its acknowledgement")
            writer.say([each for name in districts for each in numbered(2, district=name)])
            stays.couriers.assign(numbers)
            until(lambda: told("k2") == sorted(districts), "all of it told by the one that is left")
        assert told("k1") == sorted(districts)


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Alerts:
    """`./cx alerts` with these settings: its exit code and JSON lines."""

    def run(settings: Settings, *line: str) -> tuple[int, list[dict[str, Any]]]:
        for name, value in child_environment(settings).items():
            if name.startswith("CX_"):
                monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = main(["alerts", *line, "--json"])
        return code, [json.loads(text) for text in capsys.readouterr().out.splitlines()]

    return run
