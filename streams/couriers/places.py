"""What a receiver was told beyond the place that it acknowledged, written beside the offset: a restart knows it.

What is grouped waits for its message, and the place before it; what comes after it is told meanwhile.
"""

from collections.abc import Iterable

# Kafka takes 4,096 characters beside an offset; of what does not fit a restart tells again.
MOST_BITS = 4 * 4_000


def written(place: int, told: Iterable[int]) -> str:
    """Those of these offsets that are not before a place, as hexadecimal digits; empty if there are none."""
    bits = sum(1 << offset - place for offset in set(told) if 0 <= offset - place < MOST_BITS)
    return f"{bits:x}" if bits else ""


def read(place: int, text: str) -> set[int]:
    """The offsets that `written` wrote beside a place; none of what somebody else wrote."""
    try:
        bits = int(text or "0", 16)
    except ValueError:
        return set()
    return {place + number for number in range(bits.bit_length()) if bits >> number & 1}
