"""A dead letter tried again: its message judged by today's code, and what is accepted now published as the same event.

Pure apart from what is passed in. Nothing is taken twice: an event that did land already is known by its content.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from itertools import groupby, islice
from typing import Any, NamedTuple

from sinks.dead_letters import OPEN, DeadLetter, Decision, LetterPlace
from streams.core.admission import Refusal, admit, digest, read_json
from streams.core.erasure import digest_of_key, keys_beside, keys_in
from streams.intake.producer import Encoded, Publisher, encode, publish_events

LETTERS_TOGETHER = 500
ERASED = "erased"
# Their digest is of the bytes as they stand in Kafka, whatever this release makes of them.
OF_THE_BYTES = frozenset(
    {"too_large", "not_json", "not_an_event", "unknown_kind", "missing_field", "invalid_field", "empty"}
)


class Result(Enum):
    """What became of a dead letter that was tried again."""

    PUBLISHED = "published"
    REFUSED = "refused"
    PARTLY = "partly"
    GONE = "gone"
    ANOTHER = "another"
    ERASED = "erased"
    DECIDED = "decided"


class Outcome(NamedTuple):
    """A letter, what became of it, events published, and a sentence."""

    letter: DeadLetter
    result: Result
    events: int
    text: str


class Message(NamedTuple):
    """A message as it stands in Kafka."""

    value: bytes | None


Read = Callable[[LetterPlace], Message | None]
"""The message at a place, None if it is not there any more; may block and raise `Unavailable` or `Refused`."""
Erased = Callable[[str], Collection[str]]
"""Digests of the keys that a district erased; may block and raise."""


class Retry(NamedTuple):
    """What trying again needs; `decide` writes down what was published, after Kafka has acknowledged it."""

    read: Read
    publisher: Publisher
    erased: Erased
    decide: Callable[[Sequence[Decision]], None]
    who: str
    why: str


class Judgement(NamedTuple):
    """What today's code says: events that it takes, and why it refuses the others."""

    events: list[Encoded]
    outcome: Outcome


def retry(letters: Iterable[DeadLetter], now_ms: Callable[[], int], tools: Retry) -> Iterator[Outcome]:
    """Try letters again, in order of place. Blocks; raises `Unavailable` or `Refused`, and may be repeated then."""
    waiting = iter(letters)
    while some := list(islice(waiting, LETTERS_TOGETHER)):
        judged = [
            judgement
            for _, of_one in groupby(some, key=lambda letter: letter[:3])
            for judgement in _judge_message(list(of_one), tools)
        ]
        for _, written in publish_events((event for each in judged for event in each.events), tools.publisher):
            written.result()
        taken = [each.outcome.letter for each in judged if each.outcome.result is Result.PUBLISHED]
        at_ms = now_ms()
        tools.decide([Decision(*letter[:4], at_ms, "retried", tools.who, tools.why) for letter in taken])
        yield from (each.outcome for each in judged)


def _judge_message(letters: Sequence[DeadLetter], tools: Retry) -> Iterator[Judgement]:
    """Letters of one message; it is read once, and only if one of them may be tried."""
    message: Message | None = None
    was_read = False
    for letter in letters:
        unfit = _unfit(letter)
        if unfit is not None:
            yield Judgement([], unfit)
            continue
        if not was_read:
            message, was_read = tools.read(letter.place._replace(position=None)), True
        if message is None:
            text = "Kafka does not have the message any more: its retention has passed, or its topic is gone"
            yield Judgement([], Outcome(letter, Result.GONE, 0, text))
        else:
            yield judge(letter, message.value or b"", tools.erased)


def _unfit(letter: DeadLetter) -> Outcome | None:
    if letter.reason == ERASED:
        text = "its person was erased: it is never taken again"
        return Outcome(letter, Result.ERASED, 0, text)
    if letter.state != OPEN:
        return Outcome(letter, Result.DECIDED, 0, f"it was {letter.state} already")
    return None


def judge(letter: DeadLetter, payload: bytes, erased: Erased) -> Judgement:
    """What today's code makes of the item, or of the whole message if that was refused as one."""
    outcome = partial(Outcome, letter)
    is_whole = letter.digest == digest(payload)
    if not is_whole and not _is_the_same(letter, payload):
        return Judgement(
            [], outcome(Result.ANOTHER, 0, "another message stands at its place now: was the topic remade?")
        )
    admission = admit(payload)
    of_whole = (
        not admission.events and not admission.newer and [r.digest for r in admission.refused] == [digest(payload)]
    )

    def belongs(position: int) -> bool:
        return is_whole or of_whole or position == letter.position

    events = [event for position, event in admission.events if belongs(position)]
    for district in {event.district for event in events}:
        gone = erased(district)
        if any(key in gone for event in events for key in keys_in(event)):
            return Judgement([], outcome(Result.ERASED, 0, "its person was erased meanwhile: it is not sent again"))
    newer = [each for each in admission.newer if belongs(each.position)]
    if any(
        digest_of_key(key) in erased(each.district) for each in newer for key in keys_beside(read_json(each.content))
    ):
        return Judgement([], outcome(Result.ERASED, 0, "its person was erased meanwhile: it is not sent again"))
    found = [*map(encode, events), *(Encoded(each.district, each.content) for each in newer)]
    refused = [refusal for refusal in admission.refused if belongs(refusal.position)]
    return Judgement(found, _told(letter, len(found), refused))


def _told(letter: DeadLetter, events: int, refused: Sequence[Refusal]) -> Outcome:
    counted = "1 event" if events == 1 else f"{events} events"
    if not refused:
        return Outcome(letter, Result.PUBLISHED, events, f"{counted} published again")
    why = f"{refused[0].reason}: {refused[0].message}"
    if not events:
        return Outcome(letter, Result.REFUSED, 0, f"still refused, {why}")
    text = f"{counted} published again, {len(refused)} still refused, the first {why}"
    return Outcome(letter, Result.PARTLY, events, text)


def _is_the_same(letter: DeadLetter, payload: bytes) -> bool:
    """Whether the item at the letter's place is the one that was refused there."""
    try:
        content = read_json(payload)
    except (ValueError, RecursionError):
        return False
    items = content if isinstance(content, list) else [content]
    if letter.position >= len(items):
        return False
    item: Any = items[letter.position]
    if letter.reason in OF_THE_BYTES:
        encoded = json.dumps(item, separators=(",", ":")).encode("utf-8", "replace")
        return letter.digest == digest(encoded)
    named = {"district": letter.district, "kind": letter.kind}
    return isinstance(item, dict) and all(item.get(name) == value for name, value in named.items() if value)
