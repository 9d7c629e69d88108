"""Promises of a demonstration that break while people look: one at its very opening, then every other minute.

Somebody was told on the phone when it would be done. That goes at risk, passes, and is met a little late.
"""

import json
from collections.abc import Iterator
from typing import Any

from streams.intake.simulator_writing import MINUTE_MS, Arrived, instant

OFTEN = 5
EVERY_MS = 2 * MINUTE_MS
PROMISED_MS = 4 * MINUTE_MS
# Of the opening: asked before it, due after it. At risk is three quarters of the time promised.
ASKED_MS = -150_000
DONE_MS = ASKED_MS + PROMISED_MS + 15_000
NAME = "staged"


def staged(district: str, opens_ms: int) -> Iterator[Arrived]:
    """Their events in order of arrival. All of a conversation is over before the next one is at risk."""
    return iter(
        sorted(
            arrived
            for number in range(OFTEN)
            for arrived in _conversation(district, number, opens_ms + number * EVERY_MS)
        )
    )


def _conversation(district: str, number: int, opens_ms: int) -> Iterator[Arrived]:
    asked_ms, done_ms = opens_ms + ASKED_MS, opens_ms + DONE_MS
    due_at = instant(asked_ms + PROMISED_MS)
    asked = {"channel": "phone", "topic": "bus-late", "contact": "voicemail", "due_at": due_at}
    events: list[tuple[str, int, dict[str, Any]]] = [
        ("inquiry", asked_ms, asked),
        ("reply", done_ms - 1_000, {"channel": "phone"}),
        ("status_changed", done_ms, {"status": "resolved", "by": "staff"}),
    ]
    for place, (kind, at_ms, more) in enumerate(events):
        event = {
            "kind": kind,
            "event_id": f"{NAME}-{number}.{place}",
            "district": district,
            "source": "phone-system",
            "conversation": f"{NAME}-{number}",
            "occurred_at": instant(at_ms),
            **more,
            "received_at": instant(at_ms),
        }
        yield at_ms, json.dumps(event, separators=(",", ":"))
