"""`./cx measures`: events in, every measure of a district's units at an instant, and its place among others, out."""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.cli.command import Command
from deploy.cli.documents import read_district, read_instant
from deploy.cli.event_lines import EventLines, Remarks
from deploy.cli.measures_shown import text
from schemas.district import District, missing
from schemas.errors import UsageError
from schemas.facts import NAMES, Row
from schemas.vocabulary import from_ms, to_ms
from streams.configured import configured
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.measures.benchmark import benchmark
from streams.measures.facts import Fact, read_facts
from streams.measures.plans import goals, limit_of, rollout, trainings
from streams.measures.report import Ask, UnitReport, measure
from streams.measures.trainings import Trainings
from streams.offline import fold_events

_DISTRICT = NAMES.index("district")
DOCUMENTS = (".yaml", ".yml")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--district", type=Path, required=True, metavar="FILE", help="its document, YAML or JSON")
    parser.add_argument(
        "--at", required=True, metavar="INSTANT", help="a date (its first moment) or an instant with an offset"
    )
    parser.add_argument(
        "--window",
        default="28d",
        help="what counts, up to INSTANT: hours or days (24h, 28d), 7sd (the last seven school days), or the hour, "
        "day, week, month or (school) year so far; default 28d",
    )
    parser.add_argument(
        "--within", default="1d", metavar="T", help="answered within: 2h, 1d, or school_day (eight open hours); 1d"
    )
    parser.add_argument("--unit", metavar="UNIT", help="this unit only")
    parser.add_argument(
        "--own-team",
        default="",
        metavar="UNIT",
        help="you belong to this unit: its ratings and those of units below it are shown however few they are. "
        "Elsewhere fewer than ten are <10, and a sibling is withheld where a total would tell",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="events of other districts, and their documents where the name ends in .yaml or .yml: prints where this "
        "district stands among them, from thirty values and ten districts on, and nothing of any other",
    )
    parser.add_argument("--json", action="store_true", help="one object with all figures instead of text")


def _ask(args: argparse.Namespace, document: District) -> Ask:
    limit = limit_of(args.within)
    if limit is None:
        raise UsageError(f"--within {args.within} is none of 2h, 1d, school_day and the like.")
    return Ask(read_instant(args.at, document), args.window, limit, args.own_team)


def _configuration(document: District) -> Configuration:
    event = configured(document, from_ms(0))
    known = ConfigurationEvent(document.revision, to_ms(event.occurred_at), event.event_id, document)
    return Configuration(document.district, [known])


class _Read:
    """What was read: the own district's facts, those of each other one, the trainings held."""

    def __init__(self, document: District, peers: Sequence[Path]) -> None:
        """Raises `UsageError` for a file that cannot be read, `DocumentError` for a wrong document."""
        self._document = document
        self._others = [read_district(path) for path in peers if path.suffix in DOCUMENTS]
        for district, times in Counter(known.district for known in (document, *self._others)).items():
            if times > 1:
                raise UsageError(f"There are {times} documents of {district}: name one.")
        self._lines = EventLines([path for path in peers if path.suffix not in DOCUMENTS])
        self.remarks, self.held = Remarks(self._lines), Trainings(document.district)
        self.facts: dict[str, list[Fact]] = {document.district: []}

    def fold(self) -> list[Fact]:
        """Read everything; the own facts are returned."""
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for row in fold_events(self._lines, self._document, self.remarks, self.held.add, self._others):
            rows[row[_DISTRICT]].append(row)
        self.facts |= {district: list(read_facts(found)) for district, found in rows.items()}
        return self.facts[self._document.district]


def _checked(units: Sequence[str], code: str | None) -> None:
    if code and code not in units:
        raise UsageError(f"In this document, {missing('unit', code, units)}.")


def _measured(facts: list[Fact], configuration: Configuration, ask: Ask) -> dict[str, UnitReport]:
    try:
        return measure(facts, configuration, ask)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def _run(args: argparse.Namespace) -> int:
    document = read_district(args.district)
    configuration, ask = _configuration(document), _ask(args, document)
    for code in (args.unit, args.own_team):
        _checked(configuration.units(), code)
    # Asked of nothing, so that a wrong window is said before a long fold.
    _measured([], configuration, ask)
    read = _Read(document, args.peers)
    facts = read.fold()
    others = sum(len(known) for known in read.facts.values()) - len(facts)
    if others and not args.peers:
        sys.stderr.write(f"{others} conversations of other districts are left out.\n")
    found: dict[str, Any] = {"district": document.district, "at": ask.at_ms, "window": ask.window}
    units = _measured(facts, configuration, ask)
    found["units"] = {unit: units[unit] for unit in ([args.unit] if args.unit else units)}
    if not args.unit:
        found["goals"] = goals(facts, configuration, ask, units)
        found["rollout"] = rollout(facts, configuration, ask)
        found["trainings"] = trainings(facts, configuration, ask, read.held.sessions(configuration))
    if args.peers:
        found["benchmark"] = benchmark(document.district, read.facts, ask.at_ms, ask.limit)
    if args.json:
        sys.stdout.write(json.dumps(plain(found), separators=(",", ":"), allow_nan=False) + "\n")
    else:
        labels = {document.district: document.label, **{unit.unit: unit.label for unit, _ in document.walk()}}
        sys.stdout.write(text(found, labels))
    return read.remarks.exit_code


def plain(value: Any) -> Any:
    """Named tuples as objects, instants (`…_ms` in a window or beside a state, and `at`) as they are: ms UTC."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


COMMANDS = {
    "measures": Command(
        "Reads events (one or an array a line) from standard input, folds them as ./cx fold does, and prints every "
        "measure of docs/measures.md for each unit of the district with all below it: satisfaction, pillars, trust, "
        "items of the district's own, answered within T, backlog, promises, owners, returns, distributions, "
        "consistency, goals, rollout, trainings; with --peers, where the district stands among others. Exit code 0: "
        "printed, also where there is too little to say anything. 2: "
        "wrong arguments or documents, or some events were refused, see stderr.",
        _configure,
        _run,
    )
}
