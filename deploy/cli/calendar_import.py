"""`./cx calendar import`: a district's published school calendar (.ics) as a part of its document."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from deploy.cli.documents import read_text
from schemas.calendar import zone_of
from schemas.document import reasons
from schemas.errors import UsageError
from schemas.vocabulary import Code
from streams.written.forms import Time
from streams.written.recognition import Words
from streams.written.school_calendar import NOT_TAKEN, Outcome, Reading, SchoolCalendar, read_school_calendar

_TIME: TypeAdapter[str] = TypeAdapter(Time)
_CODE: TypeAdapter[str] = TypeAdapter(Code)
_OPTIONS = {
    "closed": "words that close a day unless the title says one of --unless-words",
    "early": "words for an early release",
    "late": "words for a late start",
    "unless": "words that make a title with a closed word no closure",
    "beside": "words that may stand beside those above and limit nothing",
}
_DECIDING = ("closed", "early", "late")
_FLAGS = {"early": "--early-release-words", "late": "--late-start-words"}


def _flag(kind: str) -> str:
    return _FLAGS.get(kind, f"--{kind}-words")


def _words(args: argparse.Namespace) -> Words:
    """The lists of words: given ones replace ours; a list that begins with + adds to ours."""
    usual = Words()
    chosen: dict[str, tuple[str, ...]] = {}
    given_words: set[str] = set()
    for kind in _OPTIONS:
        given: str | None = getattr(args, f"{kind}_words")
        if given is None:
            continue
        listed = tuple(filter(None, (word.strip() for word in given.removeprefix("+").split(","))))
        if not listed:
            raise UsageError(f"{_flag(kind)} names no word; write them with commas between them.")
        given_words.update(listed if kind in _DECIDING else ())
        chosen[kind] = (*getattr(usual, kind), *listed) if given.startswith("+") else listed
    # Who says what closes a day means exactly that: our own certain words do not count beside it.
    if args.closed_words is not None and not args.closed_words.startswith("+"):
        chosen["certain"] = ()
    return Words(**chosen, given=frozenset(given_words))


def _checked(adapter: TypeAdapter[str], value: str | None, option: str) -> str | None:
    if value is None:
        return None
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{option} {value}: {reasons(error)[0][1]}.") from None


def _reading(args: argparse.Namespace) -> Reading:
    if args.zone is not None:
        try:
            zone_of(args.zone)
        except ValueError as error:
            raise UsageError(f"--zone: {error}.") from None
    until = _checked(_TIME, args.early_release_until, "--early-release-until")
    start = _checked(_TIME, args.late_start_from, "--late-start-from")
    return Reading(_words(args), args.zone, until, start)


def _spelled(outcome: Outcome) -> str:
    became = {
        "closed": "closed",
        "early_release": "early release until",
        "late_start": "late start from",
        "ignored": "ignored",
        "unclear": "not taken, look at it",
    }
    what = became[outcome.became]
    at = f" {outcome.time}" if outcome.time is not None and outcome.became not in NOT_TAKEN else ""
    dates = ", ".join(outcome.dates) or "no date"
    return f"line {outcome.line}: {outcome.title or 'no title'}: {dates}: {what}{at} ({outcome.why})\n"


def _print(found: SchoolCalendar, name: str, as_json: bool) -> None:
    fragment: dict[str, Any] = {"calendars": {name: found.calendar}}
    if as_json:
        entries = [asdict(outcome) for outcome in found.outcomes]
        sys.stdout.write(json.dumps(fragment | {"entries": entries}, ensure_ascii=False) + "\n")
        return
    yaml.safe_dump(fragment, sys.stdout, sort_keys=False, allow_unicode=True, width=120)
    sys.stderr.write("".join(_spelled(outcome) for outcome in found.outcomes))
    left = [outcome.became for outcome in found.outcomes if outcome.became in NOT_TAKEN]
    look = f"; look at {unclear} of these" if (unclear := left.count("unclear")) else ""
    taken = len(found.outcomes) - len(left)
    sys.stderr.write(f"{taken} of {len(found.outcomes)} events are taken, {len(left)} are not{look}.\n")


def _import(args: argparse.Namespace) -> int:
    name = _checked(_CODE, args.calendar, "--calendar") or ""
    reading = _reading(args)
    _print(read_school_calendar(read_text(args.file), args.file.name, reading), name, args.json)
    return 0


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of `./cx calendar import`."""
    parser.description = (
        "Prints the closures, early releases and late starts of a published school calendar as a part of a "
        "district's document, and on standard error what became of every event. Titles are only read, not printed "
        "into the document."
    )
    parser.add_argument("file", type=Path, metavar="FILE.ics")
    parser.add_argument("--calendar", metavar="NAME", default="schools", help="name in the document; schools")
    parser.add_argument("--zone", metavar="ZONE", help="IANA name; else the one the file names")
    parser.add_argument("--early-release-until", metavar="HH:MM", help="for early releases that name no time")
    parser.add_argument("--late-start-from", metavar="HH:MM", help="for late starts that name no time")
    for kind, meaning in _OPTIONS.items():
        text = f"{meaning}; commas between them, + first adds to the usual ones"
        parser.add_argument(_flag(kind), dest=f"{kind}_words", metavar="WORDS", help=text)
    parser.add_argument("--json", action="store_true", help="one JSON object: calendars and entries")
    parser.set_defaults(work=_import)
