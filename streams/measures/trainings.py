"""Which trainings were held, when and for which units: the set of a district's `training_held` events."""

from collections import defaultdict
from hashlib import blake2b

from schemas.events import Event, TrainingHeld, canonical
from schemas.vocabulary import to_ms
from streams.core.configuration import Configuration
from streams.measures.training import Wave


class Trainings:
    """Events in any order, any number of times; of two contents of one id the smaller digest counts."""

    def __init__(self, district: str) -> None:
        self._district = district
        self._held: dict[str, tuple[bytes, TrainingHeld]] = {}

    def add(self, event: Event) -> None:
        """Know an event; what is no training of this district is none of ours."""
        if isinstance(event, TrainingHeld) and event.district == self._district:
            one = blake2b(canonical(event), digest_size=8).digest(), event
            self._held[event.event_id] = min(one, self._held.get(event.event_id, one), key=lambda each: each[0])

    def sessions(self, configuration: Configuration) -> dict[str, dict[str, Wave]]:
        """By training, then by the district's local date: when its first session began, and whose it was."""
        clock = configuration.clock(configuration.units()[0])
        found: defaultdict[str, dict[str, Wave]] = defaultdict(dict)
        held = sorted(
            (event for _, event in self._held.values()), key=lambda event: (event.occurred_at, event.event_id)
        )
        for event in held:
            at_ms = to_ms(event.occurred_at)
            day = clock.local_date(at_ms).isoformat()
            known = found[event.training].get(day, Wave(at_ms, frozenset()))
            found[event.training][day] = known._replace(units=known.units | frozenset(event.units))
        return dict(sorted(found.items()))
