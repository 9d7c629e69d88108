"""A wait cut into what counted and what did not: by owner, and by each owner's calendar."""

from collections.abc import Iterator

from schemas.facts import Row, as_json
from schemas.vocabulary import from_ms
from streams.core.business_time import DAY_MS, Slice
from streams.core.ownership import Ownership, Segment
from streams.core.story import Story
from streams.explaining import told
from streams.explaining.known import Known, Revision
from streams.explaining.words import instant

WEEKEND = 5


class Cutter:
    """Cuts the waits of one conversation. `until_ms`: where the slices of an open wait end, None: it has none."""

    def __init__(self, known: Known, ownership: Ownership, until_ms: int | None) -> None:
        self._known = known
        self._ownership = ownership
        self._until_ms = until_ms

    def waits(self, story: Story, row: Row) -> Iterator[told.Wait]:
        """Every wait of the story, with the numbers of the row."""
        for number, (wait, landed) in enumerate(zip(story.waits, as_json(row)["waits"], strict=True), 1):
            end_ms = wait.opened_ms if wait.outcome == "unreachable" else wait.ended_ms
            is_open = end_ms is None
            if end_ms is None and self._until_ms is not None:
                end_ms = max(self._until_ms, wait.opened_ms)
            yield told.Wait(
                number=number,
                opened_at=from_ms(wait.opened_ms),
                opened_by_event=wait.opened_event,
                ended_at=instant(wait.ended_ms),
                ended_by_event=wait.ended_event,
                outcome=wait.outcome,
                unit=landed["unit"],
                replied_by=landed["replied_by"],
                wait_ms=landed["wait_ms"],
                business_ms=landed["business_ms"],
                until_at=instant(end_ms) if is_open else None,
                messages=wait.messages,
                redials=wait.redials,
                live=wait.live,
                slices=[] if end_ms is None else list(self._slices(wait.opened_ms, end_ms)),
            )

    def _slices(self, start_ms: int, end_ms: int) -> Iterator[told.Slice]:
        if start_ms == end_ms:
            return
        for segment in self._ownership.segments(start_ms, end_ms):
            until_ms = end_ms if segment.ended_ms is None else segment.ended_ms
            for piece in self._known.configuration.clock(segment.unit).slices(segment.started_ms, until_ms):
                yield self._told(piece, segment)

    def _told(self, piece: Slice, segment: Segment) -> told.Slice:
        since = self._since(piece, segment.unit) if piece.entry else None
        return told.Slice(
            started_at=from_ms(piece.start_ms),
            ended_at=from_ms(piece.end_ms),
            unit=segment.unit,
            calendar=self._known.calendar(segment.unit)[0],
            counted=piece.is_open,
            why=self._why(piece, segment.unit),
            length_ms=piece.length_ms,
            since_revision=since.event.revision if since else None,
            since_event=since.event.event_id if since else "",
            since_at=since.event.received_at if since else None,
        )

    def _since(self, piece: Slice, unit: str) -> Revision | None:
        """The first configuration received whose calendar of the unit closes the whole piece by a date of its own."""
        for revision in self._known.revisions:
            found = list(revision.alone.clock(unit).slices(piece.start_ms, piece.end_ms))
            if all(each.entry and not each.is_open for each in found):
                return revision
        return None

    def _why(self, piece: Slice, unit: str) -> str:
        if piece.is_open:
            return ""
        if piece.reason == "closed_date":
            return f"closed {piece.entry}"
        if piece.reason == "day_entry":
            return f"closed {piece.entry}: the date has no hours of its own"
        if piece.reason == "no_hours":
            return "weekend" if self._is_weekend(piece, unit) else "no hours on this weekday"
        _, calendar = self._known.calendar(unit)
        if piece.entry and calendar is not None:
            return f"outside hours; {piece.entry} has its own: {', '.join(calendar.days[piece.entry])}"
        return "outside hours"

    def _is_weekend(self, piece: Slice, unit: str) -> bool:
        clock = self._known.configuration.clock(unit)
        days = range(piece.start_ms, piece.end_ms, DAY_MS // 4)
        return all(clock.local_date(at_ms).weekday() >= WEEKEND for at_ms in days)
