"""The simulated district that lives on a clock: when it opens, what is sent when, and how a later start goes on."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.resumption import Resumption
from deploy.local.state import DataDirectory
from schemas.calendar import always_open
from schemas.district import District
from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from streams.intake.demonstration import HISTORY_DAYS, Demonstration, Feeder
from streams.intake.memory import MemoryLog
from streams.intake.simulator import sample_district
from streams.intake.simulator_writing import DAY_MS, MINUTE_MS

WAIT_SECONDS = 60.0


def small() -> Demonstration:
    """A district of one office, open day and night."""
    calendar = always_open()
    return Demonstration.of(District(district="small", calendar="all", calendars={"all": calendar}))


def sent(log: MemoryLog) -> list[str]:
    """Ids of the events in a log, in order."""
    return [event["event_id"] for messages in log.messages.values() for text in messages for event in json.loads(text)]


def fed(demonstration: Demonstration, log: MemoryLog, since_ms: int, until_ms: int) -> int:
    """Feed with a clock that stands at `until_ms`; returns what the feeder noted."""
    noted: list[int] = []

    def note(at: int) -> None:
        noted.append(at)
        feeder.stop()

    feeder = Feeder(demonstration, log, lambda: until_ms, list, note, since_ms)
    feeder.start()
    feeder.join(WAIT_SECONDS)
    feeder.check()
    assert not feeder.is_alive()
    return noted[-1]


def test_the_sample_opens_on_a_school_day_at_07_35() -> None:
    opens = from_ms(Demonstration.of(sample_district()).opens_ms)
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
    feeder = Feeder(shown, log, lambda: end, list, lambda _: feeder.stop(), shown.opens_ms)
    feeder.start()
    feeder.join(1.0)
    assert not sent(log)
    log.away = False
    feeder.join(WAIT_SECONDS)
    feeder.check()
    reference = MemoryLog()
    fed(shown, reference, shown.opens_ms, end)
    assert sent(log) == sent(reference) != []


def test_where_it_stopped_is_kept_and_damage_is_said(tmp_path: Path) -> None:
    data = DataDirectory(Settings(data=tmp_path))
    assert Resumption.read(data) is None
    left = Resumption(district="small", document_digest="0" * 64, shown_ms=1, sent_ms=2)
    left.write(data)
    assert Resumption.read(data) == left
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(EnvironmentProblem, match="--fresh"):
        Resumption.read(data)
