"""The business clock against a slow count, in odd zones, long before and after any configuration, and its cost."""

import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.calendar import WEEKDAYS, Calendar, always_open, dates_of, minutes_of, zone_of
from schemas.vocabulary import from_ms, to_ms
from streams.core.business_time import BusinessClock, clock_of, constant_offsets
from streams.core.configuration import Configuration, ConfigurationEvent
from tests.golden import OFFICE, district

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ZONES = [
    "Africa/Casablanca",
    "America/Chicago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "UTC",
]
# Days around which something changes in one of the zones, or a year or the epoch turns.
TURNS = [
    *("1969-12-30", "1986-01-01", "2011-12-29", "2018-02-16", "2018-11-03", "2026-02-13", "2026-03-06", "2026-03-20"),
    *("2026-03-28", "2026-04-03", "2026-10-02", "2026-10-30", "2026-12-30", "2090-10-28", "2199-12-30"),
]
FAR = st.integers(to_ms(datetime(1905, 1, 1, tzinfo=UTC)), to_ms(datetime(2300, 1, 1, tzinfo=UTC)))


def _spelled(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@st.composite
def blocks(draw: st.DrawFn) -> list[str]:
    """Up to four blocks of a day in any order; some touch, some end at midnight."""
    edges = sorted(draw(st.sets(st.integers(0, 48), max_size=8)))
    pairs = list(pairwise(edges)) if draw(st.booleans()) else list(zip(edges[::2], edges[1::2], strict=False))
    return draw(st.permutations([f"{_spelled(30 * a)}-{_spelled(30 * b)}" for a, b in pairs]))


@st.composite
def calendars(draw: st.DrawFn, near: date | None = None) -> Calendar:
    """Random calendars; with `near`, closures and exceptional days within a week of it."""
    day = st.integers(-1, 6).map(lambda offset: ((near or date(2026, 3, 6)) + timedelta(days=offset)).isoformat())
    ranges = st.tuples(day, day).map(lambda pair: "/".join(sorted(pair)))
    return Calendar(
        time_zone=draw(st.sampled_from(ZONES)),
        week=draw(st.dictionaries(st.sampled_from(WEEKDAYS), blocks(), max_size=7)),
        closed=draw(st.lists(st.one_of(day, ranges), max_size=2)),
        days=draw(st.dictionaries(day, blocks(), max_size=2)),
    )


def _blocks_of(calendar: Calendar, day: date) -> list[str]:
    own = calendar.days.get(day.isoformat())
    if own is not None:
        return own
    closed = any(first <= day <= last for first, last in map(dates_of, calendar.closed))
    return [] if closed else calendar.week.get(WEEKDAYS[day.weekday()], [])


def _is_open(calendar: Calendar, moment: datetime) -> bool:
    local = moment.astimezone(zone_of(calendar.time_zone))
    minute = local.hour * 60 + local.minute
    return any(opens <= minute < closes for opens, closes in map(minutes_of, _blocks_of(calendar, local.date())))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), turn=st.sampled_from(TURNS), offset=st.integers(-1500, 1500), length=st.integers(0, 4500))
def test_a_minute_by_minute_count_agrees(data: st.DataObject, turn: str, offset: int, length: int) -> None:
    near = date.fromisoformat(turn)
    calendar = data.draw(calendars(near))
    start = datetime(near.year, near.month, near.day, tzinfo=UTC) + timedelta(minutes=offset)
    minutes = [_is_open(calendar, start + timedelta(minutes=step)) for step in range(length)]
    clock, start_ms, open_minutes = BusinessClock(calendar), to_ms(start), sum(minutes)
    assert clock.elapsed(start_ms, start_ms + length * 60_000) == open_minutes * 60_000
    if open_minutes:
        last = max(step for step, is_open in enumerate(minutes) if is_open)
        assert clock.due(start_ms, open_minutes * 60_000) == start_ms + (last + 1) * 60_000
        breach = clock.breach(start_ms, (open_minutes - 1) * 60_000)
        assert breach == start_ms + last * 60_000


@settings(max_examples=150, deadline=None)
@given(calendar=calendars(), start=FAR, first=st.integers(0, 10**12), second=st.integers(0, 10**12))
def test_any_split_adds_up_over_decades(calendar: Calendar, start: int, first: int, second: int) -> None:
    clock = BusinessClock(calendar)
    middle, end = start + first, start + first + second
    whole = clock.elapsed(start, end)
    assert clock.elapsed(start, middle) + clock.elapsed(middle, end) == whole
    assert 0 <= whole <= end - start


