"""The hot path in one process: decode alone, then decode, apply and fold. Figures compare within one run only."""

import gc
import time
import tracemalloc
from statistics import median

from bench.workload import configured, messages, open_messages
from streams.core.admission import admit
from streams.core.district import DistrictState

DISTRICT = "bench"
CONVERSATIONS = 8_000
EVENTS_PER_MESSAGE = 500
ROUNDS = 5
OPEN_CONVERSATIONS = 10_000


def _state() -> DistrictState:
    state = DistrictState(DISTRICT)
    state.apply(configured(DISTRICT))
    return state


def _decode(batch: list[bytes]) -> float:
    started = time.perf_counter()
    for message in batch:
        admit(message)
    return time.perf_counter() - started


def computed(batch: list[bytes]) -> float:
    """Seconds for decoding, applying and folding, a fold for every ten messages, as under load."""
    state = _state()
    started = time.perf_counter()
    for number, message in enumerate(batch, 1):
        for _, event in admit(message).events:
            state.apply(event)
        if number % 10 == 0:
            state.settle()
    state.settle()
    return time.perf_counter() - started


def _bytes_per_open_conversation() -> float:
    batch = open_messages(DISTRICT, OPEN_CONVERSATIONS, EVENTS_PER_MESSAGE)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    state = _state()
    for message in batch:
        for _, event in admit(message).events:
            state.apply(event)
    state.settle()
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / len(state.conversations)


def measure() -> dict[str, float]:
    """Medians over several rounds, decode and core in turn."""
    batch = messages(DISTRICT, CONVERSATIONS, EVENTS_PER_MESSAGE)
    count = CONVERSATIONS * 3
    decode, core, ratio = [], [], []
    computed(batch)
    for _ in range(ROUNDS):
        gc.collect()
        alone, whole = _decode(batch), computed(batch)
        decode.append(count / alone)
        core.append(count / whole)
        ratio.append(alone / whole)
    return {
        "events": count,
        "decode_events_per_s": round(median(decode)),
        "core_events_per_s": round(median(core)),
        "core_over_decode": round(median(ratio), 3),
        "bytes_per_open_conversation": round(_bytes_per_open_conversation()),
    }
