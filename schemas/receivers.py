"""Who gets alerts and how: one YAML file beside the settings, as it holds secrets.

A district's document names recipients by codes only. `repr` and errors never show a secret.
"""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from string import Template
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from schemas.document import MisplacedError, Place
from schemas.vocabulary import Code

FIELDS = (
    "what",
    "where",
    "how_long",
    "promise",
    "text",
    "link",
    "key",
    "district",
    "unit",
    "conversation",
    "transition",
    "at",
)
"""What a template may hold, as `${what}`; docs/alerts.md says what each is."""

HttpAddress = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s/]+(/\S*)?$"), Field(description="an http or https address")
]
MailAddress = Annotated[
    str, StringConstraints(pattern=r"^[^@\s,<>]+@[^@\s,<>]+$"), Field(description="a mailbox; better a role's")
]
Port = Annotated[int, Field(ge=1, le=65_535)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class _Receiver(_Part):
    """What every receiver has."""

    receiver: Code = Field(description="its name, in metrics and commands; a new name starts anew")
    recipients: list[Code] = Field(default=[], description="recipients of the districts' chains; empty: all")
    districts: list[Code] = Field(default=[], description="empty: all")


def _renders(template: str) -> str:
    if template in ("json", "slack"):
        return template
    named = {each.group("named") or each.group("braced") for each in Template.pattern.finditer(template)} - {None}
    if unknown := sorted(named - set(FIELDS)):
        raise ValueError(f"{unknown[0]} is no field of an alert; there are {', '.join(FIELDS)}")
    try:
        json.loads(Template(template).substitute(dict.fromkeys(FIELDS, "x")))
    except ValueError:
        raise ValueError('is no JSON once its fields are filled in; each stands within quotes: "${text}"') from None
    return template


class WebhookReceiver(_Receiver):
    """A POST for each alert, signed, with an idempotency key."""

    kind: Literal["webhook"]
    url: HttpAddress
    secret: SecretStr = Field(default=SecretStr(""), description="key of the signature; empty: not signed")
    authorization: SecretStr = Field(default=SecretStr(""), description="value of the header Authorization")
    body: Annotated[str, AfterValidator(_renders)] = Field(
        default="json", description="json: all of the alert; slack: a message for Slack; else a template of JSON"
    )


class EmailReceiver(_Receiver):
    """A mail for each alert over SMTP."""

    kind: Literal["email"]
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]+$")]
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: SecretStr = SecretStr("")
    sender: MailAddress
    to: list[MailAddress] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Self:
        if self.user and self.security == "none" and not _is_local(self.host):
            raise MisplacedError([(("security",), "a password would go over the net in the clear: starttls or tls")])
        return self


class AlertmanagerReceiver(_Receiver):
    """Prometheus' Alertmanager, its API v2: told again and again what stands, and what is over."""

    kind: Literal["alertmanager"]
    url: HttpAddress
    authorization: SecretStr = Field(default=SecretStr(""), description="value of the header Authorization")
    resend_seconds: Annotated[float, Field(gt=0, le=3_600)] = 60.0


Receiver = Annotated[WebhookReceiver | EmailReceiver | AlertmanagerReceiver, Field(discriminator="kind")]


class Receivers(_Part):
    """The whole file."""

    group_minutes: Annotated[float, Field(gt=0, le=1_440)] = Field(
        default=30.0, description="how long grouped alerts are collected for one message"
    )
    receivers: list[Receiver] = Field(default=[], max_length=100)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if problems := list(self._repeated()):
            raise MisplacedError(problems)
        return self

    def _repeated(self) -> Iterator[tuple[Place, str]]:
        seen: set[str] = set()
        for index, each in enumerate(self.receivers):
            if each.receiver in seen:
                yield ("receivers", index, "receiver"), f"receiver {each.receiver} is named twice"
            seen.add(each.receiver)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return re.fullmatch(r"localhost", host) is not None
