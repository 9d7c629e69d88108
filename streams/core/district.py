"""One district's state: its configuration, its conversations, and what changed since facts were last made.

`apply` only adds to sets; `settle` folds each changed conversation once. So a burst on one conversation costs one fold,
and any order of arrival gives the same rows. What only a changed configuration touches is stale, and so is everything
after a recovery: `refold` folds as many of it as the caller has time for, so that a district's whole history does not
hold up what is new.

Conversations that ended long ago leave memory (`evict`). One that gets an event is named in `returning` and waits for
`restore` with its whole history; it is not folded before.
"""

from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter

from schemas.alerts import AlertTransition
from schemas.events import AlertAcknowledged, AlertSilenced, DistrictConfigured, Erased, Event, Refused, canonical
from schemas.facts import Row, row_version
from schemas.vocabulary import to_ms
from streams.core.alerting import AlertBook
from streams.core.arrival import Applied, Arrival, Conversation
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.conversation import withdrawn
from streams.core.culprits import without_culprits
from streams.core.departed import Departed
from streams.core.erasure import Erasures
from streams.core.held import Held
from streams.core.merging import Links
from streams.core.packed import Mark, Packed, digest_of, pack
from streams.core.parts import part_name, whole_name
from streams.core.rolling import Rolling
from streams.core.settled import Culprit, Settled
from streams.core.stale import Stale
from streams.core.together import fold_together, known_of
from streams.core.watching import Watching
from streams.core.windows import HORIZON_MS


