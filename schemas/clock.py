"""A clock of one's own: a present that starts at a chosen instant and passes at a chosen speed.

Written as one setting, INSTANT@WALL-INSTANTxSPEED. With `2026-10-06T07:35:00-05:00@2026-03-01T20:00:00Zx60` it is
07:35 when the wall clock shows 20:00, and an hour passes in a minute: a demonstration is alive at night and in July.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from schemas.vocabulary import from_ms, to_ms

_WRITTEN = re.compile(r"(?P<origin>[^@]+)@(?P<started>[^@x]+)x(?P<speed>[0-9]+(?:\.[0-9]+)?)")
SLOWEST, FASTEST = 0.01, 10_000.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Shows `origin_ms` when the wall clock shows `started_ms`, and from then on runs `speed` times as fast."""

    origin_ms: int
    started_ms: int
    speed: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the setting's form. Raises `ValueError` saying what it should look like."""
        found = _WRITTEN.fullmatch(text.strip())
        form = "write INSTANT@WALL-INSTANTxSPEED, such as 2026-10-06T07:35:00-05:00@2026-03-01T20:00:00Zx60"
        if found is None:
            raise ValueError(form)
        instants = [datetime.fromisoformat(found[name]) for name in ("origin", "started")]
        if any(instant.tzinfo is None for instant in instants):
            raise ValueError(f"both instants need an offset; {form}")
        speed = float(found["speed"])
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"the speed lies between {SLOWEST:g} and {FASTEST:g}")
        origin, started = map(to_ms, instants)
        return cls(origin, started, speed)

    def __str__(self) -> str:
        """The setting's form; `parse` reads it back."""
        origin, started = from_ms(self.origin_ms).isoformat(), from_ms(self.started_ms).isoformat()
        return f"{origin}@{started}x{self.speed:f}"

    def now_ms(self, at_wall_ms: int) -> int:
        """What it shows when the wall clock shows `at_wall_ms`; before its start it stands still."""
        return self.origin_ms + max(0, int((at_wall_ms - self.started_ms) * self.speed))

    def wall_ms_of(self, shown_ms: int) -> int:
        """The first ms of the wall clock at which it shows at least `shown_ms`, give or take one."""
        return self.started_ms + max(0, -int(-(shown_ms - self.origin_ms) // self.speed))
