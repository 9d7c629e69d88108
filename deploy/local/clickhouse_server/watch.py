"""Looks after running queries: stops those whose client cancelled or left, keeps waiting clients from timing out."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.local.clickhouse_server.engine import Engine
from deploy.local.clickhouse_server.faults import QueryRefused
from deploy.local.clickhouse_server.packets import FromClient, progress

LOOK_SECONDS = 0.2
ALIVE_SECONDS = 1.0


@dataclass(eq=False)
class Running:
    """A query under way. `sending` guards the socket, so that a sign of life never lands inside a packet."""

    label: str
    peer: socket.socket
    sending: threading.Lock
    stops_when_gone: bool = True
    is_cancelled: bool = False
    last_sign: float = field(default_factory=time.monotonic)


class Watch:
    """One thread for all connections; asleep while nothing runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: set[Running] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, running: Running) -> Iterator[Running]:
        """Look after a query for as long as the block lasts."""
        with self._lock:
            self._running.add(running)
        self._wake.set()
        try:
            yield running
        finally:
            with self._lock:
                self._running.discard(running)

    def close(self) -> None:
        """End the thread."""
        self._ended = True
        self._wake.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended:
            self._wake.wait()
            time.sleep(LOOK_SECONDS)
            with self._lock:
                all_running = list(self._running)
                if not all_running and not self._ended:
                    self._wake.clear()
            for running in all_running:
                self._attend(running)

    def _attend(self, running: Running) -> None:
        now = time.monotonic()
        if now - running.last_sign < LOOK_SECONDS:
            return
        said = _said(running.peer)
        if said == bytes((FromClient.CANCEL,)):
            running.is_cancelled = True
            self._kill(running)
        elif said == b"" and running.stops_when_gone:
            self._kill(running)
        elif said is None and now - running.last_sign >= ALIVE_SECONDS:
            running.last_sign = now
            _sign_of_life(running)

    def _kill(self, running: Running) -> None:
        # Under the lock a finished query cannot be followed by the session's next one, which must not be hit.
        with self._lock:
            if running not in self._running:
                return
            try:
                self._engine.kill(running.label)
            except QueryRefused:
                return  # it is still running, so the next look tries again


def _said(peer: socket.socket) -> bytes | None:
    """The next byte from a client, left in place; empty if it is gone, None if it is silent."""
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _sign_of_life(running: Running) -> None:
    # The lock is taken while the session sends; a full socket is left alone, since this thread serves everybody.
    if not running.sending.acquire(blocking=False):
        return
    try:
        poll = select.poll()
        poll.register(running.peer, select.POLLOUT)
        if any(event == select.POLLOUT for _, event in poll.poll(0)):
            running.peer.sendall(progress())
    except (OSError, ValueError):
        return  # the client is gone, which the next look finds out
    finally:
        running.sending.release()
