"""How long after a promise broke a webhook hears of it: alone, and beside a receiver that takes nothing.

Each promise breaks at an instant of its own, by a target of seconds in calendar time; nothing else comes in. Measured
from that instant to the arrival of the whole request, by the clock of one machine, over a real Kafka and ClickHouse.
"""

import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any

from bench.running import servers, until, worker
from bench.workload import configured, inquiry
from deploy.local.machine import free_ports
from schemas.district import Promise
from schemas.events import DistrictConfigured, Event
from schemas.settings import Settings
from schemas.vocabulary import to_ms
from streams.intake.producer import EventProducer, encode
from streams.present import wall_ms

PROMISES = 400
PAUSE_SECONDS = 0.05
TARGET = "10s"
ALONE, BESIDE = "alone", "beside-a-dead-one"


class Listener:
    """A webhook's receiver; `delays` are ms from a breach to its arrival here, by conversation."""

    def __init__(self) -> None:
        self.delays: dict[str, int] = {}
        delays = self.delays

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now_ms = wall_ms()
                if body["transition"] == "breached":
                    delays.setdefault(body["conversation"], now_ms - to_ms(datetime.fromisoformat(body["at"])))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    @contextmanager
    def listening(self) -> Iterator["Listener"]:
        """Within the block."""
        thread = Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _configured(district: str) -> Event:
    """A reply within seconds, at any hour."""
    event = configured(district)
    assert isinstance(event, DistrictConfigured)
    reply = {"promise": "reply", "clock": "first_reply", "target": TARGET, "hours": "calendar"}
    told = {"quiet_hours": False, "daily_budget": PROMISES * 10}
    of_it = event.configuration
    changed = of_it.model_copy(
        update={"promises": [Promise.model_validate(reply)], "alerts": of_it.alerts.model_copy(update=told)}
    )
    return event.model_copy(update={"configuration": changed})


def _receivers(settings: Settings, listener: Listener, is_beside: bool) -> Settings:
    """The settings with a file of the listener, and of an address where nobody listens."""
    found: list[dict[str, Any]] = [{"receiver": "living", "kind": "webhook", "url": listener.url}]
    if is_beside:
        (port,) = free_ports(1)
        found.append({"receiver": "dead", "kind": "webhook", "url": f"http://127.0.0.1:{port}/"})
    path = Path(settings.data) / "receivers.yaml"
    path.write_text(json.dumps({"receivers": found}))
    return settings.model_copy(update={"receivers": path})


def _delays(settings: Settings, district: str) -> list[int]:
    """Of every promise of a district, in order of size."""
    with Listener().listening() as listener:
        own = _receivers(settings, listener, district == BESIDE)
        with worker(own), EventProducer(own) as producer:
            written: list[Future[Any]] = [producer.publish(district, encode(_configured(district)).content)]
            for number in range(PROMISES):
                written.append(producer.publish(district, json.dumps(inquiry(district, number, wall_ms())).encode()))
                Signal().wait(PAUSE_SECONDS)
            wait(written)
            until(lambda: len(listener.delays) == PROMISES, "every broken promise to be told")
        return sorted(listener.delays.values())


def _figures(name: str, delays: Sequence[int]) -> dict[str, float]:
    def at(share: float) -> float:
        return round(delays[math.ceil(share * len(delays)) - 1] / 1000, 3)

    named = name.replace("-", "_")
    return {f"{named}_p50_s": at(0.5), f"{named}_p99_s": at(0.99), f"{named}_max_s": at(1)}


def measure() -> dict[str, float]:
    """Seconds from the instant of a breach to its arrival."""
    found: dict[str, float] = {"promises": PROMISES}
    with servers(partitions=4) as settings:
        for name in (ALONE, BESIDE):
            found |= _figures(name, _delays(settings, name))
    return found
