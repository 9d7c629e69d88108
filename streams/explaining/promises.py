"""The promise clocks of a row: each policy that a clock met while it ran, and why it came out as it did."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from schemas.facts import Row, as_json
from schemas.vocabulary import from_ms, to_ms
from streams.core.configuration import Configuration, Policy
from streams.core.packed import Inquiry
from streams.core.promises import AT_RISK_DENOMINATOR, AT_RISK_NUMERATOR
from streams.core.story import Story
from streams.explaining import told
from streams.explaining.words import instant, length

_PAUSED = ("resolution", "periodic_update")
_CANCELLED = "cancelled: what was promised is no longer owed, it was withdrawn, deleted, or nobody can be answered"


def clocks(
    row: Row, opening: Inquiry | None, story: Story, configuration: Configuration, until_ms: int | None
) -> Iterator[told.Clock]:
    """Every verdict of the row, explained; `until_ms` is the present, by which an open one is judged."""
    for verdict in as_json(row)["verdicts"]:
        instants = {
            name: datetime.fromisoformat(text) for name, text in verdict.items() if name.endswith("_at") and text
        }
        met = [] if opening is None else list(_policies(verdict, instants, opening, configuration))
        yield told.Clock(
            **{name: given for name, given in verdict.items() if not name.endswith("_at")},
            **{name: instants.get(name) for name in verdict if name.endswith("_at")},
            pauses=list(_pauses(verdict["clock"], instants, story)),
            policies=met,
            why=[*_by_whom(verdict, met), *_outcome(verdict, instants, until_ms)],
        )


def _pauses(kind: str, instants: dict[str, datetime], story: Story) -> Iterator[told.Pause]:
    """The pauses that lie within the clock's time."""
    started, ended = instants["started_at"], instants.get("ended_at")
    for begin, end in story.pauses if kind in _PAUSED else ():
        pause = told.Pause(started_at=from_ms(begin), ended_at=instant(end))
        if (pause.ended_at is None or pause.ended_at > started) and (ended is None or pause.started_at < ended):
            yield pause


def _policies(
    verdict: dict[str, Any], instants: dict[str, datetime], opening: Inquiry, configuration: Configuration
) -> Iterator[told.Policy]:
    """The policy in force at the clock's start and the edits up to its end; none where the source promised."""
    if verdict["promise"] == "source" and verdict["revision"] == 0:
        return
    found = list(configuration.policies(verdict["clock"], verdict["unit"], opening, to_ms(instants["started_at"])))
    ended = instants.get("ended_at")
    last = max(index for index, policy in enumerate(found) if policy.revision == verdict["revision"])
    for index, policy in enumerate(found):
        if index <= last or ended is None or policy.from_ms < to_ms(ended):
            yield _policy(policy, index == last)


def _policy(policy: Policy, decided: bool) -> told.Policy:
    promise = policy.promise
    return told.Policy(
        revision=policy.revision,
        from_at=from_ms(policy.from_ms),
        promise="" if promise is None else promise.promise,
        target="" if promise is None else promise.target,
        hours="" if promise is None else promise.hours,
        decided=decided,
    )


def _said(policy: told.Policy) -> str:
    return f"{policy.promise} {policy.target} of {policy.hours} time" if policy.promise else "nothing"


def _by_whom(verdict: dict[str, Any], met: list[told.Policy]) -> Iterator[str]:
    if not met:
        yield "the source promised this time; it replaces the unit's own target"
        return
    index = next(number for number, policy in enumerate(met) if policy.decided)
    deciding = met[index]
    yield f"revision {deciding.revision} decides: {_said(deciding)}, looked up for {verdict['unit']}"
    if index and any(_said(policy) != _said(deciding) for policy in met[:index]):
        before = met[index - 1]
        yield f"moved by that revision while it ran: revision {before.revision} had promised {_said(before)}"
    elif index:
        yield f"revision {met[0].revision} was in force at its start; the promise is the same in both"
    if index + 1 < len(met):
        yield f"revision {met[index + 1].revision} came too late to move it: it was broken or cancelled by then"


def _outcome(verdict: dict[str, Any], instants: dict[str, datetime], until_ms: int | None) -> Iterator[str]:
    ended, breach = instants.get("ended_at"), instants.get("breach_at")
    if verdict["paused_ms"]:
        yield f"stood still for {length(verdict['paused_ms'])} while the customer was waited for"
    if verdict["outcome"] == "cancelled":
        yield _CANCELLED
    elif breach is None:
        yield "its target is never reached as things are: it cannot be broken"
    elif ended is not None:
        away = length(abs(to_ms(breach) - to_ms(ended)))
        kept = verdict["outcome"] == "met"
        yield f"met, {away} before it would have been broken" if kept else f"missed by {away}"
    elif until_ms is not None:
        yield _state(to_ms(breach), instants, until_ms)
    else:
        yield "not ended: compare with the present"


def _state(breach_ms: int, instants: dict[str, datetime], until_ms: int) -> str:
    risk = instants.get("at_risk_at")
    if until_ms > breach_ms:
        return f"not ended and broken, {length(until_ms - breach_ms)} ago"
    if risk is not None and until_ms >= to_ms(risk):
        part = f"{AT_RISK_NUMERATOR}/{AT_RISK_DENOMINATOR}"
        return f"not ended and at risk ({part} of the target used), to be broken in {length(breach_ms - until_ms)}"
    return f"running, to be broken in {length(breach_ms - until_ms)}"
