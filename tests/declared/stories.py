"""Conversations of a simulated district read back from its events, in the order in which they were told."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.simulated import ms

Event = dict[str, Any]
WRITTEN = ("email", "web", "social")
UNANSWERED = ("missed_call", "voicemail", "turned_away")
LIVE_MS = 120_000


@dataclass(slots=True)
class Answer:
    """A staff reply: from when on it was due, when it was written, when it was delivered, what came with it."""

    unit: str
    channel: str
    asked_ms: int
    replied_ms: int
    delivered_ms: int
    staff: str
    visit: str = ""
    is_noted: bool = False
    is_lost: bool = False
    is_doubled: bool = False
    meets_machine: bool = False


@dataclass(slots=True)
class Handed:
    """A hand-off between units: when the first had it, when it passed it on."""

    unit: str
    since_ms: int
    at_ms: int
    to: str


@dataclass(slots=True)
class Story:
    """One conversation: `told` holds its events in the order told, `survey` those of its survey."""

    name: str
    told: list[Event]
    survey: list[Event]
    has_twin: bool
    answers: list[Answer] = field(default_factory=list)
    hops: list[Handed] = field(default_factory=list)
    follow_ups: int = 0
    redials: int = 0
    questions: int = 0
    resolutions: list[Event] = field(default_factory=list)
    resolved_from_ms: int = 0
    closed_by: str = ""
    is_spam: bool = False
    is_thanked: bool = False
    is_corrected: bool = False
    is_reopened: bool = False
    has_bot: bool = False
    is_acknowledged: bool = False
    _since_ms: int = 0
    _owner: str = ""
    _is_noted: bool = False
    _has_just_replied: bool = False
    _is_ours: bool = False

    def __post_init__(self) -> None:
        self._since_ms = ms(self.opening) + (self.queue_ms + LIVE_MS if self.is_live else 0)
        self._owner = self.opening.get("unit", "")
        self._is_ours = self.opening["kind"] != "inquiry"
        self.resolved_from_ms = self._since_ms
        corrected = {event["corrects"] for event in self.told if event["kind"] == "correction"}
        for event in self.told[1:]:
            if event["event_id"] in corrected or (event["kind"] == "inquiry" and event.get("needs_reply") is False):
                self.is_thanked = True
                self._has_just_replied = False
            else:
                getattr(self, f"_{event['kind']}")(event)

    @property
    def opening(self) -> Event:
        """What was told first."""
        return self.told[0]

    @property
    def channel(self) -> str:
        """The way it began."""
        return str(next(event["channel"] for event in self.told if "channel" in event))

    @property
    def topic(self) -> str:
        """What it is about; empty where no customer said anything."""
        return str(next((event["topic"] for event in self.told if "topic" in event), ""))

    @property
    def opened_by(self) -> str:
        """`customer`, `staff` (a case entered), `outbound` (staff write first) or `spam`."""
        if self.is_spam:
            return "spam"
        if self.opening["kind"] != "inquiry":
            return "outbound"
        return str(self.opening.get("opened_by", "customer"))

    @property
    def is_written(self) -> bool:
        """By e-mail, web or social media."""
        return self.channel in WRITTEN

    @property
    def is_live(self) -> bool:
        """Taken at once."""
        return self.opening.get("contact") == "answered_live"

    @property
    def queue_ms(self) -> int:
        """Time in the queue."""
        return int(self.opening.get("queue_seconds", 0.0) * 1000)

    @property
    def waits(self) -> bool:
        """True if the opening is left to be answered later, and can be."""
        if self.opened_by != "customer":
            return False
        return self.is_written or (
            self.opening.get("contact") in UNANSWERED and self.opening.get("reachable") is not False
        )

    @property
    def is_answered(self) -> bool:
        """True if a customer got an answer."""
        return bool(self.answers) or (self.is_live and self.opened_by == "customer")

    def resolved(self) -> list[tuple[Event, int]]:
        """Each resolution with its instant."""
        return [(event, ms(event)) for event in self.resolutions]

    def _reply(self, event: Event) -> None:
        author = event.get("author")
        if author is not None:
            self.has_bot |= author == "bot"
            self.is_acknowledged |= author == "automatic_acknowledgement"
        elif event.get("public") is False:
            self._is_noted = True
        elif self._is_ours:
            return
        elif self.answers and self._has_just_replied:
            self.answers[-1].is_doubled = True
        elif self.answers and self.answers[-1].delivered_ms < 0:
            self._delivered(ms(event))
        else:
            self._answered(event)

    def _answered(self, event: Event) -> None:
        at_ms = ms(event)
        answer = Answer(
            event.get("unit", ""),
            event["channel"],
            self._since_ms,
            at_ms,
            at_ms,
            event.get("staff", ""),
            event.get("visit", ""),
            self._is_noted,
        )
        self.answers.append(answer)
        self._is_noted = False
        self._delivered(at_ms)

    def _delivered(self, at_ms: int) -> None:
        self.answers[-1].delivered_ms = self.resolved_from_ms = at_ms
        self._has_just_replied = True

    def _delivery_failed(self, _: Event) -> None:
        self.answers[-1].is_lost = True
        self.answers[-1].delivered_ms = -1
        self._has_just_replied = False

    def _transfer(self, event: Event) -> None:
        at_ms = ms(event)
        if not event.get("from_bot") and not self._is_ours:
            self.hops.append(Handed(self._owner, self._since_ms, at_ms, event["unit"]))
            self._owner = event["unit"]
        self._since_ms = at_ms

    def _inquiry(self, event: Event) -> None:
        at_ms = ms(event)
        if event.get("automatic"):
            self.answers[-1].meets_machine = True
            return
        self._has_just_replied = False
        if self._is_ours:
            self._is_ours = False
        elif self.resolutions:
            self.is_reopened = True
        elif event.get("contact") == "missed_call":
            self.redials += 1
            return
        elif self.is_written and (not self.answers or at_ms < self.answers[0].delivered_ms):
            self.follow_ups += 1
            return
        else:
            self.questions += 1
        self._since_ms = self.resolved_from_ms = at_ms

    def _status_changed(self, event: Event) -> None:
        if "by" in event:
            self.closed_by = event["by"]
        else:
            self.resolutions.append(event)

    def _spam(self, _: Event) -> None:
        self.is_spam = True

    def _correction(self, _: Event) -> None:
        self.is_corrected = True


def stories(events: Iterable[Event]) -> list[Story]:
    """Every conversation but those that were merged away, which show in the one they were merged into."""
    told: defaultdict[str, dict[int, Event]] = defaultdict(dict)
    surveys: defaultdict[str, dict[int, Event]] = defaultdict(dict)
    for event in events:
        if "conversation" in event:
            number = event["event_id"].rpartition(".")[2]
            if number.startswith("s"):
                surveys[event["conversation"]][int(number[1:])] = event
            else:
                told[event["conversation"]][int(number)] = event
    return [
        Story(name, _in_order(found), _in_order(surveys.get(name, {})), f"{name}-twin" in told)
        for name, found in told.items()
        if not name.endswith("-twin")
    ]


def _in_order(found: dict[int, Event]) -> list[Event]:
    return [found[number] for number in sorted(found)]
