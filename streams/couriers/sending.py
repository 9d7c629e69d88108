"""One attempt to tell a receiver something: over HTTP or SMTP. Blocks for at most some seconds."""

import hmac
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from schemas.receivers import EmailReceiver, WebhookReceiver
from schemas.transitions import Transition
from streams.couriers.messages import body, idempotency_key, shown

SECONDS = 10.0
SIGNATURE = "X-CX-Signature"
LONGEST_WISH = 300.0
# The message itself is wrong. Whatever else is answered, the receiver is away or its address is: it waits.
_BAD_MESSAGE = frozenset({400, 413, 415, 422})


class Answer(NamedTuple):
    """What came of an attempt: `refused` is for good, and so is neither; `wait` seconds are the receiver's own wish."""

    delivered: bool
    refused: bool
    reason: str = ""
    wait: float = 0.0


DELIVERED = Answer(True, False)


class Sender(Protocol):
    """A way to a receiver."""

    def send(self, alerts: Sequence[Transition]) -> Answer:
        """Tell one alert, or several in one message, under the same idempotency key at each attempt."""


def signature(secret: str, content: bytes) -> str:
    """Value of the signature header: `sha256=` and the HMAC of the body, hexadecimal."""
    return "sha256=" + hmac.new(secret.encode(), content, sha256).hexdigest()


def post(url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """A POST of JSON. No redirect is followed: what a receiver's address is stands in its file."""
    address = urlsplit(url)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=SECONDS)
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        connection.request("POST", target, content, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        status, wish = response.status, response.getheader("Retry-After", "")
    except (OSError, HTTPException) as error:
        return Answer(False, False, type(error).__name__)
    finally:
        connection.close()
    if 200 <= status < 300:
        return DELIVERED
    wait = min(float(wish), LONGEST_WISH) if wish.isdecimal() else 0.0
    return Answer(False, status in _BAD_MESSAGE, f"status {status}", wait)


class WebhookSender:
    """Posts to one address."""

    def __init__(self, receiver: WebhookReceiver, page: str) -> None:
        self._receiver = receiver
        self._page = page

    def send(self, alerts: Sequence[Transition]) -> Answer:
        """One POST."""
        receiver = self._receiver
        content = body(receiver.body, alerts, self._page)
        headers = {"Idempotency-Key": idempotency_key(alerts)}
        if secret := receiver.secret.get_secret_value():
            headers[SIGNATURE] = signature(secret, content)
        if authorization := receiver.authorization.get_secret_value():
            headers["Authorization"] = authorization
        return post(receiver.url, content, headers)


class MailSender:
    """Sends mail through one server, one message for each alert to all addresses."""

    def __init__(self, receiver: EmailReceiver, page: str) -> None:
        self._receiver = receiver
        self._page = page

    def send(self, alerts: Sequence[Transition]) -> Answer:
        """One mail; delivered if the server takes it for at least one address."""
        try:
            refused = self._send(self.message(alerts))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return Answer(False, all(code >= 500 for code in codes), f"addresses refused: {codes[0]}")
        except smtplib.SMTPDataError as error:
            return Answer(False, error.smtp_code >= 500, f"mail refused: {error.smtp_code}")
        except smtplib.SMTPResponseException as error:
            return Answer(False, False, f"{type(error).__name__} {error.smtp_code}")
        except (OSError, smtplib.SMTPException) as error:
            return Answer(False, False, type(error).__name__)
        return DELIVERED if not refused else Answer(True, False, f"{len(refused)} of the addresses refused")

    def message(self, alerts: Sequence[Transition]) -> EmailMessage:
        """The mail; its Message-ID is the same at each attempt, so that a mailbox shows it once."""
        words, key = shown(alerts, self._page), idempotency_key(alerts)
        mail = EmailMessage()
        mail["From"], mail["To"] = self._receiver.sender, ", ".join(self._receiver.to)
        mail["Subject"] = f"{words['what']}, {words['where']}"
        mail["Message-ID"] = f"<{key}@{parseaddr(self._receiver.sender)[1].rpartition('@')[2]}>"
        mail["Date"] = formatdate(usegmt=True)
        mail["Idempotency-Key"] = key
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(words["text"] + "\n")
        return mail

    def _send(self, mail: EmailMessage) -> Mapping[str, object]:
        """The addresses that were refused while others were not."""
        receiver = self._receiver
        if receiver.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                receiver.host, receiver.port, timeout=SECONDS, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(receiver.host, receiver.port, timeout=SECONDS)
        with server:
            if receiver.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if receiver.user:
                server.login(receiver.user, receiver.password.get_secret_value())
            return server.send_message(mail)
