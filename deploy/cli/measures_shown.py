"""What `./cx measures` found, as lines for people: a block for each unit, then goals, rollout, trainings, benchmark."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.vocabulary import from_ms
from streams.core.intervals import Interval, Share
from streams.measures.benchmark import Benchmark, Standing, Within
from streams.measures.distributions import DistributionResult
from streams.measures.plans import GoalReport
from streams.measures.ratings_shown import Item
from streams.measures.report import UnitReport
from streams.measures.small_numbers import THRESHOLD, State
from streams.measures.training import ImpactResult

NOTHING = "–"
_HIDDEN: dict[State, str] = {
    "small": f"<{THRESHOLD}",
    "withheld": "withheld: with it, a small number could be computed",
}
_WIDTH = 24


def text(found: Mapping[str, Any], labels: Mapping[str, str | None]) -> str:
    """The whole answer; `found` as `./cx measures` collects it, `labels` by unit."""
    lines = [f"{found['district']} at {instant(found['at'])}, window {found['window']}"]
    for unit, report in found["units"].items():
        lines += ["", f"{unit}  {labels.get(unit) or ''}".rstrip(), *_unit(report)]
    if found.get("goals"):
        lines += ["", "Goals", *(_line(goal.goal.goal, _goal(goal)) for goal in found["goals"])]
    if found.get("rollout"):
        lines += ["", "Rollout: what a wave did to the share answered in time, against those not yet trained"]
        lines += [_line(wave, _impact(impact)) for wave, impact in found["rollout"].items()]
    if found.get("trainings"):
        lines += ["", "Trainings: what each did to the share answered in time, against those without it"]
        lines += [_line(training, _impact(impact)) for training, impact in found["trainings"].items()]
    if found.get("benchmark"):
        lines += ["", "Benchmark: among the districts given, over 28 days", *_benchmark(found["benchmark"])]
    return "\n".join(lines) + "\n"


def _line(name: str, value: str) -> str:
    return f"  {name:<{_WIDTH}} {value}"


def _unit(report: UnitReport) -> Iterator[str]:
    for name, item in report.items.items():
        yield _line("was it answered?" if name == "answered" else name, _item(item))
    for name, item in report.own_items.items():
        yield _line(f"own item {name}", _item(item))
    if report.uncounted:
        yield _line("not averaged", f"{report.uncounted.late} late, {report.uncounted.unlinked} without an inquiry")
    coverage = report.coverage.coverage
    if coverage is None:
        yield _line("survey coverage", _HIDDEN[report.coverage.state])
    else:
        ratio = NOTHING if coverage.ratings_per_offer is None else f"{coverage.ratings_per_offer:.1%}"
        yield _line("survey coverage", f"offered {share(coverage.offered)}; ratings per offer {ratio}")
    within, backlog, owners, returns = report.within, report.backlog, report.owners, report.returns
    by = "reply promises met, as the window is shorter than T: " if within.by == "promise" else ""
    rest = f"{within.pending} pending" if by else f"{within.never} never, {within.pending} pending, {within.live} live"
    yield _line("answered within T", f"{by}{share(within.answered)}; {rest}")
    oldest = f", oldest since {instant(backlog.oldest_ms)}" if backlog.oldest_ms is not None else ""
    yield _line("backlog", f"{backlog.open} open{oldest}, {backlog.past_due} past due")
    yield _line("promises met", f"{share(report.promises.met)}; {report.promises.pending} pending")
    yield _line("owned within a minute", f"{share(owners.within_minute)}; median {length(owners.median_ms)}")
    yield _line("reopened", f"{share(returns.reopened)}; {returns.pending} pending")
    yield _line("asked again", f"{share(returns.repeated)}; {returns.unknown} without person or topic")
    for kind, lengths in report.distributions.items():
        yield _line(kind.replace("_", " "), _lengths(lengths))
    between, funnel = report.consistency.between, report.consistency.funnel
    if between is not None or funnel is not None:
        varies = NOTHING if between is None else f"{between:.1%} of the variance"
        outside = NOTHING if funnel is None else f"{funnel.outside:.1%} outside funnel limits"
        yield _line("between units below", f"{varies}; {outside}")


def _item(item: Item) -> str:
    if item.answered is not None:
        return f"yes {share(item.answered)}"
    scores = item.scores
    if scores is None or scores.mean is None:
        return _HIDDEN.get(item.state, NOTHING)
    known = f" ({_range(scores.interval, '{:.2f}')})" if scores.interval else ""
    shares = f"8 or more {share(scores.high)}, 3 or less {share(scores.low)}"
    published = f"; published {instant(item.published_ms)}" if item.published_ms is not None else ""
    return f"mean {scores.mean:.2f}{known}, {shares}{published}"


def share(found: Share) -> str:
    """`80.0 % (71.1–86.7) of 100`."""
    if found.share is None or found.interval is None:
        return f"{NOTHING} of 0"
    low, high = (end * 100 for end in found.interval)
    return f"{found.share * 100:.1f} % ({low:.1f}–{high:.1f}) of {found.n}"


def _range(interval: Interval, form: str) -> str:
    return "–".join(form.format(end) for end in interval)


def length(length_ms: float | None) -> str:
    """Hours and minutes, `65:30`; seconds below an hour."""
    if length_ms is None:
        return NOTHING
    minutes, seconds = divmod(round(length_ms / 1000), 60)
    return f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def instant(at_ms: int) -> str:
    """ISO 8601 in UTC, to the second."""
    return from_ms(at_ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def _lengths(found: DistributionResult) -> str:
    if not found.n:
        return f"{NOTHING} of 0"
    quantiles = ((50, found.median_ms), (75, found.p75_ms), (90, found.p90_ms), (95, found.p95_ms))
    shown = ", ".join(f"{'median' if level == 50 else f'p{level}'} {length(ms)}" for level, ms in quantiles)
    steady = "" if found.consistency is None else f", p90 ÷ median {found.consistency:.1f}"
    return f"{shown}, mean {length(found.mean_ms)}{steady}, n {found.n}"


def _goal(report: GoalReport) -> str:
    goal, known = report.goal, report.progress
    if known is None:
        return f"{goal.metric} is no metric; docs/measures.md lists them"
    if known.value is None:
        return f"{goal.metric} {NOTHING}, line at {known.expected:.3g}: nothing to compare"
    bounds = f" ({_range(known.interval, '{:.3g}')})" if known.interval else ""
    state = "reached" if known.reached else "on track" if known.on_track else "not on track"
    return f"{goal.metric} {known.value:.3g}{bounds}, line at {known.expected:.3g}, target {goal.target:.3g}: {state}"


def _impact(found: ImpactResult) -> str:
    if found.effect is None or found.interval is None:
        return f"{found.reason}: {', '.join(f'{cell} {n}' for cell, n in found.n.items())}"
    return f"{found.effect:+.1%} ({_range(found.interval, '{:+.1%}')})"


def _benchmark(found: Benchmark) -> Iterator[str]:
    for kind, standing in found.lengths.items():
        yield _line(kind.replace("_", " "), _standing(standing))
    yield _line("answered within T", _among(found.within))


def _standing(found: Standing) -> str:
    if found.percentile is None:
        median = "" if found.median_ms is None else f"median {length(found.median_ms)}, "
        return f"{median}n {found.n}; {found.reason}"
    place = f"percentile {found.percentile:.1f} of {found.group} districts (lower is faster)"
    return f"median {length(found.median_ms)}, {place}, n {found.n}"


def _among(found: Within) -> str:
    own = share(found.answered)
    if found.cell is None or found.centre is None:
        return f"{own}; {found.reason}"
    low, high = (end * 100 for end in found.cell.limits)
    where = "outside" if found.cell.outside else "inside"
    return f"{own}; {where} the limits {low:.1f}–{high:.1f} around {found.centre:.1%} of {found.group} districts"
