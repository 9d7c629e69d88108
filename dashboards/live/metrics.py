"""Every metric of the web process, once: name, unit, meaning. Panels, alert rules and docs use these names."""

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class WebMetrics:
    """The metrics of one web process in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "cx_web_requests_total",
            "HTTP requests answered, by route and status",
            ["route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "cx_web_request_seconds",
            "Time to answer an HTTP request, in seconds",
            ["route"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.readings = Counter(
            "cx_web_readings_total",
            "Times the first view, or the panels below it, were read from ClickHouse, by end",
            ["end"],
            registry=registry,
        )
        self.reading_seconds = Histogram(
            "cx_web_reading_seconds",
            "Time to read the first view, or the panels below it, in seconds",
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
