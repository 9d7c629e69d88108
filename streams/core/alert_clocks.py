"""What becomes true of the promise clocks in a row of facts, and when: instants only, nothing here knows the present.

A promise is at risk from `at_risk_at` on, broken and escalated after its instants, each unless it ended before; what
was at risk or broken is over when it ended. Source: docs/alerts.md.
"""

from typing import NamedTuple

from schemas.alerts import (
    AT_RISK,
    BREACHED,
    ENDS,
    ESCALATED_50,
    ESCALATED_100,
    MET_LATE,
    PROMISE,
    RESOLVED,
    AlertTransition,
    alert_key,
)
from schemas.facts import NAMES, Row

_OWNER, _PRIORITY, _CATEGORY = (NAMES.index(name) for name in ("unit", "priority", "critical_category"))
_CLOCK, _PROMISE, _UNIT, _OPENER, _STARTED, _RISK, _DUE, _BREACH, _HALF, _TWICE, _ENDED, _OUTCOME = (
    NAMES.index(f"verdicts.{name}")
    for name in (
        "clock",
        "promise",
        "unit",
        "opened_by_event",
        "started_at",
        "at_risk_at",
        "due_at",
        "breach_at",
        "escalated_50_at",
        "escalated_100_at",
        "ended_at",
        "outcome",
    )
)
_LATE = (BREACHED, ESCALATED_50, ESCALATED_100)


class Moment(NamedTuple):
    """A transition, the first millisecond at which it is true, and the instant it tells."""

    from_ms: int
    transition: str
    at_ms: int


class Clock(NamedTuple):
    """A promise clock that is or will be worth an alert; instants in ms, `late` as in `breach_at` and after it.

    `is_missed`: what was promised happened, but late; else it ended as nobody needs it any more. `first_ms`: when the
    first of its moments is true. `owner`: who has the conversation now.
    """

    clock: str
    opener: str
    unit: str
    promise: str
    started_ms: int
    due_ms: int | None
    at_risk_ms: int | None
    late: tuple[int | None, int | None, int | None]
    ended_ms: int | None
    is_missed: bool
    first_ms: int
    owner: str
    is_critical: bool

    @property
    def breach_ms(self) -> int | None:
        """The last instant that keeps the promise."""
        return self.late[0]

    def moments(self) -> list[Moment]:
        """Everything that ever becomes true of it as things are, in order; never empty."""
        risk, breach, ended = self.at_risk_ms, self.late[0], self.ended_ms
        found: list[Moment] = []
        if risk is not None and (breach is None or risk <= breach) and (ended is None or ended > risk):
            found.append(Moment(risk, AT_RISK, risk))
        if breach is not None:
            for transition, at in zip(_LATE, self.late, strict=True):
                if at is not None and (ended is None or ended > max(at, breach)):
                    found.append(Moment(max(at, breach) + 1, transition, at))
        if ended is not None:
            was_broken = breach is not None and ended > breach
            found.append(Moment(ended, MET_LATE if was_broken and self.is_missed else RESOLVED, ended))
        return found


def as_alert(district: str, conversation: str, clock: Clock, moment: Moment, revision: int = 0) -> AlertTransition:
    """What is said of a moment, told to nobody yet."""
    return AlertTransition(
        district,
        alert_key(district, conversation, clock.clock, clock.opener),
        PROMISE,
        revision,
        moment.transition,
        moment.at_ms,
        conversation,
        clock.clock,
        clock.unit,
        clock.owner,
        clock.promise,
        clock.opener,
        clock.started_ms,
        clock.due_ms,
        clock.breach_ms,
        clock.ended_ms if moment.transition in ENDS else None,
        0,
        int(clock.is_critical),
        "",
        (),
        (),
    )


def clocks_of(row: Row) -> tuple[Clock, ...]:
    """The clocks of a row of which anything ever becomes true; a promise that was kept in good time has none."""
    found: list[Clock] = []
    is_critical = row[_PRIORITY] == "critical" or row[_CATEGORY] != "none"
    for index, outcome in enumerate(row[_OUTCOME]):
        risk, breach, ended = row[_RISK][index], row[_BREACH][index], row[_ENDED][index]
        # A source may promise a time that had passed when it was asked: broken from the start.
        at_once = risk is None or (breach is not None and breach < risk)
        first = breach if at_once else risk
        if first is None or (ended is not None and ended <= first) or (ended is None and outcome == "cancelled"):
            continue
        found.append(
            Clock(
                row[_CLOCK][index],
                row[_OPENER][index],
                row[_UNIT][index],
                row[_PROMISE][index],
                row[_STARTED][index],
                row[_DUE][index],
                risk,
                (breach, row[_HALF][index], row[_TWICE][index]),
                ended,
                outcome == "missed",
                first + at_once,
                row[_OWNER],
                is_critical,
            )
        )
    return tuple(found)