@settings(max_examples=150, deadline=None)
@given(calendar=calendars(), start=FAR, target=st.integers(1, 10**11))
def test_due_breach_and_elapsed_agree_in_any_year(calendar: Calendar, start: int, target: int) -> None:
    clock = BusinessClock(calendar)
    due, breach = clock.due(start, target), clock.breach(start, target)
    assert clock.deadlines(start, target // 2, target) == (clock.due(start, target // 2), due, breach)
    if due is None or breach is None:
        assert clock.elapsed(start, start + 50 * 366 * DAY_MS) < target + DAY_MS
        return
    assert clock.elapsed(start, due) == target
    assert clock.elapsed(start, due - 1) == target - 1
    assert clock.elapsed(start, breach) == target
    assert clock.elapsed(start, breach + 1) == target + 1


@settings(max_examples=150, deadline=None)
@given(data=st.data(), turn=st.sampled_from(TURNS), offset=st.integers(-1500, 1500), length=st.integers(0, 30_000))
def test_slices_join_and_the_open_ones_sum_to_the_elapsed_time(
    data: st.DataObject, turn: str, offset: int, length: int
) -> None:
    near = date.fromisoformat(turn)
    calendar = data.draw(calendars(near))
    clock = BusinessClock(calendar)
    start_ms = to_ms(datetime(near.year, near.month, near.day, tzinfo=UTC) + timedelta(minutes=offset))
    end_ms = start_ms + length * 60_000
    slices = list(clock.slices(start_ms, end_ms))
    edges = [start_ms, *(each.end_ms for each in slices)]
    assert [each.start_ms for each in slices] == edges[:-1]
    assert edges[-1] == end_ms
    assert all(each.length_ms > 0 for each in slices)
    assert sum(each.length_ms for each in slices if each.is_open) == clock.elapsed(start_ms, end_ms)
    assert all(before[2:] != after[2:] for before, after in pairwise(slices))
    for each in slices:
        local = (from_ms(each.start_ms)).astimezone(clock.time_zone).date()
        if each.reason == "closed_date":
            first, last = dates_of(each.entry)
            assert first <= local <= last
            assert each.entry in calendar.closed
        if each.reason == "day_entry":
            assert (each.entry, calendar.days[each.entry]) == (local.isoformat(), [])


def test_slices_say_why_each_closed_part_is_closed() -> None:
    clock = BusinessClock(Calendar.model_validate(OFFICE | {"days": {"2026-11-25": ["07:30-12:00"]}}))
    start, end = (datetime.fromisoformat(f"2026-11-{day}-06:00") for day in ("25T11:00", "30T08:00"))
    found = list(clock.slices(to_ms(start), to_ms(end)))
    assert [(each.reason, each.entry, each.length_ms / HOUR_MS) for each in found] == [
        ("open", "", 1),
        ("outside_hours", "2026-11-25", 12),
        ("closed_date", "2026-11-26/2026-11-27", 48),
        ("no_hours", "", 48),
        ("outside_hours", "", 7.5),
        ("open", "", 0.5),
    ]


@settings(max_examples=50, deadline=None)
@given(zone=st.sampled_from(ZONES), start=FAR, length=st.integers(0, 10**11))
def test_around_the_clock_no_millisecond_is_lost(zone: str, start: int, length: int) -> None:
    clock = BusinessClock(always_open(zone))
    assert clock.elapsed(start, start + length) == length
    assert clock.due(start, length) == start + length


def _open_hours(zone: str, first: str, last: str, week: list[str]) -> float:
    """Open hours from one local midnight to another, for a calendar with the same blocks each day."""
    clock = BusinessClock(Calendar(time_zone=zone, week=dict.fromkeys(WEEKDAYS, week)))
    start, end = (datetime.fromisoformat(day).replace(tzinfo=zone_of(zone)) for day in (first, last))
    return clock.elapsed(to_ms(start), to_ms(end)) / HOUR_MS


@pytest.mark.parametrize(
    ("zone", "first", "last", "blocks_of_a_day", "hours"),
    [
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-05", ["00:00-24:00"], 23.5),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-06", ["00:00-24:00"], 24.5),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-06", ["01:00-02:00"], 1.5),
        ("America/Chicago", "2026-03-08", "2026-03-09", ["02:00-03:00"], 0),
        ("America/Chicago", "2026-11-01", "2026-11-02", ["01:00-02:00"], 2),
        ("Pacific/Apia", "2011-12-29", "2012-01-01", ["08:00-16:00"], 16),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-05", ["00:00-24:00"], 23),
        ("Africa/Casablanca", "2026-02-15", "2026-02-16", ["00:00-24:00"], 25),
        ("Asia/Kathmandu", "1986-01-01", "1986-01-02", ["00:00-24:00"], 23.75),
        ("America/St_Johns", "2006-10-29", "2006-10-30", ["00:00-24:00"], 25),
    ],
)
def test_days_on_which_the_zone_changes(
    zone: str, first: str, last: str, blocks_of_a_day: list[str], hours: float
) -> None:
    assert _open_hours(zone, first, last, blocks_of_a_day) == pytest.approx(hours, abs=0)


