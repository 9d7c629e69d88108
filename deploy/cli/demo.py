"""`./cx demo`: the whole stack in the foreground with a sample of real data in it, and what to try with it."""

import argparse
import os
import time
from pathlib import Path
from threading import Thread
from typing import Any

from rich.console import Console

from dashboards.panels import TOTALS
from deploy.cli.command import Command, no_arguments
from deploy.cli.imports import run_import, sentences
from deploy.local.parts import ALL
from deploy.local.signals import endings_interrupt, endings_wait
from deploy.local.state import DataDirectory
from deploy.local.supervisor import LOOK_SECONDS, Stack
from schemas.errors import CxError, Unavailable
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from streams.intake.boston311 import DISTRICT, DOCUMENT, EXCERPT
from streams.intake.importing import Summary

NOT_COMPARED = ("newest_landed_at",)

TO_TRY = """\
The live page:  {address}   (refreshes by itself)

Try next, in a second terminal:

  an event of your own, on the page within seconds:
    KEY=$(./cx district key {district})
    curl {address}v1/events -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{{
      "kind": "inquiry", "event_id": "try-'$(date +%s)'", "conversation": "try-'$(date +%s)'", "source": "try",
      "district": "{district}", "unit": "pwdx", "channel": "web", "topic": "pothole",
      "occurred_at": "'$(date -u +%FT%TZ)'"}}'
  questions of your own:
    ./cx sql "SELECT department, count() FROM current_conversations GROUP BY department ORDER BY 2 DESC"
  more data: a file of Boston's requests, or of your own events
    ./cx import boston311 FILE
    ./cx import events FILE.ndjson
  the same numbers with no stack at all:
    ./cx fold --district {document} < FILE.ndjson

Ctrl-C stops everything; the data stay."""


class _Import(Thread):
    """The import, beside the main thread, which meanwhile looks after the stack; it dies with the process."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="import", daemon=True)
        self._settings = settings
        self._summary: Summary | None = None
        self._error: CxError | None = None

    def run(self) -> None:
        """Import the excerpt."""
        try:
            self._summary = run_import("boston311", EXCERPT, self._settings)
        except CxError as error:
            self._error = error

    def result(self) -> Summary:
        """Its end, once it is no longer alive. Raises what the import raised."""
        if self._error is not None:
            raise self._error
        if self._summary is None:
            raise Unavailable("The import of the sample ended without a result.")
        return self._summary


def _totals(settings: Settings, now_ms: int) -> dict[str, Any]:
    """The sample's numbers as the page shows them, as seen at one instant."""
    with errors_mapped(settings), connect(settings) as client:
        rows = client.execute(TOTALS.sql, {"district": DISTRICT, "now_ms": now_ms})
    names = [column.name for column in TOTALS.columns]
    return {name: value for name, value in zip(names, rows[0], strict=True) if name not in NOT_COMPARED}


def _bring_in_sample(stack: Stack, console: Console) -> None:
    """Import the excerpt while the stack is looked after, and say what it changed."""
    now_ms = time.time_ns() // 1_000_000
    before = _totals(stack.settings, now_ms)
    console.print(f"importing {EXCERPT.name}: 200 service requests of the City of Boston, 2015")
    work = _Import(stack.settings)
    work.start()
    while work.is_alive():
        stack.tick()
        work.join(LOOK_SECONDS)
    console.print(sentences(work.result()).rstrip())
    if before["conversations"]:
        same = before == _totals(stack.settings, now_ms)
        known = "They were here already from an earlier start; importing them again changed "
        console.print(known + ("nothing." if same else "some numbers: another version had made them."))


def _near(path: Path) -> str:
    """A path as one would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _say_where(console: Console, data: DataDirectory) -> None:
    if data.supervisor() is not None or not (data.path / "cx-data.json").exists():
        return
    megabytes = data.size_bytes() / 1_000_000
    console.print(
        f"Stopped. The data lie in {data.path} ({megabytes:,.0f} MB); `./cx demo` or `./cx up` goes on with them, "
        "`./cx down --purge` deletes them."
    )


def _run(_args: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    with endings_interrupt(), console.status("starting") as shown:

        def report(phase: str) -> None:
            shown.update(phase)
            if not console.is_terminal:
                console.print(phase)

        stack = Stack(Settings.from_environment(os.environ), ALL, report)
        shows_page = False
        try:
            stack.start()
            shown.stop()
            _bring_in_sample(stack, console)
            address = f"http://{stack.settings.bind}:{stack.settings.web_port}/"
            console.print()
            console.print(TO_TRY.format(address=address, district=DISTRICT, document=_near(DOCUMENT)))
            shows_page = True
            stack.wait()
        except KeyboardInterrupt:
            if not shows_page:
                raise
        finally:
            shown.start()
            with endings_wait():
                stack.stop()
                shown.stop()
                _say_where(console, stack.data)
    return 0


COMMANDS = {
    "demo": Command(
        "Starts Kafka, ClickHouse, a worker and the live page, imports 200 real service requests, and says what to "
        "try. Ctrl-C stops everything; the data stay, and the next start goes on with them.",
        no_arguments,
        _run,
    )
}
