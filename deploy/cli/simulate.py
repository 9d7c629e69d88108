"""`./cx simulate`: a district's interactions from a seed, as NDJSON on standard output."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.cli.command import Command
from deploy.cli.documents import read_district, read_instant, read_text
from schemas.district import District
from schemas.errors import UsageError
from streams.intake.simulator import Span, numbered, sample_district, simulate, simulate_all
from streams.intake.simulator_batches import arrays
from streams.intake.simulator_parameters import Parameters, default_parameters, read_parameters
from streams.intake.simulator_writing import Arrived

# Each keeps its world and what is on its way in memory, some megabytes.
MOST_DISTRICTS = 999
MOST_IN_ARRAY = 20_000
CHUNK = 2_000


def _documents(args: argparse.Namespace) -> list[District]:
    document = read_district(args.district) if args.district else sample_district()
    if args.districts is None:
        return [document]
    return [numbered(document, number) for number in range(1, args.districts + 1)]


@contextmanager
def _watched(span: Span) -> Iterator[Progress | None]:
    """A bar on standard error, on a terminal only, and not among the events themselves."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield None
        return
    columns = (TextColumn("simulating"), BarColumn(), TextColumn("{task.fields[day]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        progress.add_task("simulating", total=span.end_ms - span.start_ms, day="")
        yield progress


def _write(arrived: Iterable[Arrived], span: Span, progress: Progress | None) -> None:
    """Lines to standard output, in chunks."""
    lines: list[str] = []
    for received, text in arrived:
        lines.append(text)
        if len(lines) == CHUNK:
            sys.stdout.write("\n".join(lines) + "\n")
            lines.clear()
            if progress is not None:
                day = datetime.fromtimestamp(received / 1000, UTC).date().isoformat()
                progress.update(progress.task_ids[0], completed=received - span.start_ms, day=day)
    if lines:
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _between(least: int, most: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        number = int(text) if text.isdecimal() else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {least} to {most:,}")
        return number

    return whole_number


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--district", type=Path, metavar="FILE", help="a district's document; else the sample one")
    parser.add_argument("--from", dest="start", required=True, metavar="WHEN", help="a date, or an instant with offset")
    parser.add_argument("--to", dest="end", required=True, metavar="WHEN", help="the first moment no longer simulated")
    parser.add_argument("--seed", type=int, default=1, help="other numbers, other conversations; default 1")
    parser.add_argument("--parameters", type=Path, metavar="FILE", help="fields that replace the default ones")
    parser.add_argument(
        "--districts",
        type=_between(1, MOST_DISTRICTS),
        metavar="N",
        help=f"the document N times, 1 to {MOST_DISTRICTS}: codes get -0001, -0002, …",
    )
    parser.add_argument(
        "--arrays",
        type=_between(1, MOST_IN_ARRAY),
        metavar="N",
        help=f"JSON arrays of up to N events of one district, 1 to {MOST_IN_ARRAY:,}",
    )
    parser.add_argument("--json", action="store_true", help="the summary on standard error as one JSON object")


def _run(args: argparse.Namespace) -> int:
    documents = _documents(args)
    span = Span(read_instant(args.start, documents[0]), read_instant(args.end, documents[0]), args.seed)
    if span.start_ms >= span.end_ms:
        raise UsageError(f"--to {args.end} is not after --from {args.start}.")
    named = args.parameters
    parameters = read_parameters(read_text(named), named.name) if named else default_parameters()
    began = time.monotonic()
    tally = [0]
    with _watched(span) as progress:
        arrived = _counted(_simulated(documents, parameters, span, args.districts is not None), tally)
        _write(arrays(arrived, args.arrays) if args.arrays else arrived, span, progress)
    seconds = time.monotonic() - began
    rate = round(tally[0] / seconds) if seconds else 0
    if args.json:
        summary = {"events": tally[0], "seconds": round(seconds, 3), "events_per_second": rate}
        sys.stderr.write(json.dumps(summary | {"districts": len(documents), "seed": args.seed}) + "\n")
    else:
        sys.stderr.write(f"{tally[0]:,} simulated events in {seconds:.1f} s ({rate:,} events/s).\n")
    return 0


def _simulated(documents: list[District], parameters: Parameters, span: Span, several: bool) -> Iterator[Arrived]:
    return simulate_all(documents, parameters, span) if several else simulate(documents[0], parameters, span)


def _counted(arrived: Iterable[Arrived], tally: list[int]) -> Iterator[Arrived]:
    for item in arrived:
        tally[0] += 1
        yield item


COMMANDS = {
    "simulate": Command(
        "Writes a simulated district's events (one a line, in order of arrival) to standard output; the first one "
        "configures the district. The same arguments give the same bytes. Parameters: streams/intake/simulation.yaml "
        "explains each; the sample district has 58,000 students and invented names.",
        _configure,
        _run,
    )
}
