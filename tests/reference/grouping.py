"""Which threads are one: spam, merges, and the parts of a thread that began again long after its end."""

from typing import NamedTuple

from tests.reference.owners import Owners
from tests.reference.reading import Item, Thread, is_message, is_reply, is_status, opening
from tests.reference.setting import Setting

PART_DAYS = 14
SKEW = 5 * 60_000


class Group(NamedTuple):
    """Conversations that are one; alone, a group of its own."""

    primary: str
    members: list[str]


def is_spam(items: list[Item]) -> bool:
    """The later of `spam` and `not_spam` counts."""
    words = [item.event.kind for item in items if item.event.kind in ("spam", "not_spam")]
    return bool(words) and words[-1] == "spam"


def counts_nowhere(thread: Thread) -> bool:
    """Spam, or nothing but what came of persons erased before."""
    return is_spam(thread.items) or thread.refused + thread.conflicts == thread.contents


def _words(threads: dict[str, Thread]) -> list[Item]:
    words = [item for thread in threads.values() for item in thread.items if item.event.kind in ("merge", "unmerge")]
    return sorted(words, key=lambda item: (item.at, item.event.event_id, item.event.kind == "merge"))


def _connected(name: str, pairs: list[frozenset[str]]) -> set[str]:
    found = {name}
    for _ in pairs:
        for pair in pairs:
            if pair & found:
                found |= pair
    return found


def merged(threads: dict[str, Thread]) -> dict[str, Group]:
    """The group of each conversation that is not spam and has events."""
    last: dict[frozenset[str], str] = {}
    for item in _words(threads):
        last[frozenset((item.event.conversation, item.event.into))] = item.event.kind
    good = {name for name, thread in threads.items() if not counts_nowhere(thread)}
    pairs = [pair for pair, kind in last.items() if kind == "merge" and pair <= good]
    groups: dict[str, Group] = {}
    for name in good:
        members = sorted(_connected(name, pairs), key=lambda member: (_began(threads[member].items), member))
        groups[name] = Group(members[0], members)
    return groups


def _began(items: list[Item]) -> int:
    """The start: the district's first word before the opening, unless its clock only ran a little behind."""
    first = opening(items)
    words = [item for item in items if is_reply(item) and (first is None or item.at < first.at)]
    if first is not None and all(
        word.event.source != first.event.source and first.at - word.at <= SKEW for word in words
    ):
        return first.at
    return words[0].at if words else items[0].at


def ever_named_together(name: str, threads: dict[str, Thread]) -> set[str]:
    """The conversation and all that a merge ever named with it, also through others."""
    pairs = [frozenset((one, other)) for one, thread in threads.items() for other in thread.named]
    return _connected(name, pairs) & set(threads)


def parts(items: list[Item], setting: Setting) -> list[list[Item]]:
    """The thread cut before each message that came after the 14th school day after a resolve."""
    found: list[list[Item]] = [[]]
    resolved: int | None = None
    for item in items:
        if is_message(item):
            if resolved is not None and _is_over(found[-1], resolved, item.at, setting):
                found.append([])
            resolved = None
        elif is_status(item, "resolved"):
            resolved = item.at
        elif is_status(item, "reopened"):
            resolved = None
        found[-1].append(item)
    return found


def _is_over(items: list[Item], resolved: int, at: int, setting: Setting) -> bool:
    if not any(item.event.kind == "inquiry" or is_reply(item) for item in items):
        return False
    owner = Owners(items, setting).at(resolved)
    end = setting.hours(owner).end_of_school_day(resolved, PART_DAYS)
    return end is not None and at >= end
