"""Keeps full garbage collections short: what survived one is not walked again before the next day.

A worker holds a district's conversations for weeks. Walked whole, twenty thousand of them stop it for a quarter of a
second. What dies later is freed by its reference count all the same; only a cycle that was alive at that moment is not,
and the core makes none. Those of the libraries are found once a day, when everything is walked.
"""

import gc
from collections.abc import Mapping
from time import monotonic
from typing import Any

FULL = 2
WHOLE_SECONDS = 86_400.0


class FrozenHeap:
    """A callback of the collector that freezes what a full collection leaves."""

    def __init__(self) -> None:
        self._walked_at = monotonic()

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        """See `gc.callbacks`."""
        if info["generation"] != FULL:
            return
        if phase == "stop":
            gc.freeze()
        elif monotonic() - self._walked_at >= WHOLE_SECONDS:
            self._walked_at = monotonic()
            gc.unfreeze()


def freeze_survivors() -> None:
    """From now on every full collection of this process freezes what it leaves."""
    if not any(isinstance(each, FrozenHeap) for each in gc.callbacks):
        gc.callbacks.append(FrozenHeap())
