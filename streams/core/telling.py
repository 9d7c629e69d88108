"""Whom a district tells of an alert, when its quiet hours end, and who gets it with others in one message.

What was told already is counted from the transitions themselves, so that a restart changes nothing.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from schemas.alerts import ACKNOWLEDGED, BREACHED, EVERYBODY, INHIBITED, QUIET, SILENCED, STEPS, AlertTransition
from schemas.incidents import GROWN, IncidentTransition
from streams.core.configuration import Configuration
from streams.core.interventions import Interventions

KEPT_DAYS = timedelta(days=2)


def _nothing(_conversation: str) -> bool:
    return False


class Told(NamedTuple):
    """Who gets to know of a transition, and how: the columns of the same names."""

    notify: int
    muted: str
    recipients: tuple[str, ...]
    grouped: tuple[str, ...]


class Telling:
    """Of one district. `configuration` is the one in force; it acts on what is told from then on."""

    def __init__(self, district: str) -> None:
        self.district = district
        self.configuration = Configuration(district)
        self.interventions = Interventions()
        self.inhibits: Callable[[str], bool] = _nothing
        """Whether a conversation belongs to a surge that was told."""
        self.late_before_ms = 0
        """What became true before it is told late: with others in one message, as after an outage."""
        self._told: Counter[tuple[str, date]] = Counter()
        self._newest = date.min

    def recipients(self, owner: str, step: str) -> tuple[str, ...]:
        """Whom the chain of a unit names for a step."""
        newest = self.configuration.newest
        path = set(self.configuration.path(owner))
        for chain in newest.alerts.chains if newest is not None else ():
            if not chain.units or not path.isdisjoint(chain.units):
                return chain.recipients(step)
        return (EVERYBODY,)

    def opens_ms(self, owner: str, at_ms: int) -> int:
        """The instant itself if the unit is open then or never opens again, else its next opening."""
        newest = self.configuration.newest
        if newest is None or not newest.alerts.quiet_hours:
            return at_ms
        opens_ms = self.configuration.clock(owner).breach(at_ms, 0)
        return at_ms if opens_ms is None else opens_ms

    def decide(self, one: AlertTransition, recipients: tuple[str, ...], is_heard: bool) -> AlertTransition:
        """The transition with whom it is told; `is_heard`: recent enough, and not the end of what nobody heard of."""
        if not (is_heard and recipients):
            told = Told(0, "", recipients, ())
        elif muted := self._muted(one):
            told = Told(0, muted, recipients, ())
        else:
            told = Told(1, "", recipients, self._grouped(one, recipients))
        return one._replace(**told._asdict())

    def of_incident(self, one: IncidentTransition, is_heard: bool) -> IncidentTransition:
        """An incident's transition with whom it is told: whom the chain of its unit names for broken promises."""
        recipients = self.recipients(one.unit, BREACHED)
        muted = ""
        if self.interventions.is_silenced(one.key, self.configuration.path(one.unit), one.metric, one.at):
            muted = SILENCED
        elif one.transition == GROWN and self.interventions.escalates_from(one.key, one.at) > one.at:
            muted = ACKNOWLEDGED
        told = is_heard and bool(recipients)
        return one._replace(
            notify=int(told and not muted), muted=muted if told else "", recipients=recipients if told else ()
        )

    def _muted(self, one: AlertTransition) -> str:
        if self.interventions.is_silenced(one.key, self.configuration.path(one.owner), one.clock, one.at):
            return SILENCED
        # Whoever heard of it before the surge was told hears of its end: pagers and people keep open what has none.
        if one.base in STEPS and not one.critical and self.inhibits(one.conversation):
            return INHIBITED
        return QUIET if not one.critical and self.opens_ms(one.owner, one.at) > one.at else ""

    def _grouped(self, one: AlertTransition, recipients: tuple[str, ...]) -> tuple[str, ...]:
        """Those who had their day's share already; all of them of what is late."""
        newest = self.configuration.newest
        if newest is None or one.critical:
            return ()
        if one.at < self.late_before_ms:
            return recipients
        day = self._day(one.at)
        return tuple(each for each in recipients if self._told[each, day] >= newest.alerts.daily_budget)

    def note(self, one: AlertTransition) -> None:
        """Count what is told, each recipient by the local day of the transition."""
        if not one.notify:
            return
        day = self._day(one.at)
        if day > self._newest:
            self._newest = day
            for counted in [each for each in self._told if each[1] < day - KEPT_DAYS]:
                del self._told[counted]
        self._told.update((each, day) for each in one.recipients if each not in one.grouped)

    def _day(self, at_ms: int) -> date:
        return self.configuration.clock(self.district).local_date(at_ms)
