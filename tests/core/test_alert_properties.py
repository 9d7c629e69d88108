"""Whatever is known in whatever order: the book says what a recomputation of everything says, at each instant."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.alerts import AlertTransition
from schemas.facts import Row, as_json
from schemas.vocabulary import from_ms
from streams.core.district import DistrictState
from tests.core.naive_alerts import Fact, Naive, Told
from tests.golden import OFFICE, History, district, ms

PROMISES: list[dict[str, Any]] = [
    {"promise": "reply", "clock": "first_reply", "target": "4h"},
    {"promise": "again", "clock": "next_reply", "target": "1h", "hours": "calendar"},
    {"promise": "done", "clock": "resolution", "target": "24h", "hours": "calendar"},
    {"promise": "word", "clock": "periodic_update", "target": "8h"},
]
LATE = ms("2026-10-20 10:00")
HOUR_MS = 3_600_000
QUARTERS = 4 * 24 * 4
# The line is always open: nothing of it is quiet, and nobody is told that it is at risk. Of b some steps are nobody's.
ALERTS = {
    "daily_budget": 100_000,
    "chains": [
        {"chain": "line", "units": ["line"], "breached": ["desk"], "escalated_50": ["head", "desk"]},
        {"chain": "b", "units": ["b"], "at_risk": ["front"], "breached": ["lead"], "escalated_100": ["chief"]},
    ],
}
UNITS = [
    {"unit": "a", "level": "department"},
    {"unit": "b", "level": "department"},
    {"unit": "line", "level": "department", "calendar": "always"},
]
KINDS: dict[str, dict[str, Any]] = {
    "inquiry": {},
    "urgent": {"priority": "critical"},
    "reply": {},
    "resolved": {"status": "resolved"},
    "pending": {"status": "pending"},
    "withdrawn": {"status": "withdrawn", "by": "customer"},
    "transfer": {"unit": "line"},
    "spam": {},
    "not_spam": {},
    "merge": {"into": "c1"},
}
EVENT = st.tuples(
    st.just("event"),
    st.sampled_from(["c1", "c2"]),
    st.sampled_from(["inquiry", "reply", "inquiry", "reply", "transfer", *KINDS]),
    st.integers(0, QUARTERS),
)
ADVANCE = st.tuples(st.just("advance"), st.integers(1, 20 * 60))
CONFIGURE = st.tuples(st.just("configure"), st.sampled_from(["closed", "longer", "shorter", "none"]))
OTHERS = st.sampled_from([("fail",), ("restart",), ("slice",)])
# Which of the alerts told, how many hours ago, for how many hours from then on; 0: without end.
ACKNOWLEDGE = st.tuples(st.just("acknowledge"), st.integers(0, 9), st.integers(0, 12), st.integers(0, 30))
SCOPE = st.sampled_from([{}, {"unit": "a"}, {"unit": "line"}, {"clock": "resolution"}, {"alert": None}])
SILENCE = st.tuples(st.just("silence"), SCOPE, st.integers(0, 12), st.integers(0, 30))
DONE = st.one_of(ACKNOWLEDGE, SILENCE)
STEPS = st.lists(st.one_of(EVENT, EVENT, EVENT, ADVANCE, ADVANCE, CONFIGURE, OTHERS, DONE), min_size=2, max_size=24)


@pytest.fixture(autouse=True)
def _a_tight_heap() -> Iterator[None]:
    """The heap is made anew as soon as half of it holds no longer."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("streams.core.alerting._SPARE", 0)
        yield


def local(quarter: int) -> str:
    day, rest = divmod(quarter, 96)
    return f"2026-10-{6 + day:02} {rest // 4:02}:{rest % 4 * 15:02}"


def document(change: str, revision: int) -> Any:
    office = OFFICE | {"closed": ["2026-10-07"]} if change == "closed" else OFFICE
    target = {"longer": "7h", "shorter": "2h"}.get(change, "4h")
    promises = [] if change == "none" else [PROMISES[0] | {"target": target}, *PROMISES[1:]]
    calendars = {"office": office, "always": district().model_dump(mode="json")["calendars"]["always"]}
    return district(promises=promises, calendars=calendars, units=UNITS, revision=revision, alerts=ALERTS)


