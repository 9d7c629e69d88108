"""A row put in the place of one that landed otherwise under the same version.

It is written with the key and the `earliest` of the one that stands, and on a tie the last written counts, at once and
after every merge. So nothing is ever missing between. Blocks; raises the driver's errors.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from clickhouse_driver import Client

from schemas.facts import CONVERSATION, NAMES, Row
from sinks.queries import raw
from sinks.tables import CONVERSATION_VERSIONS, EARLIEST, Table, earliest


class Stamps(NamedTuple):
    """What a row says of its landing: when, ms UTC, and `earliest`, by which the first of equal rows wins."""

    landed_at: int
    earliest: int


_NAME, _VERSION = NAMES.index("conversation"), NAMES.index("version")
_NEWEST = """
SELECT {facts}
FROM conversation_versions FINAL
WHERE district = %(district)s AND (conversation, version) IN (
    SELECT conversation, max(version) FROM conversation_versions
    WHERE district = %(district)s AND conversation IN asked
    GROUP BY conversation
)
""".replace("{facts}", ", ".join(map(raw, CONVERSATION)))
# Where the version itself is lost, the row that it was passed on to knows when it landed.
_LANDED = """
SELECT conversation, at, first FROM (
    SELECT conversation, toUnixTimestamp64Milli(landed_at) AS at, earliest AS first, 1 AS is_version
    FROM conversation_versions FINAL
    WHERE district = %(district)s AND (conversation, version) IN asked
    UNION ALL
    SELECT conversation, toUnixTimestamp64Milli(landed_at) AS at, toUInt64({earliest} - at) AS first, 0 AS is_version
    FROM conversations FINAL
    WHERE district = %(district)s AND (conversation, version) IN asked
)
ORDER BY is_version
""".replace("{earliest}", str(EARLIEST))


def newest_versions(client: Client, district: str, names: Iterable[str]) -> Iterator[Row]:
    """The newest version of facts that landed under each of these names, as the core makes it."""
    asked = {"name": "asked", "structure": [("conversation", "String")], "data": [(name,) for name in names]}
    if not asked["data"]:
        return
    columns = client.execute(_NEWEST, {"district": district}, external_tables=[asked], columnar=True)
    pairs = zip(CONVERSATION, columns, strict=True) if columns else ()
    yield from zip(*(map(tuple, c) if "Array" in kind.type else c for kind, c in pairs), strict=True)


def mend_unlike(client: Client, district: str, rows: Sequence[Row], at_ms: int) -> None:
    """Put those of these rows, which have all landed, in the place of another that stands under their version."""
    newest = {row[_NAME]: row for row in newest_versions(client, district, (row[_NAME] for row in rows))}
    mend_facts(client, district, [row for row in rows if newest.get(row[_NAME], row) != row], at_ms)


def mend_facts(client: Client, district: str, rows: Sequence[Row], at_ms: int) -> list[Row]:
    """Put rows of facts in the place of those of their version that landed before; the others are given back.

    The version stays known since its first landing. What is passed on to `conversations` is stamped with `at_ms`,
    so that the days that it counts in are made anew.
    """
    first = _first_landings(client, district, rows)
    again = [(*row, *first[row[_NAME]]) for row in rows if row[_NAME] in first]
    put(client, CONVERSATION_VERSIONS, [*again, *((*row[:-2], at_ms, earliest(at_ms)) for row in again)])
    return [row for row in rows if row[_NAME] not in first]


def _first_landings(client: Client, district: str, rows: Iterable[Row]) -> dict[str, Stamps]:
    data = [(row[_NAME], row[_VERSION]) for row in rows]
    if not data:
        return {}
    asked = {"name": "asked", "structure": [("conversation", "String"), ("version", "UInt64")], "data": data}
    found = client.execute(_LANDED, {"district": district}, external_tables=[asked])
    return {name: Stamps(*stamps) for name, *stamps in found}


def put(client: Client, table: Table, rows: Sequence[Row]) -> None:
    """Insert whole rows, what belongs to their landing included."""
    if rows:
        client.execute(table.insert, list(zip(*rows, strict=True)), columnar=True)
