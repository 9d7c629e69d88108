"""How partitions stand in Kafka: what an assignment begins with."""

from typing import NamedTuple

from schemas.alerts import AlertTransition


class Stand(NamedTuple):
    """How a partition stands in Kafka at an assignment, before anything is read under it."""

    committed: int | None
    """Offset of `cx.events` up to which the workers' group has acknowledged; None: nothing yet."""
    told_from: int = 0
    """Offset of `cx.alerts` before which everything that was told has landed."""
    told: tuple[AlertTransition, ...] = ()
    """What was told from there on, whether it landed or not."""
