"""What is made of a measured recovery: the fit, the page, the pictures."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.live_edge import Cell, Measured, figures, fit
from bench.plot import HEIGHT, WIDTH, Chart, svg
from bench.recovery_page import write
from deploy.cli.main import main

SVG = "{http://www.w3.org/2000/svg}"
CELLS = [
    Cell(
        *(events, opened, opened, 1.0, 3 + events / 500_000 + opened / 20_000, 2.0, events / 1e6),
        *(5.0, 1 + events / 1e6 + opened / 10_000, 100 + opened / 1_000),
    )
    for events in (60_000, 240_000)
    for opened in (1_000, 50_000, 200_000)
]
MEASURED = Measured(CELLS, Cell(1_100_000, 0, 105_000, 4.5, 9.25, 8.0, 3.0, 20.5, 12.5, 500))


def test_the_fit_finds_what_each_part_costs() -> None:
    found = fit(CELLS, [cell.edge_s for cell in CELLS])
    assert found.base == pytest.approx(3)
    assert found.per_million_events == pytest.approx(2)
    assert found.per_100k_open == pytest.approx(5)
    assert found.worst == pytest.approx(0, abs=1e-9)


def test_the_fit_says_how_far_a_line_lies_off() -> None:
    values = [cell.edge_s for cell in CELLS]
    values[0] += 6
    assert 1 < fit(CELLS, values).worst < 6


def test_every_figure_has_a_name_of_its_own() -> None:
    flat = figures(MEASURED)
    assert flat["240000_events_50000_open_peak_mb"] == 150
    assert flat["both_cpu_s_per_million_events"] == 1
    assert flat["year_edge_s"] == 9.25
    assert len(flat) == (len(CELLS) + 1) * 8 + 4 * 4


def test_the_page_has_all_lines_and_shows_pictures_that_are_there(tmp_path: Path) -> None:
    write(MEASURED, tmp_path)
    page = (tmp_path / "recovery.md").read_text()
    assert page.count("\n| 60,000 |") == page.count("\n| 240,000 |") == 3
    assert "| 105,000 | 4.5 | 9.2 | 8.0 | 3.0 | 20.5 | 12.5 | 500 |" in page
    assert "| Live edge, by the clock | 3.0 s | +2.0 s | +5.0 s | 0.0 s |" in page
    assert "| All folded, processor | 1.0 s | +1.0 s | +10.0 s | 0.0 s |" in page
    for name in ("recovery-seconds", "recovery-memory"):
        assert f"(images/{name}.svg)" in page
        drawn = ElementTree.parse(tmp_path / "images" / f"{name}.svg").getroot()  # noqa: S314 -- our own
        assert len(drawn.findall(f"{SVG}polyline")) == 2
        assert len(drawn.findall(f"{SVG}circle")) == len(CELLS)


def test_a_chart_keeps_to_its_picture_and_its_scale() -> None:
    drawn = ElementTree.fromstring(svg(Chart("a < b", "across", "up", {"one": [(10, 7), (0, 0), (5, 3.5)]})))  # noqa: S314
    line = drawn.find(f"{SVG}polyline")
    assert line is not None
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, each.split(","))) for each in line.attrib["points"].split())
    assert 0 < x0 < x1 < x2 < WIDTH
    assert 0 < y2 < y1 < y0 < HEIGHT
    assert (x1 - x0, y0 - y1) == pytest.approx((x2 - x1, y1 - y2), abs=0.2)
    assert "a < b" in [each.text for each in drawn.findall(f"{SVG}text")]


def test_only_some_measurements_have_a_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "core", "--write", str(tmp_path)]) == 2
    assert "Only these have a page to write: live-edge, incidents, alert-year, rolling." in capsys.readouterr().err
