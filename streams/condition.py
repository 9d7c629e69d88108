"""How a worker is: what it serves at `/state` and `./cx status` tells."""

from pydantic import BaseModel, ConfigDict

WORTH_TELLING = 0.5
LONG_SECONDS = 10.0


class Stalled(BaseModel):
    """A step that waits for a server; see `streams.stalls`."""

    model_config = ConfigDict(frozen=True)

    step: str
    why: str
    seconds: float
    reason: str

    def __str__(self) -> str:
        what = "the disk is full: " if self.why == "disk_full" else ""
        return f"{self.step} stalled for {self.seconds:,.0f} s: {what}{self.reason}"


class Condition(BaseModel):
    """A worker now. Counts are of partitions, and of events and messages that are read and not landed."""

    model_config = ConfigDict(frozen=True)

    holds_assignment: bool
    partitions: int
    partitions_ready: int
    buffered: int
    buffer_limit: int
    is_reading_paused: bool
    stalls: tuple[Stalled, ...]

    @property
    def is_well(self) -> bool:
        """Whether it takes and lands what comes; what stalls for a moment is no illness."""
        return not self.is_reading_paused and all(stall.seconds < LONG_SECONDS for stall in self.stalls)

    def sentences(self) -> list[str]:
        """What a person should know; nothing while all goes well."""
        told = [str(stall) for stall in self.stalls]
        share = self.buffered / self.buffer_limit
        if share >= WORTH_TELLING or self.stalls:
            told.append(f"buffer {share:.0%}: {self.buffered:,} of {self.buffer_limit:,} events wait to land")
        if self.is_reading_paused:
            told.append("reading paused until they have landed; what comes stays in Kafka")
        if not self.holds_assignment:
            told.append("no partitions: it does not belong to its group now")
        elif self.partitions_ready < self.partitions:
            told.append(f"recovering: {self.partitions_ready} of {self.partitions} partitions are ready")
        return told
