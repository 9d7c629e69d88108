"""The short fault matrix on a real stack of its own: one world for all cells, fresh districts for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.chaos.cells import WORKER_KILLED, Cell, short
from deploy.chaos.scenes import Scene
from deploy.chaos.world import World

pytestmark = pytest.mark.stack

SEED = 7


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Kafka, ClickHouse and workers that this module may kill."""
    with World(tmp_path_factory.mktemp("chaos")) as made:
        yield made


def test_the_matrix_finds_a_worker_that_acknowledges_too_early(tmp_path: Path) -> None:
    with World(tmp_path, "tests.faults.hasty_worker", patience=40.0) as world:
        outcome = Scene(world, Cell(WORKER_KILLED, "before:2"), "hasty", SEED).play()
    # Whether events are lost too, and waited for in vain, depends on when the commit reached the broker.
    assert any("is committed to" in problem for problem in outcome.problems)


@pytest.mark.parametrize("cell", short(), ids=str)
def test_a_fault_loses_nothing_and_repeats_nothing(world: World, cell: Cell) -> None:
    outcome = Scene(world, cell, f"cell{short().index(cell)}", SEED).play()
    if outcome.problems:
        world.start_over()
    assert outcome.problems == []
    assert outcome.events > 0
