"""Simulated ratings: scores from 1 to 10 whose mean is what was declared, with pillars, edits and late ones."""

from bisect import bisect_right
from itertools import accumulate
from math import comb, log, log2
from random import Random
from typing import NamedTuple

from streams.intake.simulator_parameters import Ratings
from streams.intake.simulator_writing import DAY_MS, HOUR_MS, MINUTE_MS, Feed, Outbox, Thread

STEPS = 450
LOWEST_MEAN, HIGHEST_MEAN = 1.1, 9.9
MOST_POINTS = 3.0
LATE_DAYS = 28


class Verdict(NamedTuple):
    """Who judges, and what of: points of courtesy, the wait as a multiple of the usual one, hand-offs."""

    person: str
    courtesy: float
    stretch: float
    handoffs: int


def bounds(share: float, extreme: float) -> list[float]:
    """Cumulative probabilities of the scores 1 to 9; the mean is 1 + 9·share, whatever `extreme` is."""
    middle = [comb(9, k) * share**k * (1 - share) ** (9 - k) * (1 - extreme) for k in range(10)]
    middle[0] += extreme * (1 - share)
    middle[9] += extreme * share
    return list(accumulate(middle))[:-1]


class Raters:
    """Offers surveys and has them answered."""

    def __init__(self, declared: Ratings, district: str, feed: Feed, outbox: Outbox) -> None:
        self._declared = declared
        self._district = district
        self._feed = feed
        self._outbox = outbox
        self._bounds = [bounds(step / STEPS, declared.extreme) for step in range(STEPS + 1)]
        self._pillars = list(declared.pillars.items())

    def _score(self, mean: float, chance: float) -> int:
        mean = max(LOWEST_MEAN, min(HIGHEST_MEAN, mean))
        return 1 + bisect_right(self._bounds[round((mean - 1) / 9 * STEPS)], chance)

    def offer(self, conversation: str, resolved_ms: int, verdict: Verdict, random: Random) -> None:
        """Perhaps offer a survey after a resolution; perhaps it is answered, changed, or answered late."""
        declared, draw = self._declared, random.random
        if draw() >= declared.offered:
            return
        thread = Thread(self._district, conversation, self._feed, "s")
        offered = resolved_ms + MINUTE_MS
        self._outbox.put(thread, "survey_offered", offered, f',"channel":"email","person":"{verdict.person}"')
        if draw() >= declared.given:
            return
        rated = offered + MINUTE_MS + int(-declared.days * DAY_MS * log(1.0 - draw()))
        if draw() < declared.late:
            rated = resolved_ms + LATE_DAYS * DAY_MS + HOUR_MS + int(10 * DAY_MS * draw())
        slower = log2(verdict.stretch) if verdict.stretch > 0 else 0.0
        lost = declared.per_doubling * max(-MOST_POINTS, min(MOST_POINTS, slower))
        mean = declared.mean + verdict.courtesy - lost - declared.per_handoff * verdict.handoffs
        self._outbox.put(thread, "rating", rated, self._fields(mean, verdict.person, random))
        if draw() < declared.edited:
            self._outbox.put(
                thread, "rating", rated + int(9 * DAY_MS * draw()), self._fields(mean, verdict.person, random)
            )

    def _fields(self, mean: float, person: str, random: Random) -> str:
        declared, draw = self._declared, random.random
        score = self._score(mean, draw())
        text = f',"score":{score},"rater":"{person}"'
        # Whoever gives one low score gives more of them: items lean half way to the score that was given.
        leaning = (mean + score) / 2
        if draw() < declared.pillars_given:
            pillars = ",".join(f'"{name}":{self._score(leaning + points, draw())}' for name, points in self._pillars)
            text += f',"pillars":{{{pillars}}}'
        if draw() < declared.trust_given:
            text += f',"trust":{self._score(leaning + declared.trust, draw())}'
        if draw() < declared.answered_given:
            text += f',"answered":{"true" if draw() < leaning / 10 else "false"}'
        return text
