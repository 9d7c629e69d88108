"""What is kept for how long: whole conversations leave by the age of their last activity, other rows by their own.

    choose    conversations in which nothing happened for so long, that wait for nothing, and whose rows count all
              their events; those that a merge ever named together leave together
    mark      them in `retired`: from then on no worker reads their events back, and what comes for them is refused
    look      once more, when whatever was under way has landed: what was touched meanwhile loses its mark
    remove    the events of the others; facts, alerts and versions of facts that are old enough; rows of their own age

Cut off at any place, the next call goes on: marks that are not final are taken back, final ones stay for ever. Blocks;
raises `Unavailable` or `Refused`, and may be repeated then.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sinks.landing import RetiredRow
from sinks.retention import Aged, Cutoffs, Retention
from streams.core.merging import Links

Progress = Callable[[str], None]
"""Hears what is done, in a word or two."""


@dataclass(frozen=True, slots=True)
class Retained:
    """What left, or would: conversations, and rows by table. `held`: old enough, but waiting or with a row behind."""

    conversations: int
    held: int
    rows: dict[str, int] = field(default_factory=dict)


def apply(
    store: Retention, districts: Sequence[str], cutoffs: Cutoffs, now_ms: int, settle_seconds: float, progress: Progress
) -> Retained:
    """Let everything go that is old enough. `settle_seconds`: until what workers have under way has landed."""
    progress("looking for marks of a call that was cut off")
    store.withdraw()
    chosen, held = _chosen(store, districts, cutoffs, now_ms, progress)
    if chosen:
        store.mark(chosen)
        time.sleep(settle_seconds)
        marked = {row[:2] for row in chosen}
        again, _ = _chosen(store, districts, cutoffs, now_ms, progress)
        chosen = [row._replace(final=1) for row in again if row[:2] in marked]
        store.mark(chosen)
        store.withdraw()
    progress("counting")
    rows = store.counts(cutoffs)
    progress("removing")
    store.remove(cutoffs)
    return Retained(len(chosen), held, rows)


def foresee(store: Retention, districts: Sequence[str], cutoffs: Cutoffs, now_ms: int, progress: Progress) -> Retained:
    """What `apply` would do; changes nothing."""
    chosen, held = _chosen(store, districts, cutoffs, now_ms, progress)
    progress("counting")
    return Retained(len(chosen), held, store.counts(cutoffs, chosen))


def _chosen(
    store: Retention, districts: Sequence[str], cutoffs: Cutoffs, now_ms: int, progress: Progress
) -> tuple[list[RetiredRow], int]:
    """Marks of all conversations that may leave, and how many are old enough and may not."""
    rows: list[RetiredRow] = []
    held = 0
    for district in districts:
        progress(district)
        links = Links()
        for one, other in store.merges(district):
            links.add(one, other)
        aged = {each.conversation: each for each in store.aged(district, cutoffs.events)}
        for names in _together(aged, links):
            present = [aged[name] for name in names if name in aged]
            if _may_leave(present, cutoffs):
                last_ms = max(each.last_ms for each in present)
                counts = {each.conversation: each.events for each in present}
                rows.extend(RetiredRow(district, name, last_ms, counts.get(name, 0), now_ms, 0) for name in names)
            else:
                held += sum(each.last_ms < cutoffs.events for each in present)
    return rows, held


def _together(aged: dict[str, Aged], links: Links) -> Iterator[list[str]]:
    """Conversations alone, and those that a merge ever named together; also names that no event has come for."""
    seen: set[str] = set()
    for name in aged:
        if name not in seen:
            names = links.together(name) if name in links else [name]
            seen.update(names)
            yield names


def _may_leave(present: Sequence[Aged], cutoffs: Cutoffs) -> bool:
    """Whether conversations that are folded together are old, wait for nothing, and have rows that count everything."""
    known = sum(each.known for each in present)
    return all(
        each.last_ms < cutoffs.events and each.landed_ms < cutoffs.landed and not each.is_open and each.counted == known
        for each in present
    )
