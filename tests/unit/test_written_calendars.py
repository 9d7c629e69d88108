"""Calendars as people write them: inheritance, holidays by name, early release and late start, resolved into dates."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.cli.district import EXAMPLE
from deploy.cli.main import main
from deploy.cli.schema import schema_of
from schemas.calendar import WEEKDAYS, Calendar
from schemas.district import District
from schemas.document import parse
from schemas.errors import DocumentError
from streams.core.business_time import BusinessClock, clock_of
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.intake.boston311 import DOCUMENT
from streams.intake.simulator import SAMPLE
from streams.written.calendars import as_ranges, days_in
from streams.written.document import read_calendar, read_document, written_schema

HEAD = "district: d\ncalendar: offices\n"
OFFICES = """\
calendars:
  offices:
    time_zone: America/Chicago
    week: {mon: [08:00-16:00], tue: [08:00-16:00], wed: [08:00-16:00], thu: [08:00-16:00], fri: [08:00-16:00]}
    closed: [2026-11-26/2026-11-27, 2026-12-21/2027-01-01]
    days: {2026-10-16: [08:00-11:00]}
    early_release: [{dates: [2026-10-09, 2026-10-14], until: "12:00"}]
"""


def _resolved(more: str, name: str = "schools") -> Calendar:
    return read_document(f"{HEAD}{OFFICES}  {name}:\n{more}").calendars[name]


def _blocks(calendar: Calendar, day: str) -> list[str]:
    clock, found = clock_of(calendar.key()), calendar.days.get(day)
    assert bool(found) == clock.is_school_day(date.fromisoformat(day)) or found is None
    if found is not None:
        return found
    weekday = WEEKDAYS[date.fromisoformat(day).weekday()]
    return calendar.week.get(weekday, []) if clock.is_school_day(date.fromisoformat(day)) else []


@pytest.mark.parametrize("path", [EXAMPLE, SAMPLE, DOCUMENT], ids=lambda path: path.stem)
def test_resolving_what_is_published_changes_nothing(path: Path) -> None:
    district = read_document(path.read_text())
    published = district.model_dump_json()
    assert read_document(published).model_dump_json() == published


def test_a_document_that_says_nothing_new_is_published_as_it_was_written() -> None:
    text = HEAD + OFFICES.replace('    early_release: [{dates: [2026-10-09, 2026-10-14], until: "12:00"}]\n', "")
    assert read_document(text).model_dump_json() == parse(text, District).model_dump_json()


def test_the_example_in_the_documents_is_as_it_says() -> None:
    _, *blocks = (Path(__file__).parents[2] / "docs" / "district.md").read_text().split("```yaml\n")
    (text,) = (block.split("```")[0] for block in blocks if block.startswith("calendars:"))
    district = read_document("district: d\ncalendar: offices\n" + text)
    assert _blocks(district.calendars["offices"], "2026-11-26") == []
    assert _blocks(district.calendars["schools"], "2027-01-04") == ["09:30-15:00"]
    assert _blocks(district.calendars["schools"], "2026-11-27") == ["07:30-16:00"]
    assert _blocks(district.calendars["schools"], "2027-06-08") == []
    assert _blocks(district.calendars["front-desk"], "2026-09-08") == ["07:30-14:30"]


def test_what_is_not_said_is_inherited_and_what_is_said_goes_before_it() -> None:
    schools = _resolved("    extends: offices\n    week: {wed: [07:30-14:00], fri: []}\n    closed: [2026-10-12]\n")
    assert schools.time_zone == "America/Chicago"
    assert _blocks(schools, "2026-10-13") == ["08:00-16:00"]
    assert _blocks(schools, "2026-10-21") == ["07:30-14:00"]
    assert _blocks(schools, "2026-10-23") == []
    assert _blocks(schools, "2026-10-12") == []
    assert _blocks(schools, "2026-11-26") == []
    assert _blocks(schools, "2026-10-16") == ["08:00-11:00"]


def test_an_inherited_early_release_cuts_the_own_hours() -> None:
    schools = _resolved("    extends: offices\n    week: {wed: [07:30-14:00]}\n")
    assert _blocks(schools, "2026-10-09") == ["08:00-12:00"]
    assert _blocks(schools, "2026-10-14") == ["07:30-12:00"]


@pytest.mark.parametrize(
    ("own", "blocks"),
    [
        ('days: {2026-10-14: ["09:00-15:00"]}', ["09:00-15:00"]),
        ("closed: [2026-10-14]", []),
        ('early_release: [{dates: [2026-10-14], until: "13:30"}]', ["08:00-13:30"]),
        ('late_start: [{dates: [2026-10-14], from: "10:00"}]', ["10:00-12:00"]),
        ("closed: [2026-10-14]\n    reopened: [2026-10-14]", ["08:00-16:00"]),
    ],
)
def test_a_date_goes_by_the_nearest_calendar_that_names_it(own: str, blocks: list[str]) -> None:
    assert _blocks(_resolved(f"    extends: offices\n    {own}\n"), "2026-10-14") == blocks


def test_a_closed_date_is_opened_again_with_ordinary_or_own_hours() -> None:
    schools = _resolved(
        "    extends: offices\n    reopened: [2026-12-19/2026-12-23]\n    days: {2026-11-27: [09:00-12:00]}\n"
    )
    assert _blocks(schools, "2026-12-21") == ["08:00-16:00"]
    assert _blocks(schools, "2026-12-24") == []
    assert _blocks(schools, "2026-11-27") == ["09:00-12:00"]
    assert "2026-12-24/2027-01-01" in schools.closed


def test_early_release_on_some_weekdays_of_a_term_leaves_out_closed_days() -> None:
    schools = _resolved(
        "    extends: offices\n    early_release:\n"
        '      - {dates: [2026-11-01/2026-12-31], weekdays: [wed, thu], until: "13:00"}\n'
    )
    assert _blocks(schools, "2026-11-18") == ["08:00-13:00"]
    assert _blocks(schools, "2026-11-19") == ["08:00-13:00"]
    assert _blocks(schools, "2026-11-20") == ["08:00-16:00"]
    assert _blocks(schools, "2026-11-26") == []


def test_early_release_and_late_start_cut_every_block() -> None:
    found = read_calendar(
        "time_zone: UTC\nweek: {mon: [07:00-09:00, 10:00-12:00, 13:00-17:00]}\n"
        'early_release: [{dates: [2026-10-05], until: "14:00"}]\nlate_start: [{dates: [2026-10-05], from: "09:30"}]\n'
    )
    assert found.days == {"2026-10-05": ["10:00-12:00", "13:00-14:00"]}


def test_a_season_has_its_own_week_and_closures_stay_closed() -> None:
    found = read_calendar(
        "time_zone: America/Chicago\nweek: {mon: [08:00-16:00], fri: [08:00-16:00]}\nclosed: [2026-07-06]\n"
        "seasons: [{dates: [2026-06-29/2026-07-20], week: {mon: [07:00-17:00]}}]\n"
    )
    assert _blocks(found, "2026-06-29") == ["07:00-17:00"]
    assert _blocks(found, "2026-07-06") == []
    assert _blocks(found, "2026-07-10") == []
    assert _blocks(found, "2026-07-24") == ["08:00-16:00"]


def test_a_unit_overrides_part_of_what_it_inherits() -> None:
    district = read_document(
        HEAD + OFFICES + "units:\n"
        "  - unit: a\n    level: department\n    calendar: {week: {fri: [08:00-12:00]}}\n"
        "    units: [{unit: b, level: team, calendar: {closed: [2026-10-12]}}, {unit: c, level: team}]\n"
        "  - {unit: e, level: department, calendar: {time_zone: America/Denver}}\n"
    )
    assert set(district.calendars) == {"offices", "a", "b", "e"}
    assert _blocks(district.calendars["b"], "2026-10-23") == ["08:00-12:00"]
    assert _blocks(district.calendars["b"], "2026-10-12") == []
    assert _blocks(district.calendars["a"], "2026-10-12") == ["08:00-16:00"]
    assert district.calendars["e"].time_zone == "America/Denver"
    configuration = Configuration("d", [ConfigurationEvent(1, 0, "e", district)])
    assert configuration.clock("c") is configuration.clock("a") is clock_of(district.calendars["a"].key())


def _holidays(more: str, dates: str = "2026-01-01/2026-12-31") -> list[str]:
    text = (
        f"time_zone: America/Chicago\nholidays: {{country: US, {more}}}\nseasons: [{{dates: [{dates}], week: {{}}}}]\n"
    )
    return read_calendar(text).closed


def test_holidays_by_name_become_dates_of_the_years_the_document_names() -> None:
    labor_days = ["2025-09-01", "2026-09-07", "2027-09-06"]
    assert _holidays("names: [labor day]", "2025-12-01/2027-01-31") == labor_days
    assert _holidays("names: [Labor Day], from: 2026, to: 2026", "2025-12-01/2027-01-31") == labor_days[1:2]


def test_observed_days_come_with_their_holiday_unless_refused() -> None:
    assert _holidays("names: [Independence Day]") == ["2026-07-03/2026-07-04"]
    assert _holidays("names: [Independence Day], observed: false") == ["2026-07-04"]


def test_all_holidays_of_a_subdivision_but_some() -> None:
    nation, texas = _holidays("names: all"), _holidays("subdivision: TX")
    assert "2026-03-02" in texas
    assert "2026-03-02" not in nation
    assert "2026-03-02" not in _holidays("subdivision: TX, except: [Texas Independence Day]")


def test_names_are_the_same_whatever_the_language_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "th")
    assert _holidays("names: [Labor Day]") == ["2026-09-07"]


WRONG = [
    ("  x: {extends: ofices}", "line 10, calendars.x.extends: calendar ofices does not exist; did you mean offices?"),
    ("  x: {extends: x}", "calendars.x.extends: calendar x extends itself: x > x"),
    ("  x: {extends: y}\n  y: {extends: x}", "line 11, calendars.y.extends: calendar x extends itself: x > y > x"),
    ("  x: {week: {}}", "calendars.x: time_zone: missing, and there is no calendar above to take it from"),
    ("  x: {extends: offices, reopened: [2026-10-07]}", "calendars.x.reopened[0]: 2026-10-07 is not closed"),
    ("  x: {extends: offices, closed: [2026-02-30]}", "calendars.x.closed[0]: day is out of range"),
    ("  x: {extends: offices, closed: [2026-11-27/2026-11-26]}", "calendars.x.closed[0]: range 2026-11-27/2026-11-26"),
    ("  x: {extends: offices, week: {mon: [08:00-12:00, 11:00-13:00]}}", "calendars.x.week.mon: blocks 08:00-12:00,"),
    ("  x: {extends: offices, week: {mon: [12:00-08:00]}}", "calendars.x.week.mon[0]: block 12:00-08:00 ends before"),
    ("  x: {extends: offices, time_zone: US/Texas}", "calendars.x.time_zone: unknown time zone US/Texas"),
    (
        '  x: {extends: offices, early_release: [{dates: [2026-10-13, 2026-11-26], until: "12:00"}]}',
        "calendars.x.early_release[0].dates[1]: 2026-11-26 has no open time before 12:00",
    ),
    (
        '  x: {extends: offices, late_start: [{dates: [2026-10-13], from: "16:00"}]}',
        "calendars.x.late_start[0].dates[0]: 2026-10-13 has no open time after 16:00",
    ),
    (
        '  x: {extends: offices, days: {2026-10-13: []}, early_release: [{dates: [2026-10-13], until: "9:00"}]}',
        "calendars.x.early_release[0].until",
    ),
    (
        '  x: {extends: offices, days: {2026-10-13: []}, early_release: [{dates: [2026-10-13], until: "09:00"}]}',
        "calendars.x.early_release[0].dates[0]: 2026-10-13 is also named",
    ),
    ("  x: {extends: offices, holidays: {country: UU}}", "calendars.x.holidays.country: no holidays are known for UU"),
    (
        "  x: {extends: offices, holidays: {country: US, subdivision: QQ}}",
        "calendars.x.holidays.subdivision: US has no subdivision QQ: there are",
    ),
    (
        "  x: {extends: offices, holidays: {country: US, names: [Labor Day, Labour Dy]}}",
        "calendars.x.holidays.names[1]: US has no holiday Labour Dy from 2026 to 2027; did you mean Labor Day",
    ),
    ("  x: {extends: offices, holidays: {country: US, names: []}}", "calendars.x.holidays.names: List should have"),
    ("  x: {extends: offices, holidays: {country: US, from: 2027, to: 2026}}", "calendars.x.holidays.to: the years"),
    ("  x: {extends: offices, holidays: {country: US, from: 2000, to: 2099}}", "calendars.x.holidays.to: the years"),
    ("  x: {extends: offices, holidays: {country: US, language: xx}}", "calendars.x.holidays.language: US has no"),
    (
        "  x: {extends: offices, holidays: {country: US, categories: [school]}}",
        "calendars.x.holidays.categories[0]: US has no category school: there are government",
    ),
    ("  1: {time_zone: UTC}", "line 10, calendars"),
    ("  x: 5", "line 10, calendars.x: Input should be"),
    (
        "units:\n  - {unit: u, level: team, calendar: {extends: nowhere}}",
        "line 11, units[0].calendar.extends: calendar nowhere does not exist",
    ),
    (
        "units:\n  - {unit: u, level: team, calendar: {week: {mon: [nine]}}}",
        "line 11, units[0].calendar.week.mon[0]: ",
    ),
    (
        "units:\n  - {unit: u, level: team, units: [{unit: v, level: team, units: [{unit: u, level: team}]}]}",
        "line 11, units[0].units[0].units[0].unit: unit u is its own ancestor: u > v > u",
    ),
    ("units:\n  - {unit: d, level: team}", "line 11, units[0].unit: unit d is its own ancestor: d > d"),
    ("units:\n  - {unit: u, level: team}\n  - {unit: u, level: team}", "line 12, units[1].unit: unit u is named twice"),
    (
        "units:\n  - {unit: transport, level: team}\n"
        "promises:\n  - {promise: p, clock: first_reply, target: 1h, units: [transprt]}",
        "line 13, promises[0].units[0]: unit transprt does not exist; did you mean transport?",
    ),
]


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[case[1][:60] for case in WRONG])
def test_what_is_wrong_is_refused_with_its_place_before_anything_is_sent(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CX_DATA", str(tmp_path / "data"))
    path = tmp_path / "wrong.yaml"
    path.write_text(f"{HEAD}{OFFICES}{text}\n")
    for action in ("check", "resolve", "apply"):
        assert main(["district", action, str(path)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert problem in shown.err
    assert main(["fold", "--district", str(path)]) == 2
    assert main(["simulate", "--district", str(path), "--from", "2026-10-06", "--to", "2026-10-07"]) == 2


def test_a_wrong_calendar_hides_no_other_mistake() -> None:
    text = f"{HEAD}{OFFICES}  x: {{extends: nowhere}}\n  y: {{extends: x}}\nunits: [{{unit: Big, level: team}}]\n"
    with pytest.raises(DocumentError) as caught:
        read_document(text)
    first, second = caught.value.problems
    assert "calendars.x.extends" in first
    assert "units[0].unit" in second


def test_holidays_without_any_year_are_refused() -> None:
    with pytest.raises(DocumentError, match=r"line 2, holidays: no date of the document says which years"):
        read_calendar("time_zone: UTC\nholidays: {country: US}\n")


def test_resolve_prints_a_document_that_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "district.yaml"
    path.write_text(f"{HEAD}{OFFICES}  x: {{extends: offices, holidays: {{country: US}}}}\n")
    expected = read_document(path.read_text())
    for options in ([], ["--json"]):
        assert main(["district", "resolve", str(path), *options]) == 0
        printed = capsys.readouterr().out
        assert "extends" not in printed
        assert parse(printed, District) == expected


def test_the_schema_of_a_document_knows_what_may_be_written() -> None:
    schema = json.dumps(written_schema())
    for word in ("extends", "early_release", "holidays", "seasons"):
        assert f'"{word}"' in schema
        assert f'"{word}"' not in json.dumps(schema_of("district_configured"))
    assert "#/$defs/Calendar" not in schema


@settings(max_examples=200, deadline=None)
@given(days=st.sets(st.dates(date(2026, 1, 1), date(2026, 3, 1))))
def test_ranges_hold_exactly_their_dates(days: set[date]) -> None:
    ranges = as_ranges(days)
    assert sorted(days) == [day for each in ranges for day in days_in(each)]
    assert len(ranges) == sum(date.fromordinal(day.toordinal() - 1) not in days for day in days)


_WEEK = st.dictionaries(
    st.sampled_from(WEEKDAYS), st.sampled_from([[], ["08:00-12:00"], ["07:00-09:00", "10:00-16:00"]])
)
_DAY = st.dates(date(2026, 10, 1), date(2026, 10, 21)).map(date.isoformat)


@st.composite
def _layers(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "week": draw(_WEEK),
        "closed": draw(st.lists(_DAY, max_size=4)),
        "days": draw(st.dictionaries(_DAY, st.sampled_from([[], ["09:00-10:00"]]), max_size=3)),
    }


@settings(max_examples=200, deadline=None)
@given(base=_layers(), own=_layers())
def test_each_date_follows_the_nearest_calendar_that_names_it(base: dict[str, Any], own: dict[str, Any]) -> None:
    content = {"base": {"time_zone": "UTC", **base}, "own": {"extends": "base", **own}}
    calendar = read_document(json.dumps({"district": "d", "calendars": content})).calendars["own"]
    clock = BusinessClock(calendar)
    for day in days_in("2026-10-01/2026-10-21"):
        text, weekday = day.isoformat(), WEEKDAYS[day.weekday()]
        said = [
            layer["days"].get(text, []) for layer in (own, base) if text in layer["days"] or text in layer["closed"]
        ]
        expected = said[0] if said else own["week"].get(weekday, base["week"].get(weekday, []))
        assert clock.is_school_day(day) == bool(expected)
        assert _blocks(calendar, text) == expected
