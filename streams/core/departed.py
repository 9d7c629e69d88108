"""Conversations that left memory: their events stand in the log, and one that gets an event is read back whole.

Who left is remembered in a Bloom filter: it never misses one, and now and then it takes a new conversation for an old
one, which costs a look into the log and changes nothing.
"""

from collections.abc import Iterable

import numpy as np

from schemas.naming import HALF, Hashes, hash_of

BITS_PER_NAME = 12
PROBES = 8
FIRST_CAPACITY = 4_096


class Bloom:
    """A set of names that may only say "perhaps" or "no"; of new names it takes some 3 in 1,000 for known when full."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._size = capacity * BITS_PER_NAME
        self._bits = bytearray(self._size // 8 + 1)

    def _places(self, name: str) -> Iterable[int]:
        digest = hash_of(name)
        first, step = int.from_bytes(digest[:HALF], "little"), int.from_bytes(digest[HALF:], "little") | 1
        return ((first + step * probe) % self._size for probe in range(PROBES))

    def add(self, name: str) -> None:
        """Remember a name."""
        for place in self._places(name):
            self._bits[place >> 3] |= 1 << (place & 7)
        self.count += 1

    def add_all(self, hashes: Hashes) -> None:
        """Remember many names by their hashes, as of `hashes_of`; some ten times as fast."""
        first, step = hashes.T
        size = np.uint64(self._size)
        first, step = first % size, (step | np.uint64(1)) % size
        held = np.zeros(len(self._bits) * 8, dtype=bool)
        for probe in range(PROBES):
            held[(first + step * np.uint64(probe)) % size] = True
        self._bits = bytearray(np.frombuffer(self._bits, np.uint8) | np.packbits(held, bitorder="little"))
        self.count += len(hashes)

    def __contains__(self, name: str) -> bool:
        return all(self._bits[place >> 3] >> (place & 7) & 1 for place in self._places(name))


class Departed:
    """Who left memory, and who is on the way back.

    `parts` holds the number of landed rows of those that have more than one. `swept_to` is the name up to which rows of
    an earlier configuration or definition were looked for; None where all of them are up to date.
    """

    def __init__(self) -> None:
        self._filters: list[Bloom] = []
        self.parts: dict[str, int] = {}
        self.returning: dict[str, None] = {}
        self.swept_to: str | None = None

    def __len__(self) -> int:
        """How often a conversation left; one that left twice counts twice."""
        return sum(each.count for each in self._filters)

    def add(self, conversation: str, parts: int = 1) -> None:
        """Let a conversation leave; its rows and events have landed or are about to."""
        if not self._filters or self._filters[-1].count >= self._filters[-1].capacity:
            self._filters.append(Bloom(FIRST_CAPACITY << len(self._filters)))
        if conversation not in self._filters[-1]:
            self._filters[-1].add(conversation)
        if parts > 1:
            self.parts[conversation] = max(parts, self.parts.get(conversation, 1))

    def add_all(self, hashes: Hashes) -> None:
        """Let many leave at once that have one row each, by the hashes of their names."""
        room = FIRST_CAPACITY
        while room < 2 * len(hashes):
            room *= 2
        if len(hashes):
            self._filters.append(Bloom(room))
            self._filters[-1].add_all(hashes)

    def __contains__(self, conversation: str) -> bool:
        """Whether it may have left; True for a few that never did."""
        return any(conversation in each for each in self._filters)
