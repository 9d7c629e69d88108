"""A run through the matrix: which cells, in which order, for how long; what came of it, as values and as a table."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count

from rich.table import Table

from deploy.chaos.cells import Cell, at_random, full, short
from deploy.chaos.scenes import Outcome, Scene
from deploy.chaos.world import World

Report = Callable[[Cell, Sequence[Outcome]], None]
"""Hears which cell comes next, and what came of those before."""


def order(seed: int) -> Iterator[Cell]:
    """Every cell once, those of the short matrix first, the others as the seed has it; then random times for ever."""
    first = short()
    others = [cell for cell in full() if cell not in first]
    random.Random(seed).shuffle(others)  # noqa: S311 -- to be repeatable, not secret
    return chain(first, others, at_random(seed))


def play(world: World, chosen: Iterator[Cell], seed: int, seconds: float, report: Report) -> list[Outcome]:
    """Play cells until none is left or the time is over; a cell that was begun is finished."""
    end = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    for number, cell in zip(count(1), chosen, strict=False):
        if time.monotonic() >= end:
            break
        report(cell, outcomes)
        outcomes.append(Scene(world, cell, f"cell{number}", seed).play())
        if outcomes[-1].problems:
            world.start_over()
    return outcomes


def totals(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Counts over a whole run."""
    return {
        "cells": len(outcomes),
        "clean": sum(not each.problems for each in outcomes),
        "events": sum(each.events for each in outcomes),
        "workers_ended": sum(each.workers_ended for each in outcomes),
        "alerts_repeated": sum(each.alerts_repeated for each in outcomes),
    }


def matrix(outcomes: Sequence[Outcome]) -> dict[str, dict[str, list[bool]]]:
    """By point, by harm: for each time that it was played, whether it was clean."""
    found: dict[str, dict[str, list[bool]]] = {}
    for each in outcomes:
        harm, _, point = each.cell.partition("@")
        found.setdefault(point, {}).setdefault(harm, []).append(not each.problems)
    return found


def rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """The matrix as text, head first: a row for each point, a column for each harm; `2/2` is clean twice of two."""
    found = matrix(outcomes)
    harms = sorted({harm for by_harm in found.values() for harm in by_harm})
    head = ["point", *(harm.replace("-", " ") for harm in harms)]
    body = [[point, *(_told(found[point].get(harm, [])) for harm in harms)] for point in sorted(found, key=_place)]
    return [head, *body]


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The matrix as a table for a document."""
    head, *body = rows(outcomes)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))


def _told(results: Sequence[bool]) -> str:
    return f"{sum(results)}/{len(results)}" if results else ""


def _place(point: str) -> tuple[str, bool, str]:
    """Steps in their order, before and after each; then what is no step."""
    side, _, step = point.partition(":")
    return step or "~", side == "after", point


def shown(outcomes: Sequence[Outcome]) -> Table:
    """The matrix for a terminal."""
    head, *body = rows(outcomes)
    table = Table(*head)
    for row in body:
        table.add_row(*row)
    return table
