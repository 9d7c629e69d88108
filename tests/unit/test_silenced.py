"""A feed that a press silenced: what it held back comes afterwards, whenever the feeder was started anew."""

import json
from datetime import datetime
from typing import Any

from schemas.vocabulary import to_ms
from streams.intake.silenced import APART_MS, SILENCE_MS, Silenced
from streams.intake.simulator_writing import MINUTE_MS, Arrived
from tests.simulated import few, local_ms, run, span

PRESSED = local_ms("2026-10-06T10:02")
ENDS = PRESSED + SILENCE_MS


def sent(silences: dict[int, str]) -> list[Arrived]:
    """A day as it leaves, with sources silenced at instants."""
    silenced, left = Silenced("d"), []
    for at_ms, source in silences.items():
        silenced.learn(source, at_ms)
    for arrival in run(span("2026-10-06", "2026-10-07"), few(3_000)):
        while (held_ms := silenced.next_ms()) is not None and held_ms <= arrival.received_ms:
            left += list(silenced.due(held_ms))
        text = silenced.take(arrival.received_ms, arrival.text)
        if text is not None:
            left.append((arrival.received_ms, text))
    return left


def of(source: str, arrived: list[Arrived]) -> dict[str, dict[str, Any]]:
    """The events of a source by their id."""
    events = [json.loads(text) for _, text in arrived]
    return {event["event_id"]: event for event in events if event["source"] == source}


def received(event: dict[str, Any]) -> int:
    return to_ms(datetime.fromisoformat(event["received_at"]))


def test_what_a_silenced_feed_holds_back_comes_when_it_is_over_and_heartbeats_never() -> None:
    usual, silent = of("mailbox", sent({})), of("mailbox", sent({PRESSED: "mailbox"}))
    held = {name for name, event in usual.items() if PRESSED <= received(event) < ENDS}
    beats = {name for name in held if usual[name]["kind"] == "heartbeat"}
    assert len(held) > 10
    word = f"silenced-mailbox-{PRESSED}"
    assert silent.keys() == usual.keys() - beats | {word}
    assert (silent[word]["healthy"], received(silent[word])) == (False, PRESSED + MINUTE_MS)
    for name in usual.keys() - beats:
        expected = {**usual[name], "received_at": ""}
        assert {**silent[name], "received_at": ""} == expected
        if name in held:
            assert ENDS <= received(silent[name]) <= ENDS + len(held) * APART_MS
        else:
            assert received(silent[name]) == received(usual[name])


def test_no_other_feed_is_touched() -> None:
    usual, silent = sent({}), sent({PRESSED: "mailbox"})
    for source in ("phone-system", "web-form", "front-desk"):
        assert of(source, silent) == of(source, usual)


def test_presses_in_a_row_make_one_long_silence() -> None:
    later = PRESSED + SILENCE_MS - MINUTE_MS
    silent = of("mailbox", sent({PRESSED: "mailbox", later: "mailbox"}))
    meanwhile = [event for event in silent.values() if PRESSED <= received(event) < later + SILENCE_MS]
    assert [(event["kind"], received(event)) for event in meanwhile] == [
        ("heartbeat", at_ms + MINUTE_MS) for at_ms in (PRESSED, later)
    ]


def test_what_is_learned_again_changes_nothing() -> None:
    silenced = Silenced("d")
    for _ in range(2):
        silenced.learn("mailbox", PRESSED)
    text = '{"kind":"reply","source":"mailbox","received_at":"2026-10-06T15:03:00.000Z"}'
    assert silenced.take(PRESSED + 1, text) is None
    (beat_ms, _), (at_ms, later) = silenced.due(ENDS)
    assert beat_ms == PRESSED + MINUTE_MS
    assert at_ms == ENDS + APART_MS
    assert silenced.take(at_ms, later) == later
