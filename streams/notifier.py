"""Tells a webhook of alert transitions, from a queue and a thread of its own: a dead receiver delays nobody.

A delivery is tried again with growing pauses, always with the same `Idempotency-Key`: receivers get it at least once as
long as this process lives. What cannot be delivered is counted and stays in `alerts` and on `cx.alerts`.
"""

import hmac
import json
import logging
from collections.abc import Sequence
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, Full, Queue
from threading import Event, Thread
from urllib.parse import urlencode, urlsplit

from schemas.incidents import IncidentTransition
from schemas.settings import Settings
from schemas.transitions import Transition, as_json
from streams.alert_words import what
from streams.metrics import WorkerMetrics

log = logging.getLogger("cx.notifier")

SECONDS = 10.0
ATTEMPTS = 8
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
WAITING = 1_000
LOOK_SECONDS = 0.5
CLOSE_SECONDS = 2.0
RETRIED = frozenset({408, 425, 429})
SIGNATURE = "X-CX-Signature"


def signature(secret: str, body: bytes) -> str:
    """Value of the signature header: `sha256=` and the HMAC of the body, hexadecimal."""
    return "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()


def message(transition: Transition, page: str) -> bytes:
    """What a receiver gets, as JSON: what, where, how long (ms since the clock started, or it began), a link."""
    began_at = transition.began_at if isinstance(transition, IncidentTransition) else transition.started_at
    told = {"what": what(transition), "open_ms": (transition.ended_at or transition.at) - began_at}
    link = f"{page}?{urlencode({'district': transition.district})}"
    return json.dumps(as_json(transition) | told | {"link": link}).encode()


class Webhook:
    """One receiver; without an address nothing is sent. `pause` is the first pause between attempts, in seconds."""

    def __init__(self, settings: Settings, metrics: WorkerMetrics, pause: float = FIRST_PAUSE) -> None:
        self._address = settings.webhook
        self._secret = settings.webhook_secret.get_secret_value()
        self._page = f"http://{settings.bind}:{settings.web_port}/"
        self._metrics = metrics
        self._pause = pause
        self._queue: Queue[Transition] = Queue(WAITING)
        self._stop = Event()
        self._thread: Thread | None = None

    def notify(self, transitions: Sequence[Transition]) -> None:
        """Take transitions to be told; never blocks. With a full queue the newest are dropped and counted."""
        if not self._address:
            return
        for transition in transitions:
            try:
                self._queue.put_nowait(transition)
            except Full:
                self._count("dropped")
        self._metrics.notifications_waiting.set(self._queue.qsize())
        if transitions and self._thread is None:
            self._thread = Thread(target=self._run, name="webhook", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop soon; what waits is not told."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                transition = self._queue.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            try:
                self._deliver(transition)
            except Exception:  # the thread has to live: the next receiver's answer may be better
                log.exception("unforeseen error while telling the webhook of %s", transition.idempotency_key)
                self._count("failed")
            self._metrics.notifications_waiting.set(self._queue.qsize())

    def _deliver(self, transition: Transition) -> None:
        body = message(transition, self._page)
        pause = self._pause
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._post(body, transition.idempotency_key)
            if 200 <= answer < 300:
                self._count("delivered")
                return
            if 300 <= answer < 500 and answer not in RETRIED:
                log.warning("the webhook refuses %s with status %d", transition.idempotency_key, answer)
                self._count("refused")
                return
            if attempt < ATTEMPTS and self._stop.wait(pause):
                break
            pause = min(pause * 2, LONGEST_PAUSE)
        log.warning("the webhook did not take %s", transition.idempotency_key)
        self._count("failed")

    def _post(self, body: bytes, key: str) -> int:
        """Status of the answer, 0 if there was none."""
        url = urlsplit(self._address or "")
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, body)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            connection.request("POST", target, body, headers)
            return connection.getresponse().status
        except (OSError, HTTPException) as error:
            log.info("the webhook cannot be reached: %s", type(error).__name__)
            return 0
        finally:
            connection.close()

    def _count(self, outcome: str) -> None:
        self._metrics.notifications.labels(outcome).inc()