class Life:
    """One district lived by the book and by the recomputation side by side."""

    def __init__(self) -> None:
        self.history = History()
        self.state = DistrictState("demo")
        self.facts: dict[str, Fact] = {}
        self.naive = Naive()
        self.made: list[AlertTransition] = []
        self.now = ms("2026-10-06 00:00")
        self.know(self.history.configured(document("", 1)))
        self.naive.document = document("", 1)

    def know(self, event: Any) -> None:
        self.state.apply(event)
        self.settle()

    def settle(self) -> None:
        """Fold what has new events; what a changed configuration or a restart left waits for `slice`."""
        self._take(self.state.settle(0).rows)

    def slice(self) -> None:
        """Fold one more of what is left."""
        self._take(self.state.refold(1).rows)

    def _take(self, rows: list[Row]) -> None:
        self.facts |= {row[1]: as_json(row) for row in rows}

    def event(self, conversation: str, kind: str, quarter: int) -> None:
        name = {"urgent": "inquiry"}.get(kind, "status_changed" if "status" in KINDS[kind] else kind)
        if kind != "merge" or conversation != "c1":
            self.know(self.history.add(name, local(quarter), conversation, **KINDS[kind]))

    def fail(self) -> None:
        """The last reply never came through."""
        replies = [event for event in self.history.events if event.kind == "reply"]
        for reply in replies[-1:]:
            when = local(QUARTERS)
            self.know(self.history.add("delivery_failed", when, reply.conversation, reply=reply.event_id))

    def configure(self, change: str) -> None:
        revision = 1 + sum(event.kind == "district_configured" for event in self.history.events)
        from_hour = min(QUARTERS, max(0, (self.now - ms("2026-10-06 00:00")) // (HOUR_MS // 4)))
        self.know(self.history.configured(document(change, revision), local(from_hour)))
        self.naive.document = document(change, revision)

    def acknowledge(self, number: int, ago: int, hours: int) -> None:
        """Somebody took on one of the alerts that were told."""
        keys = sorted({each.key for each in self.made})
        if keys:
            self.done("alert_acknowledged", ago, hours, alert=keys[number % len(keys)])

    def silence(self, scope: dict[str, Any], ago: int, hours: int) -> None:
        """Somebody wants to hear no more of something; `alert`: of the first one told."""
        if "alert" in scope:
            scope = {"alert": self.made[0].key} if self.made else {}
        self.done("alert_silenced", ago, max(1, hours), **scope)

    def done(self, kind: str, ago: int, hours: int, **more: Any) -> None:
        begin = from_ms(self.now - ago * HOUR_MS)
        until = {} if hours == 0 else {"until": (begin + timedelta(hours=hours)).isoformat()}
        moments = {"occurred_at": begin.isoformat(), "received_at": from_ms(self.now).isoformat()}
        event: Any = self.history.add(kind, local(0), "", **moments, **until, **more)
        self.naive.done.append(event)
        self.know(event)

    def restart(self) -> None:
        """The next owner of the partition reads everything back, and has folded nothing of it yet."""
        self.state = DistrictState("demo")
        for event in self.history.events:
            self.state.apply(event)
        self.state.clean()
        self.state.alerts.known(self.made)
        versions = {name: fact["version"] for name, fact in self.facts.items()}
        behind = [name for name in self.state.conversations if versions.get(name, 0) < self.state.version(name)]
        self.state.refill(behind=behind)

    def advance(self, minutes: int) -> None:
        """Of what is not folded yet nothing is said; of everything else at once what there is to say."""
        self.now += minutes * 60_000
        while self.state.has_stale_clocks:
            self.slice()
        made = self.state.alerts.advance(self.now)
        self.made.extend(made)
        stale = self.state._stale  # noqa: SLF001 -- what is not folded yet is not to be seen from outside
        left = {name for name in self.state.conversations if name in stale}
        expected = self.naive.advance(list(self.facts.values()), self.now, left)
        assert sorted(map(told, made)) == sorted(expected)


def told(one: AlertTransition) -> Told:
    about = ((one.conversation, one.clock, one.opened_by_event), one.revision, one.transition, one.at)
    return Told(*about, one.owner, bool(one.critical), one.notify, one.muted, one.recipients)


# Asked Tuesday 15:30, broken Wednesday 11:00, at 12:00 Wednesday turns out to have been closed.
MOVED = [("event", "c1", "inquiry", 62), ("advance", 36 * 60), ("configure", "closed"), ("advance", 60)]


@settings(max_examples=300, deadline=None)
@given(STEPS)
@example(MOVED)
def test_each_transition_is_what_a_recomputation_of_everything_says(steps: list[tuple[Any, ...]]) -> None:
    life = Life()
    for kind, *given_ in steps:
        getattr(life, kind)(*given_)
    life.advance((LATE - life.now) // 60_000)
    life.restart()
    life.advance(1)
    while life.state.stale:
        life.slice()
        life.advance(0)
    keys = [each.idempotency_key for each in life.made]
    assert len(keys) == len(set(keys))


@settings(max_examples=80, deadline=None)
@given(st.lists(EVENT, max_size=14), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_events_gives_the_same_transitions(
    events: list[tuple[Any, ...]], draw: Any
) -> None:
    life = Life()
    for _, *given_ in events:
        life.event(*given_)
    life.advance((LATE - life.now) // 60_000)
    state = DistrictState("demo")
    shuffled = [*life.history.events, *draw.choices(life.history.events, k=3)]
    draw.shuffle(shuffled)
    for event in shuffled:
        state.apply(event)
        if draw.random() < 0.5:
            state.settle()
    state.settle()
    assert sorted(state.alerts.advance(LATE), key=str) == sorted(life.made, key=str)


@settings(max_examples=80, deadline=None)
@given(st.lists(EVENT, max_size=14), st.integers(1, 10_000))
def test_nothing_is_due_before_the_book_says_so(events: list[tuple[Any, ...]], minutes: int) -> None:
    life = Life()
    for _, *given_ in events:
        life.event(*given_)
    life.advance(minutes)
    facts = list(life.facts.values())
    while (due := life.state.alerts.next_ms) is not None and due < LATE:
        assert life.state.alerts.advance(due - 1) == []
        assert life.naive.advance(facts, due - 1) == []
        made = life.state.alerts.advance(due)
        assert sorted(map(told, made)) == sorted(life.naive.advance(facts, due))
    assert due is not None or life.naive.advance(facts, LATE) == []