class DistrictState:
    """Everything known of one district. Not safe for threads: its partition's worker is the only writer."""

    def __init__(self, district: str) -> None:
        self.district = district
        self._configurations: dict[str, tuple[int, ConfigurationEvent]] = {}
        self._lost_configurations = 0
        self.configuration = Configuration(district)
        self.alerts = AlertBook(district)
        self.rolling = Rolling(district)
        self.watching = Watching(district, self.alerts.telling)
        self._others: dict[str, set[int]] = {}
        self.departed = Departed()
        self._links = Links()
        self._passing: dict[str, bool] = {}
        self.erasures = Erasures()
        self.conversations = Held(self.erasures, self.watching.hear)
        self._dirty: dict[str, list[Packed]] = {}
        self._stale = Stale()
        self._reached_back = False

    def apply(self, event: Event, landed_digest: int | None = None) -> Applied:
        """Add one event of this district to its set. Cost does not depend on the history of other conversations.

        `landed_digest`: that of an event that is read back; its content is known to be canonical and is not made again.
        """
        content = canonical(event) if landed_digest is None else b""
        digest = digest_of(content) if landed_digest is None else landed_digest
        conversation: str = getattr(event, "conversation", "")
        if self.erasures and (taken := self.erasures.taken(event, conversation)) is not event:
            event, content = taken, canonical(taken)
        if conversation:
            arrival = self._add(conversation, pack(event, digest))
            if arrival is not Arrival.DUPLICATE:
                self.watching.hear(event)
                arrival = Arrival.ERASED if isinstance(event, Refused) else arrival
            return Applied(arrival, conversation, digest, content)
        known = self._others.setdefault(event.event_id, set())
        arrival = Arrival.DUPLICATE if digest in known else Arrival.CONFLICT if known else Arrival.NEW
        known.add(digest)
        if arrival is not Arrival.DUPLICATE:
            self._hear(event, digest)
        if isinstance(event, Erased) and self.erasures.add(event):
            for changed in self.conversations.erase():
                self._dirty.setdefault(changed, [])
        return Applied(arrival, "", digest, content)

    def _hear(self, event: Event, digest: int) -> None:
        self.watching.hear(event)
        if isinstance(event, DistrictConfigured):
            self._configure(event, digest)
        elif isinstance(event, AlertAcknowledged | AlertSilenced):
            self.alerts.intervene(event, digest)

    def _add(self, conversation: str, packed: Packed) -> Arrival:
        held = self.conversations.decoded(conversation)
        if held is None:
            held = self.conversations[conversation] = Conversation()
            self._call_back(conversation)
        arrival = held.add(packed)
        if arrival is not Arrival.DUPLICATE and arrival is not Arrival.EARLIER:
            self._dirty.setdefault(conversation, []).append(packed)
            self._passing.pop(conversation, None)
            if type(packed) is Mark and packed.kind in ("merge", "unmerge"):
                self._links.add(conversation, packed.refers_to)
                if packed.refers_to not in self.conversations:
                    self._call_back(packed.refers_to)
        return arrival

    def _call_back(self, conversation: str) -> None:
        if conversation in self.departed:
            self.departed.returning[conversation] = None

    @property
    def returning(self) -> list[str]:
        """Conversations whose history has to be read back before they can be folded."""
        return list(self.departed.returning)

    def recall(self, names: Iterable[str], as_stale: bool = False) -> None:
        """Have those of these that left memory folded again, and leave again; names as in the rows that landed.

        With the next `settle`, or `as_stale` by `refold`.
        """
        for name in names:
            conversation, number = whole_name(name)
            if conversation not in self.conversations:
                self.departed.returning[conversation] = None
                self._passing[conversation] = as_stale and self._passing.get(conversation, True)
                if number > 1:
                    self.departed.parts[conversation] = max(number, self.departed.parts.get(conversation, 1))

    def restore(
        self, conversation: str, history: Iterable[tuple[Event, int | None]], said: Iterable[AlertTransition] = ()
    ) -> None:
        """Give a returning conversation its whole history, and all that was said of it; empty if it never left."""
        self.alerts.known(said)
        held = self.conversations.setdefault(conversation, Conversation())
        as_stale = self._passing.get(conversation)
        for event, digest in history:
            self.apply(event, digest)
        if as_stale is not None:
            self._passing[conversation] = as_stale
        held.parts = max(held.parts, self.departed.parts.get(conversation, 1))
        self.departed.returning.pop(conversation, None)
        if not held.events:
            del self.conversations[conversation]
        elif as_stale:
            self._dirty.pop(conversation, None)
            self._stale.add(conversation, runs=False)
        else:
            self._dirty.setdefault(conversation, [])

    def retire(self, conversation: str) -> None:
        """Forget a conversation whose events left by retention, with all that came for it since it left memory.

        What comes for it from now on names it in `returning`: whoever reads back learns that it is retired.
        """
        self.conversations.pop(conversation, None)
        self._dirty.pop(conversation, None)
        self._stale.discard([conversation])
        self._passing.pop(conversation, None)
        self.departed.returning.pop(conversation, None)
        self.departed.add(conversation)

    def evict(self, now_ms: int) -> int:
        """Let conversations leave of which nothing lies within any window and to which nothing can happen by itself.

        What has changed and is not folded yet stays, and so does what a merge ever named. Returns how many left.
        """
        self.rolling.prune(now_ms, self.configuration)
        self.watching.prune(now_ms)
        leaving = [
            conversation
            for conversation, held in self.conversations.items()
            if held.events and held.events[-1].at_ms < now_ms - HORIZON_MS and self._may_leave(conversation)
        ]
        for conversation in leaving:
            self._leave(conversation)
        return len(leaving)

    def _may_leave(self, conversation: str) -> bool:
        return not (
            conversation in self._links
            or conversation in self._dirty
            or conversation in self._stale
            or conversation in self.departed.returning
            or any(self.alerts.is_running(name) or name in self.rolling for name in self._part_names(conversation))
        )

    def _let_pass(self) -> None:
        """Those that were only recalled to be folded again leave at once, unless something is within a window now."""
        held_up = (self.departed.returning, self._stale, self._dirty)
        passing = {each for each in self._passing if not any(each in waiting for waiting in held_up)}
        for conversation in passing:
            del self._passing[conversation]
        passing &= self.conversations.keys()
        self.rolling.forget((name for each in passing for name in self._part_names(each)), self.configuration)
        for conversation in filter(self._may_leave, passing):
            self._leave(conversation)

    def _leave(self, conversation: str) -> None:
        held = self.conversations.pop(conversation)
        self.departed.add(conversation, held.parts)

    def _configure(self, event: DistrictConfigured, digest: int) -> None:
        added = ConfigurationEvent(event.revision, to_ms(event.occurred_at), event.event_id, event.configuration)
        known = self._configurations.get(event.event_id)
        self._lost_configurations += known is not None
        if known is None or digest < known[0]:
            self._configurations[event.event_id] = (digest, added)
        counting = [configuration for _, configuration in self._configurations.values()]
        self.configuration = Configuration(self.district, counting, self._lost_configurations)
        self.alerts.configure(self.configuration)
        running = (whole_name(name)[0] for name in self.alerts.soonest(to_ms(event.received_at)))
        self._stale.fill(self.conversations, running)
        if len(self.departed):
            self._reached_back = not self.holds_windows or self.rolling.reaches_back(self.configuration)
            self.departed.swept_to = ""

    def touch(self, conversations: Iterable[str]) -> None:
        """Have these conversations folded again, slice by slice."""
        for conversation in conversations:
            self._stale.add(conversation, self._is_running(conversation))

    def _is_running(self, conversation: str) -> bool:
        return any(self.alerts.is_running(name) for name in self._part_names(conversation))

    def _part_names(self, conversation: str) -> list[str]:
        held = self.conversations.get(conversation)
        return [part_name(conversation, number + 1) for number in range(held.parts if held is not None else 1)]

    def landed_parts(self, names: Iterable[str]) -> None:
        """Names of rows that count and have landed: a part that is none any more has to be retracted one day."""
        for name in names:
            conversation, number = whole_name(name)
            if number > 1 and conversation in self.conversations:
                held = self.conversations[conversation]
                held.parts = max(held.parts, number)

    def clean(self) -> None:
        """Forget what changed: after a recovery everything held has landed before."""
        for changed in (self._dirty, self._stale, self.erasures.unsought):
            changed.clear()

    @property
    def holds_windows(self) -> bool:
        """False after a calendar whose seven school days reach back to what left memory, until that has been swept."""
        return not self._reached_back or self.departed.swept_to is None

    @property
    def changed(self) -> int:
        """Conversations that are to be folded."""
        return len(self._dirty) + self.stale

    @property
    def stale(self) -> int:
        """Of these, those that wait for a slice: nothing of theirs came, and their row is of an earlier configuration,
        or has landed and what is kept beside it is still to be made."""
        return len(self._stale)

    @property
    def has_stale_clocks(self) -> bool:
        """Whether a promise clock still runs by an earlier configuration; none may break meanwhile."""
        return self._stale.has_clocks

    @property
    def has_soonest(self) -> bool:
        """Whether one of these has a promise clock, of which something may become true soon."""
        return self._stale.has_soonest

    @property
    def has_waiting_clocks(self) -> bool:
        """After a `settle`: whether one runs whose conversation waits for a history; an answer may be among it."""
        return any(map(self._is_running, self._dirty))

    def linked(self, conversation: str) -> list[str]:
        """The conversation and those that a merge ever named with it, whether or not they hold events."""
        return self._links.together(conversation) if conversation in self._links else [conversation]

    def _together(self, conversation: str) -> list[str]:
        """The same, as far as they hold events."""
        return [name for name in self.linked(conversation) if name in self.conversations]

    def _decoded(self, conversation: str) -> list[str]:
        """The same, with all their events."""
        return [name for name in self._together(conversation) if self.conversations.decoded(name) is not None]

    @property
    def oldest_version(self) -> int:
        """A row below this version is of an earlier configuration or definition."""
        return row_version(self.configuration.count, 0)

    def version(self, conversation: str) -> int:
        """The row version the conversation's set has now, without folding it."""
        held = {name: self.conversations[name] for name in self._together(conversation)}
        return row_version(self.configuration.count, *known_of(held))

    def settle(self, most_stale: int | None = None) -> Settled:
        """Fold every conversation with new events, and of the stale ones at most so many (None: all).

        An event that makes the fold raise leaves the set and is named.
        """
        if self._stale:
            self._stale.discard(self._dirty)
            self._dirty |= {conversation: [] for conversation in self._to_land(most_stale)}
        settled, self._dirty = self._settle_each(self._dirty)
        self._let_pass()
        return settled

    def refold(self, most: int) -> Settled:
        """Fold at most so many of the stale ones; those with new events are left to the next `settle`."""
        settled, waiting = self._settle_each(self._to_land(most))
        self._dirty |= waiting
        self._let_pass()
        return settled

    def _to_land(self, most: int | None) -> list[str]:
        """The next so many stale ones; those whose row has landed are filled here, and named if they cannot be yet.

        What is to be folded with new events anyway is left out.
        """
        taken = self._stale.take(most)
        together = {conversation: self._together(conversation) for conversation in taken}
        dirty, returning = self._dirty.keys(), self.departed.returning.keys()
        chosen = {each: lands for each, lands in taken.items() if dirty.isdisjoint(together[each])}
        landed = [each for each, lands in chosen.items() if not lands and returning.isdisjoint(together[each])]
        self._fill(landed)
        return [each for each in chosen if each not in set(landed)]

    def _settle_each(self, conversations: Iterable[str]) -> tuple[Settled, dict[str, list[Packed]]]:
        """The rows of these, and what cannot be folded before its history has come."""
        rows: list[Row] = []
        culprits: list[Culprit] = []
        folded: set[str] = set()
        waiting: dict[str, list[Packed]] = {}
        for conversation in conversations:
            if conversation not in folded:
                together = self._decoded(conversation)
                folded.update(together)
                if not together:
                    self._stale.discard([conversation])
                elif self.departed.returning.keys().isdisjoint(together):
                    rows.extend(self._settle(together, culprits))
                else:
                    waiting |= {name: self._dirty.get(name, []) for name in together}
        return Settled(sorted(rows, key=itemgetter(1)), culprits), waiting

    def _settle(self, together: Sequence[str], culprits: list[Culprit]) -> list[Row]:
        try:
            rows = self._fold(together)
        except Exception:  # noqa: BLE001 -- whatever it is, it must cost no other event
            rows = without_culprits(together, self.conversations, self._dirty, self._fold, culprits)
        self._stale.discard(together)
        present = {row[1]: row for row in rows}
        for conversation in together:
            names = self._part_names(conversation)
            gone = [name for name in names if name not in present]
            if conversation in present:
                rows.extend(withdrawn(present[conversation], name) for name in gone)
            for name in gone:
                self._drop(name)
        self._keep(rows)
        return rows

    def _keep(self, rows: Sequence[Row]) -> None:
        """What is kept beside the rows."""
        for row in rows:
            name: str = row[1]
            self.alerts.replace(name, row)
            self.rolling.replace(name, row)
            self.watching.replace(name, row)
        self.landed_parts(row[1] for row in rows)

    def _drop(self, name: str) -> None:
        for kept in (self.alerts, self.rolling, self.watching):
            kept.remove(name)

    def refill(self, running: Iterable[str] = (), behind: Collection[str] = ()) -> None:
        """Have every conversation folded, slice by slice, for what is kept beside the rows: after a recovery.

        Rows have landed but of those that are `behind`. `running`: names of rows with a running promise clock, in the
        order in which something becomes true of them; they come first. Call it when what was said is known.
        """
        first = [name for name in self.conversations if self._is_running(name)]
        self._stale.refill(self.conversations, first, (whole_name(name)[0] for name in running), behind)

    def _fill(self, conversations: Iterable[str]) -> None:
        """Fold these for what is kept beside the rows. One whose fold raises is to land: that names the culprit."""
        folded: set[str] = set()
        for conversation in conversations:
            if conversation not in folded:
                together = self._decoded(conversation)
                folded.update(together)
                self._stale.discard(together)
                try:
                    self._keep(self._fold(together))
                except Exception:  # noqa: BLE001 -- whatever it is, it must cost no other conversation
                    self.touch(together)

    def _fold(self, together: Sequence[str]) -> list[Row]:
        held = {name: self.conversations[name] for name in together}
        return fold_together(self.district, held, self.configuration)
