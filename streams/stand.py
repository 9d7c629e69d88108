"""How partitions stand in Kafka: what an assignment begins with."""

from typing import NamedTuple

from schemas.transitions import Transition


class Membership(NamedTuple):
    """Who a worker is in its group, under one assignment; the broker refuses an earlier one."""

    generation: int = -1
    member: str = ""

    def follows(self, earlier: "Membership") -> bool:
        """Whether the same member has come from one assignment right into the next: nobody else had its partitions."""
        return self == (earlier.generation + 1, earlier.member)


class Stand(NamedTuple):
    """How a partition stands in Kafka at an assignment, before anything is read under it."""

    committed: int | None
    """Offset of `cx.events` up to which the workers' group has acknowledged; None: nothing yet."""
    told_from: int = 0
    """Offset of `cx.alerts` before which everything that was told has landed."""
    told: tuple[Transition, ...] = ()
    """What was told from there on, whether it landed or not."""
