"""The file of receivers: what is wrong is named with its place, and no secret is ever shown."""

from pathlib import Path

import pytest

from schemas.document import parse
from schemas.errors import DocumentError, UsageError
from schemas.receivers import AlertmanagerReceiver, EmailReceiver, Receivers, WebhookReceiver
from schemas.settings import Settings
from streams.couriers.service import page_of, receivers_of

WHOLE = """
group_minutes: 5
receivers:
  - receiver: chat
    kind: webhook
    url: https://hooks.example/T0
    body: slack
    secret: hush-hush
    recipients: [bus-dispatch]
  - receiver: mail
    kind: email
    host: smtp.example
    user: cx
    password: hush-hush
    sender: cx@riverbend.example
    to: [transportation@riverbend.example]
    districts: [riverbend]
  - receiver: prometheus
    kind: alertmanager
    url: http://127.0.0.1:9093
    authorization: Bearer hush-hush
"""


def test_every_kind_is_read_and_no_secret_is_shown() -> None:
    found = parse(WHOLE, Receivers)
    assert [type(each) for each in found.receivers] == [WebhookReceiver, EmailReceiver, AlertmanagerReceiver]
    assert "hush-hush" not in repr(found)
    assert "hush-hush" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("receivers:\n  - {receiver: a, kind: pager}", "line 2, receivers[0]: "),
        ("receivers:\n  - {receiver: a, kind: webhook, url: hooks.example}", "line 2, receivers[0].webhook.url"),
        ("receivers:\n  - {receiver: a, kind: webhook, url: http://a, secret: [hush-hush]}", "secret"),
        (
            'receivers:\n  - {receiver: a, kind: webhook, url: http://a, body: \'{"t": "${texts}"}\'}',
            "texts is no field of an alert; there are what, where,",
        ),
        ("receivers:\n  - {receiver: a, kind: webhook, url: http://a, body: '{\"t\": ${text}}'}", "is no JSON"),
        (
            "receivers:\n  - {receiver: a, kind: webhook, url: http://a}\n"
            "  - {receiver: a, kind: webhook, url: http://b}",
            "line 3, receivers[1].receiver: receiver a is named twice",
        ),
        (
            "receivers:\n  - {receiver: a, kind: email, host: smtp.example, sender: a@b, to: [c@d], user: u, "
            "password: hush-hush, security: none}",
            "security: a password would go over the net in the clear",
        ),
        ("receivers:\n  - {receiver: a, kind: email, host: h, sender: a@b, to: [not-an-address]}", "to[0]"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_without_secrets(text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as raised:
        parse(text, Receivers, "receivers.yaml")
    said = "\n".join(raised.value.problems)
    assert problem in said
    assert "receivers.yaml: line " in said
    assert "hush-hush" not in said


def test_a_password_may_go_to_this_machine_in_the_clear() -> None:
    local = "{receiver: a, kind: email, host: 127.0.0.1, sender: a@b, to: [c@d], user: u, security: none}"
    assert parse(f"receivers: [{local}]", Receivers).receivers


def test_the_webhook_of_the_settings_is_one_more(tmp_path: Path) -> None:
    path = tmp_path / "receivers.yaml"
    path.write_text(WHOLE)
    settings = Settings(receivers=path, webhook="http://127.0.0.1:1/hook")
    assert [each.receiver for each in receivers_of(settings).receivers] == ["chat", "mail", "prometheus", "webhook"]
    assert receivers_of(Settings()).receivers == []
    path.write_text("receivers: [{receiver: webhook, kind: webhook, url: http://a}]")
    with pytest.raises(UsageError, match="name one of them only"):
        receivers_of(settings)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CX_RECEIVERS"):
        receivers_of(Settings(receivers=tmp_path / "nowhere.yaml"))


def test_messages_link_to_the_page_as_people_reach_it() -> None:
    assert page_of(Settings(web_port=18080)) == "http://127.0.0.1:18080/"
    assert page_of(Settings(page="https://cx.riverbend.example/live/")) == "https://cx.riverbend.example/live/"


@pytest.mark.parametrize("address", ["ftp://a/b", "localhost:80", "http://", "http://a b/"])
@pytest.mark.parametrize("name", ["CX_WEBHOOK", "CX_PAGE"])
def test_an_address_that_is_none_is_refused_at_start(name: str, address: str) -> None:
    with pytest.raises(UsageError, match=name):
        Settings.from_environment({name: address})
