"""Rolling rows computed slowly and obviously from fact rows, to compare the fast ones with."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.facts import NAMES, Row
from schemas.rolling import ALL_WINDOWS, SCHOOL_DAYS, SLICE_WINDOWS, WINDOWS, RollingRow
from streams.core.configuration import Configuration
from streams.core.histogram import Histogram


class Naive:
    """Every fact row is asked again for every unit, channel and window."""

    def __init__(self, rows: Iterable[Row], configuration: Configuration, now_ms: int) -> None:
        facts = [dict(zip(NAMES, row, strict=True)) for row in rows]
        self._facts = [fact for fact in facts if fact["linked"] and not fact["retracted"]]
        self._configuration = configuration
        self._now_ms = now_ms

    def _below(self, unit: str, above: str) -> bool:
        return above in self._configuration.path(unit)

    def _start(self, window: str, unit: str) -> int:
        if window == SCHOOL_DAYS:
            return school_days_ago(7, self._now_ms, unit, self._configuration)
        return self._now_ms - WINDOWS[window]

    def _inside(self, at_ms: int | None, window: str, unit: str) -> bool:
        return at_ms is not None and self._start(window, unit) <= at_ms < self._now_ms

    def _waiting(self, wait: dict[str, Any]) -> bool:
        ended_ms = wait["ended_at"]
        lasts: bool = wait["outcome"] == "open" if ended_ms is None else ended_ms > self._now_ms
        begun: bool = wait["opened_at"] <= self._now_ms
        return lasts and begun

    def _promised(self, verdict: dict[str, Any]) -> str:
        late = verdict["breach_at"] is not None and verdict["breach_at"] < self._now_ms
        return "missed" if verdict["outcome"] == "open" and late else verdict["outcome"]

    def row(self, unit: str, channel: str, window: str, of: tuple[str, str] | None = None) -> RollingRow:
        """One row, whether or not anything counts in it; `of`: only of facts with this value in this column."""
        facts = [fact for fact in self._facts if channel in ("all", fact["channel"])]
        facts = [fact for fact in facts if of is None or fact[of[0]] == of[1]]

        def chosen(entries: Iterable[dict[str, Any]], at: str, owner: str = "unit") -> list[dict[str, Any]]:
            return [e for e in entries if self._inside(e[at], window, e[owner]) and self._below(e[owner], unit)]

        waits = [wait for fact in facts for wait in _entries(fact, "waits") if self._below(wait["unit"], unit)]
        opened = [wait["opened_at"] for wait in waits if self._waiting(wait)]
        asked = [fact for fact in facts if fact["opened_by"] == "customer" and fact["contact"] != "answered_live"]
        responses = chosen(asked, "first_response_at", "first_response_unit")
        replies = [w for w in chosen(waits, "ended_at") if w["outcome"] == "answered" and not w["live"]]
        over = [w for w in chosen(waits, "school_day_at") if not w["live"] and not _withdrawn_by_then(w)]
        given = chosen((entry for fact in facts for entry in _entries(fact, "ratings")), "rated_at")
        ratings = [rating for rating in given if not rating["late"]]
        verdicts = chosen((entry for fact in facts for entry in _entries(fact, "verdicts")), "due_at")
        transfers = chosen((entry for fact in facts for entry in _entries(fact, "transfers")), "at")
        promises = [self._promised(verdict) for verdict in verdicts]
        return RollingRow(
            "demo",
            unit,
            channel,
            window,
            self._now_ms,
            sum(fact["inquiries"] for fact in chosen(facts, "opened_at")),
            len(opened),
            min(opened, default=None),
            *_histogram([fact["first_response_ms"] for fact in responses]),
            *_histogram([fact["first_response_business_ms"] for fact in responses]),
            *_histogram([wait["wait_ms"] for wait in replies]),
            *_histogram([wait["business_ms"] for wait in replies]),
            len(over),
            sum(w["outcome"] == "answered" and w["ended_at"] <= w["school_day_at"] for w in over),
            _scores(ratings, "score"),
            len(ratings),
            _scores(ratings, "courtesy"),
            _scores(ratings, "communication"),
            _scores(ratings, "responsiveness"),
            _scores(ratings, "environment"),
            promises.count("met"),
            promises.count("missed"),
            promises.count("open"),
            len(transfers),
            sum(transfer["bounce"] for transfer in transfers),
        )

    def rows(self) -> list[RollingRow]:
        """All rows that are to be there."""
        channels = sorted({fact["channel"] for fact in self._facts})
        made = [
            self.row(unit, channel, window)
            for unit in self._configuration.units()
            for channel in ("all", *channels)
            for window in ALL_WINDOWS
        ]
        return [row for row in made if row.channel == "all" or any(_numbers(row))]

    def slices(self) -> list[Row]:
        """All rows by topic and by stakeholder that are to be there."""
        made = []
        for of in sorted({(name, fact[name]) for fact in self._facts for name in ("topic", "stakeholder")}):
            for unit in self._configuration.units():
                for window in SLICE_WINDOWS:
                    row = self.row(unit, "all", window, of)
                    if any(_numbers(row)):
                        made.append(("demo", unit, *of, *row[3:-3]))
        return made


def school_days_ago(days: int, now_ms: int, unit: str, configuration: Configuration) -> int:
    """The start of the so-manyth last local date on which a unit is open, a day at a time."""
    clock = configuration.clock(unit)
    day = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(clock.time_zone).date()
    while days := days - clock.is_school_day(day):
        day -= timedelta(days=1)
    midnight = datetime(day.year, day.month, day.day, tzinfo=clock.time_zone)
    return round(midnight.timestamp() * 1000)


def _withdrawn_by_then(wait: dict[str, Any]) -> bool:
    gone: bool = wait["outcome"] == "withdrawn" and wait["ended_at"] <= wait["school_day_at"]
    return gone


def _scores(ratings: Iterable[dict[str, Any]], item: str) -> tuple[int, ...]:
    given = [rating[item] for rating in ratings]
    return tuple(given.count(score) for score in range(1, 11))


def _entries(fact: dict[str, Any], group: str) -> list[dict[str, Any]]:
    names = [name.partition(".")[2] for name in NAMES if name.startswith(f"{group}.")]
    columns = [fact[f"{group}.{name}"] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _histogram(lengths: list[int]) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    made = Histogram()
    for length in lengths:
        made.add(length)
    return made.count, made.sum_ms, made.buckets, made.counts


def _numbers(row: RollingRow) -> tuple[Any, ...]:
    return (
        row.inquiries,
        row.open_waits,
        row.first_response_count,
        row.reply_count,
        row.ratings_count,
        row.promises_met + row.promises_missed + row.promises_pending,
        row.decided,
        row.handoffs,
    )
