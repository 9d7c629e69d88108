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
    for contact in reversed(story.contacts):
        if contact.at_ms <= at_ms:
            return (
                configuration.known_unit(contact.unit) if contact.unit is not None else ownership.owner(contact.at_ms)
            )
    return ownership.owner(at_ms)


def is_late(score: Rating, story: Story) -> bool:
    """Whether a score came more than 28 days after the resolve that ended the last episode before it.

    A resolve of what is resolved already, with no reopening between, ends nothing and accepts no rating anew.
    """
    ended_ms: int | None = None
    is_over = False
    for resolve in story.resolves:
        if resolve.at_ms > score.at_ms:
            break
        ended_ms = ended_ms if is_over else resolve.at_ms
        is_over = resolve.reopened_ms is None
    return ended_ms is not None and score.at_ms - ended_ms > ACCEPTED_MS


def counted(
    events: Sequence[Packed], story: Story, ownership: Ownership, configuration: Configuration
) -> list[CountedRating]:
    """In order of (rater, survey): the last edit within 14 days of the first score, of those that came in time.

    Scores that came too late stand beside it, as one entry marked late.
    """
    given: defaultdict[tuple[str, str], list[Rating]] = defaultdict(list)
    for event in events:
        if type(event) is Rating:
            given[event.rater or "", event.survey].append(event)
    result = []
    for _, scores in sorted(given.items()):
        late = [score for score in scores if is_late(score, story)]
        in_time = [score for score in scores if score not in late]
        edits = [score for score in in_time if score.at_ms - in_time[0].at_ms <= EDIT_MS]
        for which, are_late in ((edits, False), (late, True)):
            if which:
                unit = _credit(which[-1].at_ms, story, ownership, configuration)
                result.append(CountedRating(which[-1], unit, len(which) - 1, are_late))
    return result
