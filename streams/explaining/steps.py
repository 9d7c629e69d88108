"""What each event of a conversation did: told by the same story that the facts come from, one event at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.vocabulary import UNROUTED
from streams.core.configuration import Configuration
from streams.core.ownership import opening_owner
from streams.core.packed import Correction, Inquiry, Mark, Packed, Rating, Reply, StatusChanged, Transfer
from streams.core.ratings import EDIT_MS, CountedRating, is_late
from streams.core.story import Story, is_staff_reply, opens_wait
from streams.explaining.words import length, times

_STATUS = {
    "pending": "the customer is waited for: resolution and update promises pause",
    "on_hold": "on hold: pauses nothing",
    "resolved": "resolved",
    "withdrawn": "withdrawn",
}
_MARKS = {
    "survey_offered": "a survey was offered",
    "spam": "spam: everything of the conversation is retracted, ratings included",
    "not_spam": "not spam: takes an earlier spam back",
    "merge": "one concern with {}",
    "unmerge": "takes the merge with {} back",
    "delivery_failed": "reply {} never reached the customer",
    "deleted": "deleted at the source: the facts stay, what is open ends",
    "continues": "continues {}",
    "link": "concerns {} too: moves no number",
}
_MISSED = ("missed_call", "voicemail")


class Done(NamedTuple):
    """What an event did, and why it counts for nothing if it does."""

    did: list[str]
    ignored: str = ""


class _Before(NamedTuple):
    """The story before an event, as far as an event can change it."""

    waits: int
    open_wait: int
    reopened: int
    extra_replies: int
    withdrawn: bool
    paused: bool
    staff_clock: int | None
    answered: bool
    outbound: bool


class Teller:
    """Tells one conversation's events in order; what a correction changed is known to `changes_of` alone."""

    def __init__(
        self,
        opening: Inquiry | None,
        configuration: Configuration,
        counted: Sequence[CountedRating],
    ) -> None:
        self._opening = opening
        self._configuration = configuration
        self._counted = counted
        self._story = Story(opening)
        self._owner: str | None = None
        self._goes_to: str | None = None
        self._first_scores: dict[tuple[str, str], int] = {}

    def tell(self, events: Sequence[Packed]) -> Iterator[tuple[Packed, Done]]:
        """Each event with what it did; `events` are whole, in order and of one conversation."""
        if self._opening is not None:
            self._goes_to = opening_owner(events, self._opening, self._configuration)
        for event in events:
            before = self._look()
            self._story.tell([event])
            yield event, self._done(event, before)

    def _look(self) -> _Before:
        story = self._story
        is_open = [number for number, wait in enumerate(story.waits, 1) if wait.outcome == "open"]
        return _Before(
            len(story.waits),
            is_open[-1] if is_open else 0,
            story.reopened,
            story.extra_replies,
            story.withdrawn_ms is not None,
            story.status == "pending",
            story.human_queue_ms,
            story.first_reply is not None,
            story.outbound is not None,
        )

    def _done(self, event: Packed, before: _Before) -> Done:
        if isinstance(event, Inquiry):
            return self._inquiry(event, before)
        if isinstance(event, Reply):
            return self._reply(event, before)
        if isinstance(event, Transfer):
            return self._transfer(event, before)
        if isinstance(event, StatusChanged):
            return self._status(event, before)
        if isinstance(event, Rating):
            return self._rating(event)
        return Done([]) if isinstance(event, Correction) else self._mark(event, before)

    def _inquiry(self, event: Inquiry, before: _Before) -> Done:
        did: list[str] = []
        if event is self._opening:
            did += ["opened the conversation", self._route(event)]
        if not opens_wait(event):
            reasons = (
                (event.automatic, "automatic: opens no wait"),
                (event.opened_by == "staff", "opened by staff on their own account: opens no wait"),
                (True, "needs no reply: opens no wait"),
            )
            return Done(did, next(text for holds, text in reasons if holds))
        story = self._story
        if story.reopened > before.reopened:
            did.append("opened the conversation again")
        elif before.withdrawn:
            did.append("asked again after a withdrawal")
        if before.paused:
            did.append("ends the pause")
        if event.contact == "answered_live":
            queue = f"answered live after {length(event.queue_ms or 0)} in the queue"
            did.append(f"{queue}: wait {before.open_wait or len(story.waits)}")
        elif len(story.waits) > before.waits:
            lost = "" if event.reachable else ", and nobody to answer: it ends as unreachable"
            did.append(f"opened wait {len(story.waits)}{lost}")
        else:
            again = "redial" if event.contact in _MISSED else "one more message"
            did.append(f"{again} within wait {before.open_wait}")
        return Done(did)

    def _route(self, event: Inquiry) -> str:
        if self._goes_to is None:
            return f"stays with {self._owner}, who had it before"
        self._owner = self._goes_to
        if self._owner != self._configuration.route(event):
            return f"goes back to {self._owner}, who wrote first"
        if event.unit is not None:
            return f"goes to {self._owner}" + ("" if self._owner == event.unit else f": {event.unit} is not configured")
        found = next(self._configuration.policies("first_reply", self._owner, event, event.at_ms), None)
        by = "without a configuration" if found is None else f"by the routing of revision {found.revision}"
        return f"goes to {self._owner} {by}" if self._owner != UNROUTED else f"goes to {UNROUTED}: no route fits"

    def _reply(self, event: Reply, before: _Before) -> Done:
        if not event.public:
            return Done([], "internal note: answers nothing")
        if event.author != "human":
            return Done([], f"{event.author.replace('_', ' ')}, not a person: answers nothing")
        if not is_staff_reply(event):
            return Done([], "not delivered: answers nothing")
        story = self._story
        did: list[str] = []
        if story.outbound is event:
            did.append("the district wrote first: outbound, no inquiry")
        elif story.first_message is None:
            did.append("before the customer's first message: answers nothing")
        if story.first_reply is event:
            did.append("first response")
        if story.extra_replies > before.extra_replies:
            did.append("extra reply: nobody waited")
        return Done([*did, *self._ended(before)])

    def _ended(self, before: _Before) -> list[str]:
        if not before.open_wait:
            return []
        outcome = self._story.waits[before.open_wait - 1].outcome
        return [] if outcome == "open" else [f"ended wait {before.open_wait}: {outcome}"]

    def _transfer(self, event: Transfer, before: _Before) -> Done:
        did: list[str] = []
        if event.unit is not None:
            did.append(self._moved(event.unit))
        if event.staff is not None:
            did.append("a person took it")
        if self._story.human_queue_ms != before.staff_clock:
            did.append("reached a human queue: the staff's clock starts")
        return Done(did, "" if did else "names neither unit nor person")

    def _moved(self, wanted: str) -> str:
        unit, owner = self._configuration.known_unit(wanted), self._owner
        self._owner = unit
        strange = "" if unit == wanted else f" ({wanted} is not configured)"
        if owner is None or owner == unit:
            return f"owned by {unit}{strange}" + ("" if owner is None else ", as before")
        departments = self._configuration.department(owner), self._configuration.department(unit)
        kind = "within its department" if departments[0] == departments[1] else "a hand-off"
        return f"moved from {owner} to {unit}{strange}: {kind}"

    def _status(self, event: StatusChanged, before: _Before) -> Done:
        did = ["ends the pause"] if before.paused and event.status != "pending" else []
        if event.status == "reopened":
            if self._story.reopened > before.reopened:
                return Done([*did, "opened the conversation again"])
            return Done(did, "reopened, but it was open")
        return Done([*did, _STATUS[event.status], *self._ended(before)])

    def _rating(self, event: Rating) -> Done:
        key = event.rater or "", event.survey
        late = is_late(event, self._story)
        first_ms = event.at_ms if late else self._first_scores.setdefault(key, event.at_ms)
        own = [given for given in self._counted if (given.rating.rater or "", given.rating.survey) == key]
        for given in own:
            if given.rating is event:
                edits = f", edited {times(given.edits)}" if given.edits else ""
                if given.late:
                    return Done([f"score {event.score}{edits}"], "more than 28 days after the resolve: not averaged")
                return Done([f"score {event.score} counts for {given.unit}{edits}"])
        if late:
            return Done([], "more than 28 days after the resolve, and replaced by a later one")
        if event.at_ms - first_ms > EDIT_MS:
            return Done([], "edit more than 14 days after the first score")
        return Done([], f"score {event.score} was replaced by a later edit")

    def _mark(self, event: Mark, before: _Before) -> Done:
        did = _MARKS.get(event.kind, event.kind.replace("_", " ")).format(event.refers_to)
        return Done([did, *self._ended(before)])
