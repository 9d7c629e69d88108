"""Promise clocks, read off minute by minute, and what each edit of the policies made of those that ran."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.calendar import MINUTES_A_DAY as DAY_MINUTES
from schemas.district import Promise
from schemas.events import Inquiry
from schemas.vocabulary import UNROUTED, PromiseClock, to_ms
from tests.reference.hours import DAY, MINUTE, exceeded, reached
from tests.reference.reading import Item, is_live, is_message, is_owed, is_reply, is_status
from tests.reference.story import Story, answered_at


@dataclass(frozen=True)
class Clock:
    """One running of a promise clock. `stopped`: cancelled at that instant."""

    kind: PromiseClock
    event: Item
    start: int
    ended_at: int | None = None
    cancelled: bool = False
    stopped: int | None = None
    pausing: bool = False


@dataclass(frozen=True)
class Reading:
    """What a policy says of a clock."""

    promise: str
    revision: int
    at_risk: int | None
    due: int | None
    breach: int | None
    half_late: int | None
    twice: int | None


def clocks(story: Story) -> list[Clock]:
    """All clocks of a conversation: the waits', the resolution's, the ownership's, the updates'."""
    first = story.opening
    if first is None:
        return []
    if not is_owed(first):
        # Nobody asked for anything: only its source can have promised a time.
        return [_resolving(story, first)] if isinstance(first.event.due_at, datetime) else []
    return [*_waiting(story), _owning(story, first), *_updating(story), _resolving(story, first)]


def _waiting(story: Story) -> list[Clock]:
    found: list[Clock] = []
    for index, wait in enumerate(story.waits):
        is_first = index == 0 and story.asked
        kind: PromiseClock = "first_reply" if is_first else "next_reply"
        cancelled = wait.outcome in ("withdrawn", "unreachable")
        stopped = (wait.ended_at or wait.at) if cancelled else None
        if not wait.live:
            found.append(Clock(kind, wait.opened, wait.at, wait.ended_at, cancelled, stopped))
    return found


def _resolving(story: Story, first: Item) -> Clock:
    for item in story.items:
        if is_status(item, "resolved") and item.at >= first.at:
            return Clock("resolution", first, first.at, item.at, pausing=True)
    stopped = _withdrawn_at(story)
    if is_message(first) and {wait.outcome for wait in story.waits} == {"unreachable"}:
        stopped = first.at
    return Clock("resolution", first, first.at, None, stopped is not None, stopped, pausing=True)


def _withdrawn_at(story: Story, status: str = "withdrawn") -> int | None:
    """When it was withdrawn, if nobody asked again."""
    at = None
    for item in story.items:
        if is_status(item, status):
            at = item.at
        elif is_message(item) or is_status(item, "reopened"):
            at = None
    return at


def first_owned(story: Story) -> int | None:
    """When the opening inquiry had its first unit or person; whoever answers has it."""
    first = story.opening
    if first is None or not isinstance(first.event, Inquiry):
        return None
    if story.setting.route(first.event, first.at) != UNROUTED:
        return first.at
    had = [answered_at(item) if is_live(item) else item.at for item in story.items if is_live(item) or is_reply(item)]
    for item in story.items:
        event = item.event
        if event.kind == "transfer" and (event.staff is not None or story.setting.unit(event.unit) != UNROUTED):
            had.append(item.at)
    return max(min(had), first.at) if had else None


def _owning(story: Story, first: Item) -> Clock:
    owned = first_owned(story)
    over = [at for at in (_withdrawn_at(story), _withdrawn_at(story, "resolved")) if at is not None]
    stopped = max(min(over), first.at) if over and owned is None else None
    return Clock("ownership", first, first.at, owned, stopped is not None, stopped)


def _updating(story: Story) -> list[Clock]:
    """From each word of staff to the first of: the next word, a resolve, a withdrawal."""
    said = [item for item in story.items if is_reply(item) or is_live(item)]
    words = [(answered_at(item) if is_live(item) else item.at, item) for item in said]
    ends = [(item.at, item) for item in story.items if is_status(item, "resolved", "withdrawn")]
    found: list[Clock] = []
    words.sort(key=lambda word: word[0])
    for index, (at, item) in enumerate(words):
        later = words[index + 1 : index + 2] + [end for end in ends if end[0] >= at]
        end, by = min(later, key=lambda each: each[0], default=(None, None))
        if end == at or _is_closed(story, at):
            continue
        withdrawn = by is not None and is_status(by, "withdrawn")
        found.append(Clock("periodic_update", item, at, end, withdrawn, end if withdrawn else None, pausing=True))
    return found


def _is_closed(story: Story, at: int) -> bool:
    """Whether all that was asked had been resolved or withdrawn before an instant."""
    state = "open"
    for item in story.items:
        if item.at <= at and (is_message(item) or is_status(item, "reopened")):
            state = "open"
        elif item.at < at and is_status(item, "resolved", "withdrawn"):
            state = "closed"
    return state == "closed"


def verdict(clock: Clock, story: Story) -> dict[str, Any] | None:
    """The verdict of one clock; none if nothing was promised."""
    about = story.opening.event if story.opening else None
    promised: datetime | str | None = "unit"
    if about is not None and clock.kind == "resolution":
        promised = about.due_at
    if promised is None:
        return None
    if not isinstance(promised, datetime):
        reading = _after_edits(clock, story)
    else:
        due = to_ms(promised)
        length = max(0, due - clock.start)
        early = clock.start + length * 3 // 4
        reading = Reading("source", 0, early, due, due, due + length // 2, due + length)
    return None if reading is None else _shown(clock, reading, story)


def _after_edits(clock: Clock, story: Story) -> Reading | None:
    reading = _reading(clock, story, clock.start, clock.start)
    over = clock.stopped if clock.cancelled else clock.ended_at
    for edit in story.setting.edits(clock.start):
        broken = reading is not None and reading.breach is not None and reading.breach < edit
        if broken or (over is not None and over <= edit):
            break
        moves = _promised(clock, story, edit) != _promised(clock, story, edit - 1, clock.start)
        told = _reading(clock, story, edit, edit)
        if moves:
            reading = told
        elif reading is not None and told is not None:
            reading = replace(reading, revision=told.revision)
    return reading


def _promised(clock: Clock, story: Story, at: int, earliest: int = 0) -> Promise | None:
    """What was promised of a clock at an instant, or at its start if that is later."""
    about = story.opening.event if story.opening else None
    found = story.setting.promise(clock.kind, story.owners.at(clock.start), about, max(at, earliest))
    return None if found is None else found[0]


def _reading(clock: Clock, story: Story, at: int, earliest: int) -> Reading | None:
    about = story.opening.event if story.opening else None
    found = story.setting.promise(clock.kind, story.owners.at(clock.start), about, at)
    if found is None:
        return None
    promise, revision = found

    def running(day: int) -> list[bool]:
        serves = [True] * DAY_MINUTES if promise.hours == "calendar" else story.owners.minutes(day)
        return [runs and not still for runs, still in zip(serves, paused(clock, day, story), strict=True)]

    due = reached(clock.start, promise.target_ms, running)
    early = reached(clock.start, promise.target_ms * 3 // 4, running)
    breach = None if due is None else exceeded(due, running)
    half_late, twice = (reached(clock.start, promise.target_ms * share // 2, running) for share in (3, 4))
    instants = (_not_before(each, earliest) for each in (early, due, breach, half_late, twice))
    return Reading(promise.promise, revision, *instants)


def paused(clock: Clock, day: int, story: Story) -> list[bool]:
    """Whether the district waits for the customer, for each minute of a UTC day."""
    found = [False] * DAY_MINUTES
    for start, end in story.pauses if clock.pausing else []:
        first = max(start - day * DAY, 0) // MINUTE
        last = DAY_MINUTES if end is None else min(max(end - day * DAY, 0) // MINUTE, DAY_MINUTES)
        found[first:last] = [True] * (last - first)
    return found


def _not_before(at: int | None, earliest: int) -> int | None:
    return None if at is None else max(at, earliest)


def _shown(clock: Clock, reading: Reading, story: Story) -> dict[str, Any]:
    outcome = "open"
    if clock.cancelled:
        outcome = "cancelled"
    elif clock.ended_at is not None:
        outcome = "met" if reading.breach is None or clock.ended_at <= reading.breach else "missed"
    over = clock.stopped if clock.cancelled else clock.ended_at
    kept = reading.breach is None or (over is not None and over <= reading.breach)
    return {
        "clock": clock.kind,
        "promise": reading.promise,
        "revision": reading.revision,
        "unit": story.owners.at(clock.start),
        "started_at": clock.start,
        "at_risk_at": reading.at_risk,
        "due_at": reading.due,
        "breach_at": reading.breach,
        "escalated_50_at": None if kept else reading.half_late,
        "escalated_100_at": None if kept else reading.twice,
        "ended_at": clock.ended_at,
        "paused_ms": _stood_still(clock, story),
        "outcome": outcome,
        "opened_by_event": clock.event.event.event_id,
    }


def _stood_still(clock: Clock, story: Story) -> int:
    if not clock.pausing:
        return 0
    end = clock.stopped if clock.cancelled else clock.ended_at
    closed = [until for _, until in story.pauses if until is not None]
    last = end if end is not None else max(closed, default=clock.start)
    days = range(clock.start // DAY, last // DAY + 1)
    still = [
        day * DAY + at * MINUTE for day in days for at, is_still in enumerate(paused(clock, day, story)) if is_still
    ]
    return sum(clock.start <= at < last for at in still) * MINUTE
