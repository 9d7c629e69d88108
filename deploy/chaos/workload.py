"""What is written in one cell of the matrix: shuffled, repeated, partly wrong; and what must have landed of it. Pure.

One district for each partition. Even partitions: conversations of four events. Odd ones: a promise of one second that
late answers break for certain and answers in the same message keep, so that the transitions do not depend on order.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.alerts import MET_LATE, STEPS
from schemas.topics import partition_of
from schemas.vocabulary import from_ms
from streams.core.erasure import digest_of_key

MINUTE_MS = 60_000
DAY_MS = 1_440 * MINUTE_MS
KEPT_MS = 500
STARTED_AGO_MS = 3 * 3_600_000
CONFIGURED_AGO_MS = 400 * DAY_MS
LONG_AGO_MS = 50 * DAY_MS
CONVERSATIONS = 6
SIZES = (1, 1, 2, 5)
REPEATED = 0.2
PROMISE = {"promise": "at-once", "clock": "first_reply", "target": "1s", "hours": "calendar"}
STORY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("inquiry", {"channel": "email"}),
    ("reply", {"channel": "email"}),
    ("status_changed", {"status": "resolved"}),
    ("rating", {"score": 7}),
)
TOLD = tuple(enumerate(STORY[:3]))
NOT_JSON = b"this is not an event"
PERSON = "beadbeadbeadbeadbeadbeadbeadbead"


class Message(NamedTuple):
    """One message: its partition, its value, and the (district, event id) of what is in it."""

    partition: int
    value: bytes
    events: tuple[tuple[str, str], ...]
    strays: bool = False
    """Written into a partition that is not its district's."""


class Transition(NamedTuple):
    """One alert transition that must be told exactly once."""

    district: str
    conversation: str
    transition: str
    revision: int


@dataclass(frozen=True, slots=True)
class Workload:
    """Messages in the order of writing, and what they must come to."""

    districts: tuple[str, ...]
    messages: tuple[Message, ...]
    transitions: frozenset[Transition] = frozenset()
    doubtful: bool = False
    """Its transitions depend on when it was read: each breach, if it was told, must be taken back; no more is known."""

    @property
    def events(self) -> set[tuple[str, str]]:
        """Every event that must land, by (district, event id)."""
        return {event for message in self.messages for event in message.events}

    def halves(self) -> tuple[Sequence[Message], Sequence[Message]]:
        """Its messages as two parts to be written one after the other."""
        middle = len(self.messages) // 2
        return self.messages[:middle], self.messages[middle:]


def districts_of(name: str, partitions: int) -> tuple[str, ...]:
    """A district for each partition, all with names that begin with `name`."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        district = f"{name}-{number}"
        found.setdefault(partition_of(district, partitions), district)
        number += 1
    return tuple(found[partition] for partition in range(partitions))


@dataclass(slots=True)
class _Writing:
    """One district's events on their way into messages."""

    district: str
    partition: int
    now_ms: int
    draw: random.Random
    messages: list[Message] = field(default_factory=list)
    numbers: int = 0

    def event(self, kind: str, conversation: str, ago_ms: int, **more: Any) -> dict[str, Any]:
        """One event that happened, and was received, so long ago."""
        self.numbers += 1
        moment = from_ms(self.now_ms - ago_ms).isoformat()
        base = {"kind": kind, "event_id": f"e{self.numbers}", "district": self.district, "source": "crm"}
        times = {"occurred_at": moment, "received_at": moment}
        return base | times | ({"conversation": conversation} if conversation else {}) | more

    def send(self, events: Sequence[dict[str, Any]], partition: int | None = None) -> None:
        """Put these into one message."""
        number = self.partition if partition is None else partition
        value = json.dumps(events if len(events) > 1 else events[0]).encode()
        ids = tuple((self.district, str(event["event_id"])) for event in events)
        self.messages.append(Message(number, value, ids, strays=number != self.partition))

    def scatter(self, events: Sequence[dict[str, Any]]) -> None:
        """Put these into messages of several sizes, in any order, some of them again."""
        left = [*events, *self.draw.sample(events, round(len(events) * REPEATED))]
        self.draw.shuffle(left)
        while left:
            size = self.draw.choice(SIZES)
            self.send(left[:size])
            left = left[size:]


def _stories(writing: _Writing) -> None:
    """Conversations of four events, whose facts no order changes."""
    events = [
        writing.event(kind, f"c{number}", STARTED_AGO_MS - (number * 7 + step * (number + 1)) * MINUTE_MS, **more)
        for number in range(CONVERSATIONS)
        for step, (kind, more) in enumerate(STORY)
    ]
    writing.scatter(events)


