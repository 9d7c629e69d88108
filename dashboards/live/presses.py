"""What was pressed on the page, until the facts hold it: only then is it told which number it moved, and by how much.

Others move the same numbers at the same time. So a reading of the first view says first which presses the facts hold
by now, then reads its numbers, then looks once more. Numbers before which a press was found hold it; numbers after
which it is still not found are without it; those in between are neither.
"""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple, Protocol

from dashboards.now import ASKED
from schemas.events import DistrictConfigured, Inquiry, Rating, Reply
from schemas.vocabulary import to_ms

MOST_HELD = 32
PATIENCE_SECONDS = 120.0

Row = dict[str, Any]
Ask = Callable[[str, Mapping[str, Any]], list[Row]]
"""The rows of a question about one district, whose code and instants (`dashboards.present`) it adds by itself."""

# A row of facts tells of how many events it is made: once that is all that landed, it is made of the press as well.
_HELD = """
SELECT count() AS held
FROM (
    SELECT conversation, count() AS known FROM events FINAL
    WHERE district = %(district)s AND conversation IN %(conversations)s AND understood = 1
    GROUP BY conversation HAVING countIf(event_id IN %(event_ids)s) > 0
) AS log
INNER JOIN (
    SELECT conversation, events AS told FROM conversations FINAL
    WHERE district = %(district)s AND conversation IN %(conversations)s
) AS facts ON facts.conversation = log.conversation
WHERE facts.told >= log.known
"""
_OF_WAITS = """
SELECT countIf({condition}) AS own FROM (
    SELECT opened_by, outcome, toUnixTimestamp64Milli(opened) AS opened_ms, toUnixTimestamp64Milli(ended) AS ended_ms,
        begun_by, answered_by
    FROM conversations FINAL
    ARRAY JOIN `waits.opened_at` AS opened, `waits.ended_at` AS ended, `waits.outcome` AS outcome,
        `waits.opened_by_event` AS begun_by, `waits.ended_by_event` AS answered_by
    WHERE district = %(district)s AND conversation IN %(names)s AND retracted = 0
)
"""
_OF_RATINGS = """
SELECT sum(arrayCount(
    (rated, late) -> late = 0 AND toUnixTimestamp64Milli(rated) = %(at_ms)s, `ratings.rated_at`, `ratings.late`
)) AS own
FROM conversations FINAL
WHERE district = %(district)s AND conversation IN %(names)s AND retracted = 0 AND linked = 1
"""
OWN = {
    "asked_today": _OF_WAITS.format(condition=f"begun_by IN %(event_ids)s AND {ASKED} AND opened_ms >= %(day_ms)s"),
    "answered_today": _OF_WAITS.format(
        condition="answered_by IN %(event_ids)s AND outcome = 'answered' AND ended_ms >= %(day_ms)s"
    ),
    "open_waits": _OF_WAITS.format(condition="begun_by IN %(event_ids)s AND outcome = 'open'"),
    "ratings": _OF_RATINGS,
}
"""What events themselves add to a number of the first view, counted as the view counts it."""

_RECOMPUTED = """
SELECT
    (SELECT countIf(event_id = %(event_id)s) FROM districts WHERE district = %(district)s) AS landed,
    countIf(configurations < (SELECT count() FROM districts FINAL WHERE district = %(district)s)) AS left
FROM conversations FINAL
WHERE district = %(district)s AND retracted = 0 AND has(`verdicts.outcome`, 'open')
"""
_DUE = """
SELECT conversation, clock, started_by, toUnixTimestamp64Milli(due) AS due_ms FROM conversations FINAL
ARRAY JOIN `verdicts.clock` AS clock, `verdicts.outcome` AS outcome, `verdicts.due_at` AS due,
    `verdicts.opened_by_event` AS started_by
WHERE district = %(district)s AND retracted = 0 AND outcome = 'open' AND due IS NOT NULL
"""


