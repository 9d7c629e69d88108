"""Shares of what happens in conversations and on the way to the intake, counted in what came out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from streams.intake.simulator_parameters import Parameters
from streams.intake.simulator_world import World
from tests.declared.measuring import Declared, Measured, average, exact, exponential, share
from tests.declared.stories import Answer, Story
from tests.simulated import Arrival, ms

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
MOST_QUESTIONS, MOST_REPEATS = 4, 2
ALL_BUT_LATE = 20.0
"""Nothing that is not late takes so many times the usual delay."""


def counted(name: str, trials: Iterable[Story], happens: Callable[[Story], bool]) -> Measured:
    """The share of conversations in which something happens."""
    found = [happens(story) for story in trials]
    return share(f"habits.{name}", sum(found), len(found))


def beginnings(told: list[Story], world: World) -> Iterator[Measured]:
    """Who begins a conversation, and where it first goes."""
    yield counted("spam", (s for s in told if s.is_written), lambda s: s.is_spam)
    yield counted("staff_opened", told, lambda s: s.opened_by == "staff")
    yield counted("outbound", (s for s in told if s.channel != "in_person"), lambda s: s.opened_by == "outbound")
    outbound = [s for s in told if s.opened_by == "outbound"]
    yield counted("outbound_answered", outbound, lambda s: s.topic != "")
    customers = [s for s in told if s.opened_by == "customer"]
    yield counted("unit_named", customers, lambda s: "unit" in s.opening)
    named = [s for s in customers if "unit" in s.opening and len(targets(s, world)) == 1]
    yield counted("misrouted", named, lambda s: s.opening["unit"] not in targets(s, world))
    yield counted("urgent", customers, lambda s: s.opening.get("priority") == "high")
    yield counted("critical", customers, lambda s: s.opening.get("priority") == "critical")


def targets(story: Story, world: World) -> set[str]:
    """Units that should answer."""
    found = world.subjects[story.topic].targets
    return {desk.code for desk in found.values} if found else set()


def calls(told: list[Story], world: World) -> Iterator[Measured]:
    """What becomes of calls and visits."""
    customers = [s for s in told if s.opened_by == "customer" and not s.is_written]
    for channel in ("phone", "in_person"):
        open_ = [s for s in customers if s.channel == channel and is_open(s, world)]
        yield counted(f"answered_live.{channel}", open_, lambda s: s.is_live)
    unanswered = [s for s in customers if s.channel == "phone" and not s.is_live]
    yield counted("voicemail", unanswered, lambda s: s.opening["contact"] == "voicemail")
    yield counted("withheld_number", unanswered, lambda s: s.opening.get("reachable") is False)
    turned = [s for s in customers if s.channel == "in_person" and not s.is_live]
    yield counted("nameless_walk_in", turned, lambda s: s.opening.get("reachable") is False)
    # The answer ends the redialling; in six hours it has ended by itself.
    patient = [s for s in unanswered if s.waits and first_wait(s) > 6 * HOUR_MS]
    redials = sum(s.redials for s in patient)
    yield share("habits.redial", redials, redials + len(patient))


def is_open(story: Story, world: World) -> bool:
    """True if the unit that was called is known and serves."""
    return "unit" in story.opening and world.desks[story.opening["unit"]].is_open(ms(story.opening))


def first_wait(story: Story) -> float:
    """Milliseconds to the first answer, if one comes."""
    return story.answers[0].delivered_ms - ms(story.opening) if story.answers else float("inf")


def written(told: list[Story], parameters: Parameters) -> Iterator[Measured]:
    """What becomes of messages before the answer."""
    honest = [s for s in told if s.is_written and s.opened_by == "customer"]
    for channel in parameters.habits.bot:
        yield counted(f"bot.{channel}", (s for s in honest if s.channel == channel), lambda s: s.has_bot)
    left = [s for s in told if s.is_written and s.opened_by in ("customer", "spam") and not s.has_bot]
    for channel in parameters.habits.acknowledged:
        yield counted(f"acknowledged.{channel}", (s for s in left if s.channel == channel), lambda s: s.is_acknowledged)
    yield counted("follow_up", (s for s in honest if first_wait(s) > HOUR_MS), lambda s: s.follow_ups > 0)
    yield counted("merged", honest, lambda s: s.has_twin)


def handed_on(told: list[Story], world: World) -> Iterator[Measured]:
    """Hand-offs, where the first owner and the unit that answered are known."""
    firsts = [s for s in told if s.opened_by == "customer" and s.waits and s.answers]
    owners = [(s, first_owner(s, world)) for s in firsts]
    right = [s for s, owner in owners if owner == s.answers[0].unit]
    yield counted("wrong_handoff", right, lambda s: bool(s.hops))
    wrong = [s for s, owner in owners if owner != s.answers[0].unit]
    yield counted("bounced_back", wrong, lambda s: len(s.hops) > 1)


def first_owner(story: Story, world: World) -> str:
    """The unit that has it first: the one it names, or where the routing sends it."""
    said = story.opening
    return str(said["unit"]) if "unit" in said else world.route(story.topic, story.channel, said["stakeholder"]).code


def answered(told: list[Story], world: World) -> Iterator[Measured]:
    """What comes with an answer, and what when none comes."""
    awaited = [s for s in told if s.waits]
    yield counted("never_answered", awaited, lambda s: not s.answers)
    never = [s for s in awaited if not s.answers]
    yield counted("closed_silently", never, lambda s: s.closed_by == "staff")
    yield counted("withdrawn", never, lambda s: s.closed_by == "customer")
    answers = [answer for s in told for answer in s.answers]
    mailed = [answer for answer in answers if answer.channel == "email"]
    kinds: list[tuple[str, list[Answer], Callable[[Answer], bool]]] = [
        ("note", answers, lambda a: a.is_noted),
        ("extra_reply", answers, lambda a: a.is_doubled),
        ("undelivered", mailed, lambda a: a.is_lost),
        ("out_of_office", mailed, lambda a: a.meets_machine),
    ]
    for name, trials, happens in kinds:
        yield share(f"habits.{name}", sum(happens(answer) for answer in trials), len(trials))
    visits = [s for s in told if s.waits and s.answers and world.subjects[s.topic].visit]
    yield counted("visit_offered", visits, lambda s: s.answers[0].visit == "offered")
    yield counted("visit_refused", visits, lambda s: s.answers[0].visit == "refused")


def afterwards(told: list[Story]) -> Iterator[Measured]:
    """More questions, thanks, resolution, reopening, the same again."""
    replied = [s for s in told if s.is_answered]
    rounds = [s.questions for s in replied if s.opened_by == "customer"]
    yield share("habits.another_question", sum(rounds), sum(min(n + 1, MOST_QUESTIONS) for n in rounds))
    yield counted("thanks", replied, lambda s: s.is_thanked)
    yield counted("thanks_corrected", (s for s in replied if s.is_thanked), lambda s: s.is_corrected)
    yield counted("resolved", replied, lambda s: bool(s.resolutions))
    resolved = [s for s in replied if s.resolutions]
    yield counted("reopened", resolved, lambda s: s.is_reopened)
    names = {s.name for s in told}
    may_repeat = (s for s in resolved if s.name.count("-again") < MOST_REPEATS)
    yield counted("repeated", may_repeat, lambda s: f"{s.name}-again" in names)


def on_the_way(arrived: list[Arrival], parameters: Parameters) -> Iterator[Measured]:
    """Repetitions, delays, late mail, signs of life."""
    receipts: defaultdict[str, list[Arrival]] = defaultdict(list)
    delays: defaultdict[str, list[float]] = defaultdict(list)
    beats: defaultdict[str, list[int]] = defaultdict(list)
    for arrival in arrived:
        if "conversation" in arrival.event:
            receipts[arrival.event["event_id"]].append(arrival)
        elif arrival.event["kind"] == "heartbeat":
            beats[arrival.event["source"]].append(ms(arrival.event))
    gaps = {b - a for found in beats.values() for a, b in pairwise(sorted(found))}
    yield exact("arrival.heartbeat_minutes", max(gaps) / MINUTE_MS)
    repeated = [found for found in receipts.values() if len(found) > 1]
    yield share("arrival.duplicated", len(repeated), len(receipts))
    apart = [(second.received_ms - first.received_ms) / MINUTE_MS for first, second in repeated]
    most = parameters.arrival.duplicate_minutes
    yield average("arrival.duplicate_minutes", apart, most / 12**0.5, lambda d: d("arrival.duplicate_minutes") / 2)
    for first, *_ in receipts.values():
        # Whoever is taken live is told of when the queue ends.
        if first.event.get("contact") != "answered_live":
            delays[first.event["source"]].append((first.received_ms - ms(first.event)) / 1000)
    for feed, source in parameters.arrival.sources.items():
        yield from _source(f"arrival.sources.{feed}", delays[source.source], source.delay_seconds, source.late_hours)


def _source(name: str, delays: list[float], delay: float, late_hours: float) -> Iterator[Measured]:
    longest = ALL_BUT_LATE * delay
    yield exponential(f"{name}.delay_seconds", [seconds for seconds in delays if seconds <= longest])
    late = [seconds / 3600 for seconds in delays if seconds > longest]
    # A late one is late by up to so many hours; some of them are late by no more than others are on time.
    hidden = (longest - delay) / 3600
    yield share(f"{name}.late", len(late), len(delays), lambda d: d(f"{name}.late") * (1 - hidden / late_hours))

    def middle(declared: Declared) -> float:
        return (declared(f"{name}.late_hours") + longest / 3600 + delay / 3600) / 2

    yield average(f"{name}.late_hours", late, late_hours / 12**0.5, middle)


def staffed(told: list[Story], least: int) -> Measured:
    """How many people answer for a unit, of those that answer often."""
    people: defaultdict[str, list[str]] = defaultdict(list)
    for story in told:
        for answer in story.answers:
            people[answer.unit].append(answer.staff)
    sizes = {len(set(found)) for found in people.values() if len(found) >= least}
    return exact("people.staff_per_unit", max(sizes) if len(sizes) == 1 else 0.0)


def habits(arrived: list[Arrival], told: list[Story], parameters: Parameters, world: World) -> list[Measured]:
    """Everything that is a share of conversations, answers or deliveries."""
    return [
        *beginnings(told, world),
        *calls(told, world),
        *written(told, parameters),
        *handed_on(told, world),
        *answered(told, world),
        *afterwards(told),
        *on_the_way(arrived, parameters),
        staffed(told, 150),
    ]
