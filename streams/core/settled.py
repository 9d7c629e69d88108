"""What folding what changed of a district comes to."""

from typing import NamedTuple

from schemas.facts import Row


class Culprit(NamedTuple):
    """An event that made the fold raise and left the set."""

    conversation: str
    event_id: str
    digest: int
    error: str


class Settled(NamedTuple):
    """Rows of all conversations that changed, in order of conversation, and the events that had to leave."""

    rows: list[Row]
    culprits: list[Culprit]
