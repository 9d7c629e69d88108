"""Incidents held against what the facts show: surges and silent feeds of the last days, and watched values.

A book that knows all that was said, and is given what was known at the newest minute of the windows, has nothing left
to say. How large an incident was, and what was usual, are as they were known then.
"""

from collections.abc import Iterable

from schemas.incidents import CORRECTED, IncidentTransition, incident_key
from schemas.rolling import RollingRow
from streams.audit.comparing import EXTRA, MISMATCH, MISSING, Difference, Verdict, instant
from streams.audit.findings import Rows
from streams.core.district import DistrictState

# A worker looks for silent feeds each five minutes.
LOOKED_FOR_MS = 6 * 60_000
TABLE = "incidents"


def compare_incidents(
    state: DistrictState, said: Iterable[IncidentTransition], watched: Iterable[RollingRow], clock_ms: int, found: Rows
) -> None:
    """Compare everything `said` of a district with its `state` at a minute, ms UTC.

    `watched`: rolling rows of what it watches, in order of time, the minute's own last.
    """
    known = list(said)
    for one in known:
        found.say(TABLE, _name(one), 1, _altered(one))
    rows = list(watched)
    state.watching.known(known)
    state.watching.refill(row for row in rows if row.at < clock_ms)
    left = state.watching.advance(clock_ms, clock_ms)
    left += state.watching.judge([row for row in rows if row.at == clock_ms], clock_ms)
    opened = {one.key: one.at for one in known}
    for one in left:
        if one.transition == CORRECTED and opened.get(one.key, clock_ms) < clock_ms - LOOKED_FOR_MS:
            found.say(TABLE, f"{_name(one)} left", 0, [_verdict(EXTRA, one, "", "as it was said", "none")])
        elif one.transition != CORRECTED and one.at < clock_ms - LOOKED_FOR_MS:
            found.say(TABLE, f"{_name(one)} left", 0, [_verdict(MISSING, one, "", "none", instant(one.at))])


def _altered(one: IncidentTransition) -> list[Verdict]:
    """A key says what it is made of."""
    key = incident_key(one.district, (one.unit, one.metric, one.about), one.window_ms, one.began_at)
    return [] if key == one.key else [_verdict(MISMATCH, one, "key", one.key, key)]


def _name(one: IncidentTransition) -> str:
    words = one.metric, one.about, one.unit, instant(one.began_at), one.transition, str(one.step or one.revision)
    return " ".join(words)


def _verdict(kind: str, one: IncidentTransition, column: str, landed: str, recomputed: str) -> Verdict:
    return Verdict(kind, False, (Difference(kind, TABLE, one.district, _name(one), column, landed, recomputed),))
