"""Every metric of workers, of the web process and of audits, once: name, unit, meaning. Docs and rules use them."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sinks.landing import Landing

LANDED_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
WEB_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FLUSH_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class WorkerMetrics:
    """The metrics of one worker in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._of_messages(registry)
        self._of_flushes(registry)
        self._of_alerts(registry)
        self._of_partitions(registry)

    def _of_messages(self, registry: CollectorRegistry) -> None:
        self.messages = Counter("cx_messages_total", "Kafka messages read", registry=registry)
        self.events = Counter(
            "cx_events_total", "Events read, by what they were to the set", ["arrival"], registry=registry
        )
        self.newer = Counter(
            "cx_newer_events_total", "Events of a newer schema: kept, not folded", ["district"], registry=registry
        )
        self.dead_letters = Counter(
            "cx_dead_letters_total", "Items sent to the dead letters", ["reason"], registry=registry
        )
        self.forwarded = Counter(
            "cx_messages_forwarded_total", "Messages found in a wrong partition and sent on", registry=registry
        )
        self.stale = Counter(
            "cx_messages_stale_total", "Messages of an earlier assignment, dropped and read again", registry=registry
        )

        self.ahead = Gauge(
            "cx_message_ahead_seconds",
            "By how much the newest message was written after it was read: two clocks disagree",
            registry=registry,
        )

    def _of_flushes(self, registry: CollectorRegistry) -> None:
        self.rows = Counter("cx_rows_landed_total", "Rows landed in ClickHouse", ["table"], registry=registry)
        self.flushes = Counter("cx_flushes_total", "Flushes that landed", registry=registry)
        self.flush_retries = Counter(
            "cx_flush_retries_total", "Flushes tried again because ClickHouse or Kafka was away", registry=registry
        )
        self.fenced = Counter(
            "cx_flushes_fenced_total", "Flushes given up because the partitions were others' by then", registry=registry
        )
        self.flush_seconds = Histogram(
            "cx_flush_seconds", "Time of one flush, in seconds", buckets=FLUSH_BUCKETS, registry=registry
        )
        self.landed_seconds = Histogram(
            "cx_event_landed_seconds",
            "From an event's receipt by Kafka to its landing, in seconds",
            buckets=LANDED_BUCKETS,
            registry=registry,
        )
        self.stalled = Gauge(
            "cx_stalled_seconds",
            "Seconds since a step (landing, recovery, group) waits for clickhouse, kafka or a disk_full; 0: it goes on",
            ["step", "why"],
            registry=registry,
        )
        self.paused = Gauge("cx_reading_paused", "1 while the buffer is full and nothing is read", registry=registry)
        self.buffered = Gauge("cx_buffer_events", "Events read and not landed yet", registry=registry)
        self.buffer_limit = Gauge("cx_buffer_limit_events", "Events at which reading pauses", registry=registry)
        self.lag = Gauge("cx_lag_messages", "Messages in Kafka not yet acknowledged", ["partition"], registry=registry)

    def _of_alerts(self, registry: CollectorRegistry) -> None:
        self.alerts = Counter("cx_alerts_total", "Alert transitions landed", ["transition"], registry=registry)
        self.incidents = Counter(
            "cx_incidents_total", "Incident transitions landed", ["kind", "transition"], registry=registry
        )
        self.hanging_ended = Counter(
            "cx_hanging_transactions_total",
            "Transactions of alerts that hung in Kafka and were ended at a recovery: commit or abort",
            ["how"],
            registry=registry,
        )
        self.notifications = Counter(
            "cx_notifications_total",
            "Transitions told: delivered, refused (for good, by the receiver), failed (attempts that are made again)",
            ["receiver", "outcome"],
            registry=registry,
        )
        self.notifications_waiting = Gauge(
            "cx_notifications_waiting", "Messages of cx.alerts not acknowledged yet", ["receiver"], registry=registry
        )
        self.receiver_failing = Gauge(
            "cx_receiver_failing_seconds", "For how long a receiver has taken nothing", ["receiver"], registry=registry
        )
        self.notification_seconds = Histogram(
            "cx_notification_seconds",
            "From a transition's instant to its delivery, in seconds",
            ["receiver"],
            buckets=LANDED_BUCKETS,
            registry=registry,
        )

    def _of_partitions(self, registry: CollectorRegistry) -> None:
        self.partitions = Gauge("cx_partitions_owned", "Partitions this worker owns", registry=registry)
        self.assigned = Counter(
            "cx_partitions_assigned_total",
            "Partitions got at a change of the group: kept with their state, or recovered from ClickHouse",
            ["how"],
            registry=registry,
        )
        self.ready = Gauge("cx_partitions_ready", "Owned partitions that are recovered", registry=registry)
        self.conversations = Gauge("cx_conversations_held", "Conversations in memory", registry=registry)
        self.to_fold = Gauge(
            "cx_conversations_to_fold",
            "Conversations in memory that a recovery or a changed configuration left to be folded slice by slice",
            registry=registry,
        )
        self.departed = Gauge(
            "cx_conversations_departed", "Conversations that left memory, each time counted", registry=registry
        )
        self.read_back = Counter(
            "cx_conversations_read_back_total", "Conversations whose history was asked of ClickHouse", registry=registry
        )
        self.recovered = Counter("cx_recovered_events_total", "Events read back at recovery", registry=registry)
        self.unreadable = Counter(
            "cx_unreadable_events_total", "Landed events that recovery could not read back", registry=registry
        )
        self.repaired = Counter(
            "cx_repaired_conversations_total", "Rows found behind their events at recovery", registry=registry
        )
        self.recovery_seconds = Histogram(
            "cx_recovery_seconds", "Time to recover one partition, in seconds", buckets=FLUSH_BUCKETS, registry=registry
        )

    def hanging(self, how: str) -> None:
        """Count a transaction that was ended."""
        self.hanging_ended.labels(how).inc()

    def rolled(self, landing: Landing) -> None:
        """Count the rolling rows that landed."""
        self.rows.labels("rolling").inc(len(landing.rolling))
        self.rows.labels("rolling_slices").inc(len(landing.slices))

    def landed(self, landing: Landing) -> None:
        """Count the rows of a flush that landed, but for rolling ones."""
        self.rows.labels("events").inc(len(landing.events))
        self.rows.labels("conversations").inc(len(landing.conversations))
        for row in landing.dead_letters:
            self.dead_letters.labels(row.reason).inc()
        for alert in landing.alerts:
            self.alerts.labels(alert.transition).inc()
        for incident in landing.incidents:
            self.incidents.labels(incident.kind, incident.transition).inc()
        self.flushes.inc()


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
            buckets=WEB_BUCKETS,
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
            buckets=WEB_BUCKETS,
            registry=registry,
        )


