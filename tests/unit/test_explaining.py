"""Explanations of the golden cases: what counted, what did not, who decided, what each event did."""

from datetime import datetime
from typing import Any

import pytest

from schemas.events import Erased, Event
from schemas.vocabulary import from_ms
from streams.core.erasure import digest_of_key
from streams.explaining import told
from streams.explaining.explain import explain
from streams.explaining.restated import restated
from tests.golden import OFFICE, ZONE, History, at, district, ms

PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]


def story(**more: Any) -> History:
    history = History()
    history.configured(district(**more))
    return history


def explained(events: list[Event], conversation: str = "c1", until: str | None = None) -> told.Explanation:
    pairs: list[tuple[Event, int | None]] = [(event, None) for event in events]
    changes = list(restated("demo", pairs, [conversation]))
    found = explain("demo", conversation, pairs, None if until is None else ms(until), changes)
    assert found is not None
    return found


def part_of(events: list[Event], conversation: str = "c1", until: str | None = None) -> told.Part:
    (part,) = explained(events, conversation, until).parts
    return part


def local(at: datetime) -> str:
    return at.astimezone(ZONE).strftime("%a %H:%M")


def slices(wait: told.Wait) -> list[tuple[str, str, str, float]]:
    """Start, end, `counted` or why not, minutes."""
    return [
        (local(each.started_at), local(each.ended_at), each.why or "counted", each.length_ms / 60_000)
        for each in wait.slices
    ]


def did(part: told.Part, event: Event) -> list[str]:
    (step,) = (step for step in part.steps if step.event == event.event_id)
    return [*step.did, *([f"ignored: {step.ignored}"] if step.ignored else [])]


def test_g3_a_weekend_is_named() -> None:
    history = story()
    history.add("inquiry", "2026-10-09 15:00")
    history.add("reply", "2026-10-12 08:30")
    (wait,) = part_of(history.events).waits
    assert slices(wait) == [
        ("Fri 15:00", "Fri 16:00", "counted", 60),
        ("Fri 16:00", "Sat 00:00", "outside hours", 480),
        ("Sat 00:00", "Mon 00:00", "weekend", 2880),
        ("Mon 00:00", "Mon 07:30", "outside hours", 450),
        ("Mon 07:30", "Mon 08:30", "counted", 60),
    ]
    assert (wait.wait_ms, wait.business_ms) == (235_800_000, 7_200_000)


def test_g4_the_hour_that_spring_skips_is_in_no_slice() -> None:
    history = story()
    history.add("inquiry", "2026-03-06 15:00")
    history.add("reply", "2026-03-09 08:30")
    (wait,) = part_of(history.events).waits
    weekend = next(each for each in wait.slices if each.why == "weekend")
    assert weekend.length_ms == 47 * 3_600_000
    assert sum(each.length_ms for each in wait.slices) == wait.wait_ms == 64.5 * 3_600_000


def test_g6_a_holiday_names_its_closure() -> None:
    history = story()
    history.add("inquiry", "2026-11-25 15:30")
    history.add("reply", "2026-11-30 08:00")
    (wait,) = part_of(history.events).waits
    (closed,) = (each for each in wait.slices if each.why.startswith("closed"))
    assert (closed.why, closed.length_ms) == ("closed 2026-11-26/2026-11-27", 48 * 3_600_000)
    assert (closed.calendar, closed.since_revision) == ("office", 1)


def test_g9_the_own_hours_of_a_date_are_named() -> None:
    days = {"2026-10-09": ["07:30-12:00"]}
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "days": days}}
    history = story(calendars=calendars)
    history.add("inquiry", "2026-10-09 11:00")
    history.add("reply", "2026-10-12 08:00")
    (wait,) = part_of(history.events).waits
    assert slices(wait)[1] == ("Fri 12:00", "Sat 00:00", "outside hours; 2026-10-09 has its own: 07:30-12:00", 720)


