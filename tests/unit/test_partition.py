"""A partition on its own: what goes in, what a cut hands over."""

import json

import pytest

from schemas.topics import partition_of
from streams import partition as module
from streams.cuts import Delivery
from streams.partition import Partition
from tests.golden import History, district, ms

NUMBER = partition_of("demo", 16)


def delivery(payload: bytes | None, offset: int = 0) -> Delivery:
    return Delivery(NUMBER, offset, payload, 0)


def messages() -> list[bytes]:
    history = History()
    history.configured(district())
    history.add("inquiry", "2026-10-06 10:00")
    history.add("reply", "2026-10-06 10:45")
    return [event.model_dump_json(exclude_defaults=True).encode() for event in history.events]


def test_a_cut_holds_each_changed_conversation_once_and_then_nothing() -> None:
    taken = Partition(NUMBER, 16, "cx.events")
    for offset, payload in enumerate([*messages(), *messages()]):
        taken.take(delivery(payload, offset))
    cut = taken.cut()
    assert len(cut.deliveries) == 6
    assert (len(cut.events), len(cut.conversations), len(cut.configurations)) == (3, 1, 1)
    assert {row.unit for row in cut.units} == {"demo", "unrouted", "a", "a1", "b", "line"}
    assert taken.arrivals == {"new": 3, "duplicate": 3}
    again = taken.cut()
    assert not again.deliveries
    assert not again.conversations


def test_a_message_of_another_partition_is_sent_on_whole() -> None:
    taken = Partition((NUMBER + 1) % 16, 16, "cx.events")
    taken.take(delivery(messages()[1]))
    cut = taken.cut()
    assert [forward.district for forward in cut.forwards] == ["demo"]
    assert not cut.events


@pytest.mark.parametrize(("payload", "reason"), [(None, "empty"), (b"", "empty"), (b"{", "not_json"), (b"[]", "empty")])
def test_what_is_no_event_is_acknowledged_with_a_dead_letter(payload: bytes | None, reason: str) -> None:
    taken = Partition(NUMBER, 16, "cx.events")
    taken.take(delivery(payload, 7))
    cut = taken.cut()
    assert [(row.offset, row.reason) for row in cut.dead_letters] == [(7, reason)]
    assert len(cut.deliveries) == 1


def test_a_defect_while_reading_costs_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Partition(NUMBER, 16, "cx.events")

    def broken(_message: bytes | None) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(module, "admit", broken)
        taken.take(delivery(messages()[1]))
    taken.take(delivery(json.dumps([json.loads(m) for m in messages()]).encode(), 1))
    cut = taken.cut()
    assert [row.reason for row in cut.dead_letters] == ["internal"]
    assert len(cut.conversations) == 1


def test_a_history_beside_live_traffic_leaves_memory_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MUCH", 5)
    now_ms = ms("2026-10-06 12:00")
    taken = Partition(NUMBER, 16, "cx.events")
    held = []
    for number in range(12):
        history = History()
        history.add("inquiry", "2026-01-06 09:00", f"old{number}")
        history.add("reply", "2026-01-06 10:00", f"old{number}")
        history.add("inquiry", "2026-10-06 11:59", f"live{number}")
        for event in history.events:
            taken.take(delivery(event.model_dump_json(exclude_defaults=True).encode(), number))
        assert len(taken.cut(now_ms).conversations) == 2
        held.append(taken.held)
    assert max(held) <= 12 + 5
    assert held[-1] < 24
