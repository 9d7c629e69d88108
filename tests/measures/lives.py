"""Random histories of many short conversations, for measures: who asked whom, when, and what became of it."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.district import District
from schemas.facts import as_json
from streams.core.district import DistrictState
from streams.measures.facts import Fact, read_facts
from tests.golden import History, at, district

ASKED = "2026-11-02 12:00"
PROMISES: list[dict[str, Any]] = [
    {"promise": "first", "clock": "first_reply", "target": "2h"},
    {"promise": "next", "clock": "next_reply", "target": "3h", "hours": "calendar"},
    {"promise": "done", "clock": "resolution", "target": "8h"},
    {"promise": "owned", "clock": "ownership", "target": "30m"},
]
UNIT = st.sampled_from(["a", "a", "a1", "a1", "b", "line", "line", "demo", "gone"])
# Lengths of every size, around a minute, a day and a school day, often the same.
MINUTES = st.one_of(
    st.sampled_from([0, 1, 2, 60, 480, 510, 1440, 1441]),
    st.integers(0, 300),
    st.integers(0, 14).map(lambda d: d * 1440),
)
# Within seven weeks before the question, and a little after it.
DAYS = st.one_of(st.integers(-49, 1), st.integers(-14, 0))
SCORE = st.integers(1, 10)
# The last bears the name of a pillar, and is none.
OWN_ITEMS = ["clarity", "bus", "courtesy"]
RATING = st.fixed_dictionaries(
    {"score": SCORE},
    optional={
        "pillars": st.fixed_dictionaries({}, optional={"courtesy": SCORE}),
        "trust": SCORE,
        "answered": st.booleans(),
        "items": st.dictionaries(st.sampled_from(OWN_ITEMS), SCORE, max_size=2),
    },
)


@st.composite
def conversations(draw: st.DrawFn, history: History, number: int) -> None:
    """Add one conversation: asked, mostly answered, sometimes handed over, resolved, rated, asked again."""
    name, moment = f"c{number:03d}", at(ASKED) + timedelta(days=draw(DAYS), minutes=draw(st.integers(-720, 720)))

    def add(kind: str, **fields: Any) -> None:
        when = moment.strftime("%Y-%m-%d %H:%M")
        history.add(kind, when, name, **fields)

    about = {"person": draw(st.sampled_from(["ab" * 8, "cd" * 8])), "topic": draw(st.sampled_from(["bus", "food"]))}
    live = {"contact": "answered_live", "queue_seconds": 60.0} if draw(st.integers(0, 9)) == 0 else {}
    add("inquiry", unit=draw(UNIT), **(about if draw(st.booleans()) else {}), **live)
    for step in draw(st.lists(st.sampled_from(STEPS), max_size=5)):
        moment += timedelta(minutes=draw(MINUTES))
        kind, _, status = step.partition(" ")
        if status:
            add(kind, status=status)
        elif kind == "transfer":
            add(kind, unit=draw(UNIT))
        elif kind == "rating":
            add(kind, survey="s", **draw(RATING))
        else:
            add(kind, **({"unit": draw(UNIT)} if kind == "reply" and draw(st.booleans()) else {}))


STEPS = (
    *["reply"] * 4,
    *["status_changed resolved"] * 3,
    *["rating"] * 3,
    *["inquiry"] * 2,
    "status_changed withdrawn",
    "status_changed reopened",
    "transfer",
    "spam",
)


@st.composite
def lives(draw: st.DrawFn, document: District, most: int = 40) -> History:
    """A district's history of up to so many conversations."""
    history = History()
    history.configured(document)
    for number in range(draw(st.integers(0, most))):
        draw(conversations(history, number))
    return history


def folded(history: History) -> tuple[list[Fact], list[dict[str, Any]]]:
    """The facts as the measures read them, and as they are printed."""
    state = DistrictState("demo")
    for event in history.events:
        state.apply(event)
    rows = state.settle().rows
    return list(read_facts(rows)), [as_json(row) for row in rows]


def with_goals(goals: list[dict[str, Any]]) -> District:
    """The small district with promises, and these goals."""
    return district(promises=PROMISES, goals=goals)
