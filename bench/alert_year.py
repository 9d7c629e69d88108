"""What a district's people are told in one simulated school year: every transition, and what of it reaches somebody.

The sample district's year, with the incidents of the simulator, passes through the core as through a worker at the live
edge, every event at the instant at which it was received; what became true is taken up every ten minutes. Messages are
counted for the one recipient that the sample's document has, everybody, and for each office as if it had a chain.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.section import put
from schemas.alerts import INHIBITED, QUIET, AlertTransition
from schemas.district import Alerts
from schemas.receivers import Receivers
from schemas.transitions import Transition
from schemas.vocabulary import to_ms
from streams.core.admission import admit
from streams.core.district import DistrictState
from streams.intake.simulator import Span, sample_district, simulate
from streams.intake.simulator_parameters import default_parameters

STEP_MS = 600_000
DAY_MS = 86_400_000
YEAR = ("2026-07-01", "2027-07-01")
SEED = 1
ONE_BY_ONE, GROUPED, NOBODY = "one_by_one", "grouped", "nobody"
WAYS = (ONE_BY_ONE, GROUPED, QUIET, INHIBITED, NOBODY)
INBOXES = {"everybody": "no chain", "offices": "a chain for each office"}
COMMAND = "./cx bench alert-year --write docs"
HEADING = "## A school year, measured"
HEAD = f"""{HEADING}

<!-- From here on made by `{COMMAND}`; edit bench/alert_year.py. -->

`{COMMAND}` passes one simulated year of the sample district through the core, with the
incidents of the simulator: {{events:,}} events, looked at every ten minutes. *Became true* is every transition by kind,
{{critical:,}} of them of critical conversations; each goes one of five ways. People are told of {{reached:,}} of
{{true:,}}, of {{busiest:,}} on the busiest day.

Grouped is what is over the day's budget; closed, what came in quiet hours and is told later if it still stands; surge,
what belongs to one that was told; nobody, what is old or the end of what nobody heard of.

*Messages* are what arrives, on days with any: one for each alert told one by one, one for all that is grouped in half
an hour. The sample's document names no chain, so one recipient, everybody, hears of every office. The other line is
the same year if each office's alerts went to a recipient of its own.

| messages a day | recipients | median | nine days of ten | most | in the year |
| --- | --- | --- | --- | --- | --- |
{{messages}}

| what | became true | told one by one | grouped | closed | surge | nobody |
| --- | --- | --- | --- | --- | --- | --- |
"""


def _way(one: Transition) -> str:
    if not one.notify:
        return one.muted if one.muted in WAYS else NOBODY
    is_grouped = isinstance(one, AlertTransition) and set(one.recipients) <= set(one.grouped)
    return GROUPED if is_grouped else ONE_BY_ONE


class Inboxes:
    """Messages by recipient and local day; what is grouped comes in one message for each span of `group_minutes`."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._comes_ms: dict[str, int] = {}
        self._singles = Counter[tuple[str, date]]()
        self._messages = Counter[tuple[str, date]]()

    def _day(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms / 1000, self._zone).date()

    def has_enough(self, recipient: str, at_ms: int) -> bool:
        """Whether the day's budget, if the document does not say another, is spent."""
        return self._singles[recipient, self._day(at_ms)] >= Alerts().daily_budget

    def take(self, recipient: str, at_ms: int, is_grouped: bool) -> None:
        """One alert; in order of time, give or take a step of the year."""
        if not is_grouped:
            self._singles[recipient, self._day(at_ms)] += 1
            self._messages[recipient, self._day(at_ms)] += 1
        elif at_ms > self._comes_ms.get(recipient, -1):
            comes_ms = self._comes_ms[recipient] = at_ms + int(Receivers().group_minutes * 60_000)
            self._messages[recipient, self._day(comes_ms)] += 1

    def figures(self, name: str) -> dict[str, float]:
        """How many recipients, and messages on their days with any: median, p90, most, and all of the year."""
        counts = sorted(self._messages.values())
        return {
            f"{name}_recipients": len({recipient for recipient, _ in self._messages}),
            f"{name}_median": _at(counts, 0.5),
            f"{name}_p90": _at(counts, 0.9),
            f"{name}_most": max(counts, default=0),
            f"{name}_year": sum(counts),
        }


