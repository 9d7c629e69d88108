"""The hash of a conversation's name by which it is known who left memory: the same here as in ClickHouse."""

from collections.abc import Iterable
from hashlib import md5

import numpy as np
from numpy.typing import NDArray

HALF = 8
Hashes = NDArray[np.uint64]


def hash_of(name: str) -> bytes:
    """The 16 bytes of a name's hash: of the kind that ClickHouse makes as well, not against anybody's malice."""
    return md5(name.encode(), usedforsecurity=False).digest()


def hashes_of(names: Iterable[str]) -> Hashes:
    """The same of many names: one row each, of two little-endian numbers of 64 bits."""
    return np.frombuffer(b"".join(map(hash_of, names)), dtype="<u8").reshape(-1, 2).astype(np.uint64)
