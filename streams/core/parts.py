"""One thread, several concerns: a message long after a resolve begins a conversation of its own.

By telephone the thread of one number with one line never ends, so the school days after a resolve separate concerns.
Source: docs/definitions.md, "Linked conversation".
"""

from collections.abc import Sequence

from streams.core.configuration import Configuration
from streams.core.ownership import Ownership
from streams.core.packed import Inquiry, Packed, StatusChanged
from streams.core.story import is_staff_reply, opening_of, opens_wait

DAY_MS = 86_400_000
LINKED_AFTER_DAYS = 14
MARK = "~"


def part_name(conversation: str, number: int) -> str:
    """Key of a part's row, from 1; the first is the conversation itself. No identifier holds the mark."""
    return conversation if number == 1 else f"{conversation}{MARK}{number}"


def whole_name(name: str) -> tuple[str, int]:
    """The conversation and the number of a part's name."""
    conversation, _, number = name.partition(MARK)
    return conversation, int(number or 1)


def parts(events: Sequence[Packed], configuration: Configuration) -> list[Sequence[Packed]]:
    """The events cut before each qualifying message that came over 14 school days after a resolve still in force."""
    found: list[Sequence[Packed]] = []
    begin = 0
    resolved_ms: int | None = None
    for index, event in enumerate(events):
        if type(event) is StatusChanged:
            if event.status == "resolved":
                resolved_ms = event.at_ms
            elif event.status == "reopened":
                resolved_ms = None
        elif resolved_ms is not None and type(event) is Inquiry and opens_wait(event):
            own = events[begin:index]
            if event.at_ms - resolved_ms > LINKED_AFTER_DAYS * DAY_MS and _is_over(
                own, resolved_ms, event.at_ms, configuration
            ):
                found.append(own)
                begin = index
            resolved_ms = None
    found.append(events[begin:] if begin else events)
    return found


def _is_over(own: Sequence[Packed], resolved_ms: int, at_ms: int, configuration: Configuration) -> bool:
    # A source that tells of a resolve before the inquiry disagrees with itself; no concern has ended by that.
    if not any(type(event) is Inquiry or is_staff_reply(event) for event in own):
        return False
    until = Ownership(own, opening_of(own), configuration).after_school_days(resolved_ms, LINKED_AFTER_DAYS)
    return until is not None and at_ms >= until
