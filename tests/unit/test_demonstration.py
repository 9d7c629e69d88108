"""The simulated district that lives on a clock: when it opens, what is sent when, and how a later start goes on."""

import json
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from deploy.local.resumption import Resumption
from deploy.local.state import DataDirectory
from schemas.alerts import AT_RISK, BREACHED, MET_LATE
from schemas.calendar import always_open
from schemas.district import District
from schemas.errors import EnvironmentProblem
from schemas.events import EVENT
from schemas.settings import Settings
from schemas.vocabulary import from_ms, to_ms
from streams.configured import closed_on, configured
from streams.core.district import DistrictState
from streams.intake import demonstration, staged
from streams.intake.closing import Landed
from streams.intake.demonstration import HISTORY_DAYS, Demonstration, Fed, Feeder
from streams.intake.memory import MemoryLog
from streams.intake.silenced import SILENCE_MS
from streams.intake.simulator_writing import DAY_MS, MINUTE_MS
from tests.simulated import SAMPLE

WAIT_SECONDS = 60.0
NOTHING = Landed(list)


def small() -> Demonstration:
    """A district of one office, open day and night."""
    calendar = always_open()
    return Demonstration.of(District(district="small", calendar="all", calendars={"all": calendar}))


def events(log: MemoryLog) -> list[dict[str, Any]]:
    """The events in a log, in order."""
    return [event for messages in log.messages.values() for text in messages for event in json.loads(text)]


def sent(log: MemoryLog) -> list[str]:
    """Their ids."""
    return [event["event_id"] for event in events(log)]


def fed(shown: Demonstration, log: MemoryLog, since_ms: int, until_ms: int, landed: Landed = NOTHING) -> int:
    """Feed with a clock that stands at `until_ms`; returns what the feeder noted."""
    noted: list[int] = []

    def note(fed: Fed) -> None:
        noted.append(fed.until_ms)
        feeder.stop()

    feeder = Feeder(shown, log, lambda: until_ms, landed, note, Fed(since_ms))
    feeder.start()
    feeder.join(WAIT_SECONDS)
    feeder.check()
    assert not feeder.is_alive()
    return noted[-1]


def test_the_sample_opens_on_a_school_day_at_07_35() -> None:
    opens = from_ms(Demonstration.of(SAMPLE).opens_ms)
    assert opens == datetime(2026, 10, 6, 12, 35, tzinfo=UTC)
    assert f"{opens:%A}" == "Tuesday"


def test_its_past_is_four_weeks_long() -> None:
    shown = small()
    first, _ = next(iter(shown.arrivals()))
    assert first == shown.opens_ms - HISTORY_DAYS * DAY_MS


def test_what_is_due_is_sent_and_a_later_start_sends_the_rest_once() -> None:
    shown, whole, parts = small(), MemoryLog(), MemoryLog()
    end = shown.opens_ms + 180 * MINUTE_MS
    fed(shown, whole, shown.opens_ms, end)
    stopped_at = fed(shown, parts, shown.opens_ms, shown.opens_ms + 60 * MINUTE_MS)
    assert shown.opens_ms + 60 * MINUTE_MS < stopped_at
    few = len(sent(parts))
    fed(shown, parts, stopped_at, end)
    assert 0 < few < len(sent(parts))
    assert sent(parts) == sent(whole)


def test_nothing_is_lost_while_kafka_is_away() -> None:
    shown, log = small(), MemoryLog()
    log.away = True
    end = shown.opens_ms + 60 * MINUTE_MS
    feeder = Feeder(shown, log, lambda: end, Landed(list), lambda _: feeder.stop(), Fed(shown.opens_ms))
    feeder.start()
    feeder.join(1.0)
    assert not sent(log)
    log.away = False
    feeder.join(WAIT_SECONDS)
    feeder.check()
    reference = MemoryLog()
    fed(shown, reference, shown.opens_ms, end)
    assert sent(log) == sent(reference) != []


HOUR_MS = 60 * MINUTE_MS


