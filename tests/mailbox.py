"""An SMTP server on a free port: keeps the mail it takes, answers as it is told."""

from collections.abc import Iterable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

OK = "250 taken"


class _Handler:
    """Answers mail with the given lines one by one, then takes all; addresses that begin with `no-` are refused."""

    def __init__(self, answers: Iterable[str]) -> None:
        self.mail: list[EmailMessage] = []
        self.tried = 0
        self._answers = list(answers)

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("no-"):
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- as above
        self.tried += 1
        answer = self._answers.pop(0) if self._answers else OK
        if answer == OK:
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mail.append(mail)
        return answer


class _Server(Controller):
    """Asks for a password if there is one; without encryption, as it listens to this machine only."""

    def __init__(self, handler: _Handler, port: int, password: str | None) -> None:
        self._password = password
        super().__init__(handler, hostname="127.0.0.1", port=port)

    def factory(self) -> SMTP:
        if self._password is None:
            return SMTP(self.handler)
        return SMTP(self.handler, authenticator=self._check, auth_require_tls=False)

    def _check(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password.decode() == self._password, handled=False)


class Mailbox:
    """Use as a context; `mail` is what was taken, `tried` how often a mail was brought."""

    def __init__(self, port: int, answers: Iterable[str] = (), password: str | None = None) -> None:
        self._handler = _Handler(answers)
        self._server = _Server(self._handler, port, password)
        self.port = port

    @property
    def mail(self) -> list[EmailMessage]:
        """What was taken, in order."""
        return self._handler.mail

    @property
    def tried(self) -> int:
        """How often a mail was brought, taken or not."""
        return self._handler.tried

    def __enter__(self) -> "Mailbox":
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()
