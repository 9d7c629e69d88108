"""Keeps one Alertmanager told of what stands, in a thread of its own: at once when it changes, and again and again.

What stands is read from the beginning of what Kafka holds, at each start and whenever partitions move.
"""

import json
import logging
import time
from itertools import islice

from schemas.receivers import AlertmanagerReceiver
from streams.couriers.courier import LOOK_SECONDS, Tools, read_until_stop
from streams.couriers.deliveries import Deliveries
from streams.couriers.reading import NO, AlertReader, wanted
from streams.couriers.sending import Answer, post
from streams.couriers.standing import Standing
from streams.present import wall_ms

log = logging.getLogger("cx.couriers")

AT_ONCE = 500
LONGEST_PAUSE = 60.0
API = "/api/v2/alerts"


class AlertmanagerCourier:
    """One Alertmanager."""

    def __init__(self, receiver: AlertmanagerReceiver, page: str, tools: Tools) -> None:
        self._receiver = receiver
        self._tools = tools
        self._standing = Standing(page)
        self._untold: dict[tuple[str, str], None] = {}
        self._resent = 0.0
        self._pause_until = 0.0
        self._pause = tools.first_pause
        self._deliveries = Deliveries(receiver.receiver, tools.metrics)

    def run(self) -> None:
        """Read and tell until `stop`; whatever goes wrong, it begins again."""
        read_until_stop(self._tools, self._receiver.receiver, self._read, whole=True)

    def _read(self, reader: AlertReader) -> None:
        moves = -1
        while not self._tools.stop.is_set():
            batch = reader.poll(LOOK_SECONDS)
            if reader.moves != moves:
                moves = reader.moves
                self._standing.forget()
                self._untold.clear()
            for said in batch:
                self._standing.take(said.alert, wanted(self._receiver, said.alert) != NO)
            if not reader.left({}):
                self._tell(reader)

    def _tell(self, reader: AlertReader) -> None:
        """Once all is read: what changed, or everything if it is time."""
        now, now_ms = time.monotonic(), wall_ms()
        self._untold |= dict.fromkeys(self._standing.changed())
        if now - self._resent >= self._receiver.resend_seconds:
            self._untold |= dict.fromkeys(self._standing.everything(now_ms))
            self._resent = now
        while self._untold and now >= self._pause_until:
            some = list(islice(self._untold, AT_ONCE))
            told = self._standing.shown(some, now_ms, int(self._receiver.resend_seconds * 1000))
            answer = self._send(json.dumps(told).encode())
            if not answer.delivered:
                self._failed(answer, len(some))
                return
            for each in some:
                del self._untold[each]
            self._succeeded(len(some))
        if not self._untold:
            reader.commit(reader.positions())

    def _send(self, content: bytes) -> Answer:
        authorization = self._receiver.authorization.get_secret_value()
        headers = {"Authorization": authorization} if authorization else {}
        return post(self._receiver.url.rstrip("/") + API, content, headers)

    def _succeeded(self, number: int) -> None:
        self._pause = self._tools.first_pause
        self._deliveries.delivered(number)
        self._tools.metrics.notifications_waiting.labels(self._receiver.receiver).set(len(self._untold))

    def _failed(self, answer: Answer, number: int) -> None:
        """Whatever it answers it is told again: all of it is said again and again anyway."""
        self._pause_until = time.monotonic() + max(self._pause, answer.wait)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._deliveries.failed()
        name = self._receiver.receiver
        self._tools.metrics.notifications_waiting.labels(name).set(len(self._untold))
        log.warning("%s did not take %d alerts, they are told again: %s", name, number, answer.reason)
