"""Conversations that a merge ever named together, folded as one whole; of one alone in most cases."""

from collections.abc import Mapping

from schemas.facts import Row
from streams.core.arrival import Conversation
from streams.core.configuration import Configuration
from streams.core.conversation import Whole, fold
from streams.core.corrections import corrected
from streams.core.merging import as_one, groups


def known_of(held: Mapping[str, Conversation]) -> tuple[int, int]:
    """Events known of these conversations, and how many of them are refused."""
    return sum(each.count for each in held.values()), sum(each.refused for each in held.values())


def fold_together(district: str, held: Mapping[str, Conversation], configuration: Configuration) -> list[Row]:
    """The rows of these conversations, by name; raises whatever the fold of one of their events raises."""
    if len(held) == 1:
        ((name, alone),) = held.items()
        whole = Whole(alone.count, len(alone.losers), refused=alone.refused)
        return fold((district, name), corrected(alone.counting), configuration, whole)
    known, refused = known_of(held)
    right = {name: corrected(each.counting) for name, each in held.items()}
    rows: list[Row] = []
    for primary, names in groups(right).items():
        conflicts = sum(len(held[name].losers) for name in names)
        whole = Whole(known, conflicts, len(names) - 1, refused=refused)
        rows.extend(fold((district, primary), as_one(right, names), configuration, whole))
        for name in names[1:]:
            whole = Whole(known, len(held[name].losers), 0, primary, refused)
            rows.extend(fold((district, name), right[name], configuration, whole))
    return rows
