"""Ratings: the last edit in time counts, late ones apart, credited to who answered before."""

from datetime import timedelta
from typing import Any

from schemas.events import Rating
from tests.reference.reading import Item, is_live, is_message, is_reply, is_status
from tests.reference.story import Story, answered_at

EDITABLE = timedelta(days=14) // timedelta(milliseconds=1)
ACCEPTED = timedelta(days=28) // timedelta(milliseconds=1)


def ratings(story: Story) -> list[dict[str, Any]]:
    """The entries of all raters and surveys."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in story.items:
        if isinstance(item.event, Rating):
            groups.setdefault((item.event.rater or "", item.event.survey), []).append(item)
    entries: list[dict[str, Any]] = []
    for _, given in sorted(groups.items()):
        for late in (False, True):
            scores = [item for item in given if _is_late(item, story) == late]
            if not late:
                scores = [item for item in scores if item.at - scores[0].at <= EDITABLE]
            if scores:
                entries.append(_entry(scores[-1], len(scores) - 1, late, story))
    return entries


def _is_late(item: Item, story: Story) -> bool:
    """More than 28 days after the end of the last episode that had ended; what is over does not end again."""
    ended, over = None, False
    for each in story.items:
        if each.order > item.order:
            break
        if is_status(each, "resolved"):
            ended = ended if over else each.at
            over = True
        elif is_message(each) or is_status(each, "reopened"):
            over = False
    return ended is not None and item.at - ended > ACCEPTED


def credited(item: Item, story: Story) -> str:
    """The unit of the last qualifying reply or live answer before a rating, else the owner."""
    unit, last = story.owners.at(item.at), 0
    for each in story.items:
        came = answered_at(each) if is_live(each) else each.at
        if came <= item.at and came >= last and (is_reply(each) or is_live(each)):
            last = came
            unit = sender(each, story)
    return unit


def sender(item: Item, story: Story) -> str:
    """The unit that sent a reply: the one it names, else the owner."""
    named = item.event.unit
    return story.setting.unit(named) if named is not None else story.owners.at(item.at)


def _entry(item: Item, edits: int, late: bool, story: Story) -> dict[str, Any]:
    rating: Rating = item.event
    return {
        "rater": "" if (rating.rater or "").startswith("~") else rating.rater or "",
        "survey": rating.survey,
        "rated_at": item.at,
        "score": rating.score,
        "unit": credited(item, story),
        "edits": edits,
        "late": int(late),
        **rating.pillars.model_dump(),
        "trust": rating.trust,
        "items": rating.items,
        "answered": None if rating.answered is None else int(rating.answered),
    }
