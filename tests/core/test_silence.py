"""Silent feeds: told from a quiet day by heartbeats and by what is usual, the same whatever the order of signs."""

from datetime import date
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.watches import Silences
from streams.core.silence import Feeds
from streams.core.surge import Found
from tests.core.openings_made import DISTRICT, days, spread
from tests.golden import ms

TYPES = DISTRICT.types
RULE = Silences()
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def silent(feeds: Feeds, now: str | int, rule: Silences = RULE) -> list[Found]:
    return feeds.silent(TYPES, rule, ms(now) if isinstance(now, str) else now)


def beating(first: str, last: str, minutes: int = 30, source: str = "mailbox", feeds: Feeds | None = None) -> Feeds:
    """Heartbeats from one local time up to another, the second excluded."""
    feeds = feeds or Feeds()
    for at_ms in range(ms(first), ms(last), minutes * MINUTE_MS):
        feeds.sign(source, at_ms, True)
    return feeds


def busy(last: str, count: int, feeds: Feeds | None = None, source: str = "crm") -> Feeds:
    """So many events an hour, from eight to four, on every weekday before a date."""
    feeds = feeds or Feeds()
    for day in days("2026-09-08", last)[:-1]:
        if TYPES.configuration.clock("demo").open_ms(_date(day)):
            for second in spread(f"{day} 08:00", 480, count * 8):
                feeds.sign(source, second * 1000)
    return feeds


def _date(day: str) -> date:
    return TYPES.configuration.clock("demo").local_date(ms(f"{day} 12:00"))


def test_a_feed_whose_heartbeats_stop_is_silent_after_two_and_a_half_of_them() -> None:
    feeds = beating("2026-10-05 00:00", "2026-10-06 03:00")
    assert silent(feeds, "2026-10-06 03:40") == []
    (one,) = silent(feeds, "2026-10-06 04:00")
    assert (one.metric, one.about, one.unit) == ("signs", "mailbox", "demo")
    assert (one.began_s * 1000, one.opened_s * 1000) == (ms("2026-10-06 02:30"), ms("2026-10-06 03:45"))
    assert one.ended_s is None


def test_any_sign_ends_it_and_the_instants_stay() -> None:
    feeds = beating("2026-10-05 00:00", "2026-10-06 03:00")
    feeds.sign("mailbox", ms("2026-10-06 08:12"))
    (one,) = silent(feeds, "2026-10-06 09:00")
    assert (one.began_s * 1000, one.opened_s * 1000) == (ms("2026-10-06 02:30"), ms("2026-10-06 03:45"))
    assert one.ended_s == ms("2026-10-06 08:12") // 1000
    assert silent(feeds, "2026-10-06 03:40") == []


def test_a_quiet_day_with_heartbeats_is_no_silence() -> None:
    feeds = beating("2026-09-08 00:00", "2026-10-06 17:00", source="crm", feeds=busy("2026-10-06", 20))
    assert silent(feeds, "2026-10-06 16:59") == []


def test_a_busy_feed_that_misses_one_heartbeat_is_silent_sooner_than_a_quiet_one() -> None:
    loud = beating("2026-09-08 00:00", "2026-10-06 10:00", source="crm", feeds=busy("2026-10-06", 40), minutes=120)
    for second in spread("2026-10-06 08:00", 120, 80):
        loud.sign("crm", second * 1000)
    quiet = beating("2026-09-08 00:00", "2026-10-06 10:00", minutes=120)
    (sooner,), (later,) = (silent(feeds, "2026-10-06 20:00") for feeds in (loud, quiet))
    assert ms("2026-10-06 10:00") < sooner.opened_s * 1000 < later.opened_s * 1000
    assert later.opened_s - later.began_s == 5 * 3_600


def test_without_heartbeats_only_what_is_next_to_impossible_is_a_silence() -> None:
    feeds = busy("2026-10-06", 20)
    assert silent(feeds, "2026-10-06 07:55") == []
    (one,) = silent(feeds, "2026-10-06 12:00")
    assert ms("2026-10-06 08:30") < one.opened_s * 1000 < ms("2026-10-06 10:30")
    assert one.expected > 8
    seldom = busy("2026-10-06", 1)
    assert silent(seldom, "2026-10-06 12:00") == []


