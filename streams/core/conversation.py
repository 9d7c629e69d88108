"""From the set of a conversation's events to its rows of facts. Pure: same set, same rows."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from schemas.facts import DEFINITION_VERSION, NAMES, Row, row_version
from schemas.vocabulary import UNROUTED
from streams.core.configuration import Configuration
from streams.core.corrections import counts_nowhere
from streams.core.merging import is_apart
from streams.core.ownership import Ownership, Segment
from streams.core.packed import Inquiry, Mark, Packed, Reply, StatusChanged, Transfer
from streams.core.parts import part_name, parts
from streams.core.promises import verdicts
from streams.core.ratings import CountedRating, counted
from streams.core.skew import reconciled
from streams.core.story import Story, Wait, opening_of

SCHOOL_DAY_MS = 8 * 3_600_000
WATCHED_DAYS = 7
MANY_MESSAGES, MANY_REOPENINGS, LOW_SCORE = 3, 2, 3
# What a rating may be about: an inquiry, or what the district itself began.
_LINKING = (Inquiry, Reply, Transfer, StatusChanged)
_CONVERSATION, _RETRACTED = NAMES.index("conversation"), NAMES.index("retracted")


class Whole(NamedTuple):
    """What the rows of one conversation, or of several merged into it, have in common.

    `known`: events of everything a merge ever named together, conflicts included; `merged`: how many others are in it;
    `merged_into`: the conversation that it is in itself; `refused`: how many of `known` came of erased persons.
    """

    known: int
    conflicts: int
    merged: int = 0
    merged_into: str = ""
    refused: int = 0


class _Frame(NamedTuple):
    """What a part needs of its whole."""

    whole: Whole
    configuration: Configuration
    retracted: bool
    deleted: bool


def fold(key: tuple[str, str], events: Sequence[Packed], configuration: Configuration, whole: Whole) -> list[Row]:
    """The rows of `schemas.facts.CONVERSATION` of one conversation: more than one where the thread was taken up anew.

    `key` is (district, conversation); `events` is the whole set, corrected, sorted, not empty.
    """
    marks = [event for event in events if type(event) is Mark]
    frame = _Frame(
        whole,
        configuration,
        bool(whole.merged_into) or (bool(marks) and counts_nowhere(events)),
        any(mark.kind == "deleted" for mark in marks),
    )
    district, conversation = key
    rows: list[Row] = []
    for number, own in enumerate(parts(events, configuration), 1):
        before = part_name(conversation, number - 1) if number > 1 else ""
        rows.append(_fold_part((district, part_name(conversation, number)), own, frame, before))
    return rows


def withdrawn(row: Row, name: str) -> Row:
    """The retracted row of a part that is none any more, made of the first part's."""
    changed = list(row)
    changed[_CONVERSATION], changed[_RETRACTED] = name, 1
    return tuple(changed)


def _fold_part(key: tuple[str, str], events: Sequence[Packed], frame: _Frame, before: str) -> Row:
    opening = opening_of(events)
    ordered, skew = reconciled(events, opening)
    configuration = frame.configuration
    story = Story(opening)
    story.tell(ordered)
    ownership = Ownership(ordered, opening, configuration)
    opened_ms = _opened_ms(ordered, opening, story)
    owned_ms = _owned_ms(opening, ordered, story, configuration) if opening is not None else None
    given = counted(ordered, story, ownership, configuration)
    judged = verdicts(opening, story, ownership, configuration, owned_ms) if opening is not None else ()
    return (
        *key,
        *_known(frame),
        before or story.continues,
        int(frame.deleted),
        opened_ms,
        *_nature(events, opening, story),
        ownership.units[-1],
        ownership.units[0],
        configuration.department(ownership.units[-1]),
        *_dimensions(opening, ordered, story),
        story.status,
        int(skew),
        *_first_response(story, ownership, configuration),
        *_first_owner(opening, owned_ms),
        *_resolution(opening, opened_ms, story, ownership),
        *_route(ownership),
        story.extra_replies,
        story.bot_replies,
        story.surveys_offered,
        int(_is_difficult(events, story, given)),
        *_waits(story, ownership, configuration),
        *_ratings(given),
        *_columns(judged, 14),
        *_items(given),
        *_resolutions(story, ownership),
        *_transfers(ownership),
    )


def _known(frame: _Frame) -> tuple[Any, ...]:
    """The row's version and what it is made of."""
    configurations, whole = frame.configuration.count, frame.whole
    version = row_version(configurations, whole.known, whole.refused)
    counts = (configurations, whole.known, whole.conflicts, whole.merged)
    return (version, int(frame.retracted), DEFINITION_VERSION, *counts, whole.merged_into)


def _opened_ms(events: Sequence[Packed], opening: Inquiry | None, story: Story) -> int:
    if story.outbound is not None:
        return story.outbound.at_ms
    return opening.at_ms if opening is not None else events[0].at_ms


def _owned_ms(opening: Inquiry, events: Sequence[Packed], story: Story, configuration: Configuration) -> int | None:
    """When a unit that the configuration knows, or a person, first had the inquiry: at the latest whoever answered."""
    if configuration.route(opening) != UNROUTED:
        return opening.at_ms
    found = [contact.at_ms for contact in story.contacts[:1]]
    for event in events:
        if type(event) is Transfer and (event.staff or configuration.known_unit(event.unit) != UNROUTED):
            found.append(event.at_ms)
            break
    return max(min(found), opening.at_ms) if found else None


def _first_owner(opening: Inquiry | None, owned_ms: int | None) -> tuple[int | None, int | None]:
    return (owned_ms, None if opening is None or owned_ms is None else owned_ms - opening.at_ms)


