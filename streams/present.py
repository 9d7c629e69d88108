"""The present: the one place where a clock is read for what is recorded and shown; everything else is passed it."""

import time
from datetime import datetime

from schemas.settings import Settings
from schemas.vocabulary import from_ms


def wall_ms() -> int:
    """The machine's own clock, ms UTC."""
    return time.time_ns() // 1_000_000


def now_ms(settings: Settings) -> int:
    """The present by the clock in force, ms UTC."""
    return wall_ms() if settings.clock is None else settings.clock.now_ms(wall_ms())


def now(settings: Settings) -> datetime:
    """The present by the clock in force, aware."""
    return from_ms(now_ms(settings))
