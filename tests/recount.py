"""Cells of local days made slowly and obviously from fact rows, to compare others with."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from schemas.daily import DAILY_CELLS
from schemas.facts import GROUPS, NAMES, Row
from schemas.rolling import PILLARS
from streams.core.configuration import Configuration
from streams.core.histogram import Histogram

Record = dict[str, Any]
Key = tuple[str, str, date]
Cells = dict[Key, Record]
HISTOGRAMS = ("first_response", "first_response_business", "reply", "reply_business")
SCORED = ("ratings", *PILLARS)
COUNTED = [c.name for c in DAILY_CELLS if c.type == "UInt32" and not c.name.endswith("_count")]


class Recount:
    """Cells made of fact rows, one entry after the other, by local date."""

    def __init__(self, rows: Iterable[Row], configuration: Configuration) -> None:
        self._configuration = configuration
        self._counts: defaultdict[Key, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._lengths: defaultdict[Key, dict[str, Histogram]] = defaultdict(
            lambda: {name: Histogram() for name in HISTOGRAMS}
        )
        self._scores: defaultdict[Key, dict[str, list[int]]] = defaultdict(lambda: {name: [0] * 10 for name in SCORED})
        for row in rows:
            fact = dict(zip(NAMES, row, strict=True))
            if fact["linked"] and not fact["retracted"]:
                self._take(fact)

    def _key(self, fact: Record, unit: str, at_ms: int) -> Key:
        zone = self._configuration.clock(unit).time_zone
        return unit, fact["channel"], datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()

    def _take(self, fact: Record) -> None:
        def count(unit: str, at_ms: int, name: str, times: int = 1) -> None:
            self._counts[self._key(fact, unit, at_ms)][name] += times

        def length(unit: str, at_ms: int, name: str, length_ms: int) -> None:
            self._lengths[self._key(fact, unit, at_ms)][name].add(length_ms)

        if fact["inquiries"]:
            count(fact["unit"], fact["opened_at"], "inquiries")
        if fact["first_response_at"] and fact["opened_by"] == "customer" and fact["contact"] != "answered_live":
            for name in ("first_response", "first_response_business"):
                length(fact["first_response_unit"], fact["first_response_at"], name, fact[f"{name}_ms"])
        for wait in _entries(fact, "waits"):
            self._wait(wait, count, length)
        self._rate(fact)
        for verdict in _entries(fact, "verdicts"):
            if verdict["due_at"] is not None and verdict["outcome"] != "cancelled":
                count(verdict["unit"], verdict["due_at"], f"promises_{verdict['outcome']}")
        for transfer in _entries(fact, "transfers"):
            count(transfer["unit"], transfer["at"], "handoffs")
            count(transfer["unit"], transfer["at"], "bounces", transfer["bounce"])

    def _rate(self, fact: Record) -> None:
        for rating in _entries(fact, "ratings"):
            for name, item in (("ratings", "score"), *((pillar, pillar) for pillar in PILLARS)):
                if not rating["late"] and rating[item]:
                    self._scores[self._key(fact, rating["unit"], rating["rated_at"])][name][rating[item] - 1] += 1

    def _wait(self, wait: Record, count: Callable[..., None], length: Callable[..., None]) -> None:
        ended_ms, until_ms, is_reply = wait["ended_at"], wait["school_day_at"], wait["outcome"] == "answered"
        if wait["outcome"] != "unreachable":
            count(wait["unit"], wait["opened_at"], "waits_opened")
        if ended_ms is not None:
            count(wait["unit"], ended_ms, "waits_ended")
        if is_reply and not wait["live"]:
            length(wait["unit"], ended_ms, "reply", ended_ms - wait["opened_at"])
            length(wait["unit"], ended_ms, "reply_business", wait["business_ms"])
        withdrawn = wait["outcome"] == "withdrawn" and until_ms is not None and ended_ms <= until_ms
        if until_ms is not None and not wait["live"] and not withdrawn:
            count(wait["unit"], until_ms, "decided")
            count(wait["unit"], until_ms, "within", int(is_reply and ended_ms <= until_ms))

    def cells(self) -> Cells:
        """Every cell in which something counts."""
        return {key: self._cell(key) for key in {*self._counts, *self._lengths, *self._scores}}

    def _cell(self, key: Key) -> Record:
        cell: Record = {name: self._counts[key][name] for name in COUNTED}
        cell |= {name: tuple(self._scores[key][name]) for name in SCORED}
        for name, found in self._lengths[key].items():
            cell |= {f"{name}_count": found.count, f"{name}_sum_ms": found.sum_ms}
            cell |= {f"{name}_buckets": found.buckets, f"{name}_counts": found.counts}
        return cell


def _entries(fact: Record, group: str) -> Iterator[Record]:
    names = [column.name for column in GROUPS[group]]
    for values in zip(*(fact[name] for name in names), strict=True):
        yield {name.partition(".")[2]: value for name, value in zip(names, values, strict=True)}


def by_cell(rows: Iterable[Row]) -> Cells:
    """Rows in the order of `DAILY_CELLS` without `rebuilt_at`, by unit, channel and day."""
    names = [column.name for column in DAILY_CELLS[4:-1]]
    return {row[1:4]: dict(zip(names, row[4:], strict=True)) for row in rows}
