"""What the title of an entry in a school's published calendar means: closed, early release, late start, or nothing."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Meaning = Literal["closed", "early_release", "late_start"]

CERTAIN_WORDS = (
    *("no school", "no classes", "no class", "no students", "school closed", "schools closed"),
    *("office closed", "offices closed", "district closed", "student holiday", "holiday observed"),
    *("teacher workday", "teacher work day", "staff workday", "workday", "work day", "snow day", "weather day"),
)
CLOSED_WORDS = (
    *(
        "closed",
        "closure",
        "holiday",
        "break",
        "recess",
        "vacation",
        "in service",
        "inservice",
        "professional development",
    ),
    *("professional learning", "staff development", "institute day", "labor day", "thanksgiving", "christmas"),
    *("new year's day", "martin luther king", "mlk", "memorial day", "juneteenth", "independence day"),
)
EARLY_WORDS = (
    *("early release", "early dismissal", "early out", "half day", "minimum day", "shortened day", "noon dismissal"),
    "dismissal at noon",
)
LATE_WORDS = ("late start", "late arrival", "delayed start", "delayed opening", "hour delay", "late opening")
UNLESS_WORDS = (
    *("resume", "return", "begin", "start", "end", "first day", "last day", "concert", "party", "parade", "fair"),
    *("shop", "sale", "program", "performance", "assembly", "ceremony", "celebration", "camp", "lunch", "dinner"),
    *("dance", "meeting", "session", "registration", "welcome back", "tournament", "drive"),
)
_TIME = re.compile(r"\b(\d{1,2})(?::(\d{2}))?\s*([ap])\.?m\b|\b(\d{1,2}):(\d{2})\b|\b(noon)\b", re.IGNORECASE)
NOON = 12


@dataclass(frozen=True, slots=True)
class Words:
    """Words by what they mean: `certain` close whatever else a title says, `closed` unless it says one of `unless`."""

    certain: tuple[str, ...] = CERTAIN_WORDS
    closed: tuple[str, ...] = CLOSED_WORDS
    early: tuple[str, ...] = EARLY_WORDS
    late: tuple[str, ...] = LATE_WORDS
    unless: tuple[str, ...] = UNLESS_WORDS


class Recognised(NamedTuple):
    """The meaning of a title, and the words that gave it; without a meaning, `why` says why not."""

    meaning: Meaning | None
    why: str


def _plain(text: str) -> str:
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " "


def _said(title: str, words: tuple[str, ...]) -> str | None:
    """The first of the words, or its plural, that a title says as whole words."""
    return next((word for word in words if any(f"{_plain(word).rstrip()}{s} " in title for s in ("", "s"))), None)


def recognise(text: str, words: Words) -> Recognised:
    """What a title means. One that says two things is no guess of ours: it has no meaning and says why."""
    title = _plain(text)
    certain = _said(title, words.certain)
    cuts: list[tuple[Meaning, str]] = []
    for meaning, said in (("early_release", _said(title, words.early)), ("late_start", _said(title, words.late))):
        if said is not None:
            cuts.append(("early_release" if meaning == "early_release" else "late_start", said))
    if len(cuts) + (certain is not None) > 1:
        both = " and ".join(f"“{said}”" for said in [*(said for _, said in cuts), *([certain] if certain else [])])
        return Recognised(None, f"says {both}: enter by hand what is meant")
    if cuts:
        return Recognised(cuts[0][0], f"says “{cuts[0][1]}”")
    if certain is not None:
        return Recognised("closed", f"says “{certain}”")
    closed, unless = _said(title, words.closed), _said(title, words.unless)
    if closed is None:
        return Recognised(None, "none of the words for a closure, an early release or a late start")
    if unless is not None:
        return Recognised(None, f"says “{closed}”, but also “{unless}”")
    return Recognised("closed", f"says “{closed}”")


def times_in(text: str) -> list[str]:
    """The times of day that a title names, HH:MM, each once; 1:30 without am or pm is in the afternoon."""
    found: dict[str, None] = {}
    for hour, minute, half, bare_hour, bare_minute, noon in _TIME.findall(text):
        if noon:
            hours, minutes = NOON, 0
        elif half:
            hours, minutes = int(hour) % NOON + (NOON if half in "pP" else 0), int(minute or 0)
        else:
            hours, minutes = int(bare_hour), int(bare_minute)
            hours += NOON if 1 <= hours < 6 else 0
        if hours < 24 and minutes < 60:
            found[f"{hours:02d}:{minutes:02d}"] = None
    return list(found)
