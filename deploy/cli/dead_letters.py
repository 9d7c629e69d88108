"""`./cx dead-letters`: what could not be taken; look at it, try it again, or leave it for good."""

import argparse
import json
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.codes import code
from deploy.cli.command import Command
from deploy.cli.instants import instant_ms
from deploy.local.state import local_settings
from schemas.errors import UsageError
from schemas.events import Erased
from schemas.settings import Settings
from schemas.topics import EVENTS
from schemas.vocabulary import from_ms
from sinks.dead_letters import DROPPED, OPEN, STATES, DeadLetter, DeadLetters, Decision, LetterPlace, Wanted
from sinks.reading import ClickHouseReader
from streams.intake.producer import EventProducer
from streams.intake.rereading import MessageReader
from streams.intake.retrying import Outcome, Result, Retry, retry
from streams.present import wall_ms
from streams.recovery import Log

MOST_SHOWN = 100
SOME_LEFT = 2
PLACE = "PARTITION/OFFSET[/POSITION], with the topic and a slash before it if it is not the events'"


def parse_place(text: str, topic: str) -> LetterPlace:
    """A place as a person types it. Raises `UsageError`."""
    head, _, rest = text.partition("/")
    named, numbers = (topic, text) if head.isdecimal() else (head, rest)
    parts = numbers.split("/")
    if not 2 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text} is no place: it is {PLACE}.")
    partition, offset, *position = map(int, parts)
    return LetterPlace(named, partition, offset, *position)


def _wanted(args: argparse.Namespace, settings: Settings, state: str | None) -> Wanted:
    places = tuple(parse_place(text, settings.topic(EVENTS)) for text in args.place)
    since = instant_ms(args.since) if args.since else None
    return Wanted(places, args.district, args.reason, since, state)


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    times = {name: None if ms is None else from_ms(ms).isoformat() for name, ms in _times(letter).items()}
    return letter._asdict() | times


def _times(letter: DeadLetter) -> dict[str, int | None]:
    return {"landed_at": letter.landed_at, "decided_at": letter.decided_at}


def _list(args: argparse.Namespace, settings: Settings) -> int:
    with closing(DeadLetters(settings)) as store:
        state = args.state or ("all" if args.place else OPEN)
        found = store.letters(_wanted(args, settings, None if state == "all" else state))
        if args.json:
            for letter in found:
                sys.stdout.write(json.dumps(_as_json(letter), ensure_ascii=False) + "\n")
            return 0
        # A place is there to be copied.
        place = Column("place", no_wrap=True)
        table = Table(place, "landed", "state", "reason", "district", "kind", "what was wrong")
        for letter in islice(found, MOST_SHOWN):
            state = " ".join(filter(None, (letter.state, letter.who, letter.why)))
            when = from_ms(letter.landed_at).strftime("%Y-%m-%d %H:%M:%S")
            cells = (str(letter.place), when, state, letter.reason, letter.district, letter.kind, letter.message)
            table.add_row(*(Text(cell, overflow="fold") for cell in cells))
        more = next(found, None) is not None
    Console().print(table)
    if more:
        sys.stderr.write(f"Only the first {MOST_SHOWN} are shown: name a filter, or --json for all.\n")
    return 0


def _chosen(args: argparse.Namespace, settings: Settings, store: DeadLetters) -> list[DeadLetter]:
    """The letters that a change is asked for. Raises `UsageError` if none is named or found."""
    if not (args.place or args.district or args.reason or args.since or args.all):
        raise UsageError("Name places or a filter, or --all for every open one: `./cx dead-letters ls` shows them.")
    found = list(store.letters(_wanted(args, settings, None if args.place else OPEN)))
    if not found:
        raise UsageError("There is no such dead letter.")
    return found


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys that districts erased, as their logs have them."""

    log: Log

    def of(self, district: str) -> frozenset[str]:
        """Digests of a district's erased keys."""
        events = self.log.histories(district, [""]).get("", ())
        return frozenset(event.key_digest for event, _ in events if isinstance(event, Erased))


def _retry(args: argparse.Namespace, settings: Settings) -> int:
    counts: Counter[Result] = Counter()
    keys = _Keys(Log(partial(ClickHouseReader, settings)))
    with (
        closing(DeadLetters(settings)) as store,
        closing(MessageReader(settings)) as reader,
        EventProducer(settings) as producer,
    ):
        letters = _chosen(args, settings, store)
        tools = Retry(reader.read, producer, cache(keys.of), store.decide, _code_or_empty(args.who), "")
        for outcome in retry(letters, wall_ms, tools):
            counts[outcome.result] += 1
            sys.stdout.write(_line(outcome, args.json) + "\n")
    told = ", ".join(f"{count:,} {result.value}" for result, count in counts.items())
    sys.stderr.write(f"{told}. What is refused again by the workers comes back as a new dead letter.\n")
    return 0 if set(counts) <= {Result.PUBLISHED} else SOME_LEFT


def _code_or_empty(text: str | None) -> str:
    return "" if text is None else code(text)


def _line(outcome: Outcome, as_json: bool) -> str:
    letter = outcome.letter
    if as_json:
        told = {"place": str(letter.place), "reason": letter.reason, "result": outcome.result.value}
        return json.dumps(told | {"events": outcome.events, "text": outcome.text}, ensure_ascii=False)
    return f"{letter.place}  {outcome.result.value}  {outcome.text}"


def _drop(args: argparse.Namespace, settings: Settings) -> int:
    who, why = code(args.who), code(args.why)
    with closing(DeadLetters(settings)) as store:
        letters = [letter for letter in _chosen(args, settings, store) if letter.state != DROPPED]
        at_ms = wall_ms()
        store.decide([Decision(*letter[:4], at_ms, DROPPED, who, why) for letter in letters])
    if args.json:
        sys.stdout.write(json.dumps({"dropped": [str(letter.place) for letter in letters]}) + "\n")
    else:
        sys.stdout.write(f"{len(letters):,} marked as dropped by {who}, {why}; their rows and messages stay.\n")
    return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("ls", help="show them; open ones if nothing else is said")
    listing.add_argument("--state", choices=(*STATES, "all"), help="default: open; of places named, any")
    again = actions.add_parser("retry", help="read the messages again from Kafka and publish what is accepted now")
    again.add_argument("--who", metavar="CODE", help="who decided it, a code")
    drop = actions.add_parser("drop", help="mark them as looked at and left; deletes nothing")
    drop.add_argument("--who", metavar="CODE", required=True, help="who decided it, a code")
    drop.add_argument("--why", metavar="CODE", required=True, help="why, a code such as test-data or source-fixed")
    for action, work in ((listing, _list), (again, _retry), (drop, _drop)):
        action.add_argument("place", nargs="*", metavar="PLACE", help=PLACE)
        action.add_argument("--district", metavar="CODE", help="only of this district")
        action.add_argument("--reason", metavar="REASON", help="only of this reason")
        action.add_argument(
            "--since", metavar="WHEN", help="only those that landed since, ISO 8601; UTC without offset"
        )
        action.add_argument("--json", action="store_true", help="JSON on standard output")
        action.set_defaults(work=work)
    for action in (again, drop):
        action.add_argument("--all", action="store_true", help="every open one")


def _run(args: argparse.Namespace) -> int:
    work: Any = args.work
    exit_code: int = work(args, local_settings())
    return exit_code


COMMANDS = {
    "dead-letters": Command(
        "Items that could not be taken. `retry` judges their messages, read from Kafka by their place, by today's "
        "code, and publishes what is accepted as the same events. Exit code 2: some were not published; each says why.",
        _configure,
        _run,
    )
}
