"""The Grafana dashboard: every panel of the page, every column explained, every parameter put in; and its files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.grafana import DATASOURCE, EXPRESSIONS, FOLDER, FOLDER_TITLE, PLUGIN, TILES, dashboard, query, text
from dashboards.now import FIRST_VIEW
from dashboards.panels import OF_A_DISTRICT, PANELS
from dashboards.shown import Panel, Shown
from deploy.cli.grafana import FILE, PROVISIONED

Json = dict[str, Any]
COUNT = (Shown("n", "count", "N", "A number."),)
UNITS = {"duration": "ms", "share": "percentunit", "count": "none", "score": "none", "instant": "dateTimeAsIso"}
by_name = pytest.mark.parametrize("panel", OF_A_DISTRICT, ids=lambda panel: panel.name)


def models() -> list[Json]:
    """All panels of the dashboard but the headings."""
    return [model for model in dashboard()["panels"] if model["type"] != "row"]


def of(panel: Panel) -> list[Json]:
    """What the dashboard has of a panel: as many tiles as it has columns, else one."""
    start = 0
    for each in OF_A_DISTRICT:
        end = start + (len(each.columns) if each.name in TILES else 1)
        if each is panel:
            return models()[start:end]
        start = end
    raise AssertionError(panel.name)


def single(sql: str) -> Panel:
    """A panel of one number."""
    return Panel("single", "Single", "One.", sql, COUNT)


def texts(value: Any) -> Iterator[str]:
    """Every text anywhere in a model, but those told to people."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ("description", "title"):
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


@by_name
def test_every_panel_asks_the_very_question_of_the_page_once(panel: Panel) -> None:
    asked = [target["rawSql"] for model in of(panel) for target in model["targets"] if "rawSql" in target]
    assert asked == [query(panel)]
    pieces = re.split(
        "|".join(re.escape(each) for each in sorted(EXPRESSIONS.values(), key=len, reverse=True)), asked[0]
    )
    assert pieces == re.split(r"%\(\w+\)s", panel.sql.replace("%%", "%").strip())


def test_the_whole_first_view_is_there_and_nothing_is_left_over() -> None:
    titles = [model["title"] for model in models()]
    assert titles == [
        title
        for panel in OF_A_DISTRICT
        for title in ([column.label for column in panel.columns] if panel.name in TILES else [panel.title])
    ]
    assert OF_A_DISTRICT[: len(FIRST_VIEW)] == FIRST_VIEW
    headings = [model["title"] for model in dashboard()["panels"] if model["type"] == "row"]
    assert headings == [*(panel.title for panel in OF_A_DISTRICT if panel.name in TILES), "In detail"]


@by_name
def test_every_column_shown_has_its_unit_and_its_meaning(panel: Panel) -> None:
    found = of(panel)
    if panel.name in TILES:
        for model, column in zip(found, panel.columns, strict=True):
            assert model["description"] == column.meaning
            assert model["fieldConfig"]["defaults"].get("unit") == UNITS.get(column.kind)
            assert model["options"]["reduceOptions"]["fields"] == f"/^{column.name}$/"
        return
    (model,) = found
    overrides = {
        each["matcher"]["options"]: {item["id"]: item["value"] for item in each["properties"]}
        for each in model["fieldConfig"]["overrides"]
    }
    for column in panel.columns:
        assert (f"**{column.label}**: {column.meaning}" in model["description"]) is (column.label != "Code")
        if column.label == "Code" or (model["type"] == "timeseries" and column.kind == "instant"):
            assert column.name not in overrides
        else:
            assert overrides[column.name]["displayName"] == column.label
            assert overrides[column.name].get("unit") == UNITS.get(column.kind)


def test_tiles_that_do_not_ask_show_columns_of_the_panel_that_does() -> None:
    panels = {model["id"]: model for model in models()}
    for model in panels.values():
        (target,) = model["targets"]
        if "panelId" in target:
            (source,) = panels[target["panelId"]]["targets"]
            name = model["options"]["reduceOptions"]["fields"].strip("/^$")
            assert any(name in [c.name for c in each.columns] and query(each) == source["rawSql"] for each in PANELS)


def test_panels_fill_the_grid_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for model in dashboard()["panels"]:
        at = model["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_grafana_finds_its_variables_and_nothing_else() -> None:
    names = {variable["name"] for variable in dashboard()["templating"]["list"]} | {"__to"}
    for each in texts(dashboard()):
        pattern = r"\$\{(\w+)(?::sqlstring)?\}|\$(\w+)|\[\[(\w+)"
        found = {name for groups in re.findall(pattern, each) for name in groups if name}
        assert found <= names, each
        assert "%(" not in each


def test_a_parameter_that_grafana_cannot_give_is_named() -> None:
    with pytest.raises(ValueError, match="Panel single: the parameter mood has no expression"):
        dashboard(panels=(single("SELECT %(mood)s AS n"),))


@pytest.mark.parametrize("sql", ["SELECT '$n' AS n", "SELECT [[1]] AS n"])
def test_what_grafana_would_take_for_a_variable_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="would take for a variable"):
        query(single(sql))


def test_a_percent_sign_is_the_drivers_escape() -> None:
    assert query(single("SELECT 7 %% 4 AS n")) == "SELECT 7 % 4 AS n"
    with pytest.raises(ValueError, match="lone %"):
        query(single("SELECT 7 % 4 AS n"))


def test_every_query_is_for_the_source_named() -> None:
    assert f'"{DATASOURCE}"' not in text("mine")
    assert text("mine") == text().replace(f'"{DATASOURCE}"', '"mine"')


def test_the_committed_file_is_what_the_code_makes() -> None:
    assert (PROVISIONED / FILE).read_text(encoding="utf-8") == text(), "run `./cx grafana export`"
    assert json.loads(text()) == dashboard()


def provisioning(name: str) -> Json:
    """A file that Grafana is provisioned from."""
    path: Path = PROVISIONED.parent / "provisioning" / name / "cx.yaml"
    found: Json = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def test_provisioned_and_pushed_are_the_same_source_and_folder_and_hold_no_secret() -> None:
    (source,) = provisioning("datasources")["datasources"]
    assert (source["uid"], source["type"]) == (DATASOURCE, PLUGIN)
    assert source["secureJsonData"] == {"password": "$CLICKHOUSE_PASSWORD"}
    (provider,) = provisioning("dashboards")["providers"]
    assert (provider["folder"], provider["folderUid"]) == (FOLDER_TITLE, FOLDER)
