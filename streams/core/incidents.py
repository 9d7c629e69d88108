"""What is said of a district's incidents: each transition once, whatever becomes known when.

What there is (`Found`) is worked out anew from all facts known; what was said before stands. The book compares the two.
An incident that moved because something came late is still the one that was told: same metric and topic, post or
source, in the same unit or one above or below it, at the same time.
"""

from collections.abc import Iterable, Iterator

from schemas.incidents import (
    CLOSED,
    CORRECTED,
    GROWN,
    INQUIRIES,
    KINDS,
    OPENED,
    PEOPLE,
    IncidentTransition,
    incident_key,
)
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.configuration import Configuration
from streams.core.openings import HORIZON_S, Opening
from streams.core.surge import LOOKBACK_S, Found
from streams.core.telling import Telling

AHEAD_MS = 5 * 60_000
_ORDER = (OPENED, GROWN, CLOSED, CORRECTED)


class _Told:
    """What was said of one incident: its opening, the last step it grew to, its end if it is over, and until when."""

    __slots__ = ("ended_ms", "is_corrected", "last_ms", "opened", "step")

    def __init__(self, opened: IncidentTransition) -> None:
        self.opened = opened
        self.step = 1
        self.ended_ms: int | None = None
        self.is_corrected = False
        self.last_ms = opened.at

    @property
    def is_open(self) -> bool:
        """Whether its end is still to be told."""
        return self.ended_ms is None and not self.is_corrected

    def note(self, one: IncidentTransition) -> None:
        """Take in a transition that was said after the opening."""
        self.last_ms = max(self.last_ms, one.at)
        if one.transition == GROWN:
            self.step = max(self.step, one.step)
        elif one.transition == CLOSED:
            self.ended_ms = one.at
        else:
            self.is_corrected = True


