"""Whole files into the log: events as they are, or Boston's requests; and what became of them.

read → admit → publish in arrays → wait until the workers have landed all of it → compare (Boston)

Of an import no more than a bounded number of events is ever written and not landed: what comes live into the same
partition waits behind so many, however long the import is.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from streams.intake import boston311
from streams.intake.files import lines_of, text_of
from streams.intake.landing import Commits, Unlanded
from streams.intake.producer import Encoded, Publisher, arrays, encode
from streams.receipt import admit_history


class Watch(NamedTuple):
    """Who hears of an import's progress: events read so far, events landed so far, and each rejected item."""

    sent: Callable[[int], None]
    landed: Callable[[int, int], None]
    rejected: Callable[[str], None]


class Log(NamedTuple):
    """The way into the log, the word on what has landed, and how many events may be on the way between."""

    publisher: Publisher
    commits: Commits
    most_unlanded: int


@dataclass(slots=True)
class Summary:
    """An import's end. `verdicts` only where the source has its own to compare with."""

    rows: int = 0
    events: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    conversations: int = 0
    verdicts: dict[str, int] | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The summary as scripts read it."""
        verdicts = {} if self.verdicts is None else {"verdicts": self.verdicts}
        return {
            "rows": self.rows,
            "events": self.events,
            "rejected": dict(sorted(self.rejected.items())),
            "conversations": self.conversations,
            **verdicts,
            "seconds": round(self.seconds, 3),
            "events_per_second": round(self.events / self.seconds) if self.seconds else 0,
        }


def import_events(path: Path, log: Log, watch: Watch) -> Summary:
    """Bring in a file of events, one or an array a line. Blocks until all has landed; raises `CxError`."""
    summary = Summary()
    conversations: set[tuple[str, str]] = set()

    def accepted() -> Iterator[Encoded]:
        for number, line in enumerate(lines_of(path), 1):
            payload = line.strip()
            if not payload:
                continue
            summary.rows += 1
            admission = admit_history(payload)
            for refusal in admission.refused:
                summary.rejected[refusal.reason] += 1
                watch.rejected(f"line {number}[{refusal.position}]: {refusal.reason} {refusal.message}")
            for _, event in admission.events:
                conversations.add((event.district, getattr(event, "conversation", "")))
                yield encode(event)
            for newer in admission.newer:
                conversations.add((newer.district, newer.conversation))
                yield Encoded(newer.district, newer.content)

    _land(accepted(), log, watch, summary)
    summary.conversations = sum(1 for _, conversation in conversations if conversation)
    return summary


def bring_in(events: Iterable[Encoded], log: Log, watch: Watch) -> Summary:
    """Bring in events that need no check. Blocks until all have landed; raises `CxError`."""
    summary = Summary()
    _land(events, log, watch, summary)
    return summary


def import_boston311(path: Path, settings: Settings, log: Log, watch: Watch) -> Summary:
    """Bring in a file of Boston's requests, its district's configuration first, and compare the verdicts.

    Blocks until all has landed; raises `CxError`.
    """
    summary = Summary()
    city: dict[str, str | None] = {}

    def accepted() -> Iterator[Encoded]:
        for found in boston311.requests(text_of(lines_of(path))):
            summary.rows += 1
            if isinstance(found, boston311.Rejected):
                summary.rejected[found.reason] += 1
                watch.rejected(f"line {found.line}: {found.reason} {found.field}".rstrip())
                continue
            city[found.conversation] = found.verdict
            yield from map(encode, found.events)

    _land(accepted(), log, watch, summary, [encode(boston311.configuration())])
    landed = resolution_verdicts(settings, boston311.DISTRICT)
    summary.conversations = sum(conversation in landed for conversation in city)
    summary.verdicts = compared(city, landed)
    return summary


def _land(events: Iterable[Encoded], log: Log, watch: Watch, summary: Summary, rules: Iterable[Encoded] = ()) -> None:
    """Write events behind `rules`, which nobody counts, at the pace in which they land, until all have landed."""
    started = monotonic()

    def counted() -> Iterator[Encoded]:
        for event in events:
            summary.events += 1
            if summary.events % 1000 == 0:
                watch.sent(summary.events)
            yield event

    unlanded = Unlanded(log.commits, lambda landed: watch.landed(landed, summary.events))
    for rule in arrays(rules):
        unlanded.add(0, log.publisher.publish(rule.district, rule.payload))
    for array in arrays(counted()):
        unlanded.wait(max(0, log.most_unlanded - array.events))
        unlanded.add(array.events, log.publisher.publish(array.district, array.payload))
    watch.sent(summary.events)
    unlanded.wait()
    summary.seconds = monotonic() - started


_VERDICTS = """
SELECT conversation, arrayElement(verdicts.outcome, indexOf(verdicts.clock, 'resolution'))
FROM conversations FINAL
WHERE district = %(district)s AND retracted = 0
"""


def resolution_verdicts(settings: Settings, district: str) -> dict[str, str]:
    """Outcome of every conversation's resolution clock in ClickHouse; empty where nothing was promised."""
    client = connect(settings)
    try:
        with errors_mapped(settings):
            columns = client.execute(_VERDICTS, {"district": district}, columnar=True)
    finally:
        client.disconnect()
    return dict(zip(*columns, strict=True)) if columns else {}


def compared(city: Mapping[str, str | None], landed: Mapping[str, str]) -> dict[str, int]:
    """Verdicts landed for the requests on which the source has its own, and how many differ from it."""
    judged = [(verdict, landed.get(conversation, "")) for conversation, verdict in city.items() if verdict is not None]
    return {
        "met": sum(ours == "met" for _, ours in judged),
        "missed": sum(ours == "missed" for _, ours in judged),
        "differs_from_source": sum(ours != theirs for theirs, ours in judged),
    }