def test_g12_a_bot_answers_nothing_and_the_staff_clock_starts_later() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    bot = history.add("reply", "2026-10-06 10:00:10", author="bot")
    transfer = history.add("transfer", "2026-10-06 10:20", unit="a", from_bot=True)
    reply = history.add("reply", "2026-10-06 10:50")
    part = part_of(history.events)
    assert did(part, bot) == ["ignored: bot, not a person: answers nothing"]
    assert did(part, transfer) == ["owned by a, as before", "reached a human queue: the staff's clock starts"]
    assert did(part, reply) == ["first response", "ended wait 1: answered"]
    numbers = {number.name: number.value_ms for number in part.numbers}
    assert (numbers["first_response_ms"], numbers["staff_first_response_ms"]) == (50 * 60_000, 30 * 60_000)


def test_g13_each_owner_has_its_slices_in_its_own_calendar() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 15:00", unit="a")
    transfer = history.add("transfer", "2026-10-06 17:00", unit="line")
    history.add("reply", "2026-10-06 18:30", unit="line")
    part = part_of(history.events)
    (wait,) = part.waits
    assert [(each.unit, each.calendar, each.counted, each.length_ms / 60_000) for each in wait.slices] == [
        ("a", "office", True, 60),
        ("a", "office", False, 60),
        ("line", "always", True, 90),
    ]
    assert did(part, transfer) == ["moved from a to line: a hand-off"]
    assert [(each.from_department, each.to_department, each.bounce) for each in part.handoffs] == [("a", "line", False)]


def test_an_answer_says_with_whom_it_stays_or_to_whom_it_goes_back() -> None:
    history = story()
    history.add("reply", "2026-10-06 09:00", unit="b")
    answer = history.add("inquiry", "2026-10-06 10:00", unit=None)
    assert did(part_of(history.events), answer)[1] == "goes back to b, who wrote first"
    history.add("transfer", "2026-10-06 09:30", unit="line")
    assert did(part_of(history.events), answer)[1] == "stays with line, who had it before"


def test_g24_a_closure_declared_late_names_both_revisions() -> None:
    history = story(promises=PROMISES)
    first = history.add("inquiry", "2026-01-20 15:30")
    calendars = {**district().model_dump(mode="json")["calendars"], "office": {**OFFICE, "closed": ["2026-01-21"]}}
    snow = history.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-01-21 12:00")
    history.add("reply", "2026-01-22 08:00")
    found = explained(history.events)
    (part,) = found.parts
    closed = next(each for each in part.waits[0].slices if each.why.startswith("closed"))
    assert (closed.why, closed.since_revision, closed.since_event) == ("closed 2026-01-21", 2, snow.event_id)
    assert closed.since_at == snow.received_at
    (clock,) = part.clocks
    assert [(policy.revision, policy.decided) for policy in clock.policies] == [(1, False), (2, True)]
    assert clock.why[1] == "revision 1 was in force at its start; the promise is the same in both"
    assert clock.why[-1] == "met, 3:00:00 before it would have been broken"
    moved = [f"breach_at first_reply {first.event_id}", f"due_at first_reply {first.event_id}"]
    assert [each.number for each in found.restatements] == [*moved, f"school_day_at {first.event_id}"]
    assert {tuple(each.by_configurations) for each in found.restatements} == {(snow.event_id,)}
    due = found.restatements[1]
    assert (due.before, due.after) == ("2026-01-21T17:00:00.000Z", "2026-01-22T17:00:00.000Z")
    assert [(each.revision, each.newest) for each in found.revisions] == [(1, False), (2, True)]


def test_an_edit_of_the_policy_that_moved_a_running_clock_is_named() -> None:
    history = story(promises=PROMISES)
    history.add("inquiry", "2026-10-06 08:00")
    shorter = [{**PROMISES[0], "target": "2h"}]
    history.configured(district(promises=shorter, revision=2), "2026-10-06 09:00")
    history.add("reply", "2026-10-06 11:00")
    (clock,) = part_of(history.events).clocks
    assert clock.why == [
        "revision 2 decides: half-a-day 2h of business time, looked up for a",
        "moved by that revision while it ran: revision 1 had promised half-a-day 4h of business time",
        "missed by 1:00:00",
    ]


