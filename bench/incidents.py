"""Surges and silences over simulated school years: how many are found, missed and false, how soon, and what they cost.

For each seed one year as it is declared, one without incidents, and one day that begins with the breakdown, so that
nothing is known of the district. Only what opens a conversation is folded; feeds see every event. Beside each surge
stands the fewest inquiries that could tell it: to one who knew the minute it began, where, about what and the rate that
is usual, and who asked of every inquiry of a year whether so many are chance, with two false answers a year.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import exp, factorial
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.events import EVENT, DistrictConfigured
from schemas.incidents import CLOSED, INQUIRIES, OPENED, PEOPLE, SIGNS, IncidentTransition
from schemas.vocabulary import to_ms
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.conversation import Whole, fold
from streams.core.incidents import IncidentBook
from streams.core.openings import HORIZON_S, Openings
from streams.core.packed import pack
from streams.core.silence import Feeds
from streams.core.surge import Calendar, Found, surges
from streams.intake.simulator import Span, sample_district, simulate
from streams.intake.simulator_incidents import Almanac
from streams.intake.simulator_parameters import Parameters, default_parameters
from streams.intake.simulator_writing import Arrived

SEEDS = (1, 2, 3, 4, 5)
YEAR = ("2026-07-01", "2027-07-01")
FIRST_DAY = ("2026-09-15", "2026-09-16")
STEP_MS, DAY_MS = 6 * 3_600_000, 86_400_000
SOON_S = 6 * 3_600
FALSE_A_YEAR = 2
_RECEIVED, _SOURCE = '"received_at":"', '"source":"'


class Due(NamedTuple):
    """An incident that the simulator put into a span: what finds it, and when it began."""

    kind: str
    metric: str
    about: str
    start_s: int

    def fewest(self, seconds: Sequence[int], usual_per_s: float, chance: float) -> int:
        """The fewest of these instants since it began that a usual rate gives with no more than a chance."""
        since = [second for second in seconds if second >= self.start_s]
        for count, second in enumerate(since, 1):
            if _poisson(count, (second - self.start_s) * usual_per_s) <= chance:
                return count
        return len(since)

    def is_met(self, opened: IncidentTransition) -> bool:
        """Whether this is it."""
        is_about = (opened.metric, opened.about) == (self.metric, self.about)
        return is_about and 0 <= opened.at // 1000 - self.start_s <= SOON_S


def _poisson(least: int, mean: float) -> float:
    """The probability of so many or more."""
    term, total, count = exp(-mean) * mean**least / factorial(least), 0.0, least
    while term > total * 1e-12:
        total += term
        count += 1
        term *= mean / count
    return total


class Watched:
    """A district watched while a span passes, looked at every six hours; times are summed."""

    def __init__(self) -> None:
        self.told: list[IncidentTransition] = []
        self.found: dict[tuple[str, str, int], Found] = {}
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.counts: Counter[str] = Counter()
        self._openings = Openings()
        self._feeds = Feeds()
        self._book = IncidentBook(sample_district().district)
        self._calendar: Calendar | None = None
        self._configurations: list[ConfigurationEvent] = []
        self._look_ms = 0

    def watch(self, arrivals: Iterator[Arrived]) -> None:
        """Take everything in and look now and then."""
        received_ms = 0
        for received_ms, text in arrivals:
            if received_ms >= self._look_ms:
                self._look(received_ms - received_ms % STEP_MS)
            self._take(received_ms, text)
        # Not beyond: where nothing is simulated any more, every feed is silent.
        self._look(received_ms)

    def _take(self, received_ms: int, text: str) -> None:
        source = text[text.index(_SOURCE) + len(_SOURCE) :]
        started = time.thread_time()
        self._feeds.sign(source[: source.index('"')], received_ms, text.startswith('{"kind":"heartbeat"'))
        self.seconds["sign"] += time.thread_time() - started
        self.counts["sign"] += 1
        if '"kind":"district_configured"' in text:
            self._configure(text)
        elif text.startswith('{"kind":"inquiry"') and '.1","district"' in text:
            self._open(text)

    def _configure(self, text: str) -> None:
        event = EVENT.validate_json(text)
        assert isinstance(event, DistrictConfigured)
        at_ms = to_ms(event.occurred_at)
        self._configurations.append(ConfigurationEvent(event.revision, at_ms, event.event_id, event.configuration))
        self._calendar = Calendar(Configuration(event.district, self._configurations))

    def _open(self, text: str) -> None:
        assert self._calendar is not None
        event = pack(EVENT.validate_json(text), 0)
        name = event.event_id.removesuffix(".1")
        configuration = self._calendar.types.configuration
        (row,) = fold((configuration.units()[0], name), (event,), configuration, Whole(1, 0))
        started = time.thread_time()
        self._openings.replace(name, row)
        self.seconds["replace"] += time.thread_time() - started
        self.counts["replace"] += 1

    def _look(self, now_ms: int) -> None:
        self._look_ms = now_ms + STEP_MS
        if self._calendar is None:
            return
        if now_ms % DAY_MS == 0:
            self._openings.prune(now_ms // 1000 - HORIZON_S)
        rule = self._calendar.types.configuration.newest
        assert rule is not None
        assert rule.silences is not None
        started = time.thread_time()
        found = surges(self._openings, self._calendar, now_ms)
        between = time.thread_time()
        found += self._feeds.silent(self._calendar.types, rule.silences, now_ms)
        ended = time.thread_time()
        self.found |= {(one.metric, one.about, one.opened_s): one for one in found}
        self.seconds["surges"] += between - started
        self.seconds["silences"] += ended - between
        self.counts.update(("surges", "silences"))
        self.told += self._book.advance(found, self._calendar.types.configuration, now_ms)


def _span(days: tuple[str, str], seed: int) -> Span:
    zone = ZoneInfo(sample_district().calendars["offices"].time_zone)
    first, last = (to_ms(datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)) for day in days)
    return Span(first, last, seed)


def _due(parameters: Parameters, span: Span) -> list[Due]:
    almanac = Almanac(sample_district(), parameters, range(2026, 2028))
    found = []
    for at_ms, burst in almanac.bursts:
        of_post = ("post", PEOPLE, f"post-{at_ms // 1000}")
        found.append(Due(*(of_post if burst.kind == "post" else (burst.kind, INQUIRIES, burst.topic)), at_ms // 1000))
    found += [Due("snow_day", INQUIRIES, snow.topic, snow.at_ms // 1000) for snow in almanac.snow]
    sources = parameters.arrival.sources
    found += [Due("silence", SIGNS, sources[each.feed].source, at // 1000) for at, each in almanac.silences]
    return [due for due in found if span.start_ms <= due.start_s * 1000 < span.end_ms]


def _watched(days: tuple[str, str], seed: int, parameters: Parameters) -> tuple[Watched, Span]:
    span = _span(days, seed)
    watched = Watched()
    watched.watch(simulate(sample_district(), parameters, span))
    return watched, span


class _Tally:
    """Sums over seeds and spans."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.late: defaultdict[str, list[float]] = defaultdict(list)
        self.inquiries = 1
        self.false_a_year: list[int] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.times: Counter[str] = Counter()

    def add(self, name: str, watched: Watched, due: list[Due]) -> None:
        """Count what was due and what was told of one span."""
        left = [one for one in watched.told if one.transition == OPENED]
        closed = {one.key for one in watched.told if one.transition == CLOSED}
        for one in watched.told:
            self.counts[f"{name}_told_{one.kind}_{one.transition}"] += 1
        for each in due:
            met = [one for one in left if each.is_met(one)]
            left = [one for one in left if one not in met]
            self.counts[f"{name}_{each.kind}"] += 1
            self.counts[f"{name}_{each.kind}_missed"] += not met
            self.counts[f"{name}_repeated"] += max(0, len(met) - 1)
            self.counts[f"{name}_not_closed"] += any(one.key not in closed for one in met)
            if met:
                self._delay(f"{name}_{each.kind}", watched, each, met[0])
        self.counts[f"{name}_false"] += len(left)
        if name == "quiet_year":
            self.false_a_year.append(len(left))
        self.inquiries = max(self.inquiries, watched.counts["replace"])
        self.times.update(watched.counts)
        for what, taken in watched.seconds.items():
            self.seconds[what] += taken

    def _delay(self, name: str, watched: Watched, due: Due, opened: IncidentTransition) -> None:
        """How late an incident was told, and with how many inquiries since it began."""
        self.late[f"{name}_minutes"].append((opened.at // 1000 - due.start_s) / 60)
        found = watched.found[opened.metric, opened.about, opened.at // 1000]
        if found.metric != SIGNS:
            since = [second for second in found.joined[: found.began_with] if second >= due.start_s]
            chance = FALSE_A_YEAR / (watched.counts["replace"] if name.startswith("year") else self.inquiries)
            self.late[f"{name}_inquiries"].append(len(since))
            self.late[f"{name}_fewest"].append(due.fewest(found.joined, found.expected / found.window_s, chance))

    def figures(self) -> dict[str, float]:
        """By name: counts, minutes until an incident was known, and costs."""
        found: dict[str, float] = {name: self.counts[name] for name in sorted(self.counts)}
        found["quiet_year_false_most"] = max(self.false_a_year)
        found |= {f"{name}_median": round(median(each), 1) for name, each in sorted(self.late.items())}
        found |= {f"{name}_most": round(max(each), 1) for name, each in sorted(self.late.items())}
        for unit, factor, names in (("us", 1e6, ("replace", "sign")), ("ms", 1e3, ("surges", "silences"))):
            found |= {f"{name}_{unit}": round(self.seconds[name] / self.times[name] * factor, 2) for name in names}
        return found


def measure() -> dict[str, float]:
    """Of all seeds together: incidents by kind, found, missed and false, minutes until they are known, and the cost."""
    declared = default_parameters()
    quiet = declared.model_copy(update={"incidents": []})
    tally = _Tally()
    for seed in SEEDS:
        for name, days, parameters in (
            ("year", YEAR, declared),
            ("quiet_year", YEAR, quiet),
            ("first_day", FIRST_DAY, declared),
        ):
            watched, span = _watched(days, seed, parameters)
            tally.add(name, watched, _due(parameters, span))
    return {"seeds": len(SEEDS), **tally.figures()}
