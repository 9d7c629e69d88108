"""`./cx erase`: forget a person. The facts stay, and nothing says any more who it was."""

import argparse
import json
import logging
import os
import sys
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from deploy.cli.codes import check_known
from deploy.cli.command import Command
from deploy.cli.imports import log_of
from deploy.local.state import effective_settings
from schemas.errors import DifferenceFound, UsageError
from schemas.events import Erased
from schemas.settings import Settings
from schemas.vocabulary import Code, Digest, Pseudonym, from_ms
from sinks.connection import connect, errors_mapped
from sinks.erasing import left
from sinks.reading import ClickHouseReader
from streams.core.erasure import digest_of_key
from streams.intake.landing import Unlanded
from streams.intake.producer import encode
from streams.intake.retention import retentions
from streams.present import now, wall_ms

SOURCE = "cx"
# The driver logs a failed attempt with its traceback; the command says it in a sentence.
logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)


class Erasing(NamedTuple):
    """What was done: for whom, when, and until when the rest of the system may still hold the key."""

    district: str
    key_digest: str
    erased_at: datetime
    rows: int
    """Rows in ClickHouse that named the key before, replaced ones included."""
    kafka_until: datetime | None
    backups_until: datetime

    def as_json(self) -> dict[str, Any]:
        """Instants in ISO 8601, `erased_at` by the clock in force, the others by the machine's.

        `kafka_until` is null where Kafka keeps for ever.
        """
        return {
            "district": self.district,
            "key_digest": self.key_digest,
            "erased_at": self.erased_at.isoformat(),
            "clickhouse": "gone",
            "rows": self.rows,
            "kafka_until": None if self.kafka_until is None else self.kafka_until.isoformat(),
            "backups_until": self.backups_until.isoformat(),
        }


def _checked(kind: Any, value: str, what: str) -> str:
    try:
        checked: str = TypeAdapter(kind).validate_python(value)
    except ValidationError:
        raise UsageError(f"This is no {what}: {TypeAdapter(kind).json_schema()['description']}.") from None
    return checked


def erase(settings: Settings, district: str, key_digest: str) -> Erasing:
    """Publish the erasure, wait until it has landed, and look whether anything is left. Blocks; raises `CxError`.

    A key that nothing names yet is erased as well, an unknown district's is not: it would be one from then on.
    """
    with closing(ClickHouseReader(settings)) as reader:
        check_known([district], reader.districts())
    at, rows = now(settings), _rows(settings, district, key_digest)
    event = Erased(
        kind="erased",
        event_id=f"erased:{key_digest[:32]}",
        district=district,
        source=SOURCE,
        occurred_at=at,
        received_at=at,
        key_digest=key_digest,
    )
    kept = retentions(settings)
    with log_of(settings) as log:
        message = encode(event)
        unlanded = Unlanded(log.commits, lambda _landed: None)
        unlanded.add(1, log.publisher.publish(message.district, message.content))
        unlanded.wait()
    if remaining := _rows(settings, district, key_digest):
        raise DifferenceFound(f"{remaining} rows of {district} still hold the key: run it again, then `./cx status`.")
    longest = None if None in kept.values() else max(each for each in kept.values() if each is not None)
    # Kafka and backups keep by the machine's clock, whatever the present of a demonstration is.
    wall = from_ms(wall_ms())
    until = None if longest is None else wall + longest
    return Erasing(district, key_digest, at, rows, until, wall + timedelta(days=settings.backup_days))


def _rows(settings: Settings, district: str, key_digest: str) -> int:
    with errors_mapped(settings), connect(settings) as client:
        return left(client, district, key_digest)


def _told(done: Erasing) -> str:
    kafka = "never: its topics keep for ever, set retention.ms" if done.kafka_until is None else _day(done.kafka_until)
    named = f"gone now, {done.rows:,} rows sealed" if done.rows else "0 rows sealed: no row named the key, is it right?"
    return (
        f"The person is forgotten in {done.district}: the facts stay, anonymous, and what comes under this key is "
        "refused.\n"
        f"  ClickHouse   {named}\n  Kafka        gone after {kafka}\n"
        f"  backups      gone after {_day(done.backups_until)} (CX_BACKUP_DAYS)\n"
    )


def _day(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--district", required=True, metavar="CODE", help="the district that the key is of")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--person", metavar="PSEUDONYM", help="the key itself, 16 to 64 hexadecimal digits")
    who.add_argument("--digest", metavar="SHA256", help="its SHA-256, if the key should be written nowhere")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def _run(args: argparse.Namespace) -> int:
    settings = effective_settings(Settings.from_environment(os.environ))
    district = _checked(Code, args.district, "district's code")
    if args.person is not None:
        digest = digest_of_key(_checked(Pseudonym, args.person, "pseudonym"))
    else:
        digest = _checked(Digest, args.digest, "digest")
    with Console(stderr=True).status("forgetting"):
        done = erase(settings, district, digest)
    sys.stdout.write(json.dumps(done.as_json()) + "\n" if args.json else _told(done))
    return 0


COMMANDS = {
    "erase": Command(
        "Forgets one person's key in a district: at once in ClickHouse, after their retention in Kafka and backups, "
        "whose dates it prints. Facts stay, anonymous; events that come under the key later are refused. "
        "Exit code 6: something still holds the key.",
        _configure,
        _run,
    )
}
