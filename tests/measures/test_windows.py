"""Windows: half-open, local, of 23, 24 or 25 hours, school days and school years by the unit's calendar."""

import pytest

from schemas.calendar import Calendar, always_open
from streams.core.business_time import BusinessClock
from streams.measures.windows import HOUR_MS, Window, school_weeks, window
from tests.golden import OFFICE, OFFICE_CALENDAR, ms

CLOCK = BusinessClock(OFFICE_CALENDAR)


def _start(name: str, when: str, **more: str) -> int:
    found = window(name, ms(when), CLOCK, **more)
    assert found.end_ms == ms(when)
    return found.start_ms


@pytest.mark.parametrize(("name", "hours"), [("1h", 1), ("24h", 24), ("7d", 168), ("28d", 672)])
def test_rolling_windows_are_elapsed_time(name: str, hours: int) -> None:
    assert _start(name, "2026-11-02 12:00") == ms("2026-11-02 12:00") - hours * HOUR_MS


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("hour", "2026-10-07 13:00"),
        ("day", "2026-10-07 00:00"),
        ("week", "2026-10-05 00:00"),
        ("month", "2026-10-01 00:00"),
        ("year", "2026-07-01 00:00"),
    ],
)
def test_long_windows_begin_locally(name: str, start: str) -> None:
    assert _start(name, "2026-10-07 13:20:31") == ms(start)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-03-09", 24), ("2026-11-01", 25)])
def test_a_local_day_has_23_24_or_25_hours(day: str, hours: int) -> None:
    last = ms(f"{day} 23:59:59")
    assert last + 1000 - window("day", last, CLOCK).start_ms == hours * HOUR_MS


def test_the_school_year_begins_where_the_district_says() -> None:
    assert _start("year", "2026-07-01 00:00") == ms("2026-07-01 00:00")
    assert _start("year", "2026-06-30 23:59") == ms("2025-07-01 00:00")
    assert _start("year", "2026-10-07 12:00", school_year_starts="11-01") == ms("2025-11-01 00:00")


def test_the_last_seven_school_days_skip_closed_ones_and_hold_today() -> None:
    # Monday 30 November: 30, 25, 24, 23, 20, 19, 18; 26 and 27 are closed.
    assert _start("7sd", "2026-11-30 12:00") == ms("2026-11-18 00:00")
    assert _start("7sd", "2026-11-29 12:00") == ms("2026-11-17 00:00")


def test_a_calendar_that_never_opens_has_no_seven_school_days() -> None:
    closed = BusinessClock(Calendar(time_zone="UTC", week={}))
    assert window("7sd", ms("2026-11-30 12:00"), closed).length_ms > 900 * 24 * HOUR_MS


@pytest.mark.parametrize("name", ["", "28", "d28", "0d", "fortnight", "28D", "7 d"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no window"):
        window(name, ms("2026-11-30 12:00"), CLOCK)


def test_a_window_is_half_open() -> None:
    assert [Window(10, 20).holds(at_ms) for at_ms in (9, 10, 19, 20, None)] == [False, True, True, False, False]


def test_school_weeks_lie_wholly_in_the_span_and_have_a_school_day() -> None:
    break_ = BusinessClock(Calendar.model_validate(OFFICE | {"closed": ["2026-11-23/2026-11-27"]}))
    span = Window(ms("2026-11-10 00:00"), ms("2026-12-07 00:00"))
    assert [str(monday) for monday in school_weeks(span, break_)] == ["2026-11-16", "2026-11-30"]
    assert len(school_weeks(span, BusinessClock(always_open("America/Chicago")))) == 3
