"""`python -m deploy.docs [--check]`: writes the reference pages that are made from the code, or compares them.

settings.md from `schemas.settings`, metrics.md from `streams.metrics`, tables.md from `sinks.tables`, live-page.md from
`dashboards.panels`; all in docs.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr

from dashboards.panels import OF_A_DISTRICT
from dashboards.shown import Panel
from schemas.errors import CxError, DifferenceFound
from schemas.settings import PREFIX, Settings
from sinks.tables import TABLES, Table
from streams.metrics import AuditMetrics, WebMetrics, WorkerMetrics

FOLDER = Path(__file__).resolve().parents[1] / "docs"
MADE = "<!-- Made by `python -m deploy.docs`; edit the code it is made from. -->"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _page(title: str, *blocks: Sequence[str]) -> str:
    return "\n".join(["\n".join(part) + "\n" for part in ([f"# {title}", "", MADE], *blocks)])


def settings_page() -> str:
    """Every setting: variable, default, meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        optional = default is None and NoneType in get_args(field.annotation)
        empty = optional or default == "" or isinstance(default, SecretStr)
        rows.append((f"`{PREFIX}{name.upper()}`", "–" if empty else f"`{default}`", field.description or ""))
    intro = [
        "A setting is an environment variable. It is checked when a command starts: a wrong value is named, the exit",
        "code is 2 and nothing has been done. An empty value means the default.",
    ]
    return _page("Settings", intro, _table(("variable", "default", "meaning"), rows))


def _metric_rows(metrics: object) -> Iterable[tuple[str, str, str, str]]:
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 -- there is no public way
            yield f"`{name}`", family.type, labels or "–", family.documentation


def metrics_page() -> str:
    """Every metric of a worker, of the web process and of an audit: name, type, labels, meaning."""
    intro = [
        "Prometheus' text format, at `/metrics` of each worker (`CX_METRICS_PORT`) and of the web process",
        "(`CX_WEB_PORT`). A worker's `/ready` answers 200 once all its partitions are recovered, 503 before; the web's",
        "`/healthz` answers 200 as long as the process does.",
    ]
    arrivals = [
        "`arrival` is what an event was to the set: `new`, `duplicate` (known already), `conflict` (known with other",
        "content), `earlier` (known with a later receipt), `erased` (of a person erased before), `newer` (of a newer",
        "schema, kept and not folded), `refused` (sent to the dead letters). `reason` is explained in",
        "[events.md](events.md#dead-letters).",
    ]
    head = ("name", "type", "labels", "meaning")
    worker = ["## Worker", "", *_table(head, _metric_rows(WorkerMetrics(CollectorRegistry())))]
    web = ["## Web", "", *_table(head, _metric_rows(WebMetrics(CollectorRegistry())))]
    told = "What `./cx audit --metrics-file FILE` writes, for the node exporter's textfile collector."
    audit = ["## Audit", "", told, "", *_table(head, _metric_rows(AuditMetrics(CollectorRegistry())))]
    return _page("Metrics", intro, worker, arrivals, web, audit)


def _table_section(table: Table) -> list[str]:
    key = ", ".join(f"`{name}`" for name in table.order_by)
    head = [f"## {table.name}", "", f"Key: {key}. Of rows with one key the highest `{table.replaced_by}` counts.", ""]
    rows = ((f"`{column.name}`", f"`{column.type}`", column.meaning) for column in table.columns)
    return [*head, *_table(("column", "type", "meaning"), rows)]


def tables_page() -> str:
    """Every table: key, rule of replacement, columns."""
    intro = [
        "All tables are `ReplacingMergeTree`s: read them with `FINAL`, or through the views, which do so and leave out",
        "retracted rows: `current_conversations`, `waits`, `segments`, `ratings`, `verdicts`, `items`, `resolutions`,",
        "`transfers`, `repeat_contacts`, `unlinked_ratings`, `current_units`. What was known at an instant: all but",
        "that as `waits_as_known(at = '2026-10-06 12:00:00')`, and `conversations_as_known`. What changed since:",
        "`restatements`. Rows of `rolling`, `alerts` and `incidents` stay as they were first known.",
        "Columns with a dot are one nested group: arrays of equal length, an entry a wait, segment, rating or verdict.",
    ]
    return _page("Tables", intro, *map(_table_section, TABLES))


def _panel_section(panel: Panel) -> list[str]:
    rows = ((column.label, f"`{column.name}`", column.meaning) for column in panel.columns)
    return [f"## {panel.title}", "", panel.meaning, "", *_table(("shown", "name", "meaning"), rows)]


def live_page() -> str:
    """Every number of the live page: label, name in the JSON, meaning."""
    intro = [
        "What the live page shows of a district. `GET /api/now?district=` gives the first six panels as JSON, read",
        "again when something has landed and at least each second; `GET /api/below?district=` the others, read every",
        "five seconds. Response times, promises kept and satisfaction of the last four weeks are read from `rolling`,",
        "broken promises from `alerts`, everything else from the facts at the moment of reading. What depends on the",
        "present compares instants with it.",
    ]
    return _page("The live page", intro, *map(_panel_section, OF_A_DISTRICT))


PAGES = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "tables.md": tables_page,
    "live-page.md": live_page,
}


def stale(folder: Path = FOLDER) -> list[str]:
    """Names of pages that are missing or differ from what would be written."""
    paths = {name: folder / name for name in PAGES}
    return [name for name, path in paths.items() if not path.exists() or path.read_text("utf-8") != PAGES[name]()]


def main(arguments: Sequence[str]) -> int:
    """Write all pages; with `--check` write nothing and raise `DifferenceFound` if one is not current."""
    if "--check" not in arguments:
        for name, page in PAGES.items():
            (FOLDER / name).write_text(page(), encoding="utf-8")
        return 0
    old = stale()
    if old:
        raise DifferenceFound(f"Not current: {', '.join(old)} in docs; run `python -m deploy.docs`.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CxError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
