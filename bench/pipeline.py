"""The whole way, Kafka to ClickHouse, through one worker: events per second from the first message to the last row."""

import time

from bench.running import servers, until, worker
from bench.workload import configured, messages
from schemas.settings import Settings
from sinks.connection import connect
from streams.intake.producer import EventProducer, encode

DISTRICT = "bench"
CONVERSATIONS = 20_000
EVENTS_PER_MESSAGE = 500


def _landed(settings: Settings) -> int:
    with connect(settings) as client:
        return int(
            client.execute("SELECT countDistinct(conversation) FROM conversations WHERE status = 'resolved'")[0][0]
        )


def measure() -> dict[str, float]:
    """Start a stack of its own in a temporary directory, send, wait, stop."""
    batch = messages(DISTRICT, CONVERSATIONS, EVENTS_PER_MESSAGE)
    with servers() as settings, worker(settings):
        seconds = _through_the_worker(settings, batch)
    count = CONVERSATIONS * 3
    return {"events": count, "seconds": round(seconds, 3), "pipeline_events_per_s": round(count / seconds)}


def _through_the_worker(settings: Settings, batch: list[bytes]) -> float:
    with EventProducer(settings) as producer:
        producer.publish(DISTRICT, encode(configured(DISTRICT)).content).result(30)
        started = time.perf_counter()
        for message in batch:
            producer.publish(DISTRICT, message)
        until(lambda: _landed(settings) >= CONVERSATIONS, "all rows")
        return time.perf_counter() - started
