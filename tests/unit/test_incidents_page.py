"""The section that a measurement writes: its figures, in place of those before, and nothing else of the page."""

from pathlib import Path

from bench.incidents_page import HEADING, write

FIGURES = {
    "seeds": 3,
    "year_breakdown": 3,
    "year_breakdown_missed": 1,
    "year_breakdown_minutes_median": 8.5,
    "year_breakdown_minutes_most": 12.0,
    "year_breakdown_inquiries_median": 9,
    "year_breakdown_inquiries_most": 10,
    "year_breakdown_fewest_median": 6,
    "quiet_year_false_most": 2,
    "quiet_year_false": 4,
    "replace_us": 1.5,
    "sign_us": 0.5,
    "surges_ms": 2.5,
    "silences_ms": 3.5,
}


def test_the_section_is_replaced_and_the_page_before_it_stays(tmp_path: Path) -> None:
    page = tmp_path / "incidents.md"
    page.write_text("# Incidents\n\nWords.\n")
    write(FIGURES, tmp_path)
    first = page.read_text()
    assert first.startswith(f"# Incidents\n\nWords.\n\n{HEADING}\n")
    assert "years with incidents | 3 | 1 | 8.5 | 12.0 | 9 | 10 | 6 |" in first
    assert "| years without incidents | 4 | 0 | 0 |" in first
    assert "| one look for surges, ms | 2.5 |" in first
    assert "people under one social post" not in first
    write(FIGURES | {"quiet_year_false": 5}, tmp_path)
    assert page.read_text() == first.replace("| years without incidents | 4 |", "| years without incidents | 5 |")
