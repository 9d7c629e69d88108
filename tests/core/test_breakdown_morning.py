"""The simulated morning on which the buses' dispatch breaks down, with nobody who answers: what people are told."""

from collections import defaultdict
from functools import cache

from schemas.alerts import INHIBITED, STEPS, AlertTransition
from schemas.events import EVENT, DistrictConfigured, Inquiry
from schemas.incidents import CLOSED, GROWN, OPENED, IncidentTransition
from schemas.transitions import Transition
from schemas.vocabulary import to_ms
from streams.core.district import DistrictState
from tests.simulated import SAMPLE, local_ms, run, span

MINUTE_MS = 60_000
BREAKS, ENDS = local_ms("2026-09-15T06:20"), local_ms("2026-09-15T16:00")
TARGET_MS = 120 * MINUTE_MS
INSTANTS = {step: TARGET_MS * share // 4 for step, share in zip(STEPS, (3, 4, 6, 8), strict=True)}


@cache
def morning() -> tuple[dict[str, Inquiry], list[Transition]]:
    """Inquiries by conversation that nobody took, of a district of which nothing was known; all that is told of it."""
    state = DistrictState(SAMPLE.district)
    told: list[Transition] = []
    asked: dict[str, Inquiry] = {}
    left = [arrival for arrival in run(span("2026-09-15", "2026-09-16")) if arrival.received_ms < ENDS]
    events = iter([(arrival.received_ms, EVENT.validate_json(arrival.text)) for arrival in left])
    following = next(events, None)
    for now_ms in range(local_ms("2026-09-15T05:00"), ENDS, MINUTE_MS):
        while following is not None and following[0] < now_ms:
            event = following[1]
            if isinstance(event, Inquiry) and event.contact != "answered_live":
                asked.setdefault(event.conversation, event)
                state.apply(event)
            elif isinstance(event, DistrictConfigured):
                state.apply(event)
            following = next(events, None)
        state.settle()
        told += state.watching.advance(now_ms, now_ms)
        told += state.alerts.advance(now_ms, now_ms)
    return asked, told


def of_buses() -> dict[str, Inquiry]:
    """The calls to the dispatch about late buses while it is broken down, of people who can be called back."""
    asked, _ = morning()
    return {
        name: event
        for name, event in asked.items()
        if (event.topic, event.channel) == ("bus-late", "phone")
        and event.unit in (None, "dispatch")
        and event.reachable
        and event.needs_reply
        and event.opened_by != "staff"
        and BREAKS <= to_ms(event.occurred_at) < BREAKS + TARGET_MS
    }


def test_it_is_one_incident_that_is_known_within_minutes_and_ends() -> None:
    incidents = [one for one in morning()[1] if isinstance(one, IncidentTransition)]
    assert {(one.kind, one.about, one.unit) for one in incidents} == {("surge", "bus-late", "dispatch")}
    assert len({one.key for one in incidents}) == 1
    opened, *grown, closed = incidents
    assert (opened.transition, {one.transition for one in grown}, closed.transition) == (OPENED, {GROWN}, CLOSED)
    assert BREAKS < opened.at < BREAKS + 15 * MINUTE_MS
    assert len(of_buses()) > 200


def test_each_call_breaks_its_promise_and_escalates_at_its_instants() -> None:
    of_each: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for one in morning()[1]:
        if isinstance(one, AlertTransition) and one.clock == "first_reply":
            of_each[one.conversation].append((one.transition, one.at))
    plain = {name: event for name, event in of_buses().items() if event.priority != "critical"}
    assert plain
    for name, event in plain.items():
        began = to_ms(event.occurred_at)
        assert of_each[name] == [(step, began + after) for step, after in INSTANTS.items()], name


def test_there_is_no_storm_of_alerts() -> None:
    alerts = [one for one in morning()[1] if isinstance(one, AlertTransition) and one.conversation in of_buses()]
    assert len(alerts) > 4 * 200
    sent = [one for one in alerts if one.notify and not one.critical]
    assert len({one.conversation for one in sent}) <= 2
    assert {one.muted for one in alerts if not one.notify} == {INHIBITED}
    assert all(one.notify for one in alerts if one.critical)
