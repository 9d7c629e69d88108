"""One attempt to tell a receiver: over HTTP and SMTP, against servers that take it, refuse it, or are away."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.local.machine import free_ports
from schemas.receivers import EmailReceiver, WebhookReceiver
from streams.couriers.sending import DELIVERED, Answer, MailSender, WebhookSender, signature
from tests.mailbox import Mailbox
from tests.receiver import Receiver
from tests.sinks.samples import alert

PAGE = "https://cx.example/"


def webhook(url: str, **more: Any) -> WebhookSender:
    return WebhookSender(WebhookReceiver(receiver="hook", kind="webhook", url=url, **more), PAGE)


def mail(port: int, **more: Any) -> MailSender:
    given: dict[str, Any] = {"security": "none", "sender": "cx@riverbend.example", "to": ["lead@riverbend.example"]}
    return MailSender(EmailReceiver(receiver="mail", kind="email", host="127.0.0.1", port=port, **given | more), PAGE)


def test_a_post_has_a_key_and_a_signature() -> None:
    with Receiver() as receiver:
        sender = webhook(receiver.address, secret=SecretStr("a secret"), authorization=SecretStr("Bearer x"))
        assert sender.send([alert("d", "k1")]) == DELIVERED
        assert sender.send([alert("d", "k1"), alert("d", "k2")]) == DELIVERED
    one, many = receiver.calls
    assert one.headers["idempotency-key"] == "k1-0-breached"
    assert one.headers["x-cx-signature"] == signature("a secret", one.body)
    assert one.headers["authorization"] == "Bearer x"
    assert json.loads(many.body)["idempotency_key"] == many.headers["idempotency-key"]


def test_without_a_secret_nothing_is_signed() -> None:
    with Receiver() as receiver:
        webhook(receiver.address, body="slack").send([alert("d", "k1")])
    (call,) = receiver.calls
    assert not {"x-cx-signature", "authorization"} & call.headers.keys()
    assert "A promise is broken" in json.loads(call.body)["text"]


def test_the_signature_is_hmac_sha256() -> None:
    expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert signature("key", b"The quick brown fox jumps over the lazy dog") == expected


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (413, True), (422, True), (401, False), (404, False), (410, False), (302, False), (429, False)],
)
def test_only_what_says_that_the_message_is_wrong_is_a_refusal(status: int, refused: bool) -> None:
    with Receiver([status]) as receiver:
        assert webhook(receiver.address).send([alert("d", "k1")]) == Answer(False, refused, f"status {status}")


def test_a_receiver_that_is_away_is_neither() -> None:
    (port,) = free_ports(1)
    for sender in (webhook(f"http://127.0.0.1:{port}/"), mail(port)):
        answer = sender.send([alert("d", "k1")])
        assert (answer.delivered, answer.refused, answer.reason) == (False, False, "ConnectionRefusedError")


def test_a_mail_is_the_same_at_each_attempt() -> None:
    (port,) = free_ports(1)
    with Mailbox(port, ["451 later"]) as mailbox:
        first = mail(port).send([alert("d", "k1")])
        assert (first.delivered, first.refused, first.reason) == (False, False, "mail refused: 451")
        assert mail(port).send([alert("d", "k1")]) == DELIVERED
    (taken,) = mailbox.mail
    assert taken["Message-ID"] == "<k1-0-breached@riverbend.example>"
    assert taken["Idempotency-Key"] == "k1-0-breached"
    assert taken["Subject"] == "A promise is broken: first reply, south in d"
    assert (taken["To"], taken["Auto-Submitted"]) == ("lead@riverbend.example", "auto-generated")
    text = taken.get_content()
    assert "Conversation c1" in text
    assert "https://cx.example/?district=d" in text


@pytest.mark.parametrize(("answer", "refused"), [("554 never", True), ("452 full", False)])
def test_a_server_may_refuse_a_mail_for_good_or_for_now(answer: str, refused: bool) -> None:
    (port,) = free_ports(1)
    with Mailbox(port, [answer]):
        found = mail(port).send([alert("d", "k1")])
    assert (found.delivered, found.refused) == (False, refused)


def test_a_mail_for_several_is_delivered_if_one_address_takes_it() -> None:
    (port,) = free_ports(1)
    with Mailbox(port) as mailbox:
        some = mail(port, to=["lead@riverbend.example", "no-body@riverbend.example"]).send([alert("d", "k1")])
        assert (some.delivered, some.reason) == (True, "1 of the addresses refused")
        none = mail(port, to=["no-body@riverbend.example"]).send([alert("d", "k1")])
        assert (none.delivered, none.refused) == (False, True)
        assert len(mailbox.mail) == 1


def test_a_password_is_given_and_a_wrong_one_waits_for_whoever_sets_it_right() -> None:
    (port,) = free_ports(1)
    with Mailbox(port, password="right") as mailbox:
        wrong = mail(port, user="cx", password=SecretStr("wrong")).send([alert("d", "k1")])
        assert (wrong.delivered, wrong.refused) == (False, False)
        assert "wrong" not in wrong.reason
        assert mail(port, user="cx", password=SecretStr("right")).send([alert("d", "k1")]) == DELIVERED
        assert len(mailbox.mail) == 1


def test_a_server_without_the_encryption_that_is_asked_for_gets_nothing() -> None:
    (port,) = free_ports(1)
    with Mailbox(port) as mailbox:
        answer = mail(port, security="starttls").send([alert("d", "k1")])
        assert (answer.delivered, answer.refused) == (False, False)
        assert mailbox.tried == 0