def _is_difficult(events: Sequence[Packed], story: Story, ratings: Sequence[CountedRating]) -> bool:
    return (
        any(type(event) is Inquiry and event.critical_category != "none" for event in events)
        or story.reopened >= MANY_REOPENINGS
        or any(wait.messages >= MANY_MESSAGES for wait in story.waits)
        or any(given.rating.score <= LOW_SCORE and not given.late for given in ratings)
    )


def _nature(events: Sequence[Packed], opening: Inquiry | None, story: Story) -> tuple[Any, ...]:
    by_staff = opening is None or opening.opened_by == "staff" or story.outbound is not None
    inquiry = story.first_message is not None and not by_staff
    linked = any(type(e) in _LINKING for e in events)
    return ("staff" if by_staff else "customer", int(inquiry), int(story.outbound is not None), int(linked))


def _dimensions(opening: Inquiry | None, events: Sequence[Packed], story: Story) -> tuple[Any, ...]:
    if opening is None:
        channel = getattr(events[0], "channel", "")
        silent = ("unknown", "unknown", "unknown", "", "", "normal", "none", "message")
        return (channel, "", "", "", events[0].source, "", *silent, *_visits(story))
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
        *_visits(story),
    )


def _visits(story: Story) -> tuple[Any, ...]:
    return (story.visit, story.visits.get("requested"), story.visits.get("offered"), story.turned_away)


def _first_response(story: Story, ownership: Ownership, configuration: Configuration) -> tuple[Any, ...]:
    message, live, reply = story.first_message, story.live, story.first_reply
    if message is not None and live is not None:
        at_ms = live.at_ms + (live.queue_ms or 0)
        unit = ownership.owner(live.at_ms) if live.unit is None else configuration.known_unit(live.unit)
        staff = live.staff or ""
    elif message is not None and reply is not None:
        at_ms = reply.at_ms
        unit = configuration.known_unit(reply.unit) if reply.unit is not None else ownership.owner(at_ms)
        staff = reply.staff or ""
    else:
        return (None, None, None, None, None, None, None, "", "")
    start_ms = message.at_ms
    human_ms = start_ms if story.human_queue_ms is None else min(max(story.human_queue_ms, start_ms), at_ms)
    business = ownership.business_ms(start_ms, at_ms)
    human_business = business if human_ms == start_ms else ownership.business_ms(human_ms, at_ms)
    last_owner = configuration.clock(ownership.units[-1]).elapsed(start_ms, at_ms)
    bot_ms = start_ms if story.last_bot_ms is None else min(max(story.last_bot_ms, start_ms), at_ms)
    lengths = (at_ms - start_ms, business, at_ms - human_ms, human_business, last_owner, at_ms - bot_ms)
    return (at_ms, *lengths, unit, staff)


def _resolution(opening: Inquiry | None, opened_ms: int, story: Story, ownership: Ownership) -> tuple[Any, ...]:
    # What began before all that is known has no length, and a resolve before the start is not of this concern.
    begun = opening is not None or story.outbound is not None
    resolved = [resolve.at_ms for resolve in story.resolves if begun and resolve.at_ms >= opened_ms]
    first = resolved[0] if resolved else None
    full = resolved[-1] if resolved and story.full_resolved_ms == resolved[-1] else None
    lengths = [
        (None, None, None) if at is None else (at, at - opened_ms, ownership.business_ms(opened_ms, at))
        for at in (first, full)
    ]
    return (*lengths[0], *lengths[1], story.reopened, int(_was_reopened_soon(story, ownership)))


def _was_reopened_soon(story: Story, ownership: Ownership) -> bool:
    for resolve in story.resolves:
        if resolve.reopened_ms is not None:
            until = ownership.after_school_days(resolve.at_ms, WATCHED_DAYS)
            if until is not None and resolve.reopened_ms < until:
                return True
    return False


def _route(ownership: Ownership) -> tuple[int, int, int]:
    departments = [department for _, _, department in ownership.departments()]
    handoffs = len(departments) - 1
    bounces = sum(departments[i] == departments[i + 2] for i in range(len(departments) - 2))
    return (handoffs, bounces, int(handoffs == 0))


def _transfers(ownership: Ownership) -> tuple[Any, ...]:
    if len(ownership.units) == 1:
        return _EMPTY[5]
    held = ownership.departments()
    return _columns(
        [
            (at_ms, held[index][2], department, unit, int(index > 0 and held[index - 1][2] == department))
            for index, (at_ms, unit, department) in enumerate(held[1:])
        ],
        5,
    )


def _items(ratings: list[CountedRating]) -> tuple[Any, ...]:
    return _columns(
        [(index, item, score, given.unit) for index, given in enumerate(ratings) for item, score in given.rating.items],
        4,
    )


def _resolutions(story: Story, ownership: Ownership) -> tuple[Any, ...]:
    return _columns(
        [
            (
                resolve.at_ms,
                ownership.owner(resolve.at_ms),
                ownership.after_school_days(resolve.at_ms, WATCHED_DAYS),
                resolve.reopened_ms,
            )
            for resolve in story.resolves
        ],
        4,
    )


def _wait(wait: Wait, segments: list[Segment], ownership: Ownership, configuration: Configuration) -> tuple[Any, ...]:
    ended = wait.ended_ms
    owner = segments[-1].unit if segments else ""
    replied_by = ""
    if wait.reply is not None:
        named = wait.reply.unit
        replied_by = ownership.owner(wait.reply.at_ms) if named is None else configuration.known_unit(named)
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
                "" if is_apart(r.rating.rater) else r.rating.rater or "",
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
