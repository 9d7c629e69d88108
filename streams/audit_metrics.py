"""Every metric of an audit, once: name, unit, meaning. Docs and alert rules use these names."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge


class AuditMetrics:
    """The metrics of one audit in one registry; each attribute has the name of what it counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(f"cx_audit_{name}", meaning, registry=registry)

        self.districts = gauge("districts", "Districts audited")
        self.events = gauge("events", "Raw events read")
        self.conversations = gauge("conversations", "Rows of facts computed anew")
        self.units = gauge("units", "Rows of unit trees computed anew")
        self.mismatches = gauge("mismatches", "Rows with a value that the events do not give")
        self.missing = gauge("missing", "Rows that the events give and that have not landed")
        self.extra = gauge("extra", "Rows that landed and that the events do not give")
        self.behind = gauge("behind", "Rows of a lower version than their events give")
        self.unreadable = gauge("unreadable", "Landed events that cannot be read or folded")
        self.not_understood = gauge("not_understood", "Events kept for a newer release")
        self.retired = gauge("retired", "Conversations whose events left by retention: not compared")
        self.seconds = gauge("seconds", "How long the audit took, in seconds")
        self.timestamp = gauge("timestamp_seconds", "When the audit ended, in seconds since 1970")

    def tell(self, values: Mapping[str, float]) -> None:
        """Set every metric, by attribute."""
        for name, metric in vars(self).items():
            metric.set(values[name])
