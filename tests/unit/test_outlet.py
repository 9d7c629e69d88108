"""What the outlet asks of Kafka's client ends within its time, or is left behind and said to be away."""

from threading import Event
from typing import Any, ClassVar

import pytest
from kafka.errors import KafkaTimeoutError

from schemas.errors import Fenced, Unavailable
from schemas.settings import Settings
from streams.outlet import KafkaOutlet, bounded
from streams.stand import Membership
from tests.sinks.samples import alert


def test_what_does_not_end_is_left_behind() -> None:
    never = Event()

    def waits() -> None:
        never.wait()

    with pytest.raises(KafkaTimeoutError):
        bounded(waits, 0.05)
    never.set()


def test_what_ends_is_done_and_what_fails_fails_as_it_is() -> None:
    done: list[int] = []
    bounded(lambda: done.append(1), 30)
    assert done == [1]

    def lost() -> None:
        raise Fenced("another owns it")

    with pytest.raises(Fenced, match="another"):
        bounded(lost, 30)


class Stuck:
    """A producer whose transaction was ended by the broker: it neither sends what it holds nor closes."""

    made: ClassVar[list["Stuck"]] = []

    def __init__(self, **_: Any) -> None:
        self._sender = self
        self.is_given_up = False
        self.made.append(self)

    def init_transactions(self) -> None:
        pass

    def begin_transaction(self) -> None:
        raise KafkaTimeoutError("no end")

    def close(self, timeout: float) -> None:
        raise KafkaTimeoutError(f"not sent within {timeout} s")

    def force_close(self) -> None:
        self.is_given_up = True


def test_a_producer_that_does_not_close_is_given_up_and_kafka_is_said_to_be_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.outlet.KafkaProducer", Stuck)
    outlet = KafkaOutlet(Settings())
    for _ in range(2):
        with pytest.raises(Unavailable, match="did not take a message"):
            outlet.alerts([alert("d", "k1", "breached")], Membership())
    assert [each.is_given_up for each in Stuck.made] == [True, True]
