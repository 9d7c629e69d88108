"""What an audit found: rows by what is wrong with them, of one district while it is looked at, and of all together."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from schemas.facts import Row
from streams.audit.comparing import (
    BEHIND,
    EXTRA,
    LATE,
    MISMATCH,
    MISSING,
    OF_CONVERSATIONS,
    Difference,
    Table,
    Verdict,
    compare,
)
from streams.core.parts import whole_name


@dataclass(slots=True)
class Findings:
    """An audit's result, and the first differences.

    `rows` are rows computed anew, by table; `unreadable` events that landed and cannot be read or folded by this
    release; `not_understood` events kept for a newer one; `retired` conversations whose events left by retention:
    nothing can be compared with their rows. `days_aside` are cells of which it is not clear what they should
    hold; `minutes_aside` minutes of rolling rows of which it is not clear what
    was known by then; `moving` rows that landed anew each time they were looked at.
    """

    districts: int = 0
    events: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    mismatches: int = 0
    missing: int = 0
    extra: int = 0
    behind: int = 0
    unreadable: int = 0
    not_understood: int = 0
    retired: int = 0
    days_aside: int = 0
    minutes_aside: int = 0
    moving: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def different(self) -> int:
        """Rows that are not what the events give."""
        return self.mismatches + self.missing + self.extra + self.behind

    def add(self, found: "Rows", differences_kept: int) -> None:
        """Count what was found in a district and keep the first differences, in order of table and name."""
        kinds = Counter[str]()
        for verdict in sorted(found.verdicts(), key=lambda each: each.differences[0][1:4]):
            kinds[verdict.kind] += 1
            self.differences.extend(verdict.differences[: differences_kept - len(self.differences)])
        self.mismatches += kinds[MISMATCH]
        self.missing += kinds[MISSING]
        self.extra += kinds[EXTRA]
        self.behind += kinds[BEHIND]
        self.days_aside += found.days_aside
        self.minutes_aside += found.minutes_aside
        self.moving += found.moving
        for table, number in found.counts().items():
            self.rows[table] = self.rows.get(table, 0) + number


class Rows:
    """What was found of one district's rows, by table and by what they are about: a later look replaces an earlier."""

    def __init__(self) -> None:
        self.days_aside = 0
        self.minutes_aside = 0
        self.moving = 0
        self._seen: defaultdict[str, set[str]] = defaultdict(set)
        self._numbers: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._verdicts: dict[tuple[str, str], list[Verdict]] = {}
        self._others = Counter[str]()

    def judge(self, table: Table, landed: Row | None, recomputed: Row | None) -> None:
        """Compare one row that is looked at once, and keep what is wrong with it."""
        self._others[table.name] += recomputed is not None
        verdict = compare(table, landed, recomputed)
        if verdict is not None:
            self._verdicts.setdefault((table.name, verdict.differences[0].name), []).append(verdict)

    def rejudge(self, table: Table, name: str, landed: Row | None, recomputed: Row | None) -> None:
        """The same of one that may be looked at again."""
        if recomputed is not None:
            self._seen[table.name].add(name)
        verdict = compare(table, landed, recomputed)
        self._keep(table.name, name, [] if verdict is None else [verdict])

    def say(self, table: str, name: str, number: int, verdicts: list[Verdict]) -> None:
        """What is wrong with what a table has about one thing, which should be so many rows; replaces what was said."""
        if number:
            self._numbers[table][name] = number
        self._keep(table, name, verdicts)

    def _keep(self, table: str, name: str, verdicts: list[Verdict]) -> None:
        if verdicts:
            self._verdicts[table, name] = verdicts
        else:
            self._verdicts.pop((table, name), None)

    def number(self, table: Table) -> int:
        """Rows that were computed anew, of one that may be looked at again."""
        return len(self._seen[table.name])

    def is_seen(self, table: Table, name: str) -> bool:
        """Whether such a row was computed anew."""
        return name in self._seen[table.name]

    def leave_out(self, retired: Container[str]) -> None:
        """Forget what is wrong with rows of these conversations."""
        for table, name in list(self._verdicts):
            if table in OF_CONVERSATIONS and whole_name(name)[0] in retired:
                del self._verdicts[table, name]

    def verdicts(self) -> Iterator[Verdict]:
        """Everything that is wrong."""
        return (verdict for each in self._verdicts.values() for verdict in each)

    def counts(self) -> Counter[str]:
        """Rows computed anew, by table."""
        found = self._others + Counter({table: len(names) for table, names in self._seen.items()})
        for table, numbers in self._numbers.items():
            found[table] += sum(numbers.values())
        return +found

    def late(self) -> list[str]:
        """Names of conversations, or of their parts, with a row that may differ because the stream ran on."""
        return sorted(
            {
                name
                for (table, name), verdicts in self._verdicts.items()
                if table in OF_CONVERSATIONS and _any_late(verdicts)
            }
        )

    def leave_out_moving(self, before: Mapping[tuple[str, str], list[Verdict]]) -> None:
        """Leave aside what is late in another way than it was before."""
        for key, verdicts in self.late_verdicts().items():
            if before.get(key) != verdicts:
                del self._verdicts[key]
                self.moving += len(verdicts)

    def late_verdicts(self) -> dict[tuple[str, str], list[Verdict]]:
        """Everything that is wrong of rows that may differ because the stream ran on, by table and name."""
        return {key: verdicts for key, verdicts in self._verdicts.items() if key[0] in LATE and _any_late(verdicts)}


def _any_late(verdicts: Iterable[Verdict]) -> bool:
    return any(verdict.is_late for verdict in verdicts)
