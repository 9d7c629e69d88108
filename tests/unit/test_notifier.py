"""The webhook: signed, keyed, tried again, and never in anybody's way."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from deploy.local.machine import free_ports
from schemas.errors import UsageError
from schemas.settings import Settings
from streams.metrics import WorkerMetrics
from streams.notifier import ATTEMPTS, WAITING, Webhook, signature
from tests.receiver import Receiver
from tests.sinks.samples import alert


class Told:
    """A webhook and what it counted."""

    def __init__(self, address: str | None) -> None:
        self.registry = CollectorRegistry()
        settings = Settings(webhook=address, webhook_secret=SecretStr("a secret"))
        self.webhook = Webhook(settings, WorkerMetrics(self.registry), pause=0.001)

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("cx_notifications_total", {"outcome": outcome}) or 0

    def wait(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)


@contextmanager
def told(address: str | None) -> Iterator[Told]:
    made = Told(address)
    yield made
    made.webhook.close()


def test_a_transition_is_posted_once_with_key_and_signature() -> None:
    with Receiver() as receiver, told(receiver.address) as one:
        one.webhook.notify([alert("d", "k1")])
        one.wait(lambda: one.count("delivered") == 1)
        (call,) = receiver.calls
    assert call.headers["idempotency-key"] == "k1-0-breached"
    assert call.headers["x-cx-signature"] == signature("a secret", call.body)
    body = json.loads(call.body)
    assert body["what"] == "A promise is broken: first reply in north"
    assert (body["conversation"], body["unit"], body["promise"], body["open_ms"]) == ("c1", "north", "reply", 9)
    assert body["link"].endswith("/?district=d")


def test_the_signature_is_hmac_sha256() -> None:
    expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert signature("key", b"The quick brown fox jumps over the lazy dog") == expected


def test_a_receiver_that_fails_is_asked_again_with_the_same_key() -> None:
    with Receiver([500, 429, 503]) as receiver, told(receiver.address) as one:
        one.webhook.notify([alert("d", "k1")])
        one.wait(lambda: one.count("delivered") == 1)
        assert {call.headers["idempotency-key"] for call in receiver.calls} == {"k1-0-breached"}
        assert len(receiver.calls) == 4


def test_a_refusal_is_not_repeated_and_is_counted() -> None:
    with Receiver([410]) as receiver, told(receiver.address) as one:
        one.webhook.notify([alert("d", "k1"), alert("d", "k2")])
        one.wait(lambda: one.count("delivered") == 1)
        assert (one.count("refused"), len(receiver.calls)) == (1, 2)


def test_a_dead_receiver_delays_nobody_and_what_is_not_told_is_counted() -> None:
    (port,) = free_ports(1)
    with told(f"http://127.0.0.1:{port}/") as one:
        one.webhook.notify([alert("d", f"k{number}") for number in range(WAITING + 50)])
        assert one.count("dropped") == 50
        one.wait(lambda: one.count("failed") >= 1)
    assert ATTEMPTS > 1


def test_without_an_address_nothing_happens() -> None:
    with told(None) as one:
        one.webhook.notify([alert("d", "k1")])
        assert one.count("dropped") == 0


@pytest.mark.parametrize("address", ["ftp://a/b", "localhost:80", "http://", "http://a b/"])
def test_an_address_that_is_none_is_refused_at_start(address: str) -> None:
    with pytest.raises(UsageError, match="CX_WEBHOOK"):
        Settings.from_environment({"CX_WEBHOOK": address})
