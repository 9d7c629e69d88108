"""Alerts computed again and again from all verdicts that stand, by comparing instants with the present; no heap.

Whether somebody is at work, and whether an alert is acknowledged, is looked at minute by minute.
"""

from collections.abc import Container
from datetime import datetime
from typing import Any, NamedTuple

from schemas.alerts import alert_key
from schemas.calendar import always_open
from schemas.district import District
from schemas.events import AlertAcknowledged, AlertSilenced
from schemas.vocabulary import to_ms
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.parts import whole_name
from tests.reference.hours import DAY, MINUTE, Hours

STEPS = ("at_risk", "breached", "escalated_50", "escalated_100")
ENDS = ("met_late", "resolved")
LONGEST = 40 * DAY
Fact = dict[str, Any]
ClockName = tuple[str, str, str]


class Told(NamedTuple):
    """What one transition says: of which clock, in which revision, what, when, of whose, and who hears of it."""

    clock: ClockName
    revision: int
    transition: str
    at: int
    owner: str
    critical: bool
    notify: int
    muted: str
    recipients: tuple[str, ...]


class Naive:
    """Keeps nothing but what it said. `document`: the newest; `done`: what people did about alerts."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.document = District(district="demo")
        self.done: list[AlertAcknowledged | AlertSilenced] = []

    def advance(self, facts: list[Fact], now: int, but_for: Container[str] = ()) -> list[Told]:
        """What is new at an instant, given every row of facts that stands then, but for some conversations."""
        before = len(self.told)
        shown = verdicts(facts)
        for clock in sorted({*shown, *(each.clock for each in self.told)}):
            if whole_name(clock[0])[0] in but_for:
                continue
            self._correct(clock, shown.get(clock), now)
            while (one := self._next(clock, shown.get(clock), now)) is not None:
                self.told.append(one)
        return self.told[before:]

    def _correct(self, clock: ClockName, verdict: Fact | None, now: int) -> None:
        revision, said = self._said(clock)
        true = {} if verdict is None else {name: at for name, at, since in self._course(clock, verdict) if since <= now}
        true |= {} if verdict is None else {name: at for name, at, since in course(verdict) if since <= now}
        lost = [one for one in said if one.transition not in true and not _is_an_end_too(one.transition, true)]
        if lost:
            self._tell(
                Told(
                    clock,
                    revision,
                    "corrected",
                    now,
                    said[-1].owner,
                    said[-1].critical,
                    0,
                    "",
                    _heard(self._all(clock)),
                ),
                now,
            )

    def _next(self, clock: ClockName, verdict: Fact | None, now: int) -> Told | None:
        """The next thing to be said of a clock by now, the earliest first."""
        revision, said = self._said(clock)
        found: list[tuple[int, Told]] = []
        told = [STEPS.index(one.transition) if one.transition in STEPS else len(STEPS) for one in said]
        left = [] if verdict is None else self._course(clock, verdict)[:]
        heard = _heard(self._all(clock))
        for name, at, since in left:
            rank = STEPS.index(name) if name in STEPS else len(STEPS)
            if verdict is not None and rank > max(told, default=-1):
                whom = heard if name in ENDS else self._chain(verdict["owner"], name)
                whose = (verdict["owner"], verdict["critical"])
                found.append((since, Told(clock, revision, name, at, *whose, 0, "", whom)))
        own = [one for one in self.told if one.clock == clock]
        if (muted := _muted(own)) is not None:
            opens = self._opens(muted.owner, muted.at)
            found.append((opens, muted._replace(transition=f"{muted.transition}_released", at=opens, muted="")))
        due = [each for each in found if each[0] <= now]
        return self._decided(min(due, key=lambda each: each[0])[1], now) if due else None

    def _decided(self, one: Told, now: int) -> Told:
        """With who hears of it."""
        if one.at < now - NOTIFY_WITHIN_MS or not one.recipients:
            return one._replace(notify=0)
        if self._is_silenced(one):
            return one._replace(notify=0, muted="silenced")
        is_quiet = not one.critical and self._opens(one.owner, one.at) > one.at
        return one._replace(notify=int(not is_quiet), muted="quiet" if is_quiet else "")

    def _tell(self, one: Told, now: int) -> None:
        self.told.append(self._decided(one, now))

    def _said(self, clock: ClockName) -> tuple[int, list[Told]]:
        """The present revision, and the transitions of the facts that were said in it."""
        own = [each for each in self.told if each.clock == clock]
        revision = sum(each.transition == "corrected" for each in own)
        return revision, [each for each in own if each.revision == revision and each.transition in (*STEPS, *ENDS)]

    def _all(self, clock: ClockName) -> list[Told]:
        revision = self._said(clock)[0]
        return [each for each in self.told if each.clock == clock and each.revision == revision]

    def _course(self, clock: ClockName, verdict: Fact) -> list[tuple[str, int, int]]:
        """The course of a verdict with escalations put off while the alert is acknowledged."""
        found: list[tuple[str, int, int]] = []
        key = alert_key("demo", *clock)
        end = _ms(verdict["ended_at"])
        for name, at, since in course(verdict):
            if name not in STEPS[2:] or not self._acknowledged(key, since):
                found.append((name, at, since))
                continue
            free = since - since % MINUTE
            while free <= since or (self._acknowledged(key, free) and free < since + LONGEST):
                free += MINUTE
            if free < since + LONGEST and (end is None or end > free):
                found.append((name, free, free))
        return found

    def _acknowledged(self, key: str, at: int) -> bool:
        own = [each for each in self.done if isinstance(each, AlertAcknowledged) and each.alert == key]
        return _covers(own, at)

    def _is_silenced(self, one: Told) -> bool:
        silences = [each for each in self.done if isinstance(each, AlertSilenced)]
        fitting = [
            each
            for each in silences
            if each.alert in (None, alert_key("demo", *one.clock))
            and each.unit in (None, one.owner, "demo")
            and each.clock in (None, one.clock[1])
        ]
        scopes = {(each.alert, each.unit, each.clock) for each in fitting}
        return any(
            _covers([each for each in fitting if (each.alert, each.unit, each.clock) == scope], one.at)
            for scope in scopes
        )

    def _chain(self, owner: str, step: str) -> tuple[str, ...]:
        for chain in self.document.alerts.chains:
            if not chain.units or {owner, "demo"} & set(chain.units):
                return tuple(getattr(chain, step))
        return ("everybody",)

    def _opens(self, owner: str, at: int) -> int:
        """From an instant on, when the owner is at work: looked at minute by minute."""
        units = {unit.unit: unit.calendar for unit, _ in self.document.walk()}
        name = units.get(owner) or self.document.calendar
        hours = Hours(self.document.calendars[name] if name else always_open())
        if not self.document.alerts.quiet_hours:
            return at
        while not hours.minutes(at // DAY)[at % DAY // MINUTE]:
            at += MINUTE - at % MINUTE
        return at


def _muted(own: list[Told]) -> Told | None:
    """What quiet hours keep back of a clock: the newest word, for all whom it or a step before it was for."""
    newest: Told | None = None
    whom: list[str] = []
    for one in own:
        is_step = one.transition in STEPS
        if not is_step:
            whom = []
        if one.muted == "quiet" or (is_step and newest is not None and whom and not one.recipients):
            newest = one
            whom.extend(one.recipients)
        else:
            newest, whom = None, []
    return None if newest is None else newest._replace(recipients=tuple(dict.fromkeys(whom)))


def _heard(said: list[Told]) -> tuple[str, ...]:
    own = [one for one in said if not one.transition.startswith("corrected")]
    return tuple(dict.fromkeys(each for one in own if one.notify for each in one.recipients))


def _covers(events: list[Any], at: int) -> bool:
    """Whether the last of these events by an instant holds on then."""
    begun = [(to_ms(each.occurred_at), each.event_id, each.until) for each in events if to_ms(each.occurred_at) <= at]
    if not begun:
        return False
    until = max(begun, key=lambda each: each[:2])[2]
    return until is None or to_ms(until) > at


def _is_an_end_too(name: str, true: dict[str, int]) -> bool:
    return name in ENDS and bool(set(ENDS) & true.keys())


def verdicts(facts: list[Fact]) -> dict[ClockName, Fact]:
    """Every verdict that counts, by conversation, clock and the event that started it, with who has it now."""
    return {
        (fact["conversation"], verdict["clock"], verdict["opened_by_event"]): verdict
        | {"owner": fact["unit"], "critical": "critical" in (fact["priority"], *_categories(fact))}
        for fact in facts
        if not fact["retracted"]
        for verdict in fact["verdicts"]
        if not (verdict["outcome"] == "cancelled" and verdict["ended_at"] is None)
    }


def _categories(fact: Fact) -> list[str]:
    return ["critical"] if fact["critical_category"] != "none" else []


def course(verdict: Fact) -> list[tuple[str, int, int]]:
    """Everything that becomes true of a verdict as it stands: what, the instant it tells, and since when."""
    at = {name: _ms(verdict[name]) for name in verdict if name.endswith("_at")}
    never = 1 << 60
    ended = never if at["ended_at"] is None else at["ended_at"]
    breach = never if at["breach_at"] is None else at["breach_at"]
    found: list[tuple[str, int, int]] = []
    risk = at["at_risk_at"]
    if risk is not None and risk <= breach and risk < ended:
        found.append(("at_risk", risk, risk))
    for name, instant in (("breached", breach), *((step, at[f"{step}_at"]) for step in STEPS[2:])):
        if instant is not None and max(instant, breach) < ended and breach != never:
            found.append((name, instant, max(instant, breach) + 1))
    if found and ended != never:
        missed = verdict["outcome"] == "missed" and any(name == "breached" for name, *_ in found)
        found.append(("met_late" if missed else "resolved", ended, ended))
    return found


def _ms(instant: str | None) -> int | None:
    return None if instant is None else to_ms(datetime.fromisoformat(instant))
