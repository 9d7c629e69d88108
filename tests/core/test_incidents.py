"""What is said of incidents: each transition once, the same incident whatever comes late, nothing anew at a restart."""

import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import NAMES, Row
from schemas.incidents import CLOSED, CORRECTED, GROWN, OPENED, IncidentTransition, as_json, from_json
from streams.core.alerting import NOTIFY_WITHIN_MS
from streams.core.incidents import IncidentBook
from streams.core.openings import Opening, Openings
from streams.core.surge import surges
from tests.core.openings_made import DISTRICT, held, history, row, spread
from tests.core.test_silence import beating, silent
from tests.golden import ms

CONFIGURATION = DISTRICT.types.configuration
PAST = history("2026-10-06", {8: 3})
CALLS = [row(s) for s in spread("2026-10-06 07:00", 90, 300)]
MINUTE_MS = 60_000


def advance(
    book: IncidentBook, openings: Openings, now_ms: int, present_ms: int | None = None
) -> list[IncidentTransition]:
    return book.advance(surges(openings, DISTRICT, now_ms), CONFIGURATION, now_ms, present_ms)


def said(transitions: list[IncidentTransition]) -> list[tuple[str, int, int]]:
    return [(one.transition, one.revision, one.step) for one in transitions]


def lived(book: IncidentBook, rows: list[Row], minutes: int, first: str, last: str) -> list[IncidentTransition]:
    """What is told while a day passes in steps of so many minutes, each inquiry known as it comes."""
    openings, told = Openings(), []
    left = sorted(enumerate(rows), key=lambda each: -int(each[1][OPENED_AT]))
    for now_ms in range(ms(first), ms(last), minutes * MINUTE_MS):
        while left and left[-1][1][OPENED_AT] < now_ms:
            number, one = left.pop()
            openings.replace(f"c{number}", one)
        told += advance(book, openings, now_ms)
    return told


OPENED_AT = NAMES.index("opened_at")


def test_a_breakdown_opens_grows_and_closes_once() -> None:
    told = lived(IncidentBook("demo"), PAST + CALLS, 1, "2026-10-06 06:00", "2026-10-06 12:00")
    assert [one.transition for one in told] == [OPENED, *[GROWN] * (len(told) - 2), CLOSED]
    steps = [one.step for one in told[1:-1]]
    assert steps == [2**n for n in range(1, len(steps) + 1)]
    assert told[0].observed * steps[-1] <= 300 < told[0].observed * steps[-1] * 2
    assert len({one.key for one in told}) == 1
    opened, closed = told[0], told[-1]
    assert (opened.kind, opened.metric, opened.about, opened.unit) == ("surge", "inquiries", "bus-late", "dispatch")
    assert [one.observed for one in told[:-1]] == [opened.observed * n for n in (1, *steps)]
    assert opened.at == opened.began_at < ms("2026-10-06 07:10")
    assert closed.ended_at == closed.at > ms("2026-10-06 08:30")
    assert closed.observed == 300
    assert all(one.notify for one in told)
    assert len({one.idempotency_key for one in told}) == len(told)


def test_what_is_told_does_not_depend_on_how_often_it_is_looked() -> None:
    every = [
        lived(IncidentBook("demo"), PAST + CALLS, minutes, "2026-10-06 06:00", "2026-10-06 20:00")
        for minutes in (1, 13, 240)
    ]
    assert every[0] == every[1] == every[2]


def test_what_is_told_can_be_read_back_as_it_was() -> None:
    told = advance(IncidentBook("demo"), held(PAST + CALLS), ms("2026-10-06 12:00"))
    assert [from_json(json.loads(json.dumps(as_json(one)))) for one in told] == told


def test_an_old_incident_lands_and_is_not_sent_nor_is_what_became_of_it() -> None:
    now = ms("2026-10-06 07:30") + NOTIFY_WITHIN_MS
    told = advance(IncidentBook("demo"), held(PAST + CALLS), now)
    assert {one.notify for one in told} == {0}
    assert told[-1].at > now - NOTIFY_WITHIN_MS


def test_after_a_restart_nothing_is_said_again() -> None:
    openings = held(PAST + CALLS)
    first = IncidentBook("demo")
    told = advance(first, openings, ms("2026-10-06 07:40"))
    second = IncidentBook("demo")
    second.known(reversed(told))
    assert advance(second, openings, ms("2026-10-06 07:40")) == []
    assert advance(second, openings, ms("2026-10-06 12:00")) == advance(first, openings, ms("2026-10-06 12:00")) != []


def test_what_turns_out_to_be_none_is_corrected_and_can_come_again() -> None:
    book, openings = IncidentBook("demo"), held(PAST + CALLS)
    (opened, *_) = advance(book, openings, ms("2026-10-06 08:00"))
    for number in range(len(PAST), len(PAST + CALLS)):
        openings.remove(f"c{number}")
    (corrected,) = advance(book, openings, ms("2026-10-06 08:05"))
    assert (corrected.transition, corrected.key, corrected.at) == (CORRECTED, opened.key, ms("2026-10-06 08:05"))
    assert advance(book, openings, ms("2026-10-06 08:06")) == []
    for number, one in enumerate(CALLS, len(PAST)):
        openings.replace(f"c{number}", one)
    again = advance(book, openings, ms("2026-10-06 08:10"))
    assert (again[0].transition, again[0].revision, again[0].key) == (OPENED, 1, opened.key)


