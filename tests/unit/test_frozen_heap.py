"""A full collection walks what came since the last one, and once a day everything."""

import gc
from collections.abc import Iterator

import pytest

from streams import frozen_heap
from streams.frozen_heap import FrozenHeap, freeze_survivors


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    # None but those that a test asks for.
    gc.disable()
    gc.unfreeze()
    yield
    gc.enable()
    gc.callbacks[:] = [each for each in gc.callbacks if not isinstance(each, FrozenHeap)]
    gc.unfreeze()


def test_what_survives_a_full_collection_is_not_walked_again() -> None:
    freeze_survivors()
    freeze_survivors()
    assert sum(isinstance(each, FrozenHeap) for each in gc.callbacks) == 1
    kept = [[number] for number in range(10_000)]
    gc.collect(0)
    gc.collect(1)
    assert gc.get_freeze_count() < len(kept)
    gc.collect()
    assert gc.get_freeze_count() >= len(kept)
    assert sum(gc.is_tracked(each) for each in kept) == len(kept)
    frozen = gc.get_freeze_count()
    del kept
    assert gc.get_freeze_count() <= frozen - 10_000


def test_a_cycle_that_died_before_it_is_freed() -> None:
    freeze_survivors()
    gc.collect()
    before = gc.get_freeze_count()
    for _ in range(10_000):
        cycle: list[object] = []
        cycle.append(cycle)
    gc.collect()
    assert gc.get_freeze_count() < before + 5_000


def test_a_cycle_that_was_alive_is_freed_by_the_next_day(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_survivors()
    cycles: list[list[object]] = [[] for _ in range(10_000)]
    for cycle in cycles:
        cycle.append(cycle)
    gc.collect()
    frozen = gc.get_freeze_count()
    del cycle, cycles
    gc.collect()
    assert gc.get_freeze_count() > frozen - 5_000
    monkeypatch.setattr(frozen_heap, "WHOLE_SECONDS", 0.0)
    gc.collect()
    assert gc.get_freeze_count() <= frozen - 10_000
