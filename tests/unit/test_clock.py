"""The demonstration's clock: written and read back, never backwards, and in force wherever the present is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.state import child_environment
from schemas.clock import Clock
from schemas.errors import UsageError
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from streams.present import now_ms, wall_ms

MS = st.integers(0, 4_000_000_000_000)
CLOCKS = st.builds(Clock, MS, MS, st.integers(10, 10_000_000).map(lambda thousandth: thousandth / 1000))


@given(CLOCKS)
def test_what_is_written_reads_back(clock: Clock) -> None:
    assert Clock.parse(str(clock)) == clock
    assert Settings.from_environment({"CX_CLOCK": str(clock)}).clock == clock


@given(CLOCKS, MS, st.integers(0, 10_000_000))
def test_it_starts_at_its_origin_and_never_runs_backwards(clock: Clock, wall: int, later: int) -> None:
    assert clock.now_ms(clock.started_ms) == clock.origin_ms
    assert clock.now_ms(wall) <= clock.now_ms(wall + later)
    assert clock.now_ms(clock.started_ms + later) == clock.origin_ms + int(later * clock.speed)


@given(CLOCKS, st.integers(0, 10_000_000_000))
def test_the_wall_instant_of_what_it_shows(clock: Clock, ahead: int) -> None:
    shown = clock.origin_ms + ahead
    wall = clock.wall_ms_of(shown)
    assert clock.now_ms(wall - 2) <= shown <= clock.now_ms(wall + 1)


def test_a_minute_at_speed_sixty_is_an_hour() -> None:
    clock = Clock.parse("2026-10-06T07:35:00-05:00@2026-03-01T20:00:00Zx60")
    assert from_ms(clock.now_ms(clock.started_ms + 60_000)).isoformat() == "2026-10-06T13:35:00+00:00"


@pytest.mark.parametrize("text", ["noon", "2026-10-06@2026-10-06x1", "2026-10-06T07:35Z@2026-10-06T07:35Zx0"])
def test_another_form_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="CX_CLOCK"):
        Settings.from_environment({"CX_CLOCK": text})


def test_children_get_the_same_clock_and_without_one_the_wall_counts() -> None:
    clock = Clock(1_000, wall_ms(), 2.0)
    environment = child_environment(Settings(clock=clock))
    assert Settings.from_environment(environment).clock == clock
    assert now_ms(Settings(clock=clock)) < 1_000_000
    before = wall_ms()
    assert before <= now_ms(Settings()) <= wall_ms()
