"""`./cx demo`: the whole stack in the foreground with a simulated district that lives on a clock of its own."""

import argparse
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from threading import Thread
from time import monotonic
from zoneinfo import ZoneInfo

from rich.console import Console

from deploy.cli.command import Command
from deploy.cli.documents import read_district
from deploy.cli.imports import log_of, watched
from deploy.local.parts import ALL
from deploy.local.resumption import Resumption
from deploy.local.signals import endings_interrupt, endings_wait
from deploy.local.state import DataDirectory
from deploy.local.supervisor import LOOK_SECONDS, Stack
from schemas.clock import FASTEST, SLOWEST, Clock
from schemas.errors import CxError, Unavailable, UsageError
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from streams.intake.boston311 import EXCERPT
from streams.intake.closing import Landed, LandedDocuments
from streams.intake.demonstration import HISTORY_DAYS, Demonstration, Fed, Feeder
from streams.intake.importing import Summary, Watch, bring_in, import_boston311
from streams.intake.past import Past
from streams.intake.producer import Encoded, EventProducer
from streams.intake.simulator import sample_district
from streams.present import now_ms, wall_ms

# The clock stands still so long while the stack starts, and at the first start while the past comes in.
START_MS = 12_000
FIRST_START_MS = 45_000
KEEP_SECONDS = 1.0
STOP_SECONDS = 20.0

TO_TRY = """\
The live page:  {address}   (simulated data; it shows {shown} and refreshes by itself)

Try next, in a second terminal:

  an event of your own, on the page within seconds:
    KEY=$(./cx district key {district})
    curl {address}v1/events -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{{
      "kind": "inquiry", "event_id": "try-'$(date +%s)'", "conversation": "try-'$(date +%s)'", "source": "try",
      "district": "{district}", "channel": "web", "topic": "bus-late", "occurred_at": "{instant}"}}'
  questions of your own:
    ./cx sql "SELECT department, count() FROM current_conversations GROUP BY department ORDER BY 2 DESC"
  the city's whole file (200 of its requests are here already):
    ./cx import boston311 FILE.csv.gz
  the same district's events with no stack at all:
    ./cx simulate --from 2026-09-08 --to 2026-10-06 > events.ndjson

Ctrl-C stops everything; the data stay."""


class _History(Thread):
    """The past comes in beside the main thread, which meanwhile looks after the stack; it dies with the process."""

    def __init__(self, demonstration: Demonstration, settings: Settings, console: Console) -> None:
        super().__init__(name="history", daemon=True)
        self._demonstration = demonstration
        self._settings = settings
        self._console = console
        self._summary: Summary | None = None
        self._real: Summary | None = None
        self._is_sent = False
        self._error: CxError | None = None

    def run(self) -> None:
        """Send everything before the opening, then the sample of real data, and wait until all has landed.

        At no pace: nothing comes live beside it.
        """
        try:
            with log_of(self._settings, self._settings.buffer_events) as log, watched(self._console) as watch:
                told = self._told_to_the_page(watch)
                try:
                    self._summary = bring_in(self._past(), log, told)
                finally:
                    Past.forget(self._settings)
                self._real = import_boston311(EXCERPT, self._settings, log, watch)
        except CxError as error:
            self._error = error

    def _past(self) -> Iterator[Encoded]:
        shown = self._demonstration
        for _, text in takewhile(lambda arrived: arrived[0] < shown.opens_ms, shown.arrivals()):
            yield shown.encoded(text)
        self._is_sent = True

    def _told_to_the_page(self, watch: Watch) -> Watch:
        district = self._demonstration.document.district

        def say(sent: int, landed: int) -> None:
            total = sent if self._is_sent else None
            Past(district=district, days=HISTORY_DAYS, sent=sent, landed=landed, total=total).write(self._settings)

        def sent(events: int) -> None:
            watch.sent(events)
            say(events, 0)

        def landed(events: int, total: int) -> None:
            watch.landed(events, total)
            say(total, events)

        say(0, 0)
        return Watch(sent, landed, watch.rejected)

    def result(self) -> tuple[Summary, Summary]:
        """What came in, simulated and real, once it is no longer alive. Raises what went wrong."""
        if self._error is not None:
            raise self._error
        if self._summary is None or self._real is None:
            raise Unavailable("The past ended without a result.")
        return self._summary, self._real


def _bring_in_past(stack: Stack, demonstration: Demonstration, console: Console) -> None:
    """Four weeks of events while the stack is looked after."""
    console.print(f"bringing in {HISTORY_DAYS} days of {_name(demonstration)}")
    work = _History(demonstration, stack.settings, console)
    work.start()
    while work.is_alive():
        stack.tick()
        work.join(LOOK_SECONDS)
    simulated, real = work.result()
    console.print(f"{simulated.events:,} simulated events landed in {simulated.seconds:.0f} s")
    console.print(f"{real.rows} real requests of the City of Boston landed beside them, a district of their own")


def _name(demonstration: Demonstration) -> str:
    return demonstration.document.label or demonstration.document.district


