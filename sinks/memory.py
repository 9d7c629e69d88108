"""A sink and reader in memory with the contract of the real ones: for tests, and for trying things without a server."""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from schemas.alerts import QUIET, AlertTransition
from schemas.facts import NAMES, Row
from schemas.incidents import IncidentTransition
from schemas.naming import hashes_of
from schemas.rolling import Published, RollingRow
from schemas.vocabulary import SCHEMA_VERSION
from sinks.erasing import anonymous_event, sealed_facts
from sinks.landing import Erasure, Landing, RetiredRow, UnitRow
from sinks.reading import Key, LandedEvent, LandedNames, LandedVersion
from sinks.tables import (
    ALERTS,
    CONVERSATION_VERSIONS,
    CONVERSATIONS,
    DEAD_LETTERS,
    DISTRICTS,
    EVENTS,
    INCIDENTS,
    RETIRED,
    ROLLING,
    ROLLING_SLICES,
    TABLES,
    UNITS,
    Table,
    earliest,
)

Rows = dict[tuple[Any, ...], dict[str, Any]]


class MemorySink:
    """Keeps each table as a dictionary by its key; the row with the highest `replaced_by` stays, on a tie the last.

    `failures` are raised one by one by the next landings: (before which table, error).
    """

    def __init__(self, failures: Iterable[tuple[str, Exception]] = ()) -> None:
        self._tables: dict[str, Rows] = {table.name: {} for table in TABLES}
        self._failures = list(failures)

    def land(self, landing: Landing) -> None:
        """Land all rows, table by table in the order of `ClickHouseSink.land`."""
        at = landing.landed_at_ms
        self._insert(DEAD_LETTERS, landing.dead_letters, at)
        self._insert(DISTRICTS, landing.configurations, at)
        self._insert(UNITS, landing.units, at)
        self._insert(EVENTS, landing.events, at)
        self._insert(CONVERSATION_VERSIONS, landing.conversations, at)
        self._insert(CONVERSATIONS, landing.conversations, at)
        self._insert(ALERTS, landing.alerts, at)
        self._insert(INCIDENTS, landing.incidents, at)
        self._insert(ROLLING, landing.rolling, at)
        self._insert(ROLLING_SLICES, landing.slices, at)
        for erasure in landing.erasures:
            self._erase(erasure)

    def close(self) -> None:
        """Nothing is held."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table that count, in the order of its key."""
        return [row for _, row in sorted(self._tables[table].items())]

    def district_events(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these districts, once: ordered by district, conversation, event_id, digest."""
        return (_landed(row) for row in self._staying() if row["district"] in districts)

    def standing_events(self, districts: Sequence[str], since_ms: int) -> Iterator[LandedEvent]:
        """Every event of the districts themselves and of the conversations that stand, in the same order."""
        told: dict[tuple[str, str], tuple[int, bool]] = {}
        for row in self.rows("conversations"):
            key = row["district"], row["conversation"].partition("~")[0]
            is_open = not row["retracted"] and "open" in (*row["waits.outcome"], *row["verdicts.outcome"])
            due = (at for at in (*row["waits.school_day_at"], *row["verdicts.due_at"]) if at is not None)
            is_open = is_open or max(due, default=0) >= since_ms
            known, was_open = told.get(key, (row["events"], False))
            told[key] = min(known, row["events"]), was_open or is_open
        log: dict[Key, list[int]] = defaultdict(list)
        merges = set()
        for row in self._staying():
            touched = log[row["district"], row["conversation"]]
            if _counts(row):
                touched.append(row["occurred_at"])
            if row["kind"] in ("merge", "unmerge"):
                merges.add((row["district"], row["conversation"]))
        standing = {
            key
            for key, touched in log.items()
            if not key[1] or max(touched, default=0) >= since_ms or told.get(key, (0, False)) != (len(touched), False)
        } | merges
        return (
            _landed(row)
            for row in self._staying()
            if row["district"] in districts and (row["district"], row["conversation"]) in standing
        )

    def configurations(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """The configuration events of these districts, in the same order."""
        return (
            _landed(row)
            for row in self.rows("events")
            if row["district"] in districts and row["kind"] == "district_configured"
        )

    def events_of(self, district: str, conversations: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these conversations of a district, once; '' stands for the district's own events."""
        return (
            _landed(row)
            for row in self._staying()
            if row["district"] == district and row["conversation"] in conversations
        )

    def outdated(self, district: str, below: int, after: str, most: int) -> list[str]:
        """Names of rows of a lower version than `below`, in order, those after a name, at most so many."""
        rows = (row for row in self.rows("conversations") if row["district"] == district and row["version"] < below)
        names = [row["conversation"] for row in rows if row["conversation"] > after]
        return [name for name in names if (district, name.partition("~")[0]) not in self._tables["retired"]][:most]

    def naming(self, district: str, key_digest: str, since_ms: int) -> list[str]:
        """Conversations, sorted, with an event that names a person: received since an instant, or named in a merge."""
        wanted = Erasure(district, key_digest, since_ms)
        rows = [row for row in self.rows("events") if row["district"] == district]
        merges = [row for row in rows if row["kind"] in ("merge", "unmerge")]
        merged = {name for row in merges for name in (row["conversation"], json.loads(row["content"])["into"])}
        late = (row for row in rows if row["received_at"] >= since_ms or row["conversation"] in merged)
        return sorted({row["conversation"] for row in late if row["conversation"] and anonymous_event(row, wanted)})

    def erased(self, districts: Collection[str]) -> dict[str, dict[str, int]]:
        """The keys that these districts erased, by district, with the first receipt of their erasure, ms."""
        found: dict[str, dict[str, int]] = {}
        for row in self.rows("events"):
            if row["district"] in districts and row["kind"] == "erased":
                known = found.setdefault(row["district"], {})
                key = json.loads(row["content"])["key_digest"]
                known[key] = min(row["received_at"], known.get(key, row["received_at"]))
        return found

    def still_named(self, district: str) -> list[tuple[str, Erasure]]:
        """Erasures of which rows still hold the key, by table."""
        erasures = [Erasure(district, key, at) for key, at in sorted(self.erased([district]).get(district, {}).items())]
        facts = [
            (table, erasure)
            for table in ("conversation_versions", "conversations")
            for erasure in erasures
            if any(
                row != row | sealed_facts(row, erasure.key_digest)
                for row in self.rows(table)
                if row["district"] == district
            )
        ]
        events = [row for row in self.rows("events") if row["district"] == district]
        return facts + [("events", each) for each in erasures if any(anonymous_event(row, each) for row in events)]

    def versions_of(self, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, LandedVersion]]:
        """The landed versions of conversations, given by district, and of all their parts: by district and name."""
        asked = {district: set(names) for district, names in wanted.items()}
        found: defaultdict[str, dict[str, LandedVersion]] = defaultdict(dict)
        for row in self.rows("conversations"):
            if row["conversation"].partition("~")[0] in asked.get(row["district"], ()):
                found[row["district"]][row["conversation"]] = LandedVersion(row["version"], row["retracted"])
        return dict(found)

    def landed_names(self, districts: Sequence[str]) -> dict[str, LandedNames]:
        """What the rows of these districts are named, of those that have any."""
        own: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows("conversations"):
            if row["district"] in districts:
                own[row["district"]].append(row)
        return {
            district: LandedNames(
                hashes_of(row["conversation"] for row in rows if "~" not in row["conversation"]),
                [row["conversation"] for row in rows if "~" in row["conversation"] and not row["retracted"]],
                min(row["version"] for row in rows),
            )
            for district, rows in own.items()
        }

    def running(self, districts: Sequence[str], since_ms: int) -> list[Key]:
        """Rows of these districts with a running promise clock, what happens next first."""
        steps = [f"verdicts.{step}_at" for step in ("at_risk", "breach", "escalated_50", "escalated_100")]
        found = []
        for row in self.rows("conversations"):
            if row["district"] in districts and not row["retracted"] and "open" in row["verdicts.outcome"]:
                instants = (at for step in steps for at in row[step] if at is not None and at >= since_ms)
                found.append((min(instants, default=math.inf), row["district"], row["conversation"]))
        return [(district, name) for _, district, name in sorted(found)]

    def alerts(self, districts: Sequence[str]) -> list[AlertTransition]:
        """Every alert transition that has landed of these districts, once."""
        names = AlertTransition._fields
        rows = (row for row in self.rows("alerts") if row["district"] in districts)
        return [AlertTransition(*(row[name] for name in names)) for row in rows]

    def alerts_of(self, district: str, conversations: Sequence[str]) -> list[AlertTransition]:
        """The same of these conversations of a district, with all their parts."""
        return [one for one in self.alerts([district]) if one.conversation.partition("~")[0] in conversations]

    def alerted(self, districts: Sequence[str], since_ms: int) -> list[tuple[str, str, int]]:
        """Every conversation that an alert has landed of, and whether it may still matter."""
        told: defaultdict[Key, list[AlertTransition]] = defaultdict(list)
        for one in self.alerts(districts):
            told[one.district, one.conversation.partition("~")[0]].append(one)
        return [
            (
                *key,
                int(
                    any(one.at >= since_ms for one in own)
                    or sum((one.muted == QUIET) - one.is_release for one in own) > 0
                ),
            )
            for key, own in sorted(told.items())
        ]

    def incidents(self, districts: Sequence[str]) -> list[IncidentTransition]:
        """Every transition of an incident that has landed of these districts, once."""
        names = IncidentTransition._fields
        rows = (row for row in self.rows("incidents") if row["district"] in districts)
        return [IncidentTransition(*(row[name] for name in names)) for row in rows]

    def rolling_since(self, district: str, units: Sequence[str], since_ms: int) -> list[RollingRow]:
        """The rolling rows of these units since an instant, in order of time."""
        names = RollingRow._fields
        rows = [
            row
            for row in self.rows("rolling")
            if row["district"] == district and row["unit"] in units and row["at"] >= since_ms
        ]
        return [RollingRow(*(row[name] for name in names)) for row in sorted(rows, key=lambda row: row["at"])]

    def published(self, districts: Sequence[str]) -> list[Published]:
        """What the newest rolling rows say of each unit's ratings, sorted by district and unit."""
        rows = [
            row
            for row in self.rows("rolling")
            if row["district"] in districts and (row["channel"], row["window"]) == ("all", "28d")
        ]
        newest = {row["district"]: row["at"] for row in rows if row["unit"] == row["district"]}
        names = Published._fields
        return [Published(*(row[name] for name in names)) for row in rows if row["at"] == newest[row["district"]]]

    def facts(self, district: str, names: Sequence[str]) -> Iterator[Row]:
        """The rows of a district that count under these names, retracted ones too: as the core makes them."""
        return (
            tuple(row[name] for name in NAMES)
            for row in self.rows("conversations")
            if row["district"] == district and row["conversation"] in names
        )

    def units(self, district: str) -> list[UnitRow]:
        """The unit tree that counts: the rows of the highest version, sorted by unit."""
        rows = [row for row in self.rows("units") if row["district"] == district]
        newest = max((row["version"] for row in rows), default=0)
        return [UnitRow(*(row[name] for name in UnitRow._fields)) for row in rows if row["version"] == newest]

    def unit_versions(self, districts: Sequence[str]) -> dict[str, int]:
        """The version of the unit tree that counts, of those of these districts that have one."""
        rows = sorted(self.rows("units"), key=lambda row: int(row["version"]))
        return {row["district"]: row["version"] for row in rows if row["district"] in districts}

    def districts(self) -> list[str]:
        """Every district that has an event or had one, sorted."""
        return sorted({row["district"] for table in ("events", "retired") for row in self.rows(table)})

    def retired(self, districts: Sequence[str]) -> list[Key]:
        """Every conversation of these districts whose events left by retention, by (district, conversation)."""
        return [(row["district"], row["conversation"]) for row in self.rows("retired") if row["district"] in districts]

    def retired_of(self, district: str, conversations: Iterable[str]) -> set[str]:
        """Those of these conversations whose events left by retention, or are about to."""
        return {name for name in conversations if (district, name) in self._tables["retired"]}

    def mark(self, rows: Sequence[RetiredRow]) -> None:
        """Mark conversations, as `sinks.retention.Retention` does."""
        self._insert(RETIRED, rows, 0)

    def remove_events(self) -> None:
        """Let the events of all marked conversations go."""
        events = self._tables["events"]
        for key in [key for key in events if key[:2] in self._tables["retired"]]:
            del events[key]

    def _staying(self) -> list[dict[str, Any]]:
        """Events but for those that came for a retired conversation."""
        gone = self._tables["retired"]
        return [row for row in self.rows("events") if (row["district"], row["conversation"]) not in gone]

    def _erase(self, erasure: Erasure) -> None:
        for row in self._tables["events"].values():
            if row["district"] == erasure.district:
                row |= anonymous_event(row, erasure)
        for table in ("conversations", "conversation_versions"):
            for row in self._tables[table].values():
                if row["district"] == erasure.district:
                    row |= sealed_facts(row, erasure.key_digest)

    def _insert(self, table: Table, rows: Sequence[Sequence[Any]], at: int) -> None:
        if rows and self._failures and self._failures[0][0] == table.name:
            raise self._failures.pop(0)[1]
        kept = self._tables[table.name]
        for values in rows:
            row = dict(zip(table.names, values, strict=False)) | {"landed_at": at}
            if table.replaced_by == "earliest":
                row["earliest"] = earliest(row.get("received_at", at))
            key = tuple(row[name] for name in table.order_by)
            if key not in kept or row[table.replaced_by] >= kept[key][table.replaced_by]:
                kept[key] = row


def _counts(row: dict[str, Any]) -> bool:
    return bool(row["understood"]) or row["schema_version"] <= SCHEMA_VERSION


def _landed(row: dict[str, Any]) -> LandedEvent:
    names = ("district", "conversation", "event_id", "digest", "kind", "understood", "received_at", "content")
    landed = LandedEvent(*(row[name] for name in names))
    return landed._replace(understood=int(row["understood"] and row["schema_version"] <= SCHEMA_VERSION))
