"""docs/recovery.md and its two pictures, written from one run of `bench.live_edge`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.live_edge import FITTED, REPETITIONS, YEAR_DAYS, YEAR_EVENTS, Cell, Measured, fit
from bench.plot import Chart, svg

COMMAND = "./cx bench live-edge --write docs"
HEAD = f"""# Recovery, measured

<!-- Made by `{COMMAND}`; edit bench/recovery_page.py. -->

A worker that is started anew reads back from ClickHouse what stands, and takes what waits in Kafka. How long that is
and how much memory it needs, by the length of the history (events of conversations that ended before every window) and
the number of open conversations (each with a promise that runs). `{COMMAND}` does it again, on a
stack of its own. Each line is the median of {REPETITIONS} real worker processes, started one after another. The machine
has two cores and other work too, by which the clock's seconds vary: compare processor seconds.

- *read*: events read back. What ended before every window is not among them, but for what was answered or due since.
- *recovery*: seconds from the assignment of the partitions until all of them take messages.
- *live edge*: seconds from the start of the process until an event that waited in Kafka had landed and was
  acknowledged; Python, Faust and the group are in it, some seconds that depend on no history.
- *processor*: processor seconds of the worker and of ClickHouse until then; what of the clock is left was waiting, for
  the group or for other work of the machine.
- *all folded*: seconds from the start of the process until everything read back was folded, beside live events, and
  processor seconds of the worker until then. What has a promise comes first. Rolling windows, surges and silences wait
  for it; live events, their facts and promises do not.
- *memory*: the worker's largest resident set.
"""
PICTURES: dict[str, tuple[str, str, Callable[[Cell], float]]] = {
    "recovery-seconds": ("Processor seconds to the live edge", "seconds, worker and ClickHouse", FITTED["both_cpu_s"]),
    "recovery-memory": ("Memory of a worker", "MB, largest resident set", FITTED["peak_mb"]),
}
COLUMNS = (
    "read | recovery, s | live edge, s | processor: worker, s | ClickHouse, s "
    "| all folded, s | processor: worker, s | memory, MB"
)
SAID = {
    "edge_s": ("Live edge, by the clock", "s"),
    "both_cpu_s": ("Live edge, processor", "s"),
    "folded_cpu_s": ("All folded, processor", "s"),
    "peak_mb": ("Memory", "MB"),
}


def _table(found: Sequence[Cell]) -> list[str]:
    lines = [
        f"| history, events | open conversations | {COLUMNS} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return lines + [f"| {cell.history_events:,} | {cell.open_conversations:,} | {_taken(cell)} |" for cell in found]


def _taken(cell: Cell) -> str:
    return (
        f"{cell.events_read:,.0f} | {cell.recovery_s:.1f} | {cell.edge_s:.1f} | {cell.cpu_s:.1f} "
        f"| {cell.clickhouse_cpu_s:.1f} | {cell.folded_s:.1f} | {cell.folded_cpu_s:.1f} | {cell.peak_mb:,.0f}"
    )


def _year(cell: Cell) -> list[str]:
    return [
        f"A district of 58,000 students: {YEAR_EVENTS:,} events in {YEAR_DAYS} days up to yesterday, with promises of",
        "4 and 16 hours in office hours. The last 35 days of it are in memory, with the alerts told of them.",
        "",
        f"| {COLUMNS} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| {_taken(cell)} |",
    ]


def _fits(found: Sequence[Cell]) -> list[str]:
    lines = [
        "| | without any | each million events of history | each 100,000 open conversations | farthest line |",
        "| --- | --- | --- | --- | --- |",
    ]
    for what, (said, unit) in SAID.items():
        plane = fit(found, list(map(FITTED[what], found)))
        lines.append(
            f"| {said} | {plane.base:,.1f} {unit} | {plane.per_million_events:+,.1f} {unit} "
            f"| {plane.per_100k_open:+,.1f} {unit} | {plane.worst:,.1f} {unit} |"
        )
    return lines


def _chart(found: Sequence[Cell], title: str, up: str, of: Callable[[Cell], float]) -> Chart:
    histories = dict.fromkeys(cell.history_events for cell in found)
    lines = {
        f"{size:,} events of history": [(c.open_conversations, of(c)) for c in found if c.history_events == size]
        for size in histories
    }
    return Chart(title, "open conversations", up, lines)


def write(measured: Measured, folder: Path) -> None:
    """Write `recovery.md` into a folder and the pictures into its `images`."""
    found, images = measured.grid, folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, (title, up, of) in PICTURES.items():
        (images / f"{name}.svg").write_text(svg(_chart(found, title, up, of)), encoding="utf-8")
    shown = [f"![{title}, by open conversations](images/{name}.svg)" for name, (title, *_) in PICTURES.items()]
    straight = "A plane through all lines, by least squares; it is straight as far as the farthest line is near."
    year = ["## A large district's year", "\n".join(_year(measured.year))]
    blocks = ["\n".join(_table(found)), *year, "## Growth", straight, "\n".join(_fits(found)), *shown]
    page = HEAD + "\n" + "\n\n".join(blocks) + "\n"
    (folder / "recovery.md").write_text(page, encoding="utf-8")