class IncidentBook:
    """Incidents of one district. Each (key, revision, transition, step) leaves it once."""

    def __init__(self, district: str, telling: Telling | None = None) -> None:
        self._district = district
        self._telling = telling or Telling(district)
        self._told: dict[str, _Told] = {}

    def known(self, transitions: Iterable[IncidentTransition]) -> None:
        """Take what was said before a restart, in any order; call it before the first `advance`."""
        order = sorted(transitions, key=lambda one: (one.key, one.revision, _ORDER.index(one.transition)))
        for one in order:
            self._note(one)

    def _note(self, one: IncidentTransition) -> None:
        if one.transition == OPENED:
            self._told[one.key] = _Told(one)
        elif one.key in self._told:
            self._told[one.key].note(one)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was told that still matters."""
        return not self._told

    def inhibits(self, opening: Opening, configuration: Configuration) -> bool:
        """Whether a conversation belongs to a surge that was told: its own alerts are not sent then."""
        at_ms = opening.second * 1000
        metric, about = (PEOPLE, opening.post) if opening.post else (INQUIRIES, opening.topic)
        return any(
            (told.opened.metric, told.opened.about) == (metric, about)
            and not told.is_corrected
            and told.opened.began_at - told.opened.window_ms < at_ms
            and (told.ended_ms is None or at_ms < told.ended_ms)
            and (metric == PEOPLE or told.opened.unit in configuration.path(opening.unit))
            for told in self._told.values()
        )

    def advance(
        self, found: Iterable[Found], configuration: Configuration, now_ms: int, present_ms: int | None = None
    ) -> list[IncidentTransition]:
        """Everything to be said at an instant, given all surges and silences of the last three days.

        `present_ms` is the wall clock where that is another: `notify` is set for what lies at most 6 h before it.
        """
        present = now_ms if present_ms is None else present_ms
        silent_before = present - NOTIFY_WITHIN_MS
        # A clock that starts over in the past takes nothing back; what one ahead of the present said is taken back.
        waits = {key for key, told in self._told.items() if now_ms < told.last_ms <= present + AHEAD_MS}
        made: list[IncidentTransition] = []
        seen: set[str] = set()
        for one in sorted(found, key=lambda each: (each.opened_s, each.metric, each.about, each.unit)):
            key = self._same(one, configuration, now_ms, seen)
            seen.add(key)
            if key not in waits:
                made.extend(self._tell(transition, silent_before) for transition in self._of(one, key))
        for key, told in list(self._told.items()):
            if told.is_open and key not in seen | waits:
                made.append(self._tell(self._gone(told, now_ms), silent_before))
            elif not told.is_open and told.opened.began_at < now_ms - HORIZON_S * 1000:
                del self._told[key]
        return made

    def _same(self, one: Found, configuration: Configuration, now_ms: int, seen: set[str]) -> str:
        """The key of the incident that this is: of one that was told, one that is open first, or its own."""
        start_ms = (one.began_s - one.window_s) * 1000
        end_ms = now_ms if one.ended_s is None else one.ended_s * 1000
        around = [
            key
            for key, told in self._told.items()
            if key not in seen
            and (told.opened.metric, told.opened.about) == (one.metric, one.about)
            and told.opened.began_at - told.opened.window_ms < end_ms
            and (told.ended_ms is None or start_ms < told.ended_ms)
            and _on_one_path(one.unit, told.opened.unit, configuration)
        ]
        if around:
            return min(around, key=lambda key: (not self._told[key].is_open, self._told[key].opened.began_at, key))
        return incident_key(self._district, (one.unit, one.metric, one.about), one.window_s * 1000, one.began_s * 1000)

    def _of(self, one: Found, key: str) -> Iterator[IncidentTransition]:
        told = self._told.get(key)
        if told is not None and not told.is_open:
            if one.ended_s is not None and not told.is_corrected:
                return
            told = None
        opened = told.opened if told is not None else self._opened(one, key)
        if told is None:
            yield opened
        step, last = 2, told.step if told is not None else 1
        while (count := int(opened.observed) * step) <= len(one.joined) and count:
            if step > last:
                at_ms = max(opened.at, one.joined[count - 1] * 1000)
                yield opened._replace(transition=GROWN, step=step, at=at_ms, observed=float(count))
            step *= 2
        if one.ended_s is not None:
            ended_ms = max(opened.at, one.ended_s * 1000)
            observed = float(len(one.joined))
            yield opened._replace(transition=CLOSED, at=ended_ms, ended_at=ended_ms, observed=observed)

    def _opened(self, one: Found, key: str) -> IncidentTransition:
        before = self._told.get(key)
        if before is not None:
            at_ms = max(one.opened_s * 1000, before.ended_ms or before.opened.at)
            opened = before.opened._replace(revision=before.opened.revision + 1, at=at_ms)
            return opened._replace(observed=float(one.began_with), expected=one.expected)
        what = (KINDS[one.metric], one.metric, one.about, one.unit, one.window_s * 1000, one.began_s * 1000)
        values = (None, float(one.began_with), one.expected)
        return IncidentTransition(self._district, key, 0, OPENED, 0, one.opened_s * 1000, *what, *values)

    @staticmethod
    def _gone(told: _Told, now_ms: int) -> IncidentTransition:
        """The end of one that the facts do not show: it never was, or it began too long ago to be looked at."""
        at_ms = max(now_ms, told.opened.at)
        if told.opened.began_at < now_ms - LOOKBACK_S * 1000:
            return told.opened._replace(transition=CLOSED, at=at_ms, ended_at=at_ms)
        return told.opened._replace(transition=CORRECTED, at=at_ms)

    def _tell(self, one: IncidentTransition, silent_before: int) -> IncidentTransition:
        """Who was not told that it opened is not told what became of it."""
        told = self._told.get(one.key)
        is_audible = one.transition == OPENED or (told is not None and bool(told.opened.notify))
        said = self._telling.of_incident(one, is_audible and one.at >= silent_before)
        self._note(said)
        return said


def _on_one_path(one: str, other: str, configuration: Configuration) -> bool:
    return one in configuration.path(other) or other in configuration.path(one)
