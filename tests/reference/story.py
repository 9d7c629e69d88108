"""What happened in one part of a thread: waits, resolutions, responses, pauses."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property

from tests.reference.owners import Owners
from tests.reference.reading import (
    Item,
    in_order,
    is_live,
    is_machine,
    is_message,
    is_reply,
    is_status,
    opening,
    start,
    status_of,
)
from tests.reference.setting import Setting

SKEW = timedelta(minutes=5) // timedelta(milliseconds=1)
SOON_DAYS = 7


@dataclass
class Wait:
    """An interval in which the customer waits."""

    opened: Item
    at: int
    outcome: str = "open"
    ended_at: int | None = None
    ended: Item | None = None
    messages: int = 1
    redials: int = 0
    live: bool = False

    def close(self, outcome: str, ended: Item, at: int | None = None) -> None:
        """The wait ends with this event."""
        self.outcome, self.ended, self.ended_at = outcome, ended, ended.at if at is None else at


@dataclass
class Resolution:
    """A resolve, and when it was undone."""

    item: Item
    reopened_at: int | None = None


@dataclass
class Story:
    """One part as it reads after clocks that disagree were reconciled."""

    items: list[Item]
    setting: Setting
    skew: bool = False
    opening: Item | None = None
    owners: Owners = field(init=False)

    def __post_init__(self) -> None:
        self.opening = opening(self.items)
        self._reconcile()
        while self._reconcile_later():
            self.skew = True
        self._withdraw_deleted()
        self.owners = Owners(self.items, self.setting)

    def _withdraw_deleted(self) -> None:
        """Mark the deletions of what was open."""
        is_open, marked = True, []
        for item in self.items:
            if item.event.kind == "deleted" and is_open:
                item = replace(item, withdraws=True)
            if is_message(item) or is_status(item, "reopened"):
                is_open = True
            elif is_status(item, "resolved", "withdrawn"):
                is_open = False
            marked.append(item)
        self.items = marked

    def _reconcile(self) -> None:
        first = self.opening
        if first is None:
            return
        moved: list[Item] = []
        replies = [item for item in self.items if is_reply(item) and item.at < first.at]
        if not all(_near(item, first) for item in replies):
            return
        moved.extend(replies)
        resolves = [item for item in self.items if is_status(item, "resolved") and item.at < first.at]
        moved.extend(item for item in resolves if item.event.source == first.event.source or _near(item, first))
        if moved:
            self.skew = True
            self.items = in_order(replace(i, at=first.at) if i in moved else i for i in self.items)

    def _reconcile_later(self) -> bool:
        """Move what was told a little before a later message, by another clock, to it; whether anything was."""
        waits = waits_of(self.items)
        messages = [item for item in self.items if is_message(item)]
        for wait in waits:
            at, before = wait.at, [each for each in messages if each.order < wait.opened.order]
            if not before or wait.live or wait.outcome == "unreachable":
                continue
            ended = [each.ended for each in waits]
            told = [
                each for each in self.items if is_reply(each) and messages[0].order < each.order < wait.opened.order
            ]
            lives = [each for each in before if is_live(each)]
            # The first to answer is the first response, whether or not anyone still waited.
            answers = [each for each in told if any(each is end for end in ended)]
            answers += [each for each in told if not any(word.order < each.order for word in [*answers, *lives])][:1]
            idle = [each for each in told if each.order > before[-1].order and not any(each is a for a in answers)]
            near = [each for each in idle if at - SKEW <= each.at < at]
            answered = [each.at for each in answers] + [answered_at(each) for each in lives]
            other = all(each.event.source != wait.opened.event.source for each in near)
            if near and other and answered and max(answered) < at - SKEW:
                self.items = in_order(replace(i, at=at) if any(i is each for each in near) else i for i in self.items)
                return True
        return False

    @property
    def started(self) -> int:
        """The start: the district's first word if it wrote first, else the opening, else the first event."""
        words = [item.at for item in self.items if self.outbound and is_reply(item)]
        return words[0] if words else start(self.items)

    @property
    def outbound(self) -> bool:
        """True if the district wrote first."""
        for item in self.items:
            if item is self.opening:
                return False
            if is_reply(item):
                return True
        return False

    @property
    def asked(self) -> bool:
        """True if a customer opened it."""
        return self.opening is not None and is_message(self.opening) and not self.outbound

    @cached_property
    def waits(self) -> list[Wait]:
        """All waits, in order."""
        return waits_of(self.items)

    @cached_property
    def resolutions(self) -> list[Resolution]:
        """All resolves, each with its reopening."""
        found: list[Resolution] = []
        for item in self.items:
            if is_status(item, "resolved"):
                found.append(Resolution(item))
            elif (is_message(item) or is_status(item, "reopened")) and found and found[-1].reopened_at is None:
                found[-1].reopened_at = item.at
        return found

    def reopened(self) -> int:
        """Messages after a resolve; `reopened` after a resolve or a withdrawal."""
        resolved, withdrawn, times = False, False, 0
        for item in self.items:
            resolved = resolved or is_status(item, "resolved")
            withdrawn = withdrawn or is_status(item, "withdrawn")
            if is_message(item) or is_status(item, "reopened"):
                times += resolved or (withdrawn and not is_message(item))
                resolved = withdrawn = False
        return times

    def status(self) -> str:
        """The status now."""
        status, over = "open", False
        for item in self.items:
            if is_message(item):
                # The district's own time goes on, unless what it held was over and is asked anew.
                status = "on_hold" if status == "on_hold" and not over else "open"
                over = False
            elif (brought := status_of(item)) is not None:
                status = "open" if brought == "reopened" else brought
                over = status in ("resolved", "withdrawn") or (over and status != "open")
        return status

    def watched_until(self, resolution: Resolution) -> int | None:
        """The end of the seventh school day after a resolve, in the calendar of its owner."""
        at = resolution.item.at
        return self.setting.hours(self.owners.at(at)).end_of_school_day(at, SOON_DAYS)

    @cached_property
    def pauses(self) -> list[tuple[int, int | None]]:
        """From `pending` to the customer's next message or the next other status."""
        found: list[tuple[int, int | None]] = []
        since: int | None = None
        for item in self.items:
            if is_status(item, "pending"):
                since = item.at if since is None else since
            elif is_message(item) or status_of(item) is not None:
                if since is not None and since < item.at:
                    found.append((since, item.at))
                since = None
        return found if since is None else [*found, (since, None)]

    def first_response(self) -> tuple[Item, int] | None:
        """The first qualifying reply or live answer to a conversation that a customer opened, and when it came."""
        if not self.asked:
            return None
        for item in self.items:
            if is_live(item):
                return item, answered_at(item)
            if is_reply(item):
                return item, item.at
        return None

    def handed_over(self, until: Item, at: int) -> list[int]:
        """When a bot, or anyone after a public message of a bot, handed it to a human queue, up to an answer."""
        machine, found = False, []
        for item in self.items:
            machine = machine or (is_machine(item) and item.event.author == "bot")
            before = item.order < until.order or (is_live(until) and item.at <= at)
            after = self.opening is not None and item.order > self.opening.order
            if item.event.kind == "transfer" and (item.event.from_bot or machine) and after and before:
                found.append(item.at)
                machine = False
        return found


