"""What several cuts have to land, in one landing."""

from collections.abc import Sequence

from schemas.alerts import AlertTransition
from schemas.incidents import IncidentTransition
from sinks.landing import Landing
from streams.partition import Cut


def landing_of(cuts: Sequence[Cut], now_ms: int) -> Landing:
    """Everything that these cuts have to land, in one, but for rolling rows."""
    said = [row for cut in cuts for row in (*cut.told, *cut.alerts)]
    return Landing(
        landed_at_ms=now_ms,
        events=[row for cut in cuts for row in cut.events],
        conversations=[row for cut in cuts for row in cut.conversations],
        configurations=[row for cut in cuts for row in cut.configurations],
        units=[row for cut in cuts for row in cut.units],
        dead_letters=[row for cut in cuts for row in cut.dead_letters],
        alerts=[row for row in said if isinstance(row, AlertTransition)],
        incidents=[row for row in said if isinstance(row, IncidentTransition)],
        erasures=[erasure for cut in cuts for erasure in cut.erasures],
    )


def windows_of(cuts: Sequence[Cut], now_ms: int) -> Landing:
    """The rolling rows of these cuts; takes long, for a thread, and only once: it publishes."""
    minutes = [each for cut in cuts for each in cut.minutes]
    return Landing(
        now_ms,
        rolling=[row for minute, publishing in minutes for row in publishing.publish(minute.rows())],
        slices=[row for minute, _ in minutes for row in minute.slices()],
    )
