"""From everything known of a conversation to the explanation of its numbers. Pure: no clock is read."""

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.events import Event
from schemas.facts import DEFINITION_VERSION, NAMES, Row, as_json
from schemas.vocabulary import from_ms
from streams.core.conversation import WATCHED_DAYS
from streams.core.corrections import is_spam
from streams.core.ownership import Ownership
from streams.core.packed import Correction, Mark, Packed
from streams.core.parts import LINKED_AFTER_DAYS, part_name, parts, whole_name
from streams.core.ratings import counted
from streams.core.skew import reconciled
from streams.core.story import Story, opening_of
from streams.explaining import told
from streams.explaining.changes import effect
from streams.explaining.known import Known, Origin
from streams.explaining.promises import clocks
from streams.explaining.steps import Done, Teller
from streams.explaining.waits import Cutter
from streams.explaining.words import times

_NUMBERS = (
    "first_response_ms",
    "first_response_business_ms",
    "staff_first_response_ms",
    "staff_first_response_business_ms",
    "time_to_owner_ms",
    "first_resolution_ms",
    "first_resolution_business_ms",
    "full_resolution_ms",
    "full_resolution_business_ms",
)


def explain(
    district: str,
    name: str,
    events: Iterable[tuple[Event, int | None]],
    until_ms: int | None = None,
    restatements: Sequence[told.Restatement] = (),
) -> told.Explanation | None:
    """The explanation of a conversation, or of one part of its thread (`c~2`); None if it has no events.

    `events`: all of it and of those a merge ever named with it, and the district's own, with landed digests or None.
    `until_ms`: the present, to which open waits of rows that count are cut, and by which open promises are judged.
    """
    known = Known(district, events)
    conversation, number = whole_name(name)
    if name not in known.rows:
        return None
    made = _Parts(known, conversation, until_ms)
    configuration = known.configuration
    return told.Explanation(
        district=district,
        conversation=name,
        time_zone=configuration.clock(district).time_zone.key,
        definition_version=DEFINITION_VERSION,
        configurations=configuration.count,
        revisions=[
            told.Revision(
                revision=each.event.revision,
                event=each.event.event_id,
                from_at=each.event.occurred_at,
                received_at=each.event.received_at,
                newest=each.event.configuration == configuration.newest,
            )
            for each in known.revisions
        ],
        parts=[part for part in made.parts() if number == 1 or part.conversation == name],
        restatements=list(restatements),
    )


