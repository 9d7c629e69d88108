"""What is put right and then taken back restores every row: corrections, spam, merges, closures, edited ratings."""

from datetime import timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.events import Correction, DistrictConfigured, Event, Inquiry, Merge, NotSpam, Rating, Spam, Unmerge
from tests.core.test_properties import START, histories
from tests.golden import ZONE, History, district, fold_all

# What only counts how much is known.
COUNTS = frozenset({"version", "events", "configurations"})
AFTERWARDS = ("2027-01-01 09:00", "2027-01-01 10:00")


def numbers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in COUNTS} for row in rows]


def lived(events: list[Event]) -> History:
    history = History()
    history.events = list(events)
    return history


@settings(max_examples=400, deadline=None)
@given(events=histories(), data=st.data())
def test_a_correction_and_its_opposite_restore_the_rows(events: list[Event], data: st.DataObject) -> None:
    inquiries = [event for event in events if isinstance(event, Inquiry)]
    assume(inquiries and not any(isinstance(event, Correction) for event in events))
    wrong = data.draw(st.sampled_from(inquiries))
    # Of two contents of one id the smaller digest counts, and both have these fields in common.
    moment = wrong.occurred_at + timedelta(minutes=data.draw(st.integers(-3000, 3000)))
    changes = {
        "needs_reply": (not wrong.needs_reply, wrong.needs_reply),
        "unit": ("line", wrong.unit),
        "time": (moment.isoformat(), wrong.occurred_at.isoformat()),
    }
    chosen = data.draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, unique=True))
    history = lived(events)
    for when, which in zip(AFTERWARDS, (0, 1), strict=True):
        fields = {name: changes[name][which] for name in chosen}
        history.add("correction", when, wrong.conversation, corrects=wrong.event_id, **fields)
    assert numbers(history.facts()) == numbers(fold_all(events))


@settings(max_examples=400, deadline=None)
@given(events=histories(), data=st.data())
def test_spam_and_not_spam_restore_the_rows(events: list[Event], data: st.DataObject) -> None:
    names = sorted({event.conversation for event in events if hasattr(event, "conversation")})
    name = data.draw(st.sampled_from(names))
    rows = fold_all(events)
    words = [event for event in events if isinstance(event, (Spam, NotSpam)) and event.conversation == name]
    is_spam = bool(words) and isinstance(max(words, key=_order), Spam)
    history = lived(events)
    for when, kind in zip(AFTERWARDS, ("not_spam", "spam") if is_spam else ("spam", "not_spam"), strict=True):
        history.add(kind, when, name)
        between = {row["conversation"]: row["retracted"] for row in history.facts()}
        assert kind == "not_spam" or between[name] == 1
    assert numbers(history.facts()) == numbers(rows)


def _order(event: Event) -> tuple[Any, str]:
    return event.occurred_at, event.event_id


@settings(max_examples=400, deadline=None)
@given(events=histories(), data=st.data())
def test_a_merge_and_an_unmerge_restore_the_rows_of_both(events: list[Event], data: st.DataObject) -> None:
    names = sorted({event.conversation for event in events if hasattr(event, "conversation")})
    assume(len(names) > 1)
    one, other = data.draw(st.permutations(names))[:2]
    pair = {one, other}
    words = [e for e in events if isinstance(e, (Merge, Unmerge)) and {e.conversation, e.into} == pair]
    is_merged = bool(words) and isinstance(max(words, key=_order), Merge)
    history = lived(events)
    for when, kind in zip(AFTERWARDS, ("unmerge", "merge") if is_merged else ("merge", "unmerge"), strict=True):
        # Whichever of the two writes it, it is of the pair.
        writer, named = data.draw(st.permutations([one, other]))
        history.add(kind, when, writer, into=named)
    assert numbers(history.facts()) == numbers(fold_all(events))


@settings(max_examples=400, deadline=None)
@given(events=histories(), days=st.lists(st.integers(0, 7), min_size=1, max_size=3), data=st.data())
def test_a_snow_day_declared_and_taken_back_restores_the_rows(
    events: list[Event], days: list[int], data: st.DataObject
) -> None:
    configured = [event for event in events if isinstance(event, DistrictConfigured)]
    newest = max(configured, key=lambda event: event.revision).configuration
    document = newest.model_dump(mode="json")
    office = document["calendars"]["office"]
    snow = [(START + timedelta(days=day)).astimezone(ZONE).date().isoformat() for day in days]
    closed = document["calendars"] | {"office": office | {"closed": sorted({*office["closed"], *snow})}}
    # An edit of the promises has its own instant; where there is none, the closure may come at any time.
    first = START + timedelta(minutes=data.draw(st.integers(0, 12_000) if len(configured) == 1 else st.just(500_000)))
    history = lived(events)
    for hours, calendars in ((0, closed), (1, document["calendars"])):
        revision = 100 + hours
        when = (first + timedelta(hours=hours)).astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
        history.configured(district(**(document | {"calendars": calendars, "revision": revision})), when)
    assert _without_revisions(history.facts()) == _without_revisions(fold_all(events))


def _without_revisions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A running clock names the last configuration that it ran by."""
    return [row | {"verdicts": [{**verdict, "revision": 0} for verdict in row["verdicts"]]} for row in numbers(rows)]


@settings(max_examples=400, deadline=None)
@given(events=histories(), score=st.integers(1, 10), data=st.data())
def test_a_rating_edited_and_edited_back_restores_all_but_the_edits(
    events: list[Event], score: int, data: st.DataObject
) -> None:
    ratings = [event for event in events if isinstance(event, Rating) and _counts(event, fold_all(events))]
    assume(ratings)
    first = data.draw(st.sampled_from(ratings))
    history = lived(events)
    # Seconds later: everything else happens on whole minutes.
    for seconds, given_score in ((1, score), (2, first.score)):
        when = (first.occurred_at + timedelta(seconds=seconds)).astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
        history.add("rating", when, first.conversation, score=given_score, source=first.source)
    assert _without_edits(history.facts()) == _without_edits(fold_all(events))


def _counts(rating: Rating, rows: list[dict[str, Any]]) -> bool:
    """Whether it is this score of its conversation that counts, and no other one of the same minute."""
    own = [row for row in rows if row["conversation"].partition("~")[0] == rating.conversation]
    given = [(given["rated_at"], given["score"]) for row in own for given in row["ratings"]]
    return (rating.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), rating.score) in given


def _without_edits(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How often a score was edited, and when it was given last, says the history and not the score."""
    given = ("edits", "rated_at")
    return [
        row | {"ratings": [{k: v for k, v in rating.items() if k not in given} for rating in row["ratings"]]}
        for row in numbers(rows)
    ]
