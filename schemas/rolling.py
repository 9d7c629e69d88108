"""Rows of rolling windows: what a unit looked like at an instant, by channel, by topic, by stakeholder.

Lengths are milliseconds; instants milliseconds UTC. A histogram is two arrays, the buckets of
`streams.core.histogram` that are not empty and how often each was hit, beside an exact count and sum.
"""

from typing import NamedTuple

from schemas.facts import CODE, COUNT, INSTANT, LENGTH, Column

HOUR_MS = 3_600_000
WINDOWS: dict[str, int] = {"1h": HOUR_MS, "24h": 24 * HOUR_MS, "7d": 168 * HOUR_MS, "28d": 672 * HOUR_MS}
SCHOOL_DAYS, SEVEN = "7sd", 7
ALL_WINDOWS: tuple[str, ...] = (*WINDOWS, SCHOOL_DAYS)
ALL_CHANNELS = "all"
SLICE_WINDOWS = ("24h", "28d")
SCORES = 10
PILLARS = ("courtesy", "communication", "responsiveness", "environment")


class RollingRow(NamedTuple):
    """A row of `rolling`, in the order of `ROLLING`; the window ends with `at`, half-open."""

    district: str
    unit: str
    channel: str
    window: str
    at: int
    inquiries: int
    open_waits: int
    oldest_open_at: int | None
    first_response_count: int
    first_response_sum_ms: int
    first_response_buckets: tuple[int, ...]
    first_response_counts: tuple[int, ...]
    first_response_business_count: int
    first_response_business_sum_ms: int
    first_response_business_buckets: tuple[int, ...]
    first_response_business_counts: tuple[int, ...]
    reply_count: int
    reply_sum_ms: int
    reply_buckets: tuple[int, ...]
    reply_counts: tuple[int, ...]
    reply_business_count: int
    reply_business_sum_ms: int
    reply_business_buckets: tuple[int, ...]
    reply_business_counts: tuple[int, ...]
    decided: int
    within: int
    ratings: tuple[int, ...]
    ratings_count: int
    courtesy: tuple[int, ...]
    communication: tuple[int, ...]
    responsiveness: tuple[int, ...]
    environment: tuple[int, ...]
    promises_met: int
    promises_missed: int
    promises_pending: int
    handoffs: int
    bounces: int
    published_at: int | None = None
    published_ratings: tuple[int, ...] = ()
    changes: int = 0


class Published(NamedTuple):
    """What a unit's newest row of 28 days says of its ratings: in the window, published, changes since."""

    district: str
    unit: str
    ratings: tuple[int, ...]
    published_at: int | None
    published_ratings: tuple[int, ...]
    changes: int


def histogram(name: str, meaning: str) -> tuple[Column, ...]:
    """The four columns of a histogram with its exact count and sum."""
    return (
        Column(f"{name}_count", COUNT, f"{meaning}: how many"),
        Column(f"{name}_sum_ms", LENGTH, "their exact sum"),
        Column(f"{name}_buckets", "Array(UInt16)", "buckets hit, ascending"),
        Column(f"{name}_counts", f"Array({COUNT})", "how often each was hit"),
    )


_MEASURES: tuple[Column, ...] = (
    Column("inquiries", COUNT, "conversations opened by a customer in the window, by owning unit"),
    Column("open_waits", COUNT, "waits open at the instant, whenever they opened"),
    Column("oldest_open_at", f"Nullable({INSTANT})", "when the oldest of them opened"),
    *histogram("first_response", "first responses sent in the window by the unit, without calls answered live"),
    *histogram("first_response_business", "the same in the owners' calendars"),
    *histogram("reply", "waits ended by a reply in the window, by the unit that owned them, not live"),
    *histogram("reply_business", "the same in the owners' calendars"),
    Column("decided", COUNT, "waits whose school day was over in the window, not live; withdrawn by then: not counted"),
    Column("within", COUNT, "of these, answered within it"),
    Column("ratings", f"Array({COUNT})", "ratings given in the window, late ones left out: how many 1s, 2s, … 10s"),
    Column("ratings_count", COUNT, "their number"),
    *(Column(pillar, f"Array({COUNT})", "of these, the scores of this pillar: 1s, 2s, … 10s") for pillar in PILLARS),
    Column("promises_met", COUNT, "promises due in the window and kept"),
    Column("promises_missed", COUNT, "promises due in the window and broken, still waiting or not"),
    Column("promises_pending", COUNT, "promises due in the window that can still be kept"),
    Column("handoffs", COUNT, "changes of department in the window, by the unit that got it"),
    Column("bounces", COUNT, "of these, back to where it was before"),
)
ROLLING: tuple[Column, ...] = (
    Column("district", CODE, "district"),
    Column("unit", CODE, "unit, with all units below it"),
    Column("channel", CODE, "phone, email, web, social, in_person; empty: unknown; all: every one of them"),
    Column("window", CODE, "1h, 24h, 7d, 28d; 7sd: each unit's own last seven school days"),
    Column("at", INSTANT, "end of the window, itself not in it"),
    *_MEASURES,
    Column("published_at", f"Nullable({INSTANT})", "28d, all channels: end of the window whose ratings may be shown"),
    Column("published_ratings", f"Array({COUNT})", "the ratings of that window; empty: nothing is published yet"),
    Column("changes", COUNT, "ratings that entered or left the window since; the tenth publishes anew"),
)

# A row of `rolling_slices` is a plain tuple in this order.
ROLLING_SLICES: tuple[Column, ...] = (
    Column("district", CODE, "district"),
    Column("unit", CODE, "unit, with all units below it"),
    Column("dimension", CODE, "topic or stakeholder"),
    Column("value", CODE, "which topic, empty: none; which stakeholder"),
    Column("window", CODE, "24h or 28d"),
    Column("at", INSTANT, "end of the window, itself not in it"),
    *_MEASURES,
)