def _at(counts: Sequence[int], level: float) -> int:
    return counts[math.floor(level * len(counts))] if counts else 0


class _Year:
    """The district while the year passes, and what was told of it."""

    def __init__(self) -> None:
        document = sample_district()
        self.state = DistrictState(document.district)
        self.ways: Counter[tuple[str, str]] = Counter()
        self.days: Counter[int] = Counter()
        self.critical = 0
        self.events = 0
        zone = ZoneInfo(document.calendars["offices"].time_zone)
        self.everybody, self.offices = Inboxes(zone), Inboxes(zone)
        first, last = (to_ms(datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)) for day in YEAR)
        self._messages = simulate(document, default_parameters(), Span(first, last, SEED))
        self._now_ms = first - first % STEP_MS

    def live(self) -> None:
        """The whole year."""
        for received_ms, text in self._messages:
            while self._now_ms <= received_ms:
                self._step()
            for _, event in admit(text.encode()).events:
                self.state.apply(event)
            self.events += 1
        self._step()

    def _step(self) -> None:
        now_ms, state = self._now_ms, self.state
        state.settle()
        self._note(state.watching.advance(now_ms, now_ms))
        self._note(state.alerts.advance(now_ms, now_ms))
        if now_ms % DAY_MS == 0:
            state.watching.prune(now_ms)
            state.rolling.prune(now_ms, state.configuration)
        self._now_ms += STEP_MS

    def _note(self, told: Iterable[Transition]) -> None:
        for one in told:
            way = _way(one)
            self.ways[f"{one.kind}_{one.transition}", way] += 1
            self.critical += isinstance(one, AlertTransition) and bool(one.critical)
            self.days[one.at // DAY_MS] += way in (ONE_BY_ONE, GROUPED)
            if way in (ONE_BY_ONE, GROUPED):
                self._send(one, way == GROUPED)

    def _send(self, one: Transition, is_grouped: bool) -> None:
        for recipient in one.recipients:
            self.everybody.take(recipient, one.at, is_grouped)
        if isinstance(one, AlertTransition):
            has_enough = not one.critical and self.offices.has_enough(one.owner, one.at)
            self.offices.take(one.owner, one.at, has_enough)
        else:
            self.offices.take(one.unit, one.at, is_grouped=False)


def measure() -> dict[str, float]:
    """By transition how many went each way; all that became true, were told, and were told on the busiest day."""
    year = _Year()
    year.live()
    return _figures(year)


def _figures(year: _Year) -> dict[str, float]:
    found: dict[str, float] = {"events": year.events, "critical": year.critical}
    found |= {"true": year.ways.total(), "reached": year.days.total(), "busiest": max(year.days.values(), default=0)}
    for what in sorted({what for what, _ in year.ways}):
        found |= {f"{what}-{way}": year.ways[what, way] for way in WAYS}
    return found | year.everybody.figures("everybody") | year.offices.figures("offices")


def section(figures: dict[str, float]) -> str:
    """The section in Markdown."""
    lines = []
    for what in dict.fromkeys(name.partition("-")[0] for name in figures if "-" in name):
        counts = [figures[f"{what}-{way}"] for way in WAYS]
        said = what.replace("_", ": ", 1).replace("_", " ")
        lines.append(f"| {said} | {' | '.join(f'{each:,}' for each in (sum(counts), *counts))} |")
    inboxes = []
    for name, label in INBOXES.items():
        of_each = [figures[f"{name}_{each}"] for each in ("recipients", "median", "p90", "most", "year")]
        inboxes.append(f"| {label} | {' | '.join(f'{each:,}' for each in of_each)} |")
    return HEAD.format(messages="\n".join(inboxes), **figures) + "\n".join(lines) + "\n"


def write(figures: dict[str, float], folder: Path) -> None:
    """Put the section at the end of alerts.md in a folder."""
    put(folder / "alerts.md", HEADING, section(figures))
