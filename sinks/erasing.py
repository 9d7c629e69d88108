"""What has landed of an erased person, made anonymous: events and facts keep what happened, and lose who it was.

Everything here may be done again. Events are written once more under their own key before the older rows are removed,
so that none is missing meanwhile. What names somebody is in no row when `erase` returns, and gone from the disk when
the server has let go of the parts that held it (`old_parts_lifetime`). Only parts with such rows are rewritten.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from clickhouse_driver import Client

from schemas.facts import NAMES
from schemas.vocabulary import SCHEMA_VERSION
from sinks.landing import Erasure
from sinks.mutating import mutate
from sinks.tables import EVENTS
from streams.core.erasure import (
    FIELDS,
    STAND_IN_DIGITS,
    bare_content,
    digest_of_key,
    keys_beside,
    refused_content,
    sealed_content,
)
from streams.core.packed import REFUSED

KEYS_PER_STATEMENT = 5_000
READABLE = f"(understood = 1 AND schema_version <= {SCHEMA_VERSION})"
# Where the fields are not known, a key may stand in any.
HOLDS = " OR ".join(
    [
        *(f"lower(hex(SHA256(JSONExtractString(content, '{field}')))) = %(key_digest)s" for field in FIELDS),
        f"NOT {READABLE} AND arrayExists(key -> lower(hex(SHA256(key))) = %(key_digest)s "
        """AND key != conversation AND key != event_id, extractAll(content, '"([0-9a-f]{16,64})"'))""",
    ]
)
_KEY = "sipHash64(conversation, event_id, digest)"
# Also what a sealed row has replaced already: whoever wrote that may have died before the older one was removed.
_FOUND = f"""
SELECT {_KEY}, {{columns}} FROM events WHERE district = %(district)s AND ({HOLDS}) ORDER BY earliest
""".replace(  # noqa: S608 -- only names of our own are put in
    "{columns}",
    ", ".join(f"toUnixTimestamp64Milli({c.name})" if "DateTime64" in c.type else f"`{c.name}`" for c in EVENTS.columns),
)
_DIGEST = "lower(hex(SHA256({})))"
# Only what was found and written anew: what landed since has no other row.
_REMOVED = f"ALTER TABLE events DELETE WHERE district = %(district)s AND {_KEY} IN %(keys)s AND ({HOLDS})"
_IS = f"{_DIGEST} = %(key_digest)s"
_KEYS_OF_FACTS = f"""arrayConcat(
    [{_DIGEST.format("person")}, {_DIGEST.format("first_response_staff")}],
    arrayMap(rater -> {_DIGEST.format("rater")}, `ratings.rater`)
)"""
# As `streams.core.erasure` makes it, of the key itself and the conversation's own name.
_STAND_IN = f"substring(lower(hex(SHA256(concat(splitByChar('~', conversation)[1], '/', {{}})))), 1, {STAND_IN_DIGITS})"
_TOOK_PART = f"({_IS.format('person')} OR {_IS.format('first_response_staff')})"
_RATED = f"arrayExists(rater -> {_IS.format('rater')}, `ratings.rater`)"
_NAMED = f"({_TOOK_PART} OR {_RATED})"
_SEALED_RATERS = f"arrayMap(rater -> if({_IS.format('rater')}, {_STAND_IN.format('rater')}, rater), `ratings.rater`)"
# Ratings stand in order of (rater, survey), those that are told apart by a merge behind all others: as the core does.
_PLACES = f"""arrayMap(
    (rater, survey, named, number) -> (if(rater = '' AND named > 0, '~', rater), if(rater = '', '', survey), number),
    {_SEALED_RATERS}, `ratings.survey`,
    arrayCumSum(rater -> rater != '', `ratings.rater`), arrayEnumerate(`ratings.rater`)
)"""
_RATINGS = ", ".join(
    f"`{name}` = arraySort((value, place) -> place, {column}, {_PLACES})"
    for name, column in ((n, _SEALED_RATERS if n == "ratings.rater" else f"`{n}`") for n in NAMES if "ratings." in n)
)
# The ratings' statement takes ClickHouse a while to understand; most people rated nothing.
_CHANGES = (
    (
        _TOOK_PART,
        f"person = if({_IS.format('person')}, '', person), first_response_staff = if("
        f"{_IS.format('first_response_staff')}, {_STAND_IN.format('first_response_staff')}, first_response_staff)",
    ),
    (_RATED, _RATINGS),
)
_LEFT = f"""
SELECT
    (SELECT count() FROM events WHERE district = %(district)s AND ({HOLDS}))
    + (SELECT count() FROM conversations WHERE district = %(district)s AND {_NAMED})
    + (SELECT count() FROM conversation_versions WHERE district = %(district)s AND {_NAMED})