def pressed(log: MemoryLog, hours: range, begin: Fed, monkeypatch: pytest.MonkeyPatch) -> Fed:
    """Feed the sample hour by hour after the opening, whose day is closed by a press in the third; how far it came."""
    monkeypatch.setattr(demonstration, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(demonstration, "FEED_SECONDS", 0.0)
    shown = Demonstration.of(SAMPLE)
    left, told = list(hours), [begin]

    def note(fed: Fed) -> None:
        if fed.pressed == told[-1].pressed and fed.until_ms > now_ms():
            left.pop(0)
            if not left:
                feeder.stop()
                left.append(hours[-1])
        told.append(fed)

    def now_ms() -> int:
        return shown.opens_ms + left[0] * HOUR_MS

    def newest() -> list[District]:
        return [closed_on(shown.document, ["2026-10-06"]) if left[0] >= 2 else shown.document]

    feeder = Feeder(shown, log, now_ms, Landed(newest), note, begin)
    feeder.start()
    feeder.join(WAIT_SECONDS)
    feeder.check()
    assert not feeder.is_alive()
    return told[-1]


def test_staff_rest_on_a_pressed_day_and_a_later_start_goes_on_like_that(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = MemoryLog(), MemoryLog()
    opens = Fed(Demonstration.of(SAMPLE).opens_ms)
    fed = pressed(whole, range(30), opens, monkeypatch)
    assert fed.pressed == {"2026-10-06": opens.until_ms + 2 * HOUR_MS}
    stopped = pressed(parts, range(6), opens, monkeypatch)
    assert stopped.pressed == fed.pressed
    pressed(parts, range(5, 30), stopped, monkeypatch)
    assert events(parts) == events(whole)
    replies_ms = [
        to_ms(datetime.fromisoformat(event["occurred_at"]))
        for event in events(whole)
        if event["kind"] == "reply" and "author" not in event and event.get("unit") != "social-media"
    ]
    since_ms, until_ms = (opens.until_ms + hours * HOUR_MS for hours in (2, 16))
    assert [at_ms for at_ms in replies_ms if since_ms <= at_ms < until_ms] == []
    assert sum(at_ms < since_ms for at_ms in replies_ms) > 10
    assert sum(at_ms >= until_ms for at_ms in replies_ms) > 100


def test_a_feed_that_a_press_silenced_holds_back_and_a_later_start_goes_on_like_that() -> None:
    shown, whole, parts = Demonstration.of(SAMPLE), MemoryLog(), MemoryLog()
    pressed_ms, end = shown.opens_ms + 10 * MINUTE_MS, shown.opens_ms + 30 * MINUTE_MS
    landed = Landed(list, lambda: [("mailbox", pressed_ms)])
    fed(shown, whole, shown.opens_ms, end, landed)
    stopped_at = fed(shown, parts, shown.opens_ms, pressed_ms + 2 * MINUTE_MS, landed)
    fed(shown, parts, stopped_at, end, landed)
    assert events(parts) == events(whole)
    mails = [event for event in events(whole) if event["source"] == "mailbox"]
    times = [to_ms(datetime.fromisoformat(event["received_at"])) for event in mails]
    assert [at_ms for at_ms in times if pressed_ms <= at_ms < pressed_ms + SILENCE_MS] == [pressed_ms + MINUTE_MS]
    assert any(pressed_ms + SILENCE_MS <= at_ms < pressed_ms + SILENCE_MS + 2_000 for at_ms in times)


def test_where_it_stopped_is_kept_and_damage_is_said(tmp_path: Path) -> None:
    data = DataDirectory(Settings(data=tmp_path))
    assert Resumption.read(data) is None
    left = Resumption(district="small", document_digest="0" * 64, shown_ms=1, sent_ms=2, pressed={"2026-10-06": 1})
    left.write(data)
    assert Resumption.read(data) == left
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(EnvironmentProblem, match="--fresh"):
        Resumption.read(data)


def test_within_two_minutes_a_promise_goes_at_risk_breaks_and_is_met_late() -> None:
    shown = Demonstration.of(SAMPLE)
    begins, ends = shown.opens_ms, shown.opens_ms + 2 * MINUTE_MS
    texts = [text for _, text in takewhile(lambda arrived: arrived[0] < ends, shown.arrivals())]
    mine = [EVENT.validate_json(text) for text in texts if f'"conversation":"{staged.NAME}-0"' in text]
    state = DistrictState(shown.document.district)
    for event in (configured(shown.document, from_ms(begins - DAY_MS)), *mine):
        state.apply(event)
    state.settle()
    told = [(one.transition, one.unit, one.notify) for one in state.alerts.advance(ends)]
    assert told == [(transition, "dispatch", 1) for transition in (AT_RISK, BREACHED, MET_LATE)]


def test_what_is_staged_is_at_stake_only_after_the_opening() -> None:
    shown = Demonstration.of(SAMPLE)
    arrived = list(staged.staged(shown.document.district, shown.opens_ms))
    assert arrived == sorted(arrived)
    dues = [
        to_ms(datetime.fromisoformat(event["due_at"])) for _, text in arrived if "due_at" in (event := json.loads(text))
    ]
    assert [due - shown.opens_ms for due in dues] == [90_000 + 120_000 * number for number in range(5)]
