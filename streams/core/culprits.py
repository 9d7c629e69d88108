"""Events that make a fold raise: found, named and left out, so that they cost no other event."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from schemas.facts import Row
from streams.core.arrival import Conversation
from streams.core.packed import Mark, Packed
from streams.core.settled import Culprit

Fold = Callable[[Sequence[str]], list[Row]]


def without_culprits(
    together: Sequence[str],
    conversations: dict[str, Conversation],
    fresh: Mapping[str, Iterable[Packed]],
    fold: Fold,
    culprits: list[Culprit],
) -> list[Row]:
    """The rows of each alone without what makes its fold raise; if together they still do, without the merges.

    `fresh`: what came last of each. Adds to `culprits` and leaves out of `conversations` what has no event left.
    """
    for conversation in together:
        held = conversations[conversation]
        culprits.extend(_expel(conversation, held, {event.event_id for event in fresh.get(conversation, ())}, fold))
        if not held.events:
            del conversations[conversation]
    left = [conversation for conversation in together if conversation in conversations]
    try:
        return fold(left) if left else []
    except Exception as error:  # noqa: BLE001 -- named and sent to the dead letters by the caller
        for conversation in left:
            held = conversations[conversation]
            merges = [e for e in held.events if type(e) is Mark and e.kind == "merge"]
            culprits.extend(Culprit(conversation, e.event_id, e.digest, type(error).__name__) for e in merges)
            held.events = tuple(e for e in held.events if e not in merges)
        left = [conversation for conversation in left if conversations[conversation].events]
        return [row for conversation in left for row in fold([conversation])]


def _expel(conversation: str, held: Conversation, fresh: set[str], fold: Fold) -> list[Culprit]:
    """Add events one by one, those known longest first, and leave out each that makes the fold raise."""
    culprits: list[Culprit] = []
    everything, held.events = held.events, ()
    for event in sorted(everything, key=lambda event: event.event_id in fresh):
        kept = held.events
        held.events = tuple(sorted((*kept, event), key=lambda e: e[:3]))
        try:
            fold([conversation])
        except Exception as error:  # noqa: BLE001 -- named and sent to the dead letters by the caller
            held.events = kept
            culprits.append(Culprit(conversation, event.event_id, event.digest, type(error).__name__))
    return culprits