class AuditMetrics:
    """The metrics of one audit in one registry; each attribute has the name of what it counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(f"cx_audit_{name}", meaning, registry=registry)

        self.districts = gauge("districts", "Districts audited")
        self.events = gauge("events", "Raw events read")
        self.rows = Gauge("cx_audit_rows", "Rows computed anew, by table", ("table",), registry=registry)
        self.mismatches = gauge("mismatches", "Rows with a value that the events do not give")
        self.missing = gauge("missing", "Rows that the events give and that have not landed")
        self.extra = gauge("extra", "Rows that landed and that the events do not give")
        self.behind = gauge("behind", "Rows of a lower version than their events give")
        self.unreadable = gauge("unreadable", "Landed events that cannot be read or folded")
        self.not_understood = gauge("not_understood", "Events kept for a newer release")
        self.retired = gauge("retired", "Conversations whose events left by retention: not compared")
        self.days_aside = gauge("days_aside", "Daily cells not compared: what they should hold moved meanwhile")
        self.minutes_aside = gauge(
            "minutes_aside", "Minutes of rolling rows not compared: what was known by then is not clear"
        )
        self.moving = gauge("moving", "Rows not compared: they landed anew each time they were looked at")
        self.seconds = gauge("seconds", "How long the audit took, in seconds")
        self.timestamp = gauge("timestamp_seconds", "When the audit ended, in seconds since 1970")

    def tell(self, values: Mapping[str, Any]) -> None:
        """Set every metric, by attribute; `rows` by table."""
        for name, metric in vars(self).items():
            if name != "rows":
                metric.set(values[name])
        for table, number in values["rows"].items():
            self.rows.labels(table).set(number)
