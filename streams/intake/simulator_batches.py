"""Simulated events gathered into JSON arrays of one district each, as the log takes them."""

from collections.abc import Iterable, Iterator

from streams.intake.simulator_writing import Arrived

DISTRICT = '"district":"'


def arrays(arrived: Iterable[Arrived], size: int) -> Iterator[Arrived]:
    """Arrays of up to `size` consecutive events of a district, in order of their last event's arrival."""
    waiting: dict[str, list[str]] = {}
    last = 0
    for received, text in arrived:
        start = text.index(DISTRICT) + len(DISTRICT)
        batch = waiting.setdefault(text[start : text.index('"', start)], [])
        batch.append(text)
        last = received
        if len(batch) == size:
            yield received, f"[{','.join(batch)}]"
            batch.clear()
    for batch in waiting.values():
        if batch:
            yield last, f"[{','.join(batch)}]"
