"""When conversations opened, about what and where: what surges are found in, 35 days of it.

One number for each conversation that a customer opened, replaced as a whole like its row, so that late events,
corrections and retractions need no undoing. What belongs to a social post is counted there and not under its topic.
"""

from operator import itemgetter
from typing import NamedTuple

import numpy as np

from schemas.facts import NAMES, Row
from streams.core.windows import Ints

# The district's own days begin with its tenth inquiry: one that carries an old date does not make a history.
FIRST_ONES = 10
SPARE_NUMBERS = 100
HORIZON_S = 35 * 86_400
_UNIT_BITS, _SECOND_BITS, _TOPICS = 14, 32, 1 << 17
_UNIT_MASK, _SECOND_MASK = (1 << _UNIT_BITS) - 1, (1 << _SECOND_BITS) - 1
_ROW = itemgetter(
    *map(NAMES.index, ("retracted", "linked", "inquiries", "opened_at", "topic", "first_unit", "thread", "person"))
)


class Opening(NamedTuple):
    """An inquiry: its second UTC, the unit it came to, and its topic, or its post and the person."""

    second: int
    unit: str
    topic: str
    post: str = ""
    person: str = ""


class Topics(NamedTuple):
    """Openings about topics in order of (topic, second): numbers of topics, seconds UTC, numbers of units."""

    topic: Ints
    second: Ints
    unit: Ints


class Openings:
    """The openings of one district, by conversation."""

    __slots__ = ("_columns", "_held", "_posts", "_topic", "_topics", "_unit", "_units", "changed", "newest")

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._posts: dict[str, Opening] = {}
        self._number({""}, set())
        self._columns: Topics | None = None
        self.newest = 0
        """The latest second ever seen; what lies more than 35 days before it is not taken."""
        self.changed = False
        """Whether anything was replaced or removed since it was last set to false."""

    def _number(self, topics: set[str], units: set[str]) -> None:
        self._topics, self._units = sorted(topics), sorted(units)
        self._topic = {topic: number for number, topic in enumerate(self._topics)}
        self._unit = {unit: number for number, unit in enumerate(self._units)}

    def __len__(self) -> int:
        """Conversations held."""
        return len(self._held) + len(self._posts)

    def replace(self, conversation: str, row: Row) -> None:
        """Take a conversation's newest row in place of the one before."""
        retracted, linked, inquiries, opened_ms, topic, unit, post, person = _ROW(row)
        second = min(max(opened_ms // 1000, 0), _SECOND_MASK)
        self.newest = max(self.newest, second)
        if retracted or not linked or not inquiries or second < self.newest - HORIZON_S:
            self.remove(conversation)
        else:
            self._put(conversation, Opening(second, unit, topic, post, person))

    def _put(self, conversation: str, opening: Opening) -> None:
        if opening.post:
            if self._posts.get(conversation) != opening:
                self.remove(conversation)
                self._posts[conversation] = opening
                self._touch()
            return
        packed = self._packed(opening)
        if self._held.get(conversation) != packed:
            self.remove(conversation)
            self._held[conversation] = packed
            self._touch()

    def _packed(self, opening: Opening) -> int:
        # What is beyond the room of a number shares the first one; pruning gives all numbers anew.
        topic = self._topic.setdefault(opening.topic, len(self._topics))
        if topic == len(self._topics):
            self._topics.append(opening.topic)
        unit = self._unit.setdefault(opening.unit, len(self._units))
        if unit == len(self._units):
            self._units.append(opening.unit)
        key = (topic if topic < _TOPICS else 0) << _SECOND_BITS | opening.second
        return key << _UNIT_BITS | (unit if unit <= _UNIT_MASK else 0)

    def _touch(self) -> None:
        self._columns = None
        self.changed = True

    def remove(self, conversation: str) -> None:
        """The conversation opened nothing."""
        if self._forget(conversation):
            self._touch()

    def _forget(self, conversation: str) -> bool:
        held, post = self._held.pop(conversation, None), self._posts.pop(conversation, None)
        return held is not None or post is not None

    def prune(self, before_s: int) -> None:
        """Forget what opened before an instant, and now and then the topics and units that nothing is left of."""
        old = [name for name, packed in self._held.items() if packed >> _UNIT_BITS & _SECOND_MASK < before_s]
        old += [name for name, opening in self._posts.items() if opening.second < before_s]
        for name in old:
            self._forget(name)
        if old:
            self._columns = None
        topics, units = np.unique(self.topics.topic).tolist(), np.unique(self.topics.unit).tolist()
        if max(len(self._topics) - 2 * len(topics), len(self._units) - 2 * len(units)) > SPARE_NUMBERS:
            kept = {name: self._unpacked(packed) for name, packed in self._held.items()}
            self._number({"", *(self._topics[each] for each in topics)}, {self._units[each] for each in units})
            self._held = {name: self._packed(opening) for name, opening in kept.items()}
            self._columns = None

    def _unpacked(self, packed: int) -> Opening:
        second = packed >> _UNIT_BITS & _SECOND_MASK
        return Opening(second, self._units[packed & _UNIT_MASK], self._topics[packed >> _UNIT_BITS + _SECOND_BITS])

    def of(self, conversation: str) -> Opening | None:
        """What a conversation opened with; None if it is not held."""
        packed = self._held.get(conversation)
        return self._posts.get(conversation) if packed is None else self._unpacked(packed)

    def topic(self, number: int) -> str:
        """The topic of a number in `topics`."""
        return self._topics[number]

    @property
    def units(self) -> list[str]:
        """The units that the numbers of `topics` stand for."""
        return self._units

    @property
    def topics(self) -> Topics:
        """All that is about topics, in order."""
        if self._columns is None:
            packed = np.fromiter(self._held.values(), dtype=np.int64, count=len(self._held))
            packed.sort()
            key = packed >> _UNIT_BITS
            self._columns = Topics(key >> _SECOND_BITS, key & _SECOND_MASK, packed & _UNIT_MASK)
        return self._columns

    def posts(self) -> dict[str, list[Opening]]:
        """By post, each person's first inquiry under it in order of time; a nameless inquiry is a person of its own."""
        first: dict[tuple[str, str], Opening] = {}
        for name, opening in self._posts.items():
            who = opening.person or f"?{name}"
            known = first.get((opening.post, who))
            if known is None or opening < known:
                first[opening.post, who] = opening
        found: dict[str, list[Opening]] = {}
        for (post, _), opening in sorted(first.items(), key=itemgetter(1)):
            found.setdefault(post, []).append(opening)
        return found

    def first_second(self, since_s: int) -> int | None:
        """When the district's tenth inquiry since an instant came, or its last if there are fewer; None without any."""
        seconds = np.concatenate((self.topics.second, [each.second for each in self._posts.values()])).astype(np.int64)
        seconds = seconds[seconds >= since_s]
        if not len(seconds):
            return None
        place = min(FIRST_ONES, len(seconds)) - 1
        return int(np.partition(seconds, place)[place])