def _promises(writing: _Writing) -> Iterator[Transition]:
    """A promise, answers that break it and answers that keep it."""
    configuration = {"district": writing.district, "promises": [PROMISE]}
    configured = writing.event("district_configured", "", CONFIGURED_AGO_MS, revision=1, configuration=configuration)
    events = [configured]
    for number in range(CONVERSATIONS):
        ago_ms = STARTED_AGO_MS - number * 11 * MINUTE_MS
        if number % 3 == 0:
            kept = [writing.event(kind, f"k{number}", ago_ms, channel="email") for kind in ("inquiry", "reply")]
            writing.send(kept)
            continue
        events.append(writing.event("inquiry", f"l{number}", ago_ms, channel="email"))
        events.append(writing.event("reply", f"l{number}", ago_ms - 5 * MINUTE_MS, channel="email"))
        yield from (Transition(writing.district, f"l{number}", each, 0) for each in (*STEPS, MET_LATE))
    writing.scatter(events)


def made(name: str, partitions: int, now_ms: int, seed: str) -> Workload:
    """The workload of a cell: a pure function of its arguments."""
    draw = random.Random(seed)  # noqa: S311 -- to be repeatable, not secret
    names = districts_of(name, partitions)
    messages: list[Message] = []
    transitions: set[Transition] = set()
    for partition, district in enumerate(names):
        writing = _Writing(district, partition, now_ms, draw)
        if partition % 2:
            transitions.update(_promises(writing))
        else:
            _stories(writing)
        messages.extend(writing.messages)
    stray = _Writing(names[0], 0, now_ms, draw, numbers=1_000)
    stray.send([stray.event("inquiry", "stray", STARTED_AGO_MS, channel="phone")], partition=1)
    messages += [*stray.messages, Message(draw.randrange(partitions), NOT_JSON, ())]
    draw.shuffle(messages)
    return Workload(names, tuple(messages), frozenset(transitions))


def _everywhere(
    name: str, partitions: int, now_ms: int, tell: Callable[[_Writing], list[dict[str, Any]]], numbers: int = 0
) -> Workload:
    """One message of each district, what `tell` says; events are numbered from `numbers` on."""
    messages: list[Message] = []
    for partition, district in enumerate(districts_of(name, partitions)):
        draw = random.Random(name)  # noqa: S311 -- as above
        writing = _Writing(district, partition, now_ms, draw, numbers=numbers)
        writing.send(tell(writing))
        messages.extend(writing.messages)
    return Workload(districts_of(name, partitions), tuple(messages))


def long_ago(name: str, partitions: int, now_ms: int) -> Workload:
    """Conversations so old that they leave memory, one in each district."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        return [writing.event(kind, "old", LONG_AGO_MS - i * MINUTE_MS, **more) for i, (kind, more) in TOLD]

    return _everywhere(name, partitions, now_ms, tell)


def taken_up(name: str, partitions: int, now_ms: int) -> Workload:
    """A rating late for each conversation of `long_ago`: its history has to be read back."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        return [writing.event("rating", "old", LONG_AGO_MS - DAY_MS, score=3)]

    return _everywhere(name, partitions, now_ms, tell, numbers=100)


def reconfigured(name: str, partitions: int, now_ms: int) -> Workload:
    """A configuration for each district of `long_ago`: what left memory has to be swept up."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        document = {"district": writing.district, "label": "another name"}
        return [writing.event("district_configured", "", DAY_MS, revision=1, configuration=document)]

    return _everywhere(name, partitions, now_ms, tell, numbers=200)


def named(name: str, partitions: int, now_ms: int) -> Workload:
    """A conversation in each district that says who asked and who rated."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        return [
            writing.event("inquiry", "of-somebody", STARTED_AGO_MS, channel="email", person=PERSON),
            writing.event("reply", "of-somebody", STARTED_AGO_MS - MINUTE_MS, channel="email", staff=PERSON),
            writing.event("rating", "of-somebody", STARTED_AGO_MS - 2 * MINUTE_MS, score=5, rater=PERSON),
        ]

    return _everywhere(name, partitions, now_ms, tell)


def forgotten(name: str, partitions: int, now_ms: int) -> Workload:
    """The erasure of whoever is in `named`, in each district."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        return [writing.event("erased", "", 0, key_digest=digest_of_key(PERSON))]

    return _everywhere(name, partitions, now_ms, tell, numbers=100)


def waiting(name: str, partitions: int, now_ms: int) -> Workload:
    """A promise in each district and a conversation without an answer; a later one shows that it is too late."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        configuration = {"district": writing.district, "promises": [PROMISE]}
        return [
            writing.event("district_configured", "", CONFIGURED_AGO_MS, revision=1, configuration=configuration),
            writing.event("inquiry", "w", STARTED_AGO_MS, channel="email"),
            writing.event("inquiry", "later", STARTED_AGO_MS - 30 * MINUTE_MS, channel="email"),
            writing.event("reply", "later", STARTED_AGO_MS - 30 * MINUTE_MS, channel="email"),
        ]

    return _everywhere(name, partitions, now_ms, tell)


def answered_in_time(name: str, partitions: int, now_ms: int) -> Workload:
    """The answers to `waiting`, given within what was promised."""

    def tell(writing: _Writing) -> list[dict[str, Any]]:
        return [writing.event("reply", "w", STARTED_AGO_MS - KEPT_MS, channel="email")]

    return _everywhere(name, partitions, now_ms, tell, numbers=100)