class _Parts:
    """Makes the parts of one conversation."""

    def __init__(self, known: Known, conversation: str, until_ms: int | None) -> None:
        self._known = known
        self._conversation = conversation
        self._until_ms = until_ms
        self._changes = {name: known.changes(name) for name in known.state.conversations}

    def parts(self) -> list[told.Part]:
        origins = self._known.events_in(self._conversation)
        cut = parts([origin.event for origin in origins], self._known.configuration)
        made, begin = [], 0
        for number, own in enumerate(cut, 1):
            row = self._known.rows[part_name(self._conversation, number)]
            made.append(self._part(row, origins[begin : begin + len(own)], number))
            begin += len(own)
        return made

    def _part(self, row: Row, origins: Sequence[Origin], number: int) -> told.Part:
        events = [origin.event for origin in origins]
        opening = opening_of(events)
        ordered, _ = reconciled(events, opening)
        configuration = self._known.configuration
        story = Story(opening)
        story.tell(ordered)
        ownership = Ownership(ordered, opening, configuration)
        landed = as_json(row)
        until_ms = None if landed["retracted"] else self._until_ms
        promised = list(clocks(row, opening, story, configuration, until_ms))
        waits = list(Cutter(self._known, ownership, until_ms).waits(story, row))
        teller = Teller(opening, configuration, counted(ordered, story, ownership, configuration))
        return told.Part(
            **{name: landed[name] for name in told.Part.model_fields if name in landed and name not in _MADE},
            opened_at=from_ms(row[_OPENED]),
            counts=not landed["retracted"],
            numbers=[told.Number(name=n, value_ms=landed[n]) for n in _NUMBERS if landed[n] is not None],
            notes=self._notes(landed, events, number, waits, promised),
            steps=self._steps(teller, origins, ordered),
            waits=waits,
            clocks=promised,
            ratings=[
                told.Rating(
                    rated_at=rating["rated_at"],
                    survey=rating["survey"],
                    score=rating["score"],
                    unit=rating["unit"],
                    edits=rating["edits"],
                    late=rating["late"],
                )
                for rating in landed["ratings"]
            ],
            handoffs=[told.HandOff(**handoff) for handoff in landed["transfers"]],
        )

    def _steps(self, teller: Teller, origins: Sequence[Origin], ordered: Sequence[Packed]) -> list[told.Step]:
        came = {(origin.event.event_id, origin.event.digest): origin for origin in origins}
        return [self._step(event, came[event.event_id, event.digest], done) for event, done in teller.tell(ordered)]

    def _step(self, event: Packed, origin: Origin, done: Done) -> told.Step:
        if isinstance(event, Correction):
            done = effect(event, self._changes[origin.conversation])
        moved = event.at_ms != origin.event.at_ms
        skew = ["its clock ran behind the customer's message: read as at the same instant"] if moved else []
        return told.Step(
            at=from_ms(event.at_ms),
            received_at=from_ms(self._known.received_ms[origin.conversation, event.event_id, event.digest]),
            event=event.event_id,
            kind=event.kind if isinstance(event, Mark) else _KINDS[type(event).__name__],
            source=event.source,
            merged_from="" if origin.conversation == self._conversation else origin.conversation,
            did=[*skew, *done.did],
            ignored=done.ignored,
            changes=self._changes[origin.conversation].get(event.event_id, []),
        )

    def _notes(
        self,
        landed: dict[str, Any],
        events: Sequence[Packed],
        number: int,
        waits: Sequence[told.Wait],
        promised: Sequence[told.Clock],
    ) -> list[str]:
        marks = [event for event in events if isinstance(event, Mark)]
        notes = []
        if landed["merged_into"]:
            notes.append(f"merged into {landed['merged_into']}: its messages count there and this row counts nowhere")
        elif landed["merged"]:
            notes.append(f"holds the messages of {landed['merged']} more, merged into it")
        if is_spam(marks):
            notes.append("spam by the last word on it: the row is retracted and counts nowhere")
        if landed["deleted"]:
            notes.append("deleted at the source: the fact stays")
        if number > 1:
            before = part_name(self._conversation, number - 1)
            text = (
                f"begins anew: its first message came over {LINKED_AFTER_DAYS} school days after {before} was resolved"
            )
            notes.append(text)
        if not landed["linked"]:
            notes.append("nothing but ratings so far: unlinked until an inquiry comes")
        if landed["reopened_soon"]:
            notes.append(f"opened again within {WATCHED_DAYS} school days of a resolve")
        if landed["conflicts"]:
            text = f"an event came again with other content {times(landed['conflicts'])}: the smaller digest counts"
            notes.append(text)
        notes.extend(
            f"someone in it was erased by {erasure}: the facts stay, without the person"
            for erasure in self._known.erased_in(self._conversation)
        )
        refused = self._known.refused(self._conversation)
        if refused:
            notes.append(f"left out, as their person had been erased when they came: {', '.join(refused)}")
        replies = {clock.opened_by_event for clock in promised if clock.clock in ("first_reply", "next_reply")}
        notes.extend(
            f"no promise of a reply covers wait {wait.number}"
            for wait in waits
            if not wait.live and wait.opened_by_event not in replies
        )
        return notes


_KINDS = {
    "Inquiry": "inquiry",
    "Reply": "reply",
    "Rating": "rating",
    "Transfer": "transfer",
    "StatusChanged": "status_changed",
    "Correction": "correction",
}
_OPENED = NAMES.index("opened_at")
_MADE = frozenset(("opened_at", "waits", "ratings", "handoffs"))
