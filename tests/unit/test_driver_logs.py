"""What a driver repeats while a server is away is written now and then, with how often it was said."""

import logging

from streams.driver_logs import Repetitions


def record(text: str, line: int) -> logging.LogRecord:
    return logging.LogRecord("kafka.conn", logging.ERROR, "conn.py", line, text + " %s", ("now",), None)


def test_one_place_is_heard_now_and_then_and_others_are_not_silenced() -> None:
    seconds = [0.0]
    repetitions = Repetitions(30.0, lambda: seconds[0])
    first, other = record("refused", 7), record("lost", 8)
    assert repetitions.filter(first)
    assert first.getMessage() == "refused now"
    assert [repetitions.filter(record("refused", 7)) for _ in range(2_000)] == [False] * 2_000
    assert repetitions.filter(other)
    seconds[0] = 30.0
    later = record("refused", 7)
    assert repetitions.filter(later)
    assert later.getMessage() == "refused now (and 2,000 times more before)"
    assert not repetitions.filter(record("refused", 7))
