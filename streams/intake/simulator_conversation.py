"""One simulated conversation, from the question to the rating, told event by event."""

from math import exp, log
from random import Random
from typing import NamedTuple

from schemas.vocabulary import Channel, Stakeholder
from streams.intake.simulator_parameters import Habits
from streams.intake.simulator_ratings import Raters, Verdict
from streams.intake.simulator_world import TOUCH_POINTS, Desk, Draw, Subject, World
from streams.intake.simulator_writing import DAY_MS, HOUR_MS, MINUTE_MS, Outbox, Thread

STAFF_NUMBERS = 10_000_000
MOST_ROUNDS = 4
WRITTEN = ("email", "web", "social")


class Asked(NamedTuple):
    """What starts a conversation; `post` is the thread of a social post it belongs to."""

    number: str
    at_ms: int
    subject: Subject
    channel: Channel
    post: str = ""
    repeats: int = 0


class Stage:
    """What all conversations of a district share."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        people = world.parameters.people
        self.world = world
        self.outbox = outbox
        self.habits: Habits = world.parameters.habits
        self.speed = world.parameters.speed
        self.generations = Draw({f',"generation":"{name}"': weight for name, weight in people.generations.items()})
        self.languages = Draw({f',"language":"{tag}"': weight for tag, weight in people.languages.items()})
        self.platforms = Draw(dict(world.parameters.channels.platforms))
        self.raters = Raters(world.parameters.ratings, world.code, world.feeds["survey"], outbox)
        self.random = Random(0)  # noqa: S311 -- replaced by each day's own

    def live_share(self, channel: str) -> float:
        """Share of calls or visits taken at once while the unit is open."""
        return self.habits.answered_live.get("phone" if channel == "phone" else "in_person", 0.0)

    def tell(self, asked: Asked) -> None:
        """Send all events of a conversation."""
        _Talk(self, asked).tell()


class _Talk:
    """The state of one conversation while it is told."""

    __slots__ = (
        "_asked",
        "_channel",
        "_desk",
        "_draw",
        "_habits",
        "_handoffs",
        "_person",
        "_post",
        "_stage",
        "_stakeholder",
        "_stretch",
        "_target",
        "_thread",
        "_urgency",
        "_who",
    )

    def __init__(self, stage: Stage, asked: Asked) -> None:
        world = stage.world
        self._stage = stage
        self._habits = stage.habits
        self._asked = asked
        self._draw = draw = stage.random.random
        self._channel: Channel = asked.channel
        self._thread = Thread(world.code, asked.number, world.feeds[asked.channel])
        self._stakeholder = asked.subject.stakeholders.pick(draw())
        self._person = self._someone()
        self._post = ""
        if asked.channel == "social":
            self._post = f',"platform":"{stage.platforms.pick(draw())}"{asked.post}'
        targets = asked.subject.targets
        self._target = world.route(asked.subject.code, asked.channel, self._stakeholder)
        if targets is not None:
            self._target = targets.pick(draw())
        self._desk = self._target
        self._urgency = 1.0
        self._who = self._introduction()
        self._handoffs = 0
        self._stretch = 1.0

    def _someone(self) -> str:
        """A person; some ask far more often than others."""
        people = self._stage.world.parameters.people
        staff = self._stakeholder == "staff"
        chance = self._draw() * self._draw()
        number = STAFF_NUMBERS + int(people.staff * chance) if staff else int(people.families * chance)
        return self._stage.world.pseudonym(number)

    def _introduction(self) -> str:
        """What every message of the customer says about topic, person and urgency."""
        stage, draw, subject, habits = self._stage, self._draw, self._asked.subject, self._habits
        generation = ""
        if draw() < stage.world.parameters.people.generation_stated:
            generation = stage.generations.pick(draw())
        urgency = draw()
        priority = ""
        if urgency < habits.critical:
            self._urgency = stage.speed.urgent.get("critical", 1.0)
            priority = ',"priority":"critical","critical_category":"safety"'
        elif urgency < habits.critical + habits.urgent:
            self._urgency = stage.speed.urgent.get("high", 1.0)
            priority = ',"priority":"high"'
        return (
            f'{subject.field},"inquiry_kind":"{subject.kinds.pick(draw())}","stakeholder":"{self._stakeholder}"'
            f"{generation}{stage.languages.pick(draw())}{priority}"
        )

    def _put(self, kind: str, at_ms: int, fields: str = "", known_ms: int = 0) -> str:
        return self._stage.outbox.put(self._thread, kind, at_ms, fields, known_ms)

    def _ask(self, at_ms: int, more: str = "") -> str:
        """A further message of the customer."""
        said = f',"channel":"{self._channel}"{self._post}{self._who},"person":"{self._person}"{more}'
        return self._put("inquiry", at_ms, said)

    def _log_normal(self, minutes: float, spread: float) -> float:
        return minutes * MINUTE_MS * exp(self._stage.random.gauss(0.0, spread))

    def _exponential(self, mean_ms: float) -> int:
        return int(-mean_ms * log(1.0 - self._draw()))

    def _staff(self) -> str:
        staff = self._desk.staff
        return f',"staff":"{staff[int(len(staff) * self._draw())]}"' if staff else ""

    def tell(self) -> None:
        """The whole of it."""
        habits, chance = self._habits, self._draw()
        if self._channel in WRITTEN and chance < habits.spam:
            self._spam()
        elif chance > 1.0 - habits.staff_opened:
            self._opened_by_staff()
        elif chance > 1.0 - habits.staff_opened - habits.outbound and self._channel != "in_person":
            self._outbound()
        else:
            replied = self._first()
            if replied is not None:
                self._rest(self._further(replied))

    def _spam(self) -> None:
        at_ms = self._asked.at_ms
        self._desk = self._stage.world.route(self._asked.subject.code, self._channel, "unknown")
        self._put("inquiry", at_ms, f',"channel":"{self._channel}"{self._post}')
        self._acknowledge(at_ms)
        self._put("spam", self._desk.after(at_ms, self._log_normal(60, 1.0)))

    def _opened_by_staff(self) -> None:
        at_ms = self._desk.after(self._asked.at_ms, 0.0)
        fields = f'{self._desk.unit}{self._asked.subject.field},"opened_by":"staff","stakeholder":"staff"'
        self._put("inquiry", at_ms, f',"channel":"{self._channel}"{fields}')
        self._resolve(at_ms)

    def _outbound(self) -> None:
        at_ms = self._desk.after(self._asked.at_ms, self._log_normal(5, 1.0))
        if self._desk.unit:
            self._put("transfer", at_ms + 1000, self._desk.unit)
        self._put("reply", at_ms, f',"channel":"{self._channel}"{self._desk.unit}{self._staff()}')
        if self._draw() < self._habits.outbound_answered:
            asked_ms = at_ms + MINUTE_MS + self._exponential(5 * HOUR_MS)
            self._ask(asked_ms, self._desk.unit)
            self._rest(self._answer(asked_ms, False))

    def _first(self) -> int | None:
        """The opening and what follows until the first answer; None if nothing more comes."""
        asked, world, draw, habits = self._asked, self._stage.world, self._draw, self._habits
        touch = TOUCH_POINTS[self._channel]
        desk = self._target
        if draw() < habits.unit_named and desk is not world.front:
            if draw() < habits.misrouted:
                desk = world.another(desk, self._stage.random)
            place = f'{desk.unit},"touch_point":"{desk.code}-{touch}"'
        else:
            desk = world.route(asked.subject.code, self._channel, self._stakeholder)
            place = f',"touch_point":"district-{touch}"'
        self._desk = desk
        if asked.subject.visit:
            place += ',"visit":"requested"'
        said = f',"channel":"{self._channel}"{self._post}{place}{self._who}'
        if self._channel in WRITTEN:
            self._put("inquiry", asked.at_ms, f'{said},"person":"{self._person}"')
            return self._written(said)
        return self._called(said)

    def _called(self, said: str) -> int | None:
        """A call or a visit: taken at once, or not."""
        at_ms, draw, habits = self._asked.at_ms, self._draw, self._habits
        _, _, load = self._desk.manner(at_ms)
        if draw() < self._stage.live_share(self._channel) / load and self._desk.is_open(at_ms):
            queue = min(3600.0, self._log_normal(self._stage.speed.queue_seconds / 60, 0.8) * load / 1000)
            fields = f',"person":"{self._person}","contact":"answered_live","queue_seconds":{queue:.1f}'
            # Whoever waits in the queue is not answered yet: it is told when the call is taken.
            self._put("inquiry", at_ms, said + fields, at_ms + int(queue * 1000))
            at_ms += int(queue * 1000) + 2 * MINUTE_MS
            return at_ms if self._desk is self._target else self._answer(at_ms, True)
        by_phone = self._channel == "phone"
        contact = "turned_away" if not by_phone else "voicemail" if draw() < habits.voicemail else "missed_call"
        if draw() < (habits.withheld_number if by_phone else habits.nameless_walk_in):
            self._put("inquiry", at_ms, f'{said},"contact":"{contact}","reachable":false')
            return None
        self._put("inquiry", at_ms, f'{said},"person":"{self._person}","contact":"{contact}"')
        if not by_phone:
            self._channel = "phone"
        replied = self._answer(at_ms, True)
        latest = at_ms
        while by_phone and draw() < habits.redial:
            latest += 2 * MINUTE_MS + self._exponential(25 * MINUTE_MS)
            if replied is not None and latest >= replied:
                break
            self._ask(latest, ',"contact":"missed_call"')
        return replied

    def _written(self, said: str) -> int | None:
        """A message: acknowledged, taken by a bot, asked twice, answered."""
        at_ms, draw, habits = self._asked.at_ms, self._draw, self._habits
        start = at_ms
        if draw() < habits.bot.get(self._channel, 0.0):
            self._put("reply", at_ms + 3000, f',"channel":"{self._channel}","author":"bot"')
            start = at_ms + MINUTE_MS + self._exponential(6 * MINUTE_MS)
            self._put("transfer", start, ',"from_bot":true')
        else:
            self._acknowledge(at_ms)
        replied = self._answer(start, True)
        until = replied if replied is not None else at_ms + 3 * DAY_MS
        if draw() < habits.follow_up and until - at_ms > HOUR_MS:
            self._ask(at_ms + int((until - at_ms) * (0.2 + 0.75 * draw())))
        if draw() < habits.merged:
            self._asked_twice(said, until)
        return replied

    def _acknowledge(self, at_ms: int) -> None:
        if self._draw() < self._habits.acknowledged.get(self._channel, 0.0):
            fields = f',"channel":"{self._channel}","author":"automatic_acknowledgement"'
            self._put("reply", at_ms + 2000 + self._exponential(4000), fields)

    def _asked_twice(self, said: str, until_ms: int) -> None:
        """The same on another channel before the answer comes; staff merge the two."""
        at_ms, draw, world = self._asked.at_ms, self._draw, self._stage.world
        channel: Channel = "web" if self._channel == "email" else "email"
        again = at_ms + int((until_ms - at_ms) * 0.5 * draw())
        merged = again + int((until_ms - again) * draw())
        twin = Thread(world.code, f"{self._thread.conversation}-twin", world.feeds[channel])
        said = said.replace(f',"channel":"{self._channel}"{self._post}', f',"channel":"{channel}"', 1)
        self._stage.outbox.put(twin, "inquiry", again, f'{said},"person":"{self._person}"')
        self._stage.outbox.put(twin, "merge", merged, f',"into":"{self._thread.conversation}"')

    def _hand_on(self, at_ms: int) -> int:
        """Until the unit that should answer has it; the instant it does."""
        draw, habits, owner, target = self._draw, self._habits, self._desk, self._target
        path: list[Desk] = []
        if owner is not target:
            path = [target, owner, target] if draw() < habits.bounced_back else [target]
        elif draw() < habits.wrong_handoff:
            path = [self._stage.world.another(target, self._stage.random), target]
        for desk in path:
            at_ms = self._desk.after(at_ms, self._log_normal(self._stage.speed.handoff_minutes, 0.8))
            if desk.unit:
                self._put("transfer", at_ms, desk.unit)
            self._desk = desk
        self._handoffs += len(path)
        return at_ms

    def _answer(self, at_ms: int, first: bool) -> int | None:
        """The answer to a message of an instant: when it came, or None if none ever does."""
        stage, draw, habits = self._stage, self._draw, self._habits
        if first:
            if draw() < habits.never_answered:
                self._unanswered(at_ms)
                return None
            at_ms = self._hand_on(at_ms)
        speed, _, load = self._desk.manner(at_ms)
        self._stretch = speed * load * exp(stage.random.gauss(0.0, stage.speed.spread))
        median = stage.speed.reply_minutes[self._channel]
        replied = self._desk.after(at_ms, median * MINUTE_MS * self._stretch * self._urgency)
        if draw() < habits.note:
            written = at_ms + int((replied - at_ms) * draw())
            self._put("reply", written, f',"channel":"{self._channel}"{self._desk.unit},"public":false')
        return self._reply(replied, first)

    def _reply(self, at_ms: int, first: bool) -> int:
        """One reply, delivered in the end; what it brings about at once."""
        draw, habits = self._draw, self._habits
        fields = f',"channel":"{self._channel}"{self._desk.unit}{self._staff()}'
        if first and self._asked.subject.visit:
            chance = draw()
            visit = "offered" if chance < habits.visit_offered else "refused"
            if chance < habits.visit_offered + habits.visit_refused:
                fields += f',"visit":"{visit}"'
        if self._channel == "email" and draw() < habits.undelivered:
            lost = self._put("reply", at_ms, fields)
            noticed = at_ms + self._exponential(HOUR_MS)
            self._put("delivery_failed", noticed, f',"reply":"{lost}"')
            at_ms = self._desk.after(noticed, self._log_normal(30, 1.0))
        self._put("reply", at_ms, fields)
        if self._channel == "email" and draw() < habits.out_of_office:
            self._ask(at_ms + 4000, ',"automatic":true')
        if draw() < habits.extra_reply:
            self._put("reply", self._desk.after(at_ms, self._log_normal(12, 0.8)), fields)
        return at_ms

    def _unanswered(self, at_ms: int) -> None:
        habits, chance = self._habits, self._draw()
        if chance < habits.closed_silently:
            closed = self._desk.after(at_ms, self._log_normal(2400, 0.6))
            self._put("status_changed", closed, ',"status":"resolved","by":"staff"')
        elif chance < habits.closed_silently + habits.withdrawn:
            given_up = at_ms + HOUR_MS + self._exponential(2 * DAY_MS)
            self._put("status_changed", given_up, ',"status":"withdrawn","by":"customer"')

    def _further(self, replied: int) -> int:
        """More questions after the answer, each answered; the instant of the last answer."""
        for _ in range(MOST_ROUNDS):
            if self._draw() >= self._habits.another_question:
                break
            asked = replied + 5 * MINUTE_MS + self._exponential(8 * HOUR_MS)
            self._ask(asked, ',"contact":"voicemail"' if self._channel == "phone" else "")
            replied = self._answer(asked, False) or asked
        return replied

    def _resolve(self, at_ms: int) -> int:
        resolved = self._desk.after(at_ms, self._log_normal(self._stage.speed.resolve_minutes, 1.0))
        self._put("status_changed", resolved, f',"status":"resolved"{self._desk.unit}')
        return resolved

    def _rest(self, replied: int | None) -> None:
        """Thanks, resolution, reopening, rating, the same question again."""
        if replied is None:
            return
        draw, habits = self._draw, self._habits
        if draw() < habits.thanks:
            self._thank(replied + MINUTE_MS + self._exponential(5 * HOUR_MS))
        if draw() >= habits.resolved:
            return
        resolved = self._resolve(replied)
        if draw() < habits.reopened:
            back = resolved + HOUR_MS + int(5 * DAY_MS * draw())
            self._ask(back, ',"contact":"voicemail"' if self._channel == "phone" else "")
            resolved = self._resolve(self._answer(back, False) or back)
        _, courtesy, _ = self._desk.manner(replied)
        verdict = Verdict(self._person, courtesy, self._stretch, self._handoffs)
        self._stage.raters.offer(self._thread.conversation, resolved, verdict, self._stage.random)
        asked = self._asked
        if draw() < habits.repeated and not asked.post and asked.repeats < 2:
            again = self._desk.after(resolved + DAY_MS // 2 + int(4 * DAY_MS * draw()), HOUR_MS * draw())
            number = f"{asked.number}-again"
            talk = _Talk(self._stage, asked._replace(number=number, at_ms=again, repeats=asked.repeats + 1))
            talk.continue_as(self._person, self._stakeholder)
            talk.tell()

    def _thank(self, at_ms: int) -> None:
        if self._draw() < self._habits.thanks_corrected:
            said = self._ask(at_ms)
            self._put("correction", at_ms + HOUR_MS, f',"corrects":"{said}","needs_reply":false')
        else:
            self._ask(at_ms, ',"needs_reply":false')

    def continue_as(self, person: str, stakeholder: Stakeholder) -> None:
        """The same person, asking anew."""
        self._who = self._who.replace(f'"stakeholder":"{self._stakeholder}"', f'"stakeholder":"{stakeholder}"', 1)
        self._person, self._stakeholder = person, stakeholder
