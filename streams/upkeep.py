"""What a worker does for its partitions around a landing: read back, fold again, sweep, daily cells."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial

from schemas.errors import Unavailable
from sinks.landing import Erasure, Landing
from streams.attempts import Attempts
from streams.core.configuration import Configuration
from streams.cuts import Cut
from streams.metrics import WorkerMetrics
from streams.partition import Partition
from streams.surroundings import Surroundings

log = logging.getLogger("cx.upkeep")

READ_BACK = 500
SWEPT = 200
SLICE_SECONDS, MOST_SLICES, BETWEEN_SLICES = 0.04, 4, 0.002


class Upkeep:
    """Acts on the partitions that are owned at the time; none of its calls may overlap."""

    def __init__(
        self,
        around: Surroundings,
        attempts: Attempts,
        metrics: WorkerMetrics,
        owned: Callable[[], Collection[Partition]],
    ) -> None:
        self._around = around
        self._attempts = attempts
        self._metrics = metrics
        self._owned = owned
        self._slices = 1
        self._days: dict[str, Configuration] = {}

    @property
    def is_stale(self) -> bool:
        """Whether a changed configuration or a recovery left something to be folded."""
        return any(partition.stale for partition in self._owned())

    @property
    def lacks_history(self) -> bool:
        """Whether something has to be read back before the next cut."""
        states = [state for partition in self._owned() for state in partition.states.values()]
        return any(state.returning or state.erasures.unsought for state in states)

    async def refold(self) -> None:
        """Fold what is stale, slice by slice; what is to be done meanwhile is done in between.

        One slice in the first flush, so that what breaks next lands at once, then twice as many each time.
        """
        await self._refold()
        for held in [state.conversations for partition in self._owned() for state in partition.states.values()]:
            self._metrics.unreadable.inc(held.unreadable)
            held.unreadable = 0
        self._metrics.to_fold.set(sum(partition.stale for partition in self._owned()))

    async def _refold(self) -> None:
        for number in range(self._slices):
            if number:
                await asyncio.sleep(BETWEEN_SLICES)
                await self.bring_back()
            self.refold_slice()
            if not self.is_stale:
                self._slices = 1
                return
        self._slices = min(2 * self._slices, MOST_SLICES)

    def refold_slice(self, kinds: Sequence[bool] = (True, False)) -> None:
        """One slice, in all partitions: what has a promise clock (True) first, then the rest (False)."""
        end = self._around.monotonic() + SLICE_SECONDS
        for clocks in kinds:
            for partition in self._owned():
                partition.refold(lambda: self._around.monotonic() >= end, clocks)

    async def bring_back(self) -> None:
        """Read back, slice by slice, whole histories that new events, erasures or a changed configuration ask for."""
        while True:
            await self._seek_erased()
            wanted = [
                (partition, district, names[:READ_BACK])
                for partition in self._owned()
                for district, names in partition.returning()
            ]
            if not wanted:
                return
            for owned, district, names in wanted:
                self._around.reached("before:read-back")
                found = await self._attempts.persist(partial(self._around.log.histories, district, names))
                # Asked last: what leaves is marked before it goes, so a history without a mark was whole.
                gone = await self._attempts.persist(partial(self._around.log.retired_of, district, names))
                said = await self._attempts.persist(partial(self._around.log.said, district, names))
                self._around.reached("after:read-back")
                owned.restore(district, names, found, gone, said)
                self._metrics.read_back.inc(len(names))

    async def _seek_erased(self) -> None:
        """Have conversations folded again that left memory, where an erasure changes more than who is named.

        Those with events received after it, and those that a merge put together.
        """
        while seeking := [
            state for owned in self._owned() for state in owned.states.values() if state.erasures.unsought
        ]:
            for state in seeking:
                key, since_ms = state.erasures.unsought.popitem()
                ask = partial(self._around.log.naming, state.district, key, since_ms)
                state.recall(await self._attempts.persist(ask))

    async def forget_late(self, landing: Landing) -> None:
        """Whoever was erased while this worker stood still, and others had its partitions, may be in what it landed."""
        if not landing.districts:
            return
        states = {name: state for partition in self._owned() for name, state in partition.states.items()}
        erased = await self._attempts.persist(partial(self._around.log.erased, landing.districts))
        late = [
            Erasure(district, key, since_ms)
            for district, keys in erased.items()
            for key, since_ms in keys.items()
            if district not in states or key not in states[district].erasures
        ]
        if late:
            log.warning("%d persons erased meanwhile are erased again, in what has just landed", len(late))
            again = Landing(landing.landed_at_ms, erasures=late)
            await self._attempts.persist(partial(self._around.sink.land, again))

    def note_days(self, cuts: Sequence[Cut]) -> bool:
        """Note whose daily cells are to catch up; False: nobody's."""
        for cut in cuts:
            self._days |= cut.days
        return bool(self._days)

    async def catch_up_days(self, now_ms: int) -> bool:
        """One piece of what the first one's daily cells lack; True: the next flush is to come soon.

        Nothing waits for it: what fails is tried again with the next flush, the others first.
        """
        if not self._days:
            # Given up while the flush was landing.
            return False
        district, configuration = next(iter(self._days.items()))
        try:
            done = await self._attempts.once(partial(self._around.cells.catch_up, district, configuration, now_ms))
        except Unavailable as error:
            log.warning("daily cells of %s wait: %s", district, error)
            self._days[district] = self._days.pop(district, configuration)
            return False
        if done:
            self._days.pop(district, None)
        return bool(self._days)

    def forget(self) -> None:
        """The partitions are others' by now."""
        self._days.clear()

    async def sweep(self) -> bool:
        """Once what is in memory is up to date: the next slice of rows that left it and are of an earlier one.

        False: there is none.
        """
        for owned in self._owned():
            for state in owned.states.values():
                after = state.departed.swept_to
                if after is None:
                    continue
                ask = partial(self._around.log.outdated, state.district, state.oldest_version, after, SWEPT)
                self._around.reached("before:sweep")
                names = await self._attempts.persist(ask)
                self._around.reached("after:sweep")
                state.recall(names, as_stale=True)
                if state.departed.swept_to == after:
                    state.departed.swept_to = names[-1] if names else None
                return True
        return False
