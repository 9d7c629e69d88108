"""What a live event waits while years come in beside it, in the same partition, with and without the import's pace.

A live event is one message each `LIVE_SECONDS`; its delay is from its publishing until the group's committed offset has
passed it, which is after its landing. Imports are of one size; only how much of each may be on the way differs.
"""

import json
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event as Signal
from threading import Thread
from time import monotonic

from bench.running import servers, worker
from bench.workload import configured, history, inquiry
from schemas.settings import Settings
from streams.intake.importing import Log, Watch, bring_in
from streams.intake.landing import GroupCommits
from streams.intake.producer import Encoded, EventProducer, Written, encode
from streams.present import wall_ms

LIVE = "live"
CONVERSATIONS = 50_000
ALONE_SECONDS = 15.0
LIVE_SECONDS = 0.05
AT_ONCE = 10**9


class Family(Thread):
    """Writes an inquiry now and then, and looks when each has landed. Failures come out of `delays`."""

    def __init__(self, settings: Settings, producer: EventProducer) -> None:
        super().__init__(name="family", daemon=True)
        self._commits = GroupCommits(settings)
        self._producer = producer
        self._ended = Signal()
        self._number = 0
        self._waiting: list[tuple[Written, float]] = []
        self._landed: list[tuple[float, float]] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Until stopped and everything has landed."""
        try:
            while not self._ended.wait(LIVE_SECONDS) or self._waiting:
                if not self._ended.is_set():
                    self._write()
                self._look()
        except Exception as error:  # noqa: BLE001 -- raised to whoever asks for the delays
            self._error = error

    def _write(self) -> None:
        self._number += 1
        at = monotonic()
        content = json.dumps(inquiry(LIVE, self._number, wall_ms())).encode()
        self._waiting.append((self._producer.publish(LIVE, content).result(), at))

    def _look(self) -> None:
        landed = self._commits.committed({written.partition for written, _ in self._waiting})
        now = monotonic()
        here = [(written, at) for written, at in self._waiting if written.offset < landed.get(written.partition, 0)]
        self._landed.extend((at, now - at) for _, at in here)
        self._waiting = [each for each in self._waiting if each not in here]

    def stop(self) -> None:
        """Write nothing more, wait until what was written has landed."""
        self._ended.set()
        self.join()
        self._commits.close()
        if self._error is not None:
            raise self._error

    def delays(self, begin: float, end: float) -> list[float]:
        """Seconds that what was written in a span of the monotonic clock waited, in order of size."""
        return sorted(delay for at, delay in self._landed if begin <= at < end)


@contextmanager
def _family(settings: Settings, producer: EventProducer) -> Iterator[Family]:
    writing = Family(settings, producer)
    writing.start()
    try:
        yield writing
    finally:
        writing.stop()


def _figures(name: str, delays: list[float]) -> dict[str, float]:
    def at(share: float) -> float:
        return round(delays[math.ceil(share * len(delays)) - 1], 2)

    return {
        f"{name}_live_events": len(delays),
        f"{name}_p50_s": at(0.5),
        f"{name}_p99_s": at(0.99),
        f"{name}_max_s": at(1),
    }


def measure() -> dict[str, float]:
    """Delays of live events alone, beside a paced import, and beside one that is sent as fast as Kafka takes it."""
    with servers(partitions=1) as settings, worker(settings), EventProducer(settings) as producer:
        for district in (LIVE, "paced", "at-once"):
            producer.publish(district, encode(configured(district)).content).result()
        with closing(GroupCommits(settings)) as commits, _family(settings, producer) as family:
            begin = monotonic()
            Signal().wait(ALONE_SECONDS)
            spans = {"alone": (begin, monotonic())}
            rates = {}
            for name, most in (("paced", settings.import_events), ("at-once", AT_ONCE)):
                past = [Encoded(name, json.dumps(event).encode()) for event in history(name, CONVERSATIONS)]
                begin = monotonic()
                done = bring_in(past, Log(producer, commits, most), Watch(lambda _: None, lambda *_: None, print))
                spans[name] = (begin, monotonic())
                rates[f"{name}_import_events_per_s"] = round(done.events / done.seconds)
    found: dict[str, float] = {"import_events": CONVERSATIONS * 3, "most_unlanded": settings.import_events}
    for name, (begin, end) in spans.items():
        found |= _figures(name, family.delays(begin, end))
    return found | rates
