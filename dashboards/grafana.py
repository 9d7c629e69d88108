"""The Grafana dashboard *Now*, made of the very panels of the live page.

Pure: `dashboard()` gives Grafana's JSON model, `text()` the file. The SQL is the page's own; only its parameters become
what Grafana puts in: the district chosen, the end of the time range as the present, the district's time zone.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any

from dashboards.panels import DISTRICTS, OF_A_DISTRICT
from dashboards.present import WINDOW_MS
from dashboards.shown import Kind, Panel, Shown

PLUGIN = "grafana-clickhouse-datasource"
DATASOURCE = "cx-clickhouse"
FOLDER = "cx"
FOLDER_TITLE = "Customer experience"
UID = "cx-now"
TITLE = "Now"
SCHEMA_VERSION = 41
REFRESH = "10s"
COLUMNS_OF_GRID = 24
TILES_A_LINE = 8
NARROW = 5
"""So many columns of a table have room in half the width."""
AS_TABLE = 1
HIDDEN = 2
PLUGIN_VERSION = "4.0.0"

TILES = frozenset({"now", "lately", "rolled"})
CHARTS = frozenset({"day"})
CODE = "Code"
"""Label of columns that are for programs only; the page does not show them either."""
ONE_ROW = frozenset({"totals"})

Json = dict[str, Any]

_PRESENT = "${__to}"
_LOCAL = f"fromUnixTimestamp64Milli(toInt64({_PRESENT}), ${{zone:sqlstring}})"
# Grafana puts these in, and nothing else of a panel's text changes.
EXPRESSIONS = {
    "district": "${district:sqlstring}",
    "now_ms": _PRESENT,
    "since_ms": f"({_PRESENT} - {WINDOW_MS})",
    "day_ms": f"(toInt64(toUnixTimestamp(toStartOfDay({_LOCAL}))) * 1000)",
    "day_end_ms": f"(toInt64(toUnixTimestamp(toStartOfDay(addDays({_LOCAL}, 1)))) * 1000)",
}

_UNITS: dict[Kind, Json] = {
    "text": {},
    "status": {},
    "verdict": {},
    "count": {"unit": "none", "decimals": 0},
    "duration": {"unit": "ms"},
    "share": {"unit": "percentunit", "decimals": 0},
    "score": {"unit": "none", "decimals": 1},
    "instant": {"unit": "dateTimeAsIso"},
}
_WORDS: dict[Kind, dict[str, tuple[str, str]]] = {
    "status": {
        "open": ("Open", "orange"),
        "pending": ("Pending", "text"),
        "on_hold": ("On hold", "text"),
        "resolved": ("Resolved", "text"),
        "withdrawn": ("Withdrawn", "text"),
        "closed": ("Closed", "text"),
    },
    "verdict": {
        "met": ("Met", "green"),
        "missed": ("Missed", "red"),
        "past_due": ("Past due", "red"),
        "running": ("Running", "text"),
    },
}
_PARAMETER = re.compile(r"%\((\w+)\)s|%(.?)", re.DOTALL)
_VARIABLE = re.compile(r"\$|\[\[")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel of the dashboard, and its width and height in the grid."""

    model: Json
    width: int
    height: int


def query(panel: Panel) -> str:
    """A panel's SQL as Grafana takes it. Raises `ValueError` for what Grafana could not put in, or would by mistake."""
    if _VARIABLE.search(panel.sql):
        raise ValueError(f"Panel {panel.name}: its SQL holds `$` or `[[`, which Grafana would take for a variable.")

    def given(found: re.Match[str]) -> str:
        name, other = found.groups()
        if name in EXPRESSIONS:
            return EXPRESSIONS[name]
        if name is None and other == "%":
            return "%"
        what = f"the parameter {name} has no expression of Grafana's" if name else f"a lone % stands before {other!r}"
        raise ValueError(f"Panel {panel.name}: {what}: see EXPRESSIONS in dashboards/grafana.py.")

    return _PARAMETER.sub(given, panel.sql).strip()


def _source(datasource: str) -> Json:
    return {"type": PLUGIN, "uid": datasource}


