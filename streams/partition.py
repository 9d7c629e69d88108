"""One partition of `cx.events`: messages in, districts' states changed, rows out. Knows no server."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType

from schemas.alerts import AlertTransition
from schemas.events import DistrictConfigured, Erased, Event
from schemas.facts import row_version
from schemas.rolling import RollingRow
from schemas.topics import partition_of
from schemas.transitions import Transition
from sinks.landing import (
    Erasure,
    EventRow,
    Place,
    UnitRow,
    bare_row,
    configuration_row,
    dead_letter_row,
    event_row,
    newer_row,
    unit_rows,
)
from streams.core.admission import Admission, Refusal, admit, digest
from streams.core.arrival import Applied, Arrival
from streams.core.configuration import Configuration
from streams.core.district import DistrictState
from streams.core.packed import REFUSED
from streams.core.settled import Culprit, Settled
from streams.cuts import Cut, Delivery, Forward
from streams.stand import Stand

MINUTE_MS = 60_000
DAYS_EVERY_MS, EVERYBODY_EVERY_MS = 10 * MINUTE_MS, 60 * MINUTE_MS
Histories = Mapping[str, Sequence[tuple[Event, int | None]]]
DAY_MS = 1_440 * MINUTE_MS
RETIRED = ("retired", "the events of its conversation left by retention before it came; it counts nowhere")
# Conversations more than last time that are worth a look at all of them.
MUCH = 20_000
# Some 2 ms of folding: after so many stale conversations the clock is asked again.
STEP = 10


class Partition:
    """The state of one partition between its assignment and its loss."""

    def __init__(self, number: int, partitions: int, topic: str) -> None:
        self.number = number
        self.states: dict[str, DistrictState] = {}
        self.arrivals: dict[str, int] = {}
        self.newer: dict[str, int] = {}
        self._partitions = partitions
        self._topic = topic
        self._cut = Cut()
        self.latest_receipt_ms = 0
        self._rolled_ms = 0
        self._evicted_ms = 0
        self._kept = 0
        self._days_ms = 0
        self._changed: set[str] = set()
        self._position: int | None = None
        self._acknowledged: int | None = None

    @property
    def waiting(self) -> int:
        """What has not landed yet, as it counts in the buffer."""
        return self._cut.size

    @property
    def held(self) -> int:
        """Conversations in memory."""
        return sum(len(state.conversations) for state in self.states.values())

    @property
    def departed(self) -> int:
        """Conversations that left memory."""
        return sum(len(state.departed) for state in self.states.values())

    @property
    def stale(self) -> int:
        """Conversations that a changed configuration or a recovery left to be folded in slices."""
        return sum(state.stale for state in self.states.values())

    @property
    def has_stale_clocks(self) -> bool:
        """Whether a promise clock still runs by an earlier configuration."""
        return any(state.has_stale_clocks for state in self.states.values())

    def begin_at(self, committed: int | None) -> None:
        """Its state is a recovered one: up to this offset everything has landed."""
        self._position = self._acknowledged = committed

    def acknowledge(self, offset: int) -> None:
        """Everything before an offset has landed, and this worker has said so."""
        self._acknowledged = max(offset, self._acknowledged or 0)

    @property
    def is_settled(self) -> bool:
        """Whether all that was applied has landed and is acknowledged, and nothing waits to be folded but slices."""
        is_acknowledged = self._position is not None and self._position == self._acknowledged
        states = self.states.values()
        return (
            is_acknowledged
            and self._cut == Cut()
            and all(state.changed == state.stale and not state.returning for state in states)
        )

    def survives(self, stand: Stand) -> bool:
        """Whether what is acknowledged is exactly what it holds, so that a recovery would find no more."""
        return self.is_settled and stand.committed == self._position

    def owe(self, told: Sequence[Transition], units: Sequence[UnitRow] = ()) -> None:
        """Have what a recovery found missing land: transitions that were told before, and unit trees."""
        self._cut.told.extend(told)
        self._cut.units.extend(units)

    def returning(self) -> list[tuple[str, list[str]]]:
        """By district, conversations that left memory and whose history is needed for the next cut."""
        return [(name, state.returning) for name, state in self.states.items() if state.returning]

    def restore(
        self,
        district: str,
        names: Sequence[str],
        histories: Histories,
        retired: Collection[str] = (),
        said: Mapping[str, Sequence[AlertTransition]] = MappingProxyType({}),
    ) -> None:
        """Give returning conversations their histories; what came again meanwhile has landed and does not land anew.

        What came for one that is `retired` is refused: no fold has its whole set any more.
        """
        if retired:
            _refuse(
                self._cut,
                self._topic,
                lambda row: RETIRED if row.district == district and row.conversation in retired else None,
            )
        landed = {(name, event.event_id, digest) for name in names for event, digest in histories.get(name, ())}
        kept = [
            (row, position)
            for row, position in zip(self._cut.events, self._cut.positions, strict=True)
            if row.district != district or (row.conversation, row.event_id, row.digest) not in landed
        ]
        self._cut.events = [row for row, _ in kept]
        self._cut.positions = [position for _, position in kept]
        for name in names:
            if name in retired:
                self.states[district].retire(name)
            else:
                self.states[district].restore(name, histories.get(name, ()), said.get(name, ()))

    def _evict(self, clock_ms: int) -> None:
        """Let go of what ended before every window: once a day of the partition's own time, and whenever much came in.

        A history that comes in beside live traffic does not move that time.
        """
        if abs(clock_ms - self._evicted_ms) >= DAY_MS or self.held - self._kept >= MUCH:
            self._evicted_ms = clock_ms
            for state in self.states.values():
                state.evict(clock_ms)
            self._kept = self.held

    def state(self, district: str) -> DistrictState:
        """The state of a district, made at its first event."""
        found = self.states.get(district)
        if found is None:
            found = self.states[district] = DistrictState(district)
        return found

    def take(self, delivery: Delivery) -> None:
        """Apply one message. Never raises for what is in it."""
        self._cut.deliveries.append(delivery)
        self._cut.weight += delivery.weight
        self._position = max(delivery.offset + 1, self._position or 0)
        place = Place(self._topic, delivery.partition, delivery.offset)
        try:
            self._read(delivery.value, place)
        except Exception as error:  # noqa: BLE001 -- a message must not stop its partition
            payload = delivery.value or b""
            text = f"reading the message failed ({type(error).__name__}); please report it with its digest"
            refusal = Refusal(0, "internal", "", text, digest(payload))
            self._cut.dead_letters.append(dead_letter_row(refusal, place))
            self._count("refused")

    def _read(self, value: bytes | None, place: Place) -> None:
        admission = admit(value)
        district = admission.district
        if district and partition_of(district, self._partitions) != self.number:
            self._cut.forwards.append(Forward(district, value or b""))
            return
        for position, event in admission.events:
            self._apply(position, event, place)
        self._keep_aside(admission, place)

    def _keep_aside(self, admission: Admission, place: Place) -> None:
        for newer in admission.newer:
            row = newer_row(newer, place)
            held = self.states.get(newer.district)
            is_named = held is not None and held.erasures.are_beside(json.loads(newer.content))
            self._cut.events.append(bare_row(row) if is_named else row)
            self._cut.positions.append(newer.position)
            self._count("newer")
            self.newer[newer.district] = self.newer.get(newer.district, 0) + 1
        for refusal in admission.refused:
            self._cut.dead_letters.append(dead_letter_row(refusal, place))
            self._count("refused")

    def _apply(self, position: int, event: Event, place: Place) -> None:
        try:
            applied = self.state(event.district).apply(event)
        except Exception as error:  # noqa: BLE001 -- one event must not cost its neighbours
            payload = event.model_dump_json().encode()
            refusal = _internal(position, type(error).__name__, digest(payload), event)
            self._cut.dead_letters.append(dead_letter_row(refusal, place))
            self._count("refused")
            return
        self._count(applied.arrival.value)
        if isinstance(event, Erased):
            # Known or not: the process may have died before everything landed was rewritten.
            since_ms = self.state(event.district).erasures.since_ms(event.key_digest)
            self._cut.erasures.append(Erasure(event.district, event.key_digest, since_ms))
        if applied.arrival is Arrival.ERASED:
            text = "the person of this event was erased before it came; it counts nowhere"
            refusal = Refusal(position, "erased", "", text, digest(b""), event.district, event.kind)
            self._cut.dead_letters.append(dead_letter_row(refusal, place))
        if applied.arrival is not Arrival.DUPLICATE:
            self._cut.positions.append(position)
            self._record(event, applied, place)

    def _record(self, event: Event, applied: Applied, place: Place) -> None:
        row = event_row(event, applied.content, applied.digest, place)
        if applied.arrival is Arrival.ERASED:
            row = row._replace(kind=REFUSED)
        self._cut.events.append(row)
        if not isinstance(event, DistrictConfigured):
            # A configuration is published when it pleases, also before a history that comes in after it.
            self.latest_receipt_ms = max(self.latest_receipt_ms, row.received_at)
        else:
            self._cut.configurations.append(configuration_row(event, applied.digest))
            configuration = self.state(event.district).configuration
            if configuration.newest is not None:
                self._cut.units.extend(unit_rows(configuration.newest, row_version(configuration.count, 0)))

    def _count(self, arrival: str) -> None:
        self.arrivals[arrival] = self.arrivals.get(arrival, 0) + 1

    def refold(self, is_over: Callable[[], bool], clocks: bool = False) -> None:
        """Fold again what is stale, step by step, until that is over; `clocks`: only what has a promise clock."""
        for state in self.states.values():
            while (state.has_soonest if clocks else state.stale) and not is_over():
                self._keep(self._cut, state.district, state.refold(STEP))

    def _keep(self, cut: Cut, district: str, settled: Settled) -> None:
        cut.conversations.extend(settled.rows)
        if settled.rows:
            self._changed.add(district)
        if settled.culprits:
            _expel(cut, district, settled.culprits, self._topic)

    def cut(self, now_ms: int = 0, live: bool = False) -> Cut:
        """Fold what has new events and hand everything over; what is taken from now on belongs to the next cut.

        Alerts advance to `now_ms` if the partition is `live` (read to its end), else to the latest receipt applied.
        Each full minute it takes what rolling rows are made of, only while live and when nothing is left of an older
        configuration; each ten minutes it names districts whose daily cells are to catch up.
        """
        clock_ms = self._advance(now_ms, live)
        cut, self._cut = self._cut, Cut()
        minute_ms = now_ms - now_ms % MINUTE_MS
        if live and minute_ms > self._rolled_ms and not self.stale:
            self._rolled_ms = minute_ms
            for state in filter(attrgetter("holds_windows"), self.states.values()):
                cut.minutes.append((state.rolling.minute(minute_ms, state.configuration), state.rolling.publishing))
        if live and not self.stale and now_ms - self._days_ms >= DAYS_EVERY_MS:
            cut.days = self._days(now_ms)
        self._evict(clock_ms)
        return cut

    def _advance(self, now_ms: int, live: bool) -> int:
        """Fold what has new events and say what became true by the partition's clock, which it returns."""
        clock_ms = now_ms if live else min(self.latest_receipt_ms, now_ms)
        for state in self.states.values():
            self._keep(self._cut, state.district, state.settle(0))
            if clock_ms and not state.has_stale_clocks and not state.has_waiting_clocks:
                if not state.stale:
                    self._cut.alerts.extend(state.watching.advance(clock_ms, now_ms))
                self._cut.alerts.extend(state.alerts.advance(clock_ms, now_ms))
        return clock_ms

    def look_ahead(self, now_ms: int) -> list[Transition]:
        """What is to be told by now, while an earlier cut is landing; everything stays for the next cut."""
        self._advance(now_ms, live=True)
        return list(self._cut.alerts)

    def told_ahead(self, count: int) -> None:
        """So many of what `look_ahead` gave, the first, stand on `cx.alerts`: they land, and are not told again."""
        self._cut.told.extend(self._cut.alerts[:count])
        del self._cut.alerts[:count]

    def _days(self, now_ms: int) -> dict[str, Configuration]:
        """Those in which something changed; each hour all of them, as facts may land that this worker did not make."""
        everybody = now_ms // EVERYBODY_EVERY_MS != self._days_ms // EVERYBODY_EVERY_MS
        self._days_ms = now_ms
        changed, self._changed = self._changed, set()
        return {name: state.configuration for name, state in self.states.items() if everybody or name in changed}

    def judge(self, rows: Iterable[RollingRow], now_ms: int) -> None:
        """Have the next cut say what a minute's rolling rows, of any districts, come to for those of this partition."""
        for district, own in groupby(rows, attrgetter("district")):
            state = self.states.get(district)
            if state is not None:
                self._cut.alerts.extend(state.watching.judge(list(own), now_ms))


