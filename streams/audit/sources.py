"""What an audit reads from, and by which present."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from schemas.settings import Settings
from sinks.landed import Landed
from sinks.reading import ClickHouseReader, Reader
from streams.core.windows import DAY_MS
from streams.present import now_ms


class Sources(NamedTuple):
    """How to open what is read; `landed`: what lies beside the facts, None: only they and unit trees are compared.

    `alerts_ms` and `facts_ms`: alerts, and facts with their days, are kept for so long, ms.
    """

    reader: Callable[[], Reader]
    landed: Callable[[], Landed] | None = None
    now_ms: Callable[[], int] = lambda: 0
    alerts_ms: int = 0
    facts_ms: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Sources":
        """The settings' database."""
        return cls(
            partial(ClickHouseReader, settings),
            partial(Landed, settings),
            partial(now_ms, settings),
            settings.keep_alerts_days * DAY_MS,
            settings.keep_facts_days * DAY_MS,
        )
