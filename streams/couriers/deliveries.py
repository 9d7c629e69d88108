"""What a receiver took and what it did not, counted; and for how long it has been failing."""

import time

from streams.metrics import WorkerMetrics


class Deliveries:
    """Of one receiver."""

    def __init__(self, receiver: str, metrics: WorkerMetrics) -> None:
        self._receiver = receiver
        self._metrics = metrics
        self._failing_since: float | None = None

    def delivered(self, number: int) -> None:
        """It took so many: it is not failing."""
        self._failing_since = None
        self._metrics.notifications.labels(self._receiver, "delivered").inc(number)
        self._metrics.receiver_failing.labels(self._receiver).set(0)

    def failed(self) -> None:
        """It took nothing of what it was told."""
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._metrics.notifications.labels(self._receiver, "failed").inc()
        self._metrics.receiver_failing.labels(self._receiver).set(max(now - self._failing_since, 0.001))
