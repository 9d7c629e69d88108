"""Is a goal of the strategic plan on its way? A straight line from baseline to target. Definitions: "goal progress"."""

from typing import NamedTuple

from streams.core.intervals import Interval


class GlidePath(NamedTuple):
    """A straight line from `baseline` at `starts_ms` to `target` at `ends_ms`; a smaller target is to come down to."""

    baseline: float
    target: float
    starts_ms: int
    ends_ms: int

    def at(self, at_ms: int) -> float:
        """Where the line stands: the baseline before it starts, the target after it ends."""
        passed = (at_ms - self.starts_ms) / (self.ends_ms - self.starts_ms)
        return self.baseline + (self.target - self.baseline) * min(max(passed, 0.0), 1.0)


class Progress(NamedTuple):
    """`on_track` None: nothing was measured. `reached`: the value itself is at the target."""

    value: float | None
    interval: Interval | None
    expected: float
    on_track: bool | None
    reached: bool


def progress(path: GlidePath, at_ms: int, value: float | None, interval: Interval | None) -> Progress:
    """On track if the interval's favourable end reaches the line; a value without an interval stands for itself."""
    expected = path.at(at_ms)
    if value is None:
        return Progress(None, None, expected, None, reached=False)
    known = interval or Interval(value, value)
    if path.target >= path.baseline:
        return Progress(value, interval, expected, known.high >= expected, value >= path.target)
    return Progress(value, interval, expected, known.low <= expected, value <= path.target)