def _target(panel: Panel, datasource: str) -> Json:
    return {
        "refId": "A",
        "datasource": _source(datasource),
        "pluginVersion": PLUGIN_VERSION,
        "editorType": "sql",
        "queryType": "table",
        "format": AS_TABLE,
        "rawSql": query(panel),
    }


def _mappings(kind: Kind) -> list[Json]:
    words = _WORDS.get(kind, {})
    options = {
        code: {"text": text, "color": color, "index": index}
        for index, (code, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}] if options else []


def _override(column: Shown) -> Json:
    """How a column is shown, by its name in the SELECT."""
    values: Json = {"displayName": column.label, **_UNITS[column.kind]}
    if column.kind in _WORDS:
        values |= {"mappings": _mappings(column.kind), "custom.cellOptions": {"type": "color-text"}}
    return {
        "matcher": {"id": "byName", "options": column.name},
        "properties": [{"id": name, "value": value} for name, value in values.items()],
    }


def _described(panel: Panel) -> str:
    """Grafana has no place for a column's meaning, so a panel's own description tells them all."""
    told = [f"- **{column.label}**: {column.meaning}" for column in panel.columns if column.label != CODE]
    return "\n".join([panel.meaning, "", *told])


def _tiles(panel: Panel, datasource: str, first: int) -> Iterator[Drawn]:
    """A tile for each number of the one row; the first asks, the others show columns of its answer."""
    lines = ceil(len(panel.columns) / TILES_A_LINE)
    width = COLUMNS_OF_GRID // ceil(len(panel.columns) / lines)
    shared = {"type": "datasource", "uid": "-- Dashboard --"}
    for index, column in enumerate(panel.columns):
        asks = index == 0
        yield Drawn(
            {
                "type": "stat",
                "title": column.label,
                "description": column.meaning,
                "datasource": _source(datasource) if asks else shared,
                "targets": [
                    _target(panel, datasource) if asks else {"refId": "A", "datasource": shared, "panelId": first}
                ],
                "fieldConfig": {
                    "defaults": {
                        **_UNITS[column.kind],
                        "noValue": "–",
                        "color": {"mode": "fixed", "fixedColor": "text"},
                    },
                    "overrides": [],
                },
                "options": {
                    "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": f"/^{column.name}$/"},
                    "textMode": "value",
                    "colorMode": "value",
                    "graphMode": "none",
                    "justifyMode": "auto",
                    "orientation": "auto",
                },
            },
            width=width,
            height=4,
        )


def _as_instants(name: str) -> Json:
    """A transformation: the numbers of a column are instants in ms."""
    conversion = {"targetField": name, "destinationType": "time"}
    return {"id": "convertFieldType", "options": {"fields": {}, "conversions": [conversion]}}


def _chart(panel: Panel, datasource: str) -> Drawn:
    """Bars of the first number and a line of the others over the panel's instants."""
    instant, bars, *_lines = panel.columns
    as_bars = {"id": "custom.drawStyle", "value": "bars"}
    overrides = [_override(column) for column in panel.columns[1:]]
    overrides[0]["properties"] += [as_bars, {"id": "custom.fillOpacity", "value": 60}]
    return Drawn(
        {
            "type": "timeseries",
            "title": panel.title,
            "description": _described(panel),
            "datasource": _source(datasource),
            "targets": [_target(panel, datasource)],
            "transformations": [_as_instants(instant.name)],
            "fieldConfig": {
                "defaults": {
                    **_UNITS[bars.kind],
                    "min": 0,
                    "custom": {
                        "drawStyle": "line",
                        "lineInterpolation": "stepAfter",
                        "barAlignment": 1,
                        "showPoints": "never",
                    },
                },
                "overrides": overrides,
            },
            "options": {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "none"},
            },
        },
        width=12,
        height=9,
    )


def _without(columns: Sequence[str]) -> list[Json]:
    """A transformation that leaves these columns out, and all others as they are."""
    same: Json = {"indexByName": {}, "renameByName": {}, "includeByName": {}}
    out = dict.fromkeys(columns, True)
    return [{"id": "organize", "options": {**same, "excludeByName": out}}] if columns else []