def test_what_the_source_promised_and_pauses_are_told() -> None:
    history = story(promises=[{"promise": "done", "clock": "resolution", "target": "4h"}])
    history.add("inquiry", "2026-10-06 08:00")
    history.add("status_changed", "2026-10-06 09:00", status="pending")
    history.add("inquiry", "2026-10-06 11:00")
    history.add("status_changed", "2026-10-06 13:00", status="resolved")
    (clock,) = part_of(history.events).clocks
    assert [(local(pause.started_at), pause.ended_at and local(pause.ended_at)) for pause in clock.pauses] == [
        ("Tue 09:00", "Tue 11:00")
    ]
    assert clock.why[1:] == [
        "stood still for 2:00:00 while the customer was waited for",
        "met, 1:00:00 before it would have been broken",
    ]
    history = story()
    history.add("inquiry", "2026-10-06 08:00", due_at="2026-10-06T15:00:00-05:00")
    (clock,) = part_of(history.events).clocks
    assert clock.why[0] == "the source promised this time; it replaces the unit's own target"


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2026-10-06 09:00", "running, to be broken in 3:00:00"),
        ("2026-10-06 11:00", "not ended and at risk (3/4 of the target used), to be broken in 1:00:00"),
        ("2026-10-06 13:00", "not ended and broken, 1:00:00 ago"),
        (None, "not ended: compare with the present"),
    ],
)
def test_an_open_wait_is_cut_to_the_present_and_its_promise_judged_by_it(until: str | None, said: str) -> None:
    history = story(promises=PROMISES)
    history.add("inquiry", "2026-10-06 08:00")
    part = part_of(history.events, until=until)
    assert part.clocks[0].why[-1] == said
    (wait,) = part.waits
    assert (wait.wait_ms, wait.ended_by_event) == (None, "")
    assert sum(each.length_ms for each in wait.slices) == (0 if until is None else ms(until) - ms("2026-10-06 08:00"))


def test_each_reason_for_which_an_event_counts_for_nothing_is_told() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    failed = history.add("reply", "2026-10-06 10:30")
    cases = {
        "internal note: answers nothing": history.add("reply", "2026-10-06 10:10", public=False),
        "automatic acknowledgement, not a person: answers nothing": history.add(
            "reply", "2026-10-06 10:01", author="automatic_acknowledgement"
        ),
        "automatic: opens no wait": history.add("inquiry", "2026-10-06 10:40", automatic=True),
        "needs no reply: opens no wait": history.add("inquiry", "2026-10-06 10:41", needs_reply=False),
        "not delivered: answers nothing": failed,
        "reopened, but it was open": history.add("status_changed", "2026-10-06 10:42", status="reopened"),
        "changes nothing: nowhere is not known, or has these values already": history.add(
            "correction", "2026-10-06 10:43", corrects="nowhere", topic="bus"
        ),
    }
    failure = history.add("delivery_failed", "2026-10-06 12:00", reply=failed.event_id)
    part = part_of(history.events)
    for reason, event in cases.items():
        assert did(part, event) == [f"ignored: {reason}"]
    (step,) = (step for step in part.steps if step.event == failed.event_id)
    assert [(each.by_event, each.field, each.before, each.after) for each in step.changes] == [
        (failure.event_id, "delivered", "yes", "no")
    ]


def test_corrections_say_from_what_to_what_one_after_the_other() -> None:
    history = story()
    first = history.add("inquiry", "2026-10-06 10:00")
    one = history.add("correction", "2026-10-06 11:00", unit="b")
    two = history.add("correction", "2026-10-06 12:00", corrects=first.event_id, unit="line", topic="bus")
    part = part_of(history.events)
    changes = [(each.by_event, each.field, each.before, each.after) for each in part.steps[0].changes]
    assert changes == [
        (one.event_id, "unit", "a", "b"),
        (two.event_id, "unit", "b", "line"),
        (two.event_id, "topic", "none", "bus"),
    ]
    assert did(part, one) == [f"{first.event_id}: unit a → b"]


