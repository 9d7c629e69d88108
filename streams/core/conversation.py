"""From the set of a conversation's events to its one row of facts. Pure: same set, same row."""

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.facts import DEFINITION_VERSION, Row, row_version
from streams.core.configuration import Configuration
from streams.core.ownership import Ownership, Segment
from streams.core.packed import Inquiry, Mark, Packed, Rating
from streams.core.promises import verdicts
from streams.core.ratings import CountedRating, counted
from streams.core.story import Story, Wait, clamp_skew, opens_wait

SCHOOL_DAY_MS = 8 * 3_600_000


def _opening(events: Sequence[Packed]) -> Inquiry | None:
    """The customer message that opened the conversation; without one, the first inquiry of any sort."""
    first: Inquiry | None = None
    for event in events:
        if type(event) is Inquiry:
            if opens_wait(event):
                return event
            first = first or event
    return first


def fold(key: tuple[str, str], events: Sequence[Packed], conflicts: int, configuration: Configuration) -> Row:
    """The row of `schemas.facts.CONVERSATION` of one conversation.

    `key` is (district, conversation); `events` is the whole set, sorted, not empty; `conflicts` counts the events that
    lost against another content of the same id.
    """
    opening = _opening(events)
    ordered, skew = clamp_skew(events, opening) if opening is not None else (events, False)
    failed = frozenset(e.refers_to for e in events if type(e) is Mark and e.kind == "delivery_failed")
    story = Story(failed)
    story.tell(ordered)
    ownership = Ownership(ordered, opening, configuration)
    opened_ms = _opened_ms(ordered, opening, story)
    version = row_version(configuration.count, len(events) + conflicts)
    return (
        *key,
        version,
        int(story.spam),
        DEFINITION_VERSION,
        configuration.count,
        len(events) + conflicts,
        conflicts,
        opened_ms,
        *_nature(events, opening, story),
        ownership.units[-1],
        ownership.units[0],
        configuration.department(ownership.units[-1]),
        *_dimensions(opening, ordered, story),
        story.status,
        int(skew),
        *_first_response(story, ownership, configuration),
        *_resolution(opened_ms, story, ownership),
        *_route(ownership),
        story.extra_replies,
        story.bot_replies,
        story.surveys_offered,
        *_waits(story, ownership, configuration),
        *_ratings(counted(ordered, story, ownership, configuration)),
        *_columns((verdicts(opening, story, ownership, configuration) if opening else ()), 9),
    )


def _opened_ms(events: Sequence[Packed], opening: Inquiry | None, story: Story) -> int:
    if story.outbound is not None:
        return story.outbound.at_ms
    return opening.at_ms if opening is not None else events[0].at_ms


def _nature(events: Sequence[Packed], opening: Inquiry | None, story: Story) -> tuple[Any, ...]:
    by_staff = opening is None or opening.opened_by == "staff" or story.outbound is not None
    inquiry = story.first_message is not None and not by_staff
    linked = any(type(e) is not Rating for e in events)
    return ("staff" if by_staff else "customer", int(inquiry), int(story.outbound is not None), int(linked))


def _dimensions(opening: Inquiry | None, events: Sequence[Packed], story: Story) -> tuple[Any, ...]:
    if opening is None:
        channel = getattr(events[0], "channel", "")
        silent = ("unknown", "unknown", "unknown", "", "", "normal", "none", "message")
        return (channel, "", "", "", events[0].source, "", *silent, story.visit)
    return (
        opening.channel,
        opening.platform or "",
        opening.thread or "",
        opening.touch_point or "",
        opening.source,
        opening.topic or "",
        opening.inquiry_kind,
        opening.stakeholder,
        opening.generation,
        opening.language or "",
        opening.person or "",
        opening.priority,
        opening.critical_category,
        opening.contact,
        story.visit,
    )