"""  # noqa: S608 -- only the fragments above are put in

# Of each table, whose keys its rows hold; replaced rows included.
_STILL = f"""
SELECT DISTINCT table, key FROM (
    SELECT 'events' AS table, arrayJoin(arrayConcat(
        [{{of_fields}}],
        if({READABLE}, [], arrayMap(
            name -> {_DIGEST.format("name")},
            arrayFilter(
                name -> name != conversation AND name != event_id, extractAll(content, '"([0-9a-f]{{{{16,64}}}})"')
            )
        ))
    )) AS key
    FROM events WHERE district = %(district)s
    UNION ALL
    SELECT 'conversations' AS table, arrayJoin({_KEYS_OF_FACTS}) AS key
    FROM conversations WHERE district = %(district)s
    UNION ALL
    SELECT 'conversation_versions' AS table, arrayJoin({_KEYS_OF_FACTS}) AS key
    FROM conversation_versions WHERE district = %(district)s
)
WHERE key IN %(digests)s
ORDER BY table, key
""".format(  # noqa: S608 -- only the fragments above are put in
    of_fields=", ".join(_DIGEST.format(f"JSONExtractString(content, '{field}')") for field in FIELDS)
)

Send = Callable[[Sequence[Sequence[Any]]], None]


def erase(client: Client, erasure: Erasure, send_events: Send) -> None:
    """Make everything landed of a key anonymous. `send_events` writes rows of `events` again, columns in its order.

    Blocks until done; raises `Refused` and the driver's errors.
    """
    parameters = {"district": erasure.district, "key_digest": erasure.key_digest}
    found = ((key, dict(zip(EVENTS.names, row, strict=True))) for key, *row in client.execute(_FOUND, parameters))
    changed = {key: row | changes for key, row in found if (changes := anonymous_event(row, erasure))}
    if changed:
        send_events([list(row.values()) for row in changed.values()])
        keys = iter(changed)
        while some := tuple(islice(keys, KEYS_PER_STATEMENT)):
            mutate(client, EVENTS.name, _REMOVED, parameters | {"keys": some})
    for table in ("conversations", "conversation_versions"):
        for named, assignments in _CHANGES:
            where = f"WHERE district = %(district)s AND {named}"
            ((rows,),) = client.execute(f"SELECT count() FROM {table} {where}", parameters)  # noqa: S608 -- as below
            if rows:
                mutate(client, table, f"ALTER TABLE {table} UPDATE {assignments} {where}", parameters)


def left(client: Client, district: str, key_digest: str) -> int:
    """Rows that still say who it was, older versions of them included."""
    return int(client.execute(_LEFT, {"district": district, "key_digest": key_digest})[0][0])


def still_named(client: Client, district: str, digests: Collection[str]) -> list[tuple[str, str]]:
    """Which of these keys rows still hold, replaced ones included: (table, digest of the key), sorted."""
    if not digests:
        return []
    return list(client.execute(_STILL, {"district": district, "digests": tuple(sorted(digests))}))


def anonymous_event(row: Mapping[str, Any], erasure: Erasure) -> dict[str, Any]:
    """The new values of a row of `events`: none if it does not name the person."""
    content = json.loads(row["content"])
    if not row["understood"] or row["schema_version"] > SCHEMA_VERSION:
        is_named = any(digest_of_key(key) == erasure.key_digest for key in keys_beside(content))
        return {"content": _encoded(bare_content(content))} if is_named else {}
    sealed = sealed_content(content, row["conversation"], erasure.key_digest.__eq__)
    if sealed == content:
        return {}
    if row["received_at"] < erasure.since_ms or not row["conversation"]:
        return {"content": _encoded(sealed)}
    return {"content": _encoded(refused_content(content)), "kind": REFUSED}


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def sealed_facts(row: Mapping[str, Any], key_digest: str) -> dict[str, Any]:
    """The new values of a row of facts that names the person, as the statements above make them."""
    conversation = row["conversation"].partition("~")[0]
    named = {"person": row["person"], "staff": row["first_response_staff"]}
    person, staff = (sealed_content(named, conversation, key_digest.__eq__).get(field, "") for field in named)
    raters = [
        sealed_content({"rater": rater}, conversation, key_digest.__eq__)["rater"] for rater in row["ratings.rater"]
    ]
    order = sorted(range(len(raters)), key=partial(_place, raters, row["ratings.survey"]))
    ratings = {name: row[name] for name in NAMES if name.startswith("ratings.")} | {"ratings.rater": raters}
    columns = {name: tuple(values[place] for place in order) for name, values in ratings.items()}
    return {"person": person, "first_response_staff": staff, **columns}


def _place(raters: Sequence[str], surveys: Sequence[str], number: int) -> tuple[str, str, int]:
    """Where a rating stands in its row, as in `_PLACES`."""
    if raters[number]:
        return raters[number], surveys[number], number
    return ("~" if any(raters[:number]) else ""), "", number