def _table(panel: Panel, datasource: str) -> Drawn:
    """All rows and columns but codes."""
    codes = [column.name for column in panel.columns if column.label == CODE]
    return Drawn(
        {
            "type": "table",
            "title": panel.title,
            "description": _described(panel),
            "datasource": _source(datasource),
            "targets": [_target(panel, datasource)],
            "transformations": _without(codes),
            "fieldConfig": {
                "defaults": {"noValue": "–", "custom": {"align": "auto", "filterable": False}},
                "overrides": [_override(column) for column in panel.columns if column.name not in codes],
            },
            "options": {"showHeader": True, "cellHeight": "sm"},
        },
        width=COLUMNS_OF_GRID // (2 if len(panel.columns) - len(codes) <= NARROW else 1),
        height=4 if panel.name in ONE_ROW else 9,
    )


def _heading(title: str) -> Drawn:
    """A line of its own over all that follows up to the next one."""
    return Drawn({"type": "row", "title": title, "collapsed": False, "panels": []}, COLUMNS_OF_GRID, 1)


def _drawn(panels: Iterable[Panel], datasource: str) -> list[Drawn]:
    found: list[Drawn] = []
    for tiles, group in groupby(panels, key=lambda panel: panel.name in TILES):
        if tiles:
            for panel in group:
                found.append(_heading(panel.title))
                found += _tiles(panel, datasource, len(found) + 1)
        else:
            found.append(_heading("In detail"))
            found += [(_chart if panel.name in CHARTS else _table)(panel, datasource) for panel in group]
    return found


def _placed(drawn: Iterable[Drawn]) -> list[Json]:
    """Line by line, from left to right; numbered in this order."""
    placed: list[Json] = []
    left = top = line_height = 0
    for number, each in enumerate(drawn, start=1):
        if left + each.width > COLUMNS_OF_GRID:
            left, top, line_height = 0, top + line_height, 0
        position = {"x": left, "y": top, "w": each.width, "h": each.height}
        placed.append({"id": number, **each.model, "gridPos": position})
        left, line_height = left + each.width, max(line_height, each.height)
    return placed


def _variable(name: str, label: str, sql: str, datasource: str, hide: int = 0) -> Json:
    """A variable asked of ClickHouse as the dashboard opens: the first column is its value, a second one its label."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _source(datasource),
        "query": {"refId": name, "queryType": "sql", "editorType": "sql", "rawSql": sql},
        "definition": sql,
        "refresh": 1,
        "sort": 0,
        "regex": "",
        "hide": hide,
        "multi": False,
        "includeAll": False,
        "skipUrlSync": hide == HIDDEN,
        "options": [],
        "current": {},
    }


def _variables(datasource: str) -> list[Json]:
    districts = query(DISTRICTS)
    zone = (
        "SELECT if(any(time_zone) = '', 'UTC', any(time_zone)) AS zone\n"
        f"FROM (\n{districts}\n)\nWHERE district = {EXPRESSIONS['district']}"
    )
    return [
        _variable("district", "District", districts, datasource),
        _variable("zone", "Time zone", zone, datasource, HIDDEN),
    ]


def dashboard(datasource: str = DATASOURCE, panels: tuple[Panel, ...] = OF_A_DISTRICT) -> Json:
    """Grafana's JSON model of the dashboard, for the data source with this uid; the same every time.

    Raises `ValueError` for a panel whose SQL Grafana could not take.
    """
    return {
        "uid": UID,
        "title": TITLE,
        "description": "How a district's families are served now: the live page's numbers, by the same questions.",
        "tags": ["cx"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 0,
        "timezone": "browser",
        # A day back from the end, so that the local day lies in the range whatever the viewer's own time zone.
        "time": {"from": "now-24h", "to": "now"},
        "refresh": REFRESH,
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": _variables(datasource)},
        "panels": _placed(_drawn(panels, datasource)),
    }


def text(datasource: str = DATASOURCE) -> str:
    """The dashboard as a JSON file's text."""
    return json.dumps(dashboard(datasource), indent=2, ensure_ascii=False) + "\n"
