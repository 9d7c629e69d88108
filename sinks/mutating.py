"""Rows rewritten or removed in place: the server works on it by itself, however long that takes."""

import time
from collections.abc import Mapping
from typing import Any

from clickhouse_driver import Client

from schemas.errors import Refused

LOOK_SECONDS = 0.1
_UNDER_WAY = """
SELECT count(), max(latest_fail_reason) FROM system.mutations
WHERE database = currentDatabase() AND table = %(table)s AND NOT is_done
"""


def mutate(client: Client, table: str, statement: str, parameters: Mapping[str, Any]) -> None:
    """Have the server change a table, and ask until it has: no answer is waited for longer than a question takes.

    Blocks. Raises `Refused` if the server cannot, and the driver's errors; may be repeated then.
    """
    client.execute(statement, dict(parameters))
    while True:
        ((left, failure),) = client.execute(_UNDER_WAY, {"table": table})
        if failure:
            raise Refused(f"ClickHouse cannot change rows of {table}: {failure}")
        if not left:
            return
        time.sleep(LOOK_SECONDS)
