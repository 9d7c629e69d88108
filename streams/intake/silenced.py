"""Feeds of a simulated district that a press silenced: nothing of them comes through for some minutes.

What a silenced source would deliver meanwhile comes when it is over, heartbeats never; but a minute after the press it
says once more that it is not healthy, as something of it may have come through until the press was known. What is held
follows from the events and from when each press happened alone, so that a later start decides the same.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

from streams.intake.simulator_writing import MINUTE_MS, Arrived, instant

SILENCE_MS = 5 * MINUTE_MS
APART_MS = 20
_SOURCE, _RECEIVED, _HEARTBEAT = '"source":"', ',"received_at":"', '"kind":"heartbeat"'


class Silenced:
    """Holds events back. An event is the text of the simulator, which ends with its receipt."""

    def __init__(self, district: str) -> None:
        self._district = district
        self._from_ms: dict[str, list[int]] = {}
        self._held: list[tuple[int, int, str]] = []
        self._numbers = count()

    def learn(self, source: str, from_ms: int) -> None:
        """A source is silent from an instant on; the same again changes nothing."""
        known = self._from_ms.setdefault(source, [])
        if from_ms not in known:
            known.append(from_ms)
            at_ms = from_ms + MINUTE_MS
            common = f'"event_id":"silenced-{source}-{from_ms}","district":"{self._district}","source":"{source}"'
            beat = f'{{{_HEARTBEAT},{common},"healthy":false,"occurred_at":"{instant(at_ms)}"'
            heappush(self._held, (at_ms, next(self._numbers), beat))

    def take(self, received_ms: int, text: str) -> str | None:
        """An event whose time has come, to be sent; None if it comes later or never."""
        until_ms = self._until_ms(text, received_ms) if self._from_ms else received_ms
        if until_ms == received_ms:
            return text
        if _HEARTBEAT not in text:
            number = next(self._numbers)
            heappush(self._held, (until_ms, number, text[: text.rindex(_RECEIVED)]))
        return None

    def _until_ms(self, text: str, received_ms: int) -> int:
        start = text.index(_SOURCE) + len(_SOURCE)
        source = text[start : text.index('"', start)]
        for from_ms in sorted(self._from_ms.get(source, ())):
            if from_ms <= received_ms < from_ms + SILENCE_MS:
                received_ms = from_ms + SILENCE_MS
        return received_ms

    def next_ms(self) -> int | None:
        """When the next held event comes."""
        return self._held[0][0] if self._held else None

    def due(self, until_ms: int) -> Iterator[Arrived]:
        """Held events whose time has come by an instant, a moment apart."""
        passed = 0
        while self._held and self._held[0][0] <= until_ms:
            at_ms, _, text = heappop(self._held)
            received_ms = at_ms + passed * APART_MS
            passed += 1
            yield received_ms, f'{text}{_RECEIVED}{instant(received_ms)}"}}'