class State(NamedTuple):
    """How far the facts hold a press: `left` conversations are still without it.

    Once none is: `own`, what the press itself adds to its number, and what `more` is to be said.
    """

    left: int
    own: int | None = None
    more: str = ""


class Press(Protocol):
    """Something pressed that can be looked for."""

    def look(self, ask: Ask, now: Mapping[str, int]) -> State | None:
        """Its state at the instants `now`; None: nothing of it has landed. Blocks; raises what `ask` raises."""


class Told:
    """Events of conversations, all of which move the number `metric`; `names`: rows to look at beside their own."""

    def __init__(self, events: Sequence[Inquiry | Reply | Rating], metric: str, names: Sequence[str] = ()) -> None:
        conversations = sorted({event.conversation for event in events})
        self._own = OWN[metric]
        self._conversations = len(conversations)
        self._known = {
            "event_ids": [event.event_id for event in events],
            "conversations": conversations,
            "names": [*conversations, *names],
            "at_ms": to_ms(events[0].occurred_at),
        }

    def look(self, ask: Ask, _now: Mapping[str, int]) -> State | None:
        """See `Press.look`."""
        held = ask(_HELD, self._known)[0]["held"]
        left = self._conversations - held
        if left:
            return State(left) if held else None
        return State(0, ask(self._own, self._known)[0]["own"])


Due = dict[tuple[str, str, str], int]


def open_promises(ask: Ask) -> Due:
    """When each open promise falls due, ms UTC, by conversation, clock and the event that started it."""
    return {(row["conversation"], row["clock"], row["started_by"]): row["due_ms"] for row in ask(_DUE, {})}


class Declared:
    """A document that closes a day; it acts on the district's open promises, which were due at `before`."""

    def __init__(self, event: DistrictConfigured, before: Due) -> None:
        self._event_id = event.event_id
        self._before = before

    def look(self, ask: Ask, now: Mapping[str, int]) -> State | None:
        """See `Press.look`."""
        found = ask(_RECOMPUTED, {"event_id": self._event_id})[0]
        if not found["landed"]:
            return None
        if found["left"]:
            return State(found["left"])
        both = [(self._before[key], due_ms) for key, due_ms in open_promises(ask).items() if key in self._before]
        later = sum(after_ms > before_ms for before_ms, after_ms in both)

        def today(at_ms: int) -> bool:
            return now["now_ms"] <= at_ms < now["day_end_ms"]

        own = sum(today(after_ms) - today(before_ms) for before_ms, after_ms in both)
        return State(0, own, _said_of(later))


def _said_of(later: int) -> str:
    if later == 0:
        return "No open promise counted on hours of today, so none falls due later."
    return "1 open promise falls due later." if later == 1 else f"{later:,} open promises fall due later."


class _Held:
    """A press and the last that is known of it."""

    __slots__ = ("district", "press", "since", "state")

    def __init__(self, district: str, press: Press) -> None:
        self.district = district
        self.press = press
        self.since = monotonic()
        self.state: State | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether there may be more to know."""
        return (self.state is None or self.state.left > 0) and monotonic() - self.since < PATIENCE_SECONDS


class Presses:
    """The newest presses, by the names that pages gave them."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def add(self, name: str, district: str, press: Press) -> None:
        """Look for a press from now on. Before it is published: it may be in the numbers before anybody is told."""
        self._held[name] = _Held(district, press)
        for oldest in list(self._held)[:-MOST_HELD]:
            del self._held[oldest]

    def look(self, district: str, ask: Ask, now: Mapping[str, int]) -> dict[str, State]:
        """The presses of a district that have landed, wholly or in part. Blocks; raises what `ask` raises."""
        held = {name: each for name, each in list(self._held.items()) if each.district == district}
        for each in held.values():
            if each.is_awaited:
                each.state = each.press.look(ask, now)
        return {name: each.state for name, each in held.items() if each.state is not None}