def waits_of(items: list[Item]) -> list[Wait]:
    """All waits, in order."""
    waits: list[Wait] = []
    for item in items:
        last = waits[-1] if waits and waits[-1].outcome == "open" else None
        if is_live(item):
            if last is None:
                waits.append(Wait(item, item.at, live=True))
            waits[-1].close("answered", item, answered_at(item))
        elif is_message(item):
            _message(waits, last, item)
        elif last is not None:
            _word(last, item)
    return waits


def answered_at(item: Item) -> int:
    """When a live call was answered: at the end of the queue."""
    return item.at + round((item.event.queue_seconds or 0) * 1000)


def _near(item: Item, first: Item) -> bool:
    return item.event.source != first.event.source and first.at - item.at <= SKEW


def _message(waits: list[Wait], last: Wait | None, item: Item) -> None:
    if last is None:
        waits.append(Wait(item, item.at, "open" if item.event.reachable else "unreachable"))
    else:
        last.messages += 1
        last.redials += item.event.contact in ("missed_call", "voicemail")


def _word(last: Wait, item: Item) -> None:
    if is_reply(item):
        last.close("answered", item)
    elif is_status(item, "resolved"):
        last.close("resolved_no_reply", item)
    elif is_status(item, "withdrawn") or item.event.kind == "deleted":
        last.close("withdrawn", item)
