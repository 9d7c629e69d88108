"""Alerts computed again and again from all verdicts that stand, by comparing instants with the present; no heap."""

from datetime import datetime
from typing import Any, NamedTuple

from schemas.vocabulary import to_ms
from streams.core.alerting import NOTIFY_WITHIN_MS

STEPS = ("at_risk", "breached", "escalated_50", "escalated_100")
Fact = dict[str, Any]


class Told(NamedTuple):
    """What one transition says: of which clock, in which revision, what, when, and whether anybody hears of it."""

    clock: tuple[str, str, str]
    revision: int
    transition: str
    at: int
    notify: int


class Naive:
    """Keeps nothing but what it said."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def advance(self, facts: list[Fact], now: int) -> list[Told]:
        """What is new at an instant, given every row of facts that stands then."""
        shown = {clock: true_by(verdict, now) for clock, verdict in verdicts(facts).items()}
        made: list[Told] = []
        for clock in sorted({*shown, *(each.clock for each in self.told)}):
            made.extend(self._of(clock, shown.get(clock, {}), now))
        self.told.extend(made)
        return made

    def _of(self, clock: tuple[str, str, str], true: dict[str, int], now: int) -> list[Told]:
        own = [each for each in self.told if each.clock == clock]
        revision = sum(each.transition == "corrected" for each in own)
        said = {each.transition: each for each in own if each.revision == revision and each.transition != "corrected"}
        heard = any(each.notify for each in said.values())
        made: list[Told] = []
        ends = {"met_late", "resolved"}
        lost = {name for name in said if name not in true and not (name in ends and ends & true.keys())}
        if lost:
            made.append(Told(clock, revision, "corrected", now, int(heard)))
            revision, said, heard = revision + 1, {}, False
        for name, at in true.items():
            if name in said or (name in ends and ends & said.keys()):
                continue
            notify = at >= now - NOTIFY_WITHIN_MS and (name in STEPS or heard)
            heard = heard or notify
            made.append(Told(clock, revision, name, at, int(notify)))
        return made


def verdicts(facts: list[Fact]) -> dict[tuple[str, str, str], Fact]:
    """Every verdict that counts, by conversation, clock and the event that started it."""
    return {
        (fact["conversation"], verdict["clock"], verdict["opened_by_event"]): verdict
        for fact in facts
        if not fact["retracted"]
        for verdict in fact["verdicts"]
        if not (verdict["outcome"] == "cancelled" and verdict["ended_at"] is None)
    }


def true_by(verdict: Fact, now: int) -> dict[str, int]:
    """What is true of a verdict at an instant, and since when it tells; in order."""
    at = {name: _ms(verdict[name]) for name in verdict if name.endswith("_at")}
    never = 1 << 60
    ended = never if at["ended_at"] is None else at["ended_at"]
    breach = never if at["breach_at"] is None else at["breach_at"]
    found: dict[str, int] = {}
    risk = at["at_risk_at"]
    if risk is not None and risk <= breach and risk < ended and risk <= now:
        found["at_risk"] = risk
    late = {"breached": breach, "escalated_50": at["escalated_50_at"], "escalated_100": at["escalated_100_at"]}
    reached = {name: instant for name, instant in late.items() if instant is not None}
    found |= {name: instant for name, instant in reached.items() if max(instant, breach) < min(ended, now)}
    if found and ended <= now:
        found["met_late" if "breached" in found and verdict["outcome"] == "missed" else "resolved"] = ended
    return found


def _ms(instant: str | None) -> int | None:
    return None if instant is None else to_ms(datetime.fromisoformat(instant))
