"""The conversations of a district in memory; what was read back is decoded when it is needed, not before."""

from collections.abc import Callable, Iterator

from schemas.events import Event
from streams.core.arrival import Conversation, Undecoded
from streams.core.erasure import Erasures
from streams.core.packed import pack


class Held(dict[str, Conversation]):
    """Conversations by name. `unreadable` counts events that were read back and cannot be decoded."""

    def __init__(self, erasures: Erasures, hear: Callable[[Event], None]) -> None:
        super().__init__()
        self._erasures = erasures
        self._hear = hear
        self.unreadable = 0

    def hold(self, conversation: str, undecoded: Undecoded) -> None:
        """Hold a conversation that was read back whole."""
        self[conversation] = Conversation(undecoded)

    def decoded(self, conversation: str) -> Conversation | None:
        """One with all its events; None if it is not held. One of which nothing can be decoded is held no longer."""
        held = self.get(conversation)
        if held is None or held.undecoded is None:
            return held
        undecoded, held.undecoded = held.undecoded, None
        for event, digest in undecoded.read():
            held.add(pack(self._erasures.taken(event, conversation) if self._erasures else event, digest))
            self._hear(event)
        self.unreadable += len(undecoded.contents) - held.count
        if held.events:
            return held
        del self[conversation]
        return None

    def erase(self) -> Iterator[str]:
        """Forget who it was wherever an erased key stands; the conversations that this changed.

        Looks at every event: erasures are rare.
        """
        for conversation, held in list(self.items()):
            if held.undecoded is not None:
                if self._erasures.are_written(held.undecoded.contents) and self.decoded(conversation) is not None:
                    yield conversation
            elif (events := self._erasures.held(held.events, conversation)) is not None:
                held.events = events
                yield conversation
