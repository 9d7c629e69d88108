"""Alerts of promises held against the facts: what was said of each clock, and what the facts say of it.

A book that knows all that was said, and is given the newest facts, has nothing left to say: neither a transition that
was never told, nor a correction of one that the facts do not show. What was said of facts that are still the newest is
compared field by field; whom it was told is history, and so is what later facts replaced.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from schemas.alerts import (
    ALERT,
    AT_RISK,
    BREACHED,
    CORRECTED,
    ESCALATED_50,
    ESCALATED_100,
    MET_LATE,
    PROMISE,
    STEPS,
    AlertTransition,
    alert_key,
)
from schemas.facts import Row
from streams.audit.comparing import ALERTS, EXTRA, MISMATCH, MISSING, Difference, Verdict, instant, shown
from streams.core.alert_clocks import as_alert, clocks_of
from streams.core.alerting import AlertBook
from streams.core.telling import Telling

Said = Sequence[tuple[AlertTransition, int]]
"""Transitions, and when each landed, ms UTC."""
Identity = tuple[str, str, str]
"""Conversation, clock and the event that opened it."""
_RETRACTED = 3
_AFTER_BREACH = (ESCALATED_50, ESCALATED_100, MET_LATE)
# Whom it was told, and who has the conversation by what is known, follow from the moment of telling.
_COMPARED = tuple(
    column
    for column in ALERT
    if column.name not in ("revision", "transition", "notify", "muted", "recipients", "grouped")
)


class Span(NamedTuple):
    """What should be told, ms UTC: of what became true from `since_ms` on and before `clock_ms`; `now_ms`: present."""

    since_ms: int
    clock_ms: int
    now_ms: int


def judged(
    telling: Telling, rows: Iterable[Row], said: Said, landed: Mapping[str, int], span: Span
) -> dict[str, tuple[int, list[Verdict]]]:
    """By name of a row: how many transitions of it stand, and what is wrong with them or missing beside them.

    `rows` are rows of facts, `said` all that was said under their names and under others that have none; `landed` is
    from when on what landed is of a row and of no older one, ms UTC.
    """
    by_name = {row[1]: row for row in rows}
    names = dict.fromkeys([*by_name, *(one.conversation for one, _ in said)])
    found: dict[str, list[Verdict]] = {name: [] for name in names}
    for one in _left_to_say(telling, by_name, names, [one for one, _ in said], span.now_ms):
        if one.transition == CORRECTED:
            found[one.conversation].append(_verdict(EXTRA, one, "as it was said", "none"))
        elif span.since_ms <= one.at < span.clock_ms:
            found[one.conversation].append(_verdict(MISSING, one, "none", instant(one.at)))
    for one, _ in said:
        if one.kind != PROMISE:
            found[one.conversation].append(_verdict(EXTRA, one, f"a kind of its own, {one.kind}", "none"))
    numbers = Counter(dict.fromkeys(names, 0))
    shown_of = {name: _shown(by_name[name]) for name in {one.conversation for one, _ in said} & by_name.keys()}
    for (conversation, clock, opener), told in _standing(said).items():
        numbers[conversation] += len(told)
        found[conversation] += _altered(told)
        lacking = _begun(told)
        newest_ms, is_moved = landed.get(conversation), telling.interventions.is_acknowledged(told[0][0].key)
        if conversation in shown_of and newest_ms is not None and not is_moved:
            shown_now = shown_of[conversation].get((clock, opener), {})
            of_newest = [one for one, landed_ms in told if landed_ms >= newest_ms]
            found[conversation] += _unlike(of_newest, shown_now)
            if len(of_newest) == len(told):
                lacking |= _gaps(of_newest, shown_now)
        found[conversation] += [_verdict(MISSING, one, "none", instant(one.at)) for one in lacking.values()]
    return {name: (numbers[name], verdicts) for name, verdicts in found.items()}


def _left_to_say(
    telling: Telling, rows: Mapping[str, Row], names: Iterable[str], said: Iterable[AlertTransition], now_ms: int
) -> list[AlertTransition]:
    """What a worker that knows all this would say at an instant."""
    book = AlertBook(telling.district)
    book.telling = telling
    book.known(said)
    for name in names:
        if name in rows:
            book.replace(name, rows[name])
        else:
            book.remove(name)
    return book.advance(now_ms)


def _standing(said: Said) -> dict[Identity, list[tuple[AlertTransition, int]]]:
    """By clock what was said and was neither corrected nor only released what had been muted."""
    own = [(one, landed_ms) for one, landed_ms in said if one.kind == PROMISE]
    corrected = {(one.key, one.revision) for one, _ in own if one.transition == CORRECTED}
    found: dict[Identity, list[tuple[AlertTransition, int]]] = {}
    for one, landed_ms in own:
        if not one.is_release and (one.key, one.revision) not in corrected:
            found.setdefault((one.conversation, one.clock, one.opened_by_event), []).append((one, landed_ms))
    return found


def _altered(told: Said) -> Iterator[Verdict]:
    """A key says what it is made of."""
    for one, _ in told:
        key = alert_key(one.district, one.conversation, one.clock, one.opened_by_event)
        if one.key != key:
            yield Verdict(MISMATCH, True, (_difference(MISMATCH, one, "key", one.key, key),))


def _begun(told: Said) -> dict[str, AlertTransition]:
    """What must have been told before what was: by transition, at the latest instant it can have had."""
    said = {one.transition: one for one, _ in told}
    came_of_it = [one for transition, one in said.items() if transition in _AFTER_BREACH]
    if came_of_it and BREACHED not in said:
        first = min(came_of_it, key=attrgetter("at"))
        return {BREACHED: first._replace(transition=BREACHED, at=first.breach_at or first.at)}
    if said.keys().isdisjoint(STEPS):
        return {AT_RISK: told[0][0]._replace(transition=AT_RISK)}
    return {}


def _unlike(told: Iterable[AlertTransition], shown_now: Mapping[str, AlertTransition]) -> Iterator[Verdict]:
    """Where transitions are not what the facts show; what they do not show at all is to be corrected."""
    for one in told:
        wanted = shown_now.get(one.transition, one)
        pairs = [(column, getattr(one, column.name), getattr(wanted, column.name)) for column in _COMPARED]
        differences = tuple(
            _difference(MISMATCH, one, column.name, shown(column, value), shown(column, fact))
            for column, value, fact in pairs
            if value != fact
        )
        if differences:
            yield Verdict(MISMATCH, True, differences)


def _gaps(told: Iterable[AlertTransition], shown_now: Mapping[str, AlertTransition]) -> dict[str, AlertTransition]:
    """What should have been told before the last that was."""
    order, said = list(shown_now), {one.transition for one in told}
    last = max((order.index(transition) for transition in said & shown_now.keys()), default=0)
    return {transition: shown_now[transition] for transition in order[:last] if transition not in said}


def _shown(row: Row) -> dict[tuple[str, str], dict[str, AlertTransition]]:
    """What the facts show of each clock, by transition, in order; whom it is told is empty."""
    found: dict[tuple[str, str], dict[str, AlertTransition]] = {}
    for clock in () if row[_RETRACTED] else clocks_of(row):
        shown_now = found.setdefault((clock.clock, clock.opener), {})
        for moment in clock.moments():
            shown_now[moment.transition] = as_alert(row[0], row[1], clock, moment)
    return found


def _verdict(kind: str, one: AlertTransition, landed: str, recomputed: str) -> Verdict:
    return Verdict(kind, True, (_difference(kind, one, "", landed, recomputed),))


def _difference(kind: str, one: AlertTransition, column: str, landed: str, recomputed: str) -> Difference:
    name = f"{one.conversation} {one.clock} {one.transition}"
    return Difference(kind, ALERTS, one.district, name, column, landed, recomputed)
