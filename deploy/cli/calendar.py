"""`./cx calendar`: calendar and business seconds of intervals, due times of targets, with no stack at all."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from deploy.cli import calendar_import
from deploy.cli.command import Command
from deploy.cli.documents import read_text
from schemas.calendar import Calendar
from schemas.document import reasons
from schemas.vocabulary import Instant, from_ms, to_ms
from streams.core.business_time import BusinessClock, clock_of
from streams.written.document import read_calendar

SOME_WRONG = 2
LONGEST_TARGET_MS = 60 * 366 * 86_400_000
_INSTANT: TypeAdapter[AwareDatetime] = TypeAdapter(Instant)


class LineError(Exception):
    """What is wrong with one line: `field` and the reason."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)


def answers(lines: Iterable[bytes], calendar: Calendar | None) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each line's object with what was asked added, and whether it was sound; a wrong one gets `error` instead."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        asked: dict[str, Any] = {}
        try:
            asked = _object(line)
            yield {**asked, **_answer(asked, calendar)}, True
        except LineError as error:
            yield {**asked, "error": f"line {number}: {error}"}, False


def _nothing(_constant: str) -> None:
    """NaN and Infinity are no JSON; echoed, they would spoil the output for strict readers."""


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_nothing)
    except (ValueError, RecursionError):
        raise LineError("", "not JSON") from None
    if not isinstance(found, dict):
        raise LineError("", "not a JSON object")
    return found


def _answer(asked: dict[str, Any], calendar: Calendar | None) -> dict[str, Any]:
    clock = _clock(asked, calendar)
    start = _instant(asked, "start")
    if "end" not in asked and "target_seconds" not in asked:
        raise LineError("end", "missing; give `end` or `target_seconds`")
    found: dict[str, Any] = {}
    if "end" in asked:
        end = _instant(asked, "end")
        if end < start:
            raise LineError("end", "lies before start")
        found["calendar_seconds"] = _seconds(end - start)
        found["business_seconds"] = _seconds(clock.elapsed(start, end))
    if "target_seconds" in asked:
        target = _target(asked["target_seconds"])
        found["due"] = _shown(clock.due(start, target))
        found["breach"] = _shown(clock.breach(start, target))
    return found


def _clock(asked: dict[str, Any], calendar: Calendar | None) -> BusinessClock:
    own = asked.get("calendar")
    if own is not None:
        try:
            calendar = Calendar.model_validate(own)
        except ValidationError as error:
            place, why = reasons(error)[0]
            raise LineError(".".join(["calendar", *map(str, place)]), why) from None
    if calendar is None:
        raise LineError("calendar", "missing; give it in the line or by --file")
    return clock_of(calendar.key())


def _instant(asked: dict[str, Any], field: str) -> int:
    if not isinstance(asked.get(field), str):
        raise LineError(field, "must be an ISO 8601 time with an offset or Z" if field in asked else "missing")
    try:
        return to_ms(_INSTANT.validate_json(json.dumps(asked[field]), strict=True))
    except ValidationError as error:
        raise LineError(field, reasons(error)[0][1]) from None


def _target(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value * 1000 <= LONGEST_TARGET_MS:
        raise LineError("target_seconds", "must be a number of seconds from 0 to 60 years")
    return round(value * 1000)


def _seconds(length_ms: int) -> int | float:
    return length_ms // 1000 if length_ms % 1000 == 0 else length_ms / 1000


def _shown(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    exact = "milliseconds" if at_ms % 1000 else "seconds"
    return from_ms(at_ms).isoformat(timespec=exact).replace("+00:00", "Z")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="the calendar of lines without their own, YAML or JSON"
    )
    parser.set_defaults(work=_answer_lines)
    actions = parser.add_subparsers(metavar="ACTION", help="without one, lines are answered")
    calendar_import.configure(actions.add_parser("import", help="a published school calendar (.ics) for the document"))


def _run(args: argparse.Namespace) -> int:
    code: int = args.work(args)
    return code


def _answer_lines(args: argparse.Namespace) -> int:
    calendar = read_calendar(read_text(args.file), args.file.name) if args.file else None
    sound = True
    for answer, good in answers(sys.stdin.buffer, calendar):
        sys.stdout.write(json.dumps(answer, separators=(",", ":")) + "\n")
        sound = sound and good
    return 0 if sound else SOME_WRONG


COMMANDS = {
    "calendar": Command(
        'Reads lines such as {"start": …, "end": …} from standard input and adds calendar_seconds and '
        'business_seconds; {"start": …, "target_seconds": …} gets due and breach. A line may bring its own calendar. '
        "A line that is wrong comes back with `error`, and the exit code is 2.",
        _configure,
        _run,
    )
}