def test_one_inquiry_that_comes_late_moves_no_identity() -> None:
    book, openings = IncidentBook("demo"), held(PAST + CALLS)
    told = advance(book, openings, ms("2026-10-06 07:20"))
    openings.replace("late", row(ms("2026-10-06 07:00") // 1000 + 5))
    found = surges(openings, DISTRICT, ms("2026-10-06 07:20"))
    assert found[0].began_s * 1000 < told[0].began_at
    later = advance(book, openings, ms("2026-10-06 12:00"))
    assert {one.key for one in (*told, *later)} == {told[0].key}
    assert later[-1].transition == CLOSED


def test_a_surge_that_goes_on_after_its_end_was_told_is_open_again() -> None:
    book, openings = IncidentBook("demo"), held(PAST + CALLS)
    advance(book, openings, ms("2026-10-06 09:30"))
    for number, second in enumerate(spread("2026-10-06 08:30", 120, 400)):
        openings.replace(f"late-{number}", row(second))
    again = advance(book, openings, ms("2026-10-06 10:30"))
    assert said(again)[0] == (OPENED, 1, 0)
    assert advance(book, openings, ms("2026-10-06 10:30")) == []
    assert said(advance(book, openings, ms("2026-10-06 14:00"))) == [(CLOSED, 1, 0)]


def test_its_conversations_are_inhibited_and_no_others() -> None:
    book, openings = IncidentBook("demo"), held(PAST + CALLS)
    advance(book, openings, ms("2026-10-06 12:00"))

    def inhibited(at: str, unit: str = "dispatch", topic: str = "bus-late") -> bool:
        return book.inhibits(Opening(ms(at) // 1000, unit, topic), CONFIGURATION)

    assert inhibited("2026-10-06 07:30")
    assert inhibited("2026-10-06 07:01")
    assert not inhibited("2026-10-06 06:00")
    assert not inhibited("2026-10-06 11:00")
    assert not inhibited("2026-10-06 07:30", unit="routes")
    assert not inhibited("2026-10-06 07:30", topic="bus-route")
    for number in range(len(PAST), len(PAST + CALLS)):
        openings.remove(f"c{number}")
    after = IncidentBook("demo")
    after.known(advance(after, held(PAST + CALLS), ms("2026-10-06 12:00")))
    assert after.inhibits(Opening(ms("2026-10-06 07:30") // 1000, "dispatch", "bus-late"), CONFIGURATION)


def test_a_silence_opens_and_closes_and_one_that_never_ends_is_forgotten() -> None:
    feeds, book = beating("2026-10-05 00:00", "2026-10-06 03:00"), IncidentBook("demo")

    def look(now: str) -> list[IncidentTransition]:
        return book.advance(silent(feeds, now), CONFIGURATION, ms(now))

    assert look("2026-10-06 03:40") == []
    (opened,) = look("2026-10-06 03:50")
    assert (opened.kind, opened.metric, opened.about, opened.unit) == ("silence", "signs", "mailbox", "demo")
    assert (opened.at, opened.began_at) == (ms("2026-10-06 03:45"), ms("2026-10-06 02:30"))
    feeds.sign("mailbox", ms("2026-10-06 08:00"))
    (closed,) = look("2026-10-06 08:10")
    assert (closed.transition, closed.at, closed.key) == (CLOSED, ms("2026-10-06 08:00"), opened.key)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_transitions_are_well_formed_whatever_comes_late_or_is_taken_back(random: Random) -> None:
    """Opened, then grown ever more, then closed or corrected, then at most the next revision; each key once."""
    book, openings = IncidentBook("demo"), held(PAST)
    left = [(f"n{n}", one) for n, one in enumerate(CALLS)]
    random.shuffle(left)
    told: list[IncidentTransition] = []
    for now_ms in range(ms("2026-10-06 07:00"), ms("2026-10-06 13:00"), 20 * MINUTE_MS):
        for name, call in left[: random.randrange(60)]:
            openings.replace(name, call)
            left.remove((name, call))
        for number in random.sample(range(len(CALLS)), random.randrange(12)):
            openings.remove(f"n{number}")
        told += advance(book, openings, now_ms)
        if random.random() < 0.3:
            book = IncidentBook("demo")
            book.known(random.sample(told, len(told)))
    assert len({one.idempotency_key for one in told}) == len(told)
    for key in {one.key for one in told}:
        state, revision, step = CLOSED, -1, 0
        for one in (each for each in told if each.key == key):
            if one.transition == OPENED:
                assert state in (CLOSED, CORRECTED)
                assert one.revision == revision + 1
                step = 1
            else:
                assert state in (OPENED, GROWN)
                assert one.revision == revision
            if one.transition == GROWN:
                assert one.step > step
                step = one.step
            state, revision = one.transition, one.revision
