"""Accepts connections and ends them all cleanly."""

import errno
import selectors
import socket
import threading
from types import TracebackType
from typing import Self

from deploy.local.clickhouse_server import packets
from deploy.local.clickhouse_server.faults import NO_FREE_CONNECTION
from deploy.local.clickhouse_server.session import Service, Session
from schemas.errors import EnvironmentProblem

MOST_CONNECTIONS = 256
STOP_SECONDS = 10.0


class Listener:
    """A bound port, taken before the data directory is touched."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self.socket = socket.create_server((host, port), backlog=MOST_CONNECTIONS)
        except OSError as error:
            reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise EnvironmentProblem(
                f"Port {port} on {host} {reason}: stop what listens there or choose another port."
            ) from None
        self.address: tuple[str, int] = self.socket.getsockname()[:2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class Server:
    """Serves a listener until `stop`; `stop` may be called from a signal handler."""

    def __init__(self, listener: Listener, service: Service) -> None:
        self._listener = listener
        self._service = service
        self._sessions: dict[Session, threading.Thread] = {}
        self._lock = threading.Lock()
        self._wake_in, self._wake_out = socket.socketpair()

    def stop(self) -> None:
        """Make `serve` return."""
        self._wake_in.send(b"\0")

    def serve(self) -> bool:
        """Accept until stopped; then end every session. Whether all of them ended in time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener.socket, selectors.EVENT_READ)
            selector.register(self._wake_out, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake_out in ready:
                    return self._end()
                self._accept()

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.socket.accept()
        except OSError:
            return
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        session = Session(self._service, peer)
        with self._lock:
            is_full = len(self._sessions) >= MOST_CONNECTIONS
            if not is_full:
                thread = threading.Thread(target=self._run, args=(session,), name="session", daemon=True)
                self._sessions[session] = thread
                thread.start()
        if is_full:
            with peer:
                peer.send(packets.exception(NO_FREE_CONNECTION, f"All {MOST_CONNECTIONS} connections are in use."))

    def _run(self, session: Session) -> None:
        try:
            session.serve()
        finally:
            with self._lock:
                self._sessions.pop(session, None)

    def _end(self) -> bool:
        with self._lock:
            left = dict(self._sessions)
        for session in left:
            session.stop()
        if left:
            self._service.engine.kill()
        for thread in left.values():
            thread.join(STOP_SECONDS)
        return not any(thread.is_alive() for thread in left.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake_in.close()
        self._wake_out.close()
