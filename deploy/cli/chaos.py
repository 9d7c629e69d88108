"""`./cx chaos`: kills and stops the parts of a stack of its own, and proves that nothing is lost or counts twice."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.chaos.cells import HARMS, Cell
from deploy.chaos.run import markdown, matrix, order, play, shown, totals
from deploy.chaos.scenes import Outcome
from deploy.chaos.world import World
from deploy.cli.command import Command
from deploy.local.signals import endings_interrupt
from schemas.errors import UsageError

MINUTES = 10.0
LONGEST_MINUTES = 24 * 60.0


def _configure(parser: argparse.ArgumentParser) -> None:
    harms = "; ".join(f"{name}: {meaning}" for name, meaning in HARMS.items())
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, metavar="N", help="no cell begins after them (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="order of the cells, random times, messages")
    parser.add_argument(
        "--cell", action="append", default=[], metavar="HARM@POINT", help=f"only this one; repeatable. {harms}"
    )
    parser.add_argument("--markdown", action="store_true", help="the matrix as a table for a document")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")


def _played(folder: Path, chosen: Sequence[Cell], seed: int, seconds: float) -> list[Outcome]:
    """The run, with progress on standard error."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[clean]} clean, {task.fields[wrong]} not"),
        TimeElapsedColumn(),
    )
    with endings_interrupt(), Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting a stack of its own", total=len(chosen) or None, clean=0, wrong=0)

        def report(cell: Cell, before: Sequence[Outcome]) -> None:
            wrong = sum(bool(each.problems) for each in before)
            progress.update(task, description=str(cell), completed=len(before), clean=len(before) - wrong, wrong=wrong)
            if not console.is_terminal:
                console.print(f"{len(before)} cells, {wrong} of them not clean; next {cell}", highlight=False)

        with World(folder) as world:
            return play(world, iter(chosen) if chosen else order(seed), seed, seconds, report)


def _write_text(outcomes: Sequence[Outcome], seed: int, as_document: bool) -> None:
    if as_document:
        sys.stdout.write(f"{markdown(outcomes)}\n\n")
    else:
        Console().print(shown(outcomes))
    told = totals(outcomes)
    sys.stdout.write(
        f"{told['clean']:,} of {told['cells']:,} cells clean, {told['events']:,} events; "
        f"{told['workers_ended']:,} workers ended themselves and were started again; "
        f"{told['alerts_repeated']:,} alerts repeated under their own key.\n"
    )
    for each in outcomes:
        if each.problems:
            sys.stdout.write(f"\n{each.cell}: `./cx chaos --seed {seed} --cell {each.cell}`\n")
            sys.stdout.writelines(f"  {problem}\n" for problem in each.problems)


def _run(args: argparse.Namespace) -> int:
    if not 0 < args.minutes <= LONGEST_MINUTES:
        raise UsageError(f"--minutes lies between 0 and {LONGEST_MINUTES:,.0f}.")
    chosen = [Cell.parse(text) for text in args.cell]
    folder = Path(tempfile.mkdtemp(prefix="cx-chaos-"))
    clean = False
    try:
        outcomes = _played(folder, chosen, args.seed, args.minutes * 60)
        clean = not any(each.problems for each in outcomes)
    finally:
        if clean:
            shutil.rmtree(folder)
        else:
            sys.stderr.write(f"cx: the logs of this run are kept in {folder}.\n")
    if args.json:
        cells = [asdict(each) for each in outcomes]
        result = {"seed": args.seed, **totals(outcomes), "matrix": matrix(outcomes), "outcomes": cells}
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        _write_text(outcomes, args.seed, args.markdown)
    return 0 if clean else 1


COMMANDS = {
    "chaos": Command(
        "Starts a stack of its own beside whatever runs, kills and stops its workers and servers at each numbered step "
        "and at random times, and looks after each: everything landed once, nothing acknowledged before, the audit "
        "without a difference, every alert once. Exit code 1: a cell was not clean; it is named with its seed.",
        _configure,
        _run,
    )
}
