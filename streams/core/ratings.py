"""Ratings of one conversation: which score of each rater and survey counts, and to whose credit."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from streams.core.configuration import Configuration
from streams.core.ownership import Ownership
from streams.core.packed import Packed, Rating
from streams.core.story import Story

DAY_MS = 86_400_000
EDIT_MS = 14 * DAY_MS
ACCEPTED_MS = 28 * DAY_MS


class CountedRating(NamedTuple):
    """The score that counts for one rater and survey; `late` ones are counted and never averaged."""

    rating: Rating
    unit: str
    edits: int
    late: bool


def _credit(at_ms: int, story: Story, ownership: Ownership, configuration: Configuration) -> str:
    for replied_ms, unit in reversed(story.last_reply_units):
        if replied_ms < at_ms:
            return configuration.known_unit(unit) if unit is not None else ownership.owner(replied_ms)
    return ownership.owner(at_ms)


def counted(
    events: Sequence[Packed], story: Story, ownership: Ownership, configuration: Configuration
) -> list[CountedRating]:
    """One entry for each (rater, survey), in order of key: the last edit within 14 days of the first score."""
    given: defaultdict[tuple[str, str], list[Rating]] = defaultdict(list)
    for event in events:
        if type(event) is Rating:
            given[event.rater or "", event.survey].append(event)
    result = []
    for _, scores in sorted(given.items()):
        edits = [score for score in scores if score.at_ms - scores[0].at_ms <= EDIT_MS]
        last = edits[-1]
        resolved = [at_ms for at_ms in story.resolves if at_ms <= last.at_ms]
        late = bool(resolved) and last.at_ms - resolved[-1] > ACCEPTED_MS
        result.append(CountedRating(last, _credit(last.at_ms, story, ownership, configuration), len(edits) - 1, late))
    return result
