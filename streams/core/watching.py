"""What is watched of one district beside its promises: surges, silent feeds, rolling values; what is to be said of it.

Surges and silences follow from facts and signs alone and are worked out now and then: soon after something came, each
minute while one lasts. After a leap of the clock every step of it is looked at in which something may be found, so that
what a history holds is told whatever portions it came in, and the years after it hold up nobody.
"""

from collections.abc import Iterable, Iterator, Sequence

from schemas.events import Event, Heartbeat
from schemas.facts import Row
from schemas.incidents import VALUE, IncidentTransition
from schemas.rolling import RollingRow
from schemas.vocabulary import to_ms
from schemas.watches import Silences
from streams.core.aggregates import Aggregates
from streams.core.incidents import IncidentBook
from streams.core.openings import HORIZON_S, Openings
from streams.core.silence import Feeds
from streams.core.surge import LOOKBACK_S, Calendar, Found, surges
from streams.core.telling import Telling

MINUTE_MS = 60_000
SOON_MS = 10_000
FEEDS_EVERY_MS = 5 * MINUTE_MS
LOOKBACK_MS = LOOKBACK_S * 1000
STEP_MS = LOOKBACK_MS // 2
BASELINE_MS = HORIZON_S * 1000 - LOOKBACK_MS


class Watching:
    """Incidents of one district. Not safe for threads: its partition's worker is the only writer."""

    __slots__ = (
        "_book",
        "_calendar",
        "_feeds",
        "_goes_on",
        "_looked_ms",
        "_next_ms",
        "_openings",
        "_silences",
        "_surges",
        "_telling",
        "_values",
    )

    def __init__(self, district: str, telling: Telling) -> None:
        self._telling = telling
        telling.inhibits = self.inhibits
        self._openings = Openings()
        self._feeds = Feeds()
        self._book = IncidentBook(district, telling)
        self._values = Aggregates(district, telling)
        self._calendar: Calendar | None = None
        self._surges: list[Found] = []
        self._silences: list[Found] = []
        self._goes_on = False
        self._looked_ms = 0
        self._next_ms = 0

    def replace(self, conversation: str, row: Row) -> None:
        """Take a conversation's newest row in place of the one before."""
        self._openings.replace(conversation, row)

    def remove(self, conversation: str) -> None:
        """The conversation has no row any more."""
        self._openings.remove(conversation)

    def hear(self, event: Event) -> None:
        """Take an event as a sign of its source; the same again changes nothing."""
        is_heartbeat = isinstance(event, Heartbeat)
        is_healthy = not isinstance(event, Heartbeat) or event.healthy
        self._feeds.sign(event.source, to_ms(event.received_at), is_heartbeat, is_healthy)
        if not is_healthy:
            self._next_ms = 0

    def prune(self, clock_ms: int) -> None:
        """Forget what lies before every window."""
        self._openings.prune(clock_ms // 1000 - HORIZON_S)

    def known(self, transitions: Iterable[IncidentTransition]) -> None:
        """Go on from what was said before a restart; call it before the first `advance`."""
        said = list(transitions)
        self._book.known(one for one in said if one.kind != VALUE)
        self._values.known(one for one in said if one.kind == VALUE)
        self._goes_on = True

    def refill(self, rows: Iterable[RollingRow]) -> None:
        """Take rolling rows that landed before a restart, in order of time."""
        self._values.refill(rows, self._telling.configuration)

    def inhibits(self, conversation: str) -> bool:
        """Whether a conversation belongs to a surge: its own alerts are not sent then."""
        if self._book.is_empty:
            return False
        opening = self._openings.of(conversation)
        return opening is not None and self._book.inhibits(opening, self._telling.configuration)

    def judge(self, rows: Sequence[RollingRow], present_ms: int) -> list[IncidentTransition]:
        """What is to be said of a minute's rolling rows of this district."""
        is_silent = any(one.ended_s is None for one in self._silences)
        return self._values.advance(rows, self._telling.configuration, is_silent, present_ms)

    def advance(self, clock_ms: int, present_ms: int) -> list[IncidentTransition]:
        """What is to be said of surges and silences at an instant; costs next to nothing while nothing happens.

        `present_ms` is the wall clock where that is another, as in `IncidentBook.advance`.
        """
        configuration = self._telling.configuration
        is_new = self._calendar is None or self._calendar.types.configuration is not configuration
        soon_ms = self._looked_ms + SOON_MS if self._openings.changed else self._next_ms
        if not is_new and self._looked_ms <= clock_ms < min(soon_ms, self._next_ms):
            return []
        if self._calendar is None or is_new:
            self._calendar = Calendar(configuration)
            self._openings.changed = True
        made: list[IncidentTransition] = []
        for at_ms in self._steps(clock_ms):
            self._look(self._calendar, at_ms)
            made += self._book.advance([*self._surges, *self._silences], configuration, at_ms, present_ms)
            self._looked_ms = at_ms
        # What lies ahead of the clock is still to be looked at.
        self._openings.changed = self._openings.newest * 1000 >= clock_ms
        is_lasting = any(one.ended_s is None for one in (*self._surges, *self._silences))
        every_ms = MINUTE_MS if is_lasting or self._feeds.is_uneasy else FEEDS_EVERY_MS
        self._next_ms = clock_ms - clock_ms % every_ms + every_ms
        return made

    def _steps(self, clock_ms: int) -> Iterator[int]:
        """The instants to look at: the clock, and on the way to it no more than half of what a look sees apart."""
        at_ms = self._looked_ms
        if not self._goes_on:
            first_s = self._openings.first_second(0)
            at_ms = clock_ms if first_s is None else max(first_s * 1000, clock_ms - BASELINE_MS)
            self._goes_on = True
        elif at_ms == 0:
            at_ms = clock_ms
        soon_ms, newest_ms = at_ms + LOOKBACK_MS, max(self._openings.newest * 1000, self._feeds.newest_ms)
        while (at_ms := at_ms + STEP_MS) < clock_ms:
            if at_ms > soon_ms:
                # Long before what came last nothing is held any more, and long after it nothing new is found.
                at_ms = max(at_ms, min(newest_ms - BASELINE_MS, clock_ms))
                if at_ms > newest_ms + LOOKBACK_MS:
                    break
            yield at_ms
        yield clock_ms

    def _look(self, calendar: Calendar, at_ms: int) -> None:
        # What was found is looked for again, or it would stay found when the book has forgotten it.
        if self._openings.changed or self._surges:
            self._surges = surges(self._openings, calendar, at_ms)
        newest = calendar.types.configuration.newest
        rule = newest.silences if newest is not None else Silences()
        self._silences = self._feeds.silent(calendar.types, rule, at_ms) if rule is not None else []
