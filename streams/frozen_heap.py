"""Keeps full garbage collections short: what survived one is not walked again.

A worker holds a district's conversations for weeks. Walked whole, twenty thousand of them stop it for a quarter of a
second. What dies later is freed by its reference count all the same; only a cycle that was alive at that moment is not,
and the core makes none.
"""

import gc
from collections.abc import Mapping
from typing import Any

FULL = 2


def freeze_survivors() -> None:
    """From now on every full collection of this process freezes what it leaves."""
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def _freeze(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == FULL:
        gc.freeze()
