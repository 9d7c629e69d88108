"""A full collection walks what came since the last one."""

import gc
from collections.abc import Iterator

import pytest

from streams.frozen_heap import _freeze, freeze_survivors


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.callbacks.remove(_freeze)
    gc.unfreeze()


def test_what_survives_a_full_collection_is_not_walked_again() -> None:
    freeze_survivors()
    freeze_survivors()
    assert gc.callbacks.count(_freeze) == 1
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