@pytest.mark.parametrize("now", ["2026-10-10 14:00", "2026-10-12 07:00"])
def test_nights_and_weekends_are_no_silence(now: str) -> None:
    friday = busy("2026-10-10", 20)
    assert silent(friday, now) == []


def test_a_feed_of_which_nothing_is_known_cannot_be_missed() -> None:
    feeds = Feeds()
    for second in spread("2026-10-06 08:00", 60, 60):
        feeds.sign("crm", second * 1000)
    assert silent(feeds, "2026-10-06 20:00") == []
    assert silent(Feeds(), "2026-10-06 20:00") == []


def test_a_feed_that_says_it_is_not_healthy_is_silent_after_a_minute_of_nothing_else() -> None:
    feeds = beating("2026-10-05 00:00", "2026-10-06 03:10", minutes=10)
    feeds.sign("mailbox", ms("2026-10-06 03:05"), True, is_healthy=False)
    was_uneasy = feeds.is_uneasy
    assert silent(feeds, "2026-10-06 03:06") == []
    (one,) = silent(feeds, "2026-10-06 03:07")
    assert (one.began_s * 1000, one.opened_s * 1000) == (ms("2026-10-06 03:00"), ms("2026-10-06 03:07"))
    feeds.sign("mailbox", ms("2026-10-06 03:15"), True, is_healthy=False)
    feeds.sign("mailbox", ms("2026-10-06 03:20"), True)
    assert (was_uneasy, feeds.is_uneasy) == (True, False)
    (ended,) = silent(feeds, "2026-10-06 03:25")
    assert ended == one._replace(ended_s=ms("2026-10-06 03:20") // 1000)


def test_a_feed_that_says_so_and_goes_on_is_not_silent() -> None:
    feeds = beating("2026-10-05 00:00", "2026-10-06 03:10", minutes=10)
    for second in spread("2026-10-06 03:00", 30, 90):
        feeds.sign("mailbox", second * 1000)
    feeds.sign("mailbox", ms("2026-10-06 03:05"), True, is_healthy=False)
    assert silent(feeds, "2026-10-06 03:30") == []


def test_sources_can_be_left_out_and_silences_be_longer() -> None:
    feeds = beating("2026-10-05 00:00", "2026-10-06 03:00", minutes=5)
    assert len(silent(feeds, "2026-10-06 03:30")) == 1
    assert silent(feeds, "2026-10-06 03:30", Silences(least="2h")) == []
    assert silent(feeds, "2026-10-06 20:00", Silences(without=["mailbox"])) == []


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_order_and_no_repetition_of_signs_changes_anything(random: Random) -> None:
    signs = [(source, ms("2026-10-01 00:00") + n * 30 * MINUTE_MS, True) for source in ("a", "b") for n in range(240)]
    gap = random.randrange(40, 230)
    signs = [sign for n, sign in enumerate(signs) if not gap <= n < gap + random.randrange(1, 9)]
    signs += [("a", ms("2026-10-01 00:00") + random.randrange(120 * HOUR_MS), False) for _ in range(30)]
    now = ms("2026-10-06 00:00")

    def told(order: list[tuple[str, int, bool]]) -> list[Found]:
        feeds = Feeds()
        for source, at_ms, is_heartbeat in order:
            feeds.sign(source, at_ms, is_heartbeat)
        return silent(feeds, now)

    mixed = [*signs, *signs[::2]]
    random.shuffle(mixed)
    assert told(mixed) == told(sorted(signs))


def test_memory_is_bounded_whatever_comes() -> None:
    feeds = Feeds()
    for hour in range(24 * 400):
        feeds.sign("crm", hour * HOUR_MS, True)
    feeds.sign("crm", 0, True)
    minutes = feeds._sources["crm"].signs.all()  # noqa: SLF001 -- how much is kept is not to be seen from outside
    assert len(minutes) <= 35 * 24
    assert int(minutes[-1]) * MINUTE_MS == (24 * 400 - 1) * HOUR_MS
