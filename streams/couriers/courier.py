"""Tells one receiver, in a thread of its own, and acknowledges on Kafka what it has told: never before.

A receiver that takes nothing is asked again with growing pauses for as long as it takes; only its own alerts wait, and
they wait in Kafka. What a receiver refuses for good is said on the dead letters, and the next alert goes on.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import NamedTuple

from kafka.errors import KafkaError

from schemas.errors import Unavailable
from schemas.receivers import EmailReceiver, WebhookReceiver
from schemas.settings import Settings
from schemas.topics import ALERTS
from sinks.landing import DeadLetterRow
from streams.core.admission import digest
from streams.couriers.deliveries import Deliveries
from streams.couriers.messages import idempotency_key
from streams.couriers.reading import GROUPED, NO, AlertReader, Said, Share, wanted
from streams.couriers.sending import Answer, Sender
from streams.metrics import WorkerMetrics
from streams.present import wall_ms

log = logging.getLogger("cx.couriers")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
LOOK_SECONDS = 0.25
KAFKA_PAUSE = 2.0
UNDELIVERED = "undelivered"
# A transaction is decided some time after its alerts were written.
DECIDED_MS = 10_000


class Tools(NamedTuple):
    """What every courier of a process shares. `refuse` publishes a dead letter; it raises `Unavailable`."""

    settings: Settings
    metrics: WorkerMetrics
    stop: Event
    share: Share
    refuse: Callable[[Sequence[DeadLetterRow]], None]
    first_pause: float = FIRST_PAUSE


def read_until_stop(tools: Tools, receiver: str, read: Callable[[AlertReader], None], whole: bool = False) -> None:
    """Give `read` a reader of `cx.alerts`, and a new one after whatever goes wrong; `whole` as of `AlertReader`."""
    while not tools.stop.is_set():
        try:
            reader = AlertReader(tools.settings, receiver, tools.share, whole)
            try:
                read(reader)
            finally:
                reader.close()
        except (KafkaError, OSError, Unavailable) as error:
            log.warning("%s waits for Kafka: %s", receiver, type(error).__name__)
            tools.stop.wait(KAFKA_PAUSE)
        except Exception:  # the thread has to live: others' alerts are still to come
            log.exception("unforeseen error while telling %s", receiver)
            tools.stop.wait(KAFKA_PAUSE)


class Courier:
    """One receiver of single or grouped messages."""

    def __init__(
        self, receiver: WebhookReceiver | EmailReceiver, sender: Sender, group_seconds: float, tools: Tools
    ) -> None:
        self._receiver = receiver
        self._sender = sender
        self._group_ms = int(group_seconds * 1000)
        self._tools = tools
        self._held: list[Said] = []
        self._committed: dict[int, int] = {}
        self._deliveries = Deliveries(receiver.receiver, tools.metrics)

    def run(self) -> None:
        """Read and tell until `stop`; whatever goes wrong, it begins again."""
        read_until_stop(self._tools, self._receiver.receiver, self._read)

    def _read(self, reader: AlertReader) -> None:
        moves = -1
        self._held.clear()
        while not self._tools.stop.is_set():
            batch = reader.poll(LOOK_SECONDS)
            if reader.moves != moves:
                moves = reader.moves
                self._held.clear()
                self._committed = {}
            if self._through(reader, batch) and self._told_held(reader):
                self._acknowledge(reader, reader.positions())
            reader.keep()
            metrics, name = self._tools.metrics, self._receiver.receiver
            metrics.notifications_waiting.labels(name).set(reader.left(self._committed))

    def _through(self, reader: AlertReader, batch: Sequence[Said]) -> bool:
        """Tell what is to be told at once; False if the rest of it is not ours any more, or this process ends."""
        for said in batch:
            way = wanted(self._receiver, said.alert)
            if way == GROUPED:
                self._held.append(said)
            elif way != NO:
                if not self._deliver(reader, [said]):
                    return False
                reader.tell(said)
                self._acknowledge(reader, {said.partition: said.offset + 1})
        return True

    def _told_held(self, reader: AlertReader) -> bool:
        """Tell in one message for each partition what was collected long enough; False as above.

        What belongs together follows from what stands on `cx.alerts`: whoever tells it again tells the same.
        """
        while group := self._full(reader):
            if not self._deliver(reader, group):
                return False
            told = {(said.partition, said.offset) for said in group}
            self._held = [said for said in self._held if (said.partition, said.offset) not in told]
            for said in group:
                reader.tell(said)
            # The next partition's message may take long, and this one's is out.
            self._acknowledge(reader, reader.positions())
        return True

    def _full(self, reader: AlertReader) -> list[Said]:
        """What one partition wrote within the time of a group since its first that waits, once all of it is read."""
        firsts = {said.partition: said for said in reversed(self._held)}
        decided_ms = wall_ms() - min(DECIDED_MS, self._group_ms)
        for number, first in firsts.items():
            end_ms = first.written_ms + self._group_ms
            if end_ms <= decided_ms and reader.is_through(number):
                return [said for said in self._held if said.partition == number and said.written_ms < end_ms]
        return []

    def _acknowledge(self, reader: AlertReader, places: dict[int, int]) -> None:
        """Up to what is still held; what was told beyond it is known after a restart too."""
        for said in self._held:
            if said.partition in places:
                places[said.partition] = min(places[said.partition], said.offset)
        new = {
            number: place
            for number, place in places.items()
            if place > self._committed.get(number, -1) or number in reader.unwritten
        }
        reader.commit(new)
        self._committed |= new

    def _deliver(self, reader: AlertReader, told: Sequence[Said]) -> bool:
        """Until it is delivered or refused for good; False if the share changed meanwhile, or this process ends."""
        alerts = [said.alert for said in told]
        pause = self._tools.first_pause
        while True:
            answer = self._sender.send(alerts)
            if answer.delivered:
                self._succeeded(told, answer)
                return True
            if answer.refused:
                return self._refused(reader, told, answer.reason)
            self._failed(idempotency_key(alerts), answer.reason)
            reader.keep()
            jittered = pause * random.uniform(0.5, 1.0)  # noqa: S311 -- so that many do not come at once
            if not self._rest(reader, max(jittered, answer.wait)):
                return False
            pause = min(pause * 2, LONGEST_PAUSE)

    def _rest(self, reader: AlertReader, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._tools.stop.wait(min(left, LOOK_SECONDS)) or reader.moved:
                return False
        return True

    def _succeeded(self, told: Sequence[Said], answer: Answer) -> None:
        name, metrics = self._receiver.receiver, self._tools.metrics
        if answer.reason:
            log.warning("%s took %s, but %s", name, told[0].alert.idempotency_key, answer.reason)
        self._deliveries.delivered(len(told))
        for said in told:
            metrics.notification_seconds.labels(name).observe(max(0, wall_ms() - said.alert.at) / 1000)

    def _failed(self, key: str, reason: str) -> None:
        self._deliveries.failed()
        log.warning("%s did not take %s, it is tried again: %s", self._receiver.receiver, key, reason)

    def _refused(self, reader: AlertReader, told: Sequence[Said], reason: str) -> bool:
        """Make visible what can never be delivered; it stays in `alerts` and on `cx.alerts` anyway."""
        name, settings = self._receiver.receiver, self._tools.settings
        log.warning("%s refuses %s: %s", name, idempotency_key([said.alert for said in told]), reason)
        rows = [
            DeadLetterRow(
                settings.topic(ALERTS),
                said.partition,
                said.offset,
                0,
                UNDELIVERED,
                name,
                f"the receiver refuses it: {reason}",
                digest(said.alert.idempotency_key.encode()),
                said.alert.district,
                said.alert.transition,
            )
            for said in told
        ]
        while True:
            try:
                self._tools.refuse(rows)
            except Unavailable as error:
                log.warning("a dead letter waits: %s", error)
                if not self._rest(reader, KAFKA_PAUSE):
                    return False
            else:
                self._tools.metrics.notifications.labels(name, "refused").inc(len(rows))
                return True