def test_an_offset_with_seconds_is_exact() -> None:
    # Monrovia was 44 min 30 s behind UTC until 7 January 1972.
    clock = BusinessClock(Calendar(time_zone="Africa/Monrovia", week={day: ["08:00-09:00"] for day in WEEKDAYS}))
    midnight = to_ms(datetime(1971, 6, 1, tzinfo=UTC))
    assert clock.due(midnight, 1) == midnight + 8 * HOUR_MS + 44 * 60_000 + 30_000 + 1


def test_the_epoch_is_no_boundary() -> None:
    clock = BusinessClock(Calendar.model_validate(OFFICE))
    # 1 January 1970 was a Thursday; New York's and Chicago's Wednesday still ran when the epoch began.
    assert clock.elapsed(-DAY_MS, DAY_MS) == 2 * int(8.5 * HOUR_MS)
    assert clock.elapsed(-HOUR_MS * 3, 0) == HOUR_MS
    assert clock.due(-HOUR_MS * 3, 2 * HOUR_MS) == HOUR_MS * 14 + HOUR_MS // 2
    assert clock.breach(-HOUR_MS * 3, HOUR_MS) == 13 * HOUR_MS + HOUR_MS // 2


@pytest.mark.parametrize("at_ms", [-(10**13), 10**14])
def test_an_instant_out_of_all_range_is_named(at_ms: int) -> None:
    with pytest.raises(ValueError, match="between the years 1900 and 2399"):
        BusinessClock(always_open()).elapsed(at_ms, at_ms)


def test_no_zone_changes_twice_within_the_step_that_looks_for_changes() -> None:
    for zone in ZONES:
        for year in range(1950, 2050):
            cuts = constant_offsets(zone, year)
            assert all(end - start >= 2 * DAY_MS for start, end, _ in cuts[1:-1])
            assert all(before[2] != after[2] for before, after in pairwise(cuts))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("America/Chigaco", "America/Chicago"),
        ("localtime", "IANA"),
        ("america/chicago", "America/Chicago"),
        ("A//B", ""),
    ],
)
def test_a_zone_the_locked_data_do_not_have_is_refused_with_a_near_one(name: str, hint: str) -> None:
    with pytest.raises(ValidationError, match=f"unknown time zone {name}.*{hint}"):
        Calendar(time_zone=name)


def _cost(work: Any, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


def test_ten_years_cost_little_more_than_a_day_and_far_less_than_a_walk() -> None:
    clock, start = BusinessClock(Calendar.model_validate(OFFICE)), to_ms(datetime(2026, 3, 6, tzinfo=UTC))
    clock.elapsed(start, start + 3660 * DAY_MS)

    def walk() -> None:
        for day in range(3650):
            clock.is_school_day(date(2026, 3, 6) + timedelta(days=day))

    short = median(_cost(lambda: clock.elapsed(start, start + DAY_MS), 400) for _ in range(5))
    long = median(_cost(lambda: clock.elapsed(start, start + 3650 * DAY_MS), 400) for _ in range(5))
    assert long < 30 * short
    assert long * 20 < median(_cost(walk, 1) for _ in range(5))


def test_a_zone_is_searched_once_for_all_its_calendars() -> None:
    constant_offsets.cache_clear()
    start = to_ms(datetime(2026, 3, 6, tzinfo=UTC))
    for opening in range(10):
        week = {day: [f"0{opening}:30-16:00"] for day in ("mon", "tue")}
        BusinessClock(Calendar.model_validate({"time_zone": "America/Chicago", "week": week})).due(start, 1)
    assert constant_offsets.cache_info().misses == 1


def test_a_new_revision_makes_the_clocks_of_changed_calendars_only() -> None:
    def revision(number: int, closed: list[str]) -> Configuration:
        names = [f"c{index}" for index in range(10)]
        calendars = {name: {**OFFICE, "days": {f"2026-10-{index + 5:02d}": []}} for index, name in enumerate(names)}
        calendars["c0"] = {**OFFICE, "closed": closed}
        units = [{"unit": f"u{index}", "level": "department", "calendar": name} for index, name in enumerate(names)]
        document = district(calendar="c1", calendars=calendars, units=units, revision=number)
        return Configuration("demo", [ConfigurationEvent(number, 0, "e", document)])

    before, after = revision(1, []), revision(2, ["2026-10-09"])
    units = [f"u{index}" for index in range(10)]
    assert [unit for unit in units if before.clock(unit) is not after.clock(unit)] == ["u0"]
    assert clock_of(Calendar.model_validate(OFFICE).key()) is clock_of(Calendar.model_validate(OFFICE).key())