def test_a_merge_says_whose_messages_they_were_and_into_what_the_other_went() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00", "x")
    moved = history.add("inquiry", "2026-10-06 10:30", "y")
    history.add("merge", "2026-10-06 11:00", "y", into="x")
    history.add("reply", "2026-10-06 11:15", "x")
    primary = part_of(history.events, "x")
    assert did(primary, moved) == ["one more message within wait 1"]
    assert {step.event: step.merged_from for step in primary.steps}[moved.event_id] == "y"
    secondary = part_of(history.events, "y", until="2026-10-07 10:00")
    assert (secondary.counts, secondary.merged_into) == (False, "x")
    assert secondary.notes[0] == "merged into x: its messages count there and this row counts nowhere"
    assert secondary.waits[0].slices == []


def test_ratings_say_which_score_counts() -> None:
    history = story()
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 11:00", unit="b")
    history.add("status_changed", "2026-10-06 11:00", status="resolved")
    low = history.add("rating", "2026-10-07 10:00", score=4)
    high = history.add("rating", "2026-10-08 10:00", score=9)
    late_edit = history.add("rating", "2026-10-30 10:00", score=2)
    too_late = history.add("rating", "2026-11-06 10:00", score=1)
    part = part_of(history.events)
    assert did(part, low) == ["ignored: score 4 was replaced by a later edit"]
    assert did(part, high) == ["score 9 counts for b, edited once"]
    assert did(part, late_edit) == ["ignored: edit more than 14 days after the first score"]
    assert did(part, too_late) == ["score 1", "ignored: more than 28 days after the resolve: not averaged"]
    told = [(each.score, each.unit, each.edits, each.late) for each in part.ratings]
    assert told == [(9, "b", 1, False), (1, "b", 0, True)]


def test_a_part_of_a_thread_is_explained_alone_and_in_its_whole() -> None:
    history = story()
    history.add("inquiry", "2026-09-01 10:00")
    history.add("status_changed", "2026-09-01 11:00", status="resolved")
    history.add("inquiry", "2026-10-06 10:00")
    assert [part.conversation for part in explained(history.events).parts] == ["c1", "c1~2"]
    part = part_of(history.events, "c1~2")
    assert (part.continues, part.opened_at) == ("c1", from_ms(ms("2026-10-06 10:00")))
    assert part.notes[0] == "begins anew: its first message came over 14 school days after c1 was resolved"
    assert explain("demo", "c1~3", [(event, None) for event in history.events]) is None


def erasure(person: str) -> Event:
    moment = at("2026-10-09 10:00")
    return Erased(
        kind="erased",
        event_id="erasure-1",
        district="demo",
        source="cx",
        occurred_at=moment,
        received_at=moment,
        key_digest=digest_of_key(person),
    )


def test_spam_deletion_erasure_and_conflicts_are_noted() -> None:
    person = "5f5f5f5f5f5f5f5f"
    history = story()
    first = history.add("inquiry", "2026-10-06 10:00", person=person)
    history.events.append(first.model_copy(update={"touch_point": "desk"}))
    history.add("deleted", "2026-10-07 10:00")
    history.add("spam", "2026-10-08 10:00")
    history.events.append(erasure(person))
    later = history.add("inquiry", "2026-10-10 10:00", person=person)
    notes = " | ".join(part_of(history.events).notes)
    assert "spam by the last word on it" in notes
    assert "deleted at the source" in notes
    assert "an event came again with other content once" in notes
    assert "no promise of a reply covers wait 1" in notes
    assert "someone in it was erased by erasure-1" in notes
    assert f"left out, as their person had been erased when they came: {later.event_id}" in notes
