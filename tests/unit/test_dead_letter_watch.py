"""A release or a source that gets nearly everything wrong stops the worker before its messages count as done."""

import asyncio

import pytest

from sinks.landing import DeadLetterRow
from sinks.memory import MemorySink
from streams.dead_letter_watch import DeadLetterLimit, DeadLetterWatch
from tests.unit.test_worker import Died, World, delivery, payloads


def rows(number: int, reason: str = "invalid_field", field: str = "score") -> list[DeadLetterRow]:
    return [DeadLetterRow("cx.events", 3, offset, 0, reason, field, "", "", "d", "") for offset in range(number)]


def watch(*flushes: tuple[int, list[DeadLetterRow]], share: float = 0.5, is_wary: bool = False) -> list[str | None]:
    """What is said of each flush: items read, dead letters among them."""
    watched = DeadLetterWatch(DeadLetterLimit(share), is_wary)
    said = []
    for items, refused in flushes:
        watched.take(items)
        said.append(watched.too_much(refused))
    return said


@pytest.mark.parametrize(
    ("items", "refused", "stops"),
    [
        (199, 100, True),
        (200, 100, False),
        (99, 99, False),
        (100, 100, True),
        (1_000, 500, False),
        (50_000, 1_000, False),
    ],
)
def test_half_of_the_items_and_a_hundred_of_them_may_be_refused(items: int, refused: int, stops: bool) -> None:
    (said,) = watch((items, rows(refused)))
    assert (said is not None) is stops


def test_a_trickle_of_refusals_adds_up() -> None:
    said = watch(*[(1, rows(1))] * 100)
    assert said[:99] == [None] * 99
    assert said[99] is not None


def test_what_went_well_long_ago_is_no_excuse_and_what_went_wrong_is_forgiven() -> None:
    good, bad = (500, rows(0)), (100, rows(100))
    assert watch(good, good, good, *[bad] * 10)[-1] is not None
    assert watch((120, rows(99)), *[good] * 2, (150, rows(80))) == [None] * 4


def test_a_large_flush_that_went_well_hides_no_more_than_what_is_left_of_the_latest_items() -> None:
    said = watch((50_000, rows(0)), *[(1, rows(1))] * 501)
    assert said[:-1] == [None] * 501
    assert said[-1] is not None
    assert said[-1].startswith("501 of the latest 1,000 items")
    assert watch((50_000, rows(25_001)))[0] is not None


def test_erased_people_and_idle_flushes_do_not_count() -> None:
    assert watch((200, rows(200, "erased"))) == [None]
    assert watch((0, []), (150, rows(90)), *[(0, [])] * 5, (0, [])) == [None] * 8


def test_one_is_no_limit() -> None:
    assert watch((500, rows(500)), share=1) == [None]
    assert watch((1, rows(1)), share=1, is_wary=True) == [None]


def test_who_comes_after_one_that_was_stopped_takes_a_hundred_items_before_it_lets_as_many_pass() -> None:
    assert watch((1, rows(1)), is_wary=True)[0] is not None
    said = watch((3, rows(1)), (1, rows(1)), (1, rows(1)), is_wary=True)
    assert [each is not None for each in said] == [False, False, True]
    assert watch((100, rows(40)), *[(1, rows(1))] * 59, is_wary=True) == [None] * 60


def test_the_sentence_says_what_was_wrong_where_and_what_to_do() -> None:
    (said,) = watch((300, [*rows(150), *rows(50, "internal", "")]))
    assert said is not None
    assert said.startswith("200 of the latest 300 items were refused, more than CX_DEAD_LETTER_LIMIT=0.5 allows")
    assert "150 invalid_field score, 50 internal" in said
    assert "partition 3, offset 0" in said


def test_a_worker_ends_before_dead_letters_are_written_or_anything_is_acknowledged() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        await world.assigned()
        for offset, payload in enumerate([*payloads(), *[b"not json"] * 150]):
            await world.worker.receive(delivery(offset, payload))
        with pytest.raises(Died, match="150 not_json"):
            await world.worker.flush()
        assert world.acknowledged == []
        assert world.sink.rows("dead_letters") == []
        (step,) = world.steps
        assert step.startswith("halted: 150 of the latest 153 items")

    asyncio.run(scene())


def test_messages_that_are_read_again_count_as_read() -> None:
    async def scene() -> None:
        world = World(MemorySink())
        await world.assigned()
        for offset, payload in enumerate([*payloads() * 60, *[b"not json"] * 120]):
            await world.worker.receive(delivery(offset, payload))
        await world.worker.flush()
        assert len(world.acknowledged) == 300
        assert len(world.sink.rows("dead_letters")) == 120

    asyncio.run(scene())