def _internal(position: int, error: str, payload_digest: str, event: Event) -> Refusal:
    text = f"the event made the computation fail ({error}); it counts nowhere, please report it with its digest"
    return Refusal(position, "internal", "", text, payload_digest, event.district, event.kind)


def _expel(cut: Cut, district: str, culprits: Iterable[Culprit], topic: str) -> None:
    """Take the rows of events that left the set out of the landing and into the dead letters."""
    wanted = {(culprit.conversation, culprit.event_id, culprit.digest): culprit for culprit in culprits}

    def why(row: EventRow) -> tuple[str, str] | None:
        culprit = wanted.get((row.conversation, row.event_id, row.digest)) if row.district == district else None
        if culprit is None:
            return None
        return "internal", f"the event made the fold of its conversation fail ({culprit.error}); it counts nowhere"

    _refuse(cut, topic, why)


def _refuse(cut: Cut, topic: str, why: Callable[[EventRow], tuple[str, str] | None]) -> None:
    """Take rows of events out of the landing and into the dead letters; `why` gives the reason and a sentence."""
    kept: list[EventRow] = []
    positions: list[int] = []
    for row, position in zip(cut.events, cut.positions, strict=True):
        found = why(row)
        if found is None:
            kept.append(row)
            positions.append(position)
            continue
        reason, text = found
        refusal = Refusal(position, reason, "", text, digest(row.content), row.district, row.kind)
        cut.dead_letters.append(dead_letter_row(refusal, Place(topic, row.partition, row.offset)))
    cut.events, cut.positions = kept, positions
