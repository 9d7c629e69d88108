"""Where the events of a question come from: a file of events with the district's document, or what has landed.

Both give the same: the conversation's events, those of everything a merge ever named with it, the district's own.
Blocks; raises `UsageError` for a conversation that nothing is known of.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from schemas.district import District
from schemas.errors import UsageError
from schemas.events import Event, Merge, Unmerge
from schemas.settings import Settings
from schemas.vocabulary import EARLIEST
from sinks.connection import connect, errors_mapped
from sinks.reading import ClickHouseReader
from streams.configured import configured
from streams.core.merging import Links
from streams.core.parts import whole_name
from streams.explaining.restated import restated
from streams.explaining.told import Restatement
from streams.offline import Remark, Report
from streams.receipt import admit_history
from streams.recovery import Log

_DISTRICTS = "SELECT DISTINCT district FROM events WHERE conversation = %(conversation)s ORDER BY district"
_RETIRED = "SELECT district, toDate(retired_at) FROM retired FINAL WHERE conversation = %(conversation)s"
_MERGES = """
SELECT conversation, JSONExtractString(content, 'into') FROM events FINAL
WHERE district = %(district)s AND kind IN ('merge', 'unmerge')
"""
_RESTATEMENTS = """
SELECT at, conversation, number, before, after, events, configured_by, redefined FROM restatements
WHERE district = %(district)s AND splitByChar('~', conversation)[1] = %(conversation)s
ORDER BY at, conversation, number
"""
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3}")


class Gathered(NamedTuple):
    """The events of one question with the digests they landed with, and what of its numbers was restated."""

    district: str
    events: list[tuple[Event, int | None]]
    restatements: list[Restatement]


def from_file(
    read: Callable[[], Iterable[bytes]], document: District | None, asked: tuple[str, str | None], report: Report
) -> Gathered:
    """From lines of events, read twice; `asked` is (conversation, district or None). `report` as in `fold_events`."""
    conversation = whole_name(asked[0])[0]
    links: dict[str, Links] = {}
    found: set[str] = set()
    for event in _admitted(read(), report):
        if getattr(event, "conversation", "") == conversation:
            found.add(event.district)
        if isinstance(event, Merge | Unmerge):
            links.setdefault(event.district, Links()).add(event.conversation, event.into)
    district = _only(asked, sorted(found))
    wanted = {"", *links.get(district, Links()).together(conversation)}
    events: list[tuple[Event, int | None]] = []
    if document is not None and document.district == district:
        events.append((configured(document, EARLIEST), None))
    events.extend(
        (event, None)
        for event in _admitted(read(), lambda _: None)
        if event.district == district and getattr(event, "conversation", "") in wanted
    )
    return Gathered(district, events, list(restated(district, events, [conversation])))


def _admitted(lines: Iterable[bytes], report: Report) -> Iterator[Event]:
    for number, line in enumerate(lines, 1):
        payload = line.strip()
        if not payload:
            continue
        admission = admit_history(payload)
        yield from (event for _, event in admission.events)
        for refusal in admission.refused:
            report(Remark(number, refusal.position, refusal.reason, refusal.message))


def from_clickhouse(settings: Settings, asked: tuple[str, str | None]) -> Gathered:
    """From what has landed; `asked` is (conversation, district or None). Raises `Unavailable` or `Refused` too."""
    conversation = whole_name(asked[0])[0]
    with errors_mapped(settings), connect(settings) as client:
        rows = client.execute(_DISTRICTS, {"conversation": conversation})
        retired = dict(client.execute(_RETIRED, {"conversation": conversation}))
        if asked[1] in retired or (retired and not rows):
            left = retired.get(asked[1], max(retired.values()))
            raise UsageError(f"Its events left by retention on {left}: nothing can be explained of {conversation}.")
        district = _only(asked, [district for (district,) in rows])
        links = Links()
        for one, other in client.execute(_MERGES, {"district": district}):
            links.add(one, other)
        restatements = [
            _restatement(row)
            for row in client.execute(_RESTATEMENTS, {"district": district, "conversation": conversation})
        ]
    histories = Log(lambda: ClickHouseReader(settings)).histories(district, ["", *links.together(conversation)])
    return Gathered(district, [pair for pairs in histories.values() for pair in pairs], restatements)


def _restatement(row: tuple[object, ...]) -> Restatement:
    at, conversation, number, before, after, events, configured_by, redefined = row
    return Restatement.model_validate(
        {
            "at": at,
            "conversation": conversation,
            "number": number,
            "before": _value(str(before)),
            "after": _value(str(after)),
            "by_events": events,
            "by_configurations": configured_by,
            "redefined": bool(redefined),
        }
    )


def _value(text: str) -> str:
    """Instants as everywhere else in an explanation."""
    return text.replace(" ", "T") + "Z" if _INSTANT.fullmatch(text) else text


def _only(asked: tuple[str, str | None], found: list[str]) -> str:
    """The district that is meant."""
    conversation, district = asked
    if district is not None:
        if district in found:
            return district
        raise UsageError(f"Nothing is known of conversation {conversation} in district {district}.")
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"Nothing is known of conversation {conversation}: no event of it has come.")
    raise UsageError(
        f"Conversation {conversation} is in several districts: give --district, one of {', '.join(found)}."
    )