def _first_response(story: Story, ownership: Ownership, configuration: Configuration) -> tuple[Any, ...]:
    message, live, reply = story.first_message, story.live, story.first_reply
    if message is not None and live is not None:
        at_ms = live.at_ms + (live.queue_ms or 0)
        unit, staff = ownership.owner(live.at_ms), live.staff or ""
    elif message is not None and reply is not None:
        at_ms = reply.at_ms
        unit = configuration.known_unit(reply.unit) if reply.unit is not None else ownership.owner(at_ms)
        staff = reply.staff or ""
    else:
        return (None, None, None, None, None, "", "")
    start_ms = message.at_ms
    human_ms = start_ms if story.human_queue_ms is None else min(max(story.human_queue_ms, start_ms), at_ms)
    business = ownership.business_ms(start_ms, at_ms)
    human_business = business if human_ms == start_ms else ownership.business_ms(human_ms, at_ms)
    return (at_ms, at_ms - start_ms, business, at_ms - human_ms, human_business, unit, staff)


def _resolution(opened_ms: int, story: Story, ownership: Ownership) -> tuple[Any, ...]:
    first = max(story.resolves[0], opened_ms) if story.resolves else None
    full = max(story.full_resolved_ms, opened_ms) if story.full_resolved_ms is not None else None
    lengths = [
        (None, None, None) if at is None else (at, at - opened_ms, ownership.business_ms(opened_ms, at))
        for at in (first, full)
    ]
    return (*lengths[0], *lengths[1], story.reopened)


def _route(ownership: Ownership) -> tuple[int, int, int]:
    departments = ownership.departments()
    handoffs = len(departments) - 1
    bounces = sum(departments[i] == departments[i + 2] for i in range(len(departments) - 2))
    return (handoffs, bounces, int(handoffs == 0))


def _wait(wait: Wait, segments: list[Segment], ownership: Ownership, configuration: Configuration) -> tuple[Any, ...]:
    ended = wait.ended_ms
    owner = segments[-1].unit if segments else ""
    replied_by = ""
    if wait.reply is not None:
        replied_by = configuration.known_unit(wait.reply.unit) if wait.reply.unit is not None else owner
    return (
        wait.opened_ms,
        ended,
        wait.outcome,
        owner,
        replied_by,
        None if ended is None else ended - wait.opened_ms,
        None if ended is None else sum(segment.business_ms or 0 for segment in segments),
        ownership.due(wait.opened_ms, SCHOOL_DAY_MS),
        wait.messages,
        wait.redials,
        int(wait.live),
        wait.opened_event,
        wait.ended_event,
    )


def _waits(story: Story, ownership: Ownership, configuration: Configuration) -> tuple[Any, ...]:
    waits: list[tuple[Any, ...]] = []
    pieces: list[tuple[Any, ...]] = []
    for index, wait in enumerate(story.waits):
        end_ms = wait.opened_ms if wait.outcome == "unreachable" else wait.ended_ms
        segments = ownership.segments(wait.opened_ms, end_ms)
        waits.append(_wait(wait, segments, ownership, configuration))
        pieces.extend((index, s.unit, s.started_ms, s.ended_ms, s.length_ms, s.business_ms) for s in segments)
    return (*_columns(waits, 13), *_columns(pieces, 6))


def _ratings(ratings: list[CountedRating]) -> tuple[Any, ...]:
    return _columns(
        [
            (
                r.rating.rater or "",
                r.rating.survey,
                r.rating.at_ms,
                r.rating.score,
                r.unit,
                r.edits,
                int(r.late),
                r.rating.courtesy,
                r.rating.communication,
                r.rating.responsiveness,
                r.rating.environment,
                r.rating.trust,
                None if r.rating.answered is None else int(r.rating.answered),
            )
            for r in ratings
        ],
        13,
    )


_EMPTY: dict[int, tuple[tuple[Any, ...], ...]] = {width: ((),) * width for width in range(16)}


def _columns(rows: Iterable[Sequence[Any]], width: int) -> tuple[tuple[Any, ...], ...]:
    """Rows of a nested group turned into its columns; `width` empty ones without rows."""
    return tuple(zip(*rows, strict=True)) or _EMPTY[width]
