"""What landed beside the facts of a district: their newest versions, alerts, configurations."""

from collections.abc import Iterable, Sequence
from itertools import starmap

from schemas.events import DistrictConfigured
from schemas.facts import Row
from sinks.landed import Landed
from sinks.landing import configuration_row
from streams.audit.comparing import ALERTS, DOCUMENTS, VERSIONS
from streams.audit.findings import Rows
from streams.audit.promises import Span, judged
from streams.core.district import DistrictState
from streams.core.parts import whole_name


class Beside:
    """Of one district: `compare` its rows slice by slice."""

    def __init__(self, landed: Landed, found: Rows, state: DistrictState, span: Span) -> None:
        self._landed = landed
        self._found = found
        self._state = state
        self._span = span

    def names(self, after: str, most: int) -> list[str]:
        """As `Landed.names`."""
        return self._landed.names(self._state.district, after, most)

    def together(self, conversations: Iterable[str]) -> set[str]:
        """As `Landed.together`."""
        return self._landed.together(self._state.district, conversations)

    def compare(self, rows: Sequence[Row], names: Iterable[str]) -> None:
        """Compare what landed under these names, with rows of whole conversations or without any."""
        recomputed = {row[1]: row for row in rows}
        wanted = recomputed.keys() | set(names)
        versions = self._landed.versions(self._state.district, wanted)
        for name in wanted:
            landed, _ = versions.get(name, (None, 0))
            self._found.rejudge(VERSIONS, name, landed, recomputed.get(name))
        found = self._landed.said(self._state.district, {whole_name(name)[0] for name in wanted})
        said = [(one, landed_ms) for one, landed_ms in found if one.conversation in wanted]
        landed_ms = {name: landed_ms for name, (_, landed_ms) in versions.items()}
        for name in wanted:
            self._found.say(ALERTS, name, 0, [])
        for name, (number, verdicts) in judged(self._state.alerts.telling, rows, said, landed_ms, self._span).items():
            self._found.say(ALERTS, name, number, verdicts)

    def compare_documents(self, documents: Iterable[tuple[DistrictConfigured, int]]) -> None:
        """Compare configurations, given with their digests."""
        recomputed = {DOCUMENTS.subject(row): row for row in starmap(configuration_row, documents)}
        landed = {DOCUMENTS.subject(row): row for row in self._landed.documents(self._state.district)}
        for name in landed.keys() | recomputed.keys():
            self._found.rejudge(DOCUMENTS, name, landed.get(name), recomputed.get(name))
