"""What the outlet asks of Kafka's client ends within its time, or is left behind and said to be away."""

from threading import Event

import pytest
from kafka.errors import KafkaTimeoutError

from schemas.errors import Fenced
from streams.outlet import bounded


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