class _Demo:
    """One run: the demonstration, its clock, its stack."""

    def __init__(self, demonstration: Demonstration, settings: Settings, speed: float) -> None:
        self.demonstration = demonstration
        self.data = DataDirectory(settings)
        self.digest = sha256(demonstration.document.model_dump_json().encode()).hexdigest()
        self.earlier = self._earlier()
        shown_ms = self.earlier.shown_ms if self.earlier else demonstration.opens_ms
        stands_still = START_MS if self.earlier else FIRST_START_MS
        own = {
            "clock": Clock(shown_ms, wall_ms() + stands_still, speed),
            "simulated": demonstration.document.district,
        }
        self.settings = settings.model_copy(update=own)
        self._kept = -math.inf
        self._pressed: Mapping[str, int] = {}

    def _earlier(self) -> Resumption | None:
        found = Resumption.read(self.data)
        if found is not None and found.document_digest != self.digest:
            raise UsageError(
                f"{self.data.path} holds a demonstration of {found.district} with another document: "
                "`./cx demo --fresh` deletes it and starts over."
            )
        return found

    def keep(self, fed: Fed) -> None:
        """Note how far it is, now and then, and at once when a press closed a day."""
        if monotonic() - self._kept >= KEEP_SECONDS or fed.pressed != self._pressed:
            self._kept, self._pressed = monotonic(), fed.pressed
            left = Resumption(
                district=self.demonstration.document.district,
                document_digest=self.digest,
                shown_ms=now_ms(self.settings),
                sent_ms=fed.until_ms,
                pressed=dict(fed.pressed),
            )
            left.write(self.data)

    @contextmanager
    def feeding(self, stack: Stack) -> Iterator[Feeder]:
        """The simulated district goes on meanwhile."""
        begin = Fed(self.demonstration.opens_ms)
        if self.earlier is not None:
            begin = Fed(self.earlier.sent_ms, self.earlier.pressed)
        documents = LandedDocuments(stack.settings, self.demonstration.document.district)
        with EventProducer(stack.settings) as producer, closing(documents):
            clock = partial(now_ms, self.settings)
            landed = Landed(documents, documents.silences)
            feeder = Feeder(self.demonstration, producer, clock, landed, self.keep, begin)
            feeder.start()
            try:
                yield feeder
            finally:
                feeder.stop()
                feeder.join(STOP_SECONDS)

    def to_try(self, settings: Settings) -> str:
        """What a person may do now."""
        document = self.demonstration.document
        present = from_ms(now_ms(self.settings))
        zone = document.calendars[document.calendar].time_zone if document.calendar else "UTC"
        return TO_TRY.format(
            address=f"http://{settings.bind}:{settings.web_port}/",
            shown=present.astimezone(ZoneInfo(zone)).strftime("%A %H:%M"),
            district=document.district,
            instant=present.isoformat(timespec="seconds"),
        )


def _say_where(console: Console, data: DataDirectory) -> None:
    if data.supervisor() is not None or not (data.path / "cx-data.json").exists():
        return
    megabytes = data.size_bytes() / 1_000_000
    console.print(
        f"Stopped. The data lie in {data.path} ({megabytes:,.0f} MB); `./cx demo` goes on with them, "
        "`./cx demo --fresh` starts over, `./cx down --purge` deletes them."
    )


def _reporting(console: Console, shown: Callable[[str], None]) -> Callable[[str], None]:
    def report(phase: str) -> None:
        shown(phase)
        if not console.is_terminal:
            console.print(phase)

    return report


def _go_on(demo: _Demo, stack: Stack) -> None:
    """Until interrupted; a feeder that could not go on ends it."""
    with demo.feeding(stack) as feeder:
        while True:
            stack.tick()
            feeder.check()
            feeder.join(LOOK_SECONDS)


def _play(demo: _Demo, console: Console) -> None:
    """Start, fill, live, stop."""
    with endings_interrupt(), console.status("starting") as shown:
        stack = Stack(demo.settings, ALL, _reporting(console, shown.update))
        shows_page = False
        try:
            stack.start()
            shown.stop()
            if demo.earlier is None:
                _bring_in_past(stack, demo.demonstration, console)
            else:
                console.print(f"going on with {_name(demo.demonstration)}, where the last start ended")
            console.print()
            console.print(demo.to_try(stack.settings))
            shows_page = True
            _go_on(demo, stack)
        except KeyboardInterrupt:
            if not shows_page:
                raise
        finally:
            shown.start()
            with endings_wait():
                stack.stop()
                shown.stop()
                _say_where(console, stack.data)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SLOWEST <= speed <= FASTEST:
        raise argparse.ArgumentTypeError(f"a number from {SLOWEST:g} to {FASTEST:g}")
    return speed


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fresh", action="store_true", help="delete the data directory and start over")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="N", help="the clock runs N times as fast")
    parser.add_argument("--district", type=Path, metavar="FILE", help="a district's document; else the sample one")


def _run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM."""
    document = read_district(args.district) if args.district else sample_district()
    settings = Settings.from_environment(os.environ)
    data = DataDirectory(settings)
    if args.fresh and data.path.exists():
        data.purge()
    demo = _Demo(Demonstration.of(document), settings, args.speed)
    _play(demo, Console(stderr=True, highlight=False, soft_wrap=True, markup=False))
    return 0


COMMANDS = {
    "demo": Command(
        "Starts Kafka, ClickHouse, a worker and the live page with a simulated district of 58,000 students: four "
        "weeks of its past at once, then it goes on live, on a clock of its own that opens on a school day at 07:35. "
        "Ctrl-C stops everything; the data stay, and the next start goes on where this one ended.",
        _configure,
        _run,
    )
}
