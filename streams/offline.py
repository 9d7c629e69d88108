"""Events in, facts out, in one process with no stack: the same admission and the same core as a worker."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from schemas.district import District
from schemas.events import Event
from schemas.facts import Row
from schemas.vocabulary import EARLIEST
from streams.configured import configured
from streams.core.admission import Admission
from streams.core.district import DistrictState
from streams.receipt import admit_history


class Remark(NamedTuple):
    """What did not reach the facts: line (from 1; 0 unknown), position in its array, reason, and a sentence."""

    line: int
    position: int
    reason: str
    message: str

    @property
    def refused(self) -> bool:
        """False for an event of a newer schema: it is sound, but this version cannot fold it."""
        return self.reason != "newer_schema"


Report = Callable[[Remark], None]
Hear = Callable[[Event], None]


def _nobody(_event: Event) -> None:
    """Hears nothing."""


def fold_events(
    lines: Iterable[bytes],
    document: District | None,
    report: Report,
    hear: Hear = _nobody,
    others: Iterable[District] = (),
) -> Iterator[Row]:
    """Rows of all conversations in order of (district, conversation).

    A line is one event or an array of one district's; blank lines are skipped. `document` and `others` configure their
    districts from 1970 on; those that nothing configures stay unrouted and always open. An event without `received_at`
    counts as received when it happened. `report` hears of everything that is not folded, `hear` of every event that is
    taken.
    """
    districts: dict[str, DistrictState] = {}
    for known in others if document is None else (document, *others):
        state = districts.setdefault(known.district, DistrictState(known.district))
        state.apply(configured(known, EARLIEST))
    for number, line in enumerate(lines, 1):
        payload = line.strip()
        if payload:
            admission = admit_history(payload)
            for _, event in admission.events:
                hear(event)
            _take(number, admission, districts, report)
    for name in sorted(districts):
        settled = districts[name].settle()
        for culprit in settled.culprits:
            text = f"event {culprit.event_id} of {name} cannot be folded ({culprit.error}) and was left out"
            report(Remark(0, 0, "internal", text))
        yield from settled.rows


def _take(number: int, admission: Admission, districts: dict[str, DistrictState], report: Report) -> None:
    for _, event in admission.events:
        state = districts.get(event.district)
        if state is None:
            state = districts[event.district] = DistrictState(event.district)
        state.apply(event)
    for newer in admission.newer:
        text = f"schema_version {newer.schema_version} is newer than this program; not folded"
        report(Remark(number, newer.position, "newer_schema", text))
    for refusal in admission.refused:
        report(Remark(number, refusal.position, refusal.reason, refusal.message))
