"""What the title of an entry in a school's published calendar means: closed, early release, late start, or nothing.

A title is only taken if all of it is understood: the words that close or cut a day, and words that may stand beside
them without limiting it. “No School” closes; “No School Board Meeting” and “No school for grades K-5” are for a person
to look at.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.written.beside import BESIDE_WORDS, PARTIAL_WORDS

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
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
# Times, dates and school years: when it is, which the event's own dates say.
_WHEN = re.compile(
    rf"(?:\b(?:at|until|by)\s+)?(?:{_TIME.pattern})\.?"
    rf"|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:\s*[-–—]\s*(?:{_MONTH}\s+)?\d{{1,2}}(?:st|nd|rd|th)?)?\b"
    r"|\b\d{1,2}/\d{1,2}(?:/\d{2,4})?\b|\b20\d\d(?:\s*[-–/]\s*(?:20)?\d\d)?\b|\b\d\s*[- ]?(?=hour delay\b)",
    re.IGNORECASE,
)
NOON = 12


@dataclass(frozen=True, slots=True)
class Words:
    """Words by what they mean: `certain` close whatever else a title says, `closed` unless it says one of `unless`.

    All of a title has to be understood: `beside` may stand beside them. `given` are words that whoever imports named
    for these very titles: they are taken whatever stands beside them.
    """

    certain: tuple[str, ...] = CERTAIN_WORDS
    closed: tuple[str, ...] = CLOSED_WORDS
    early: tuple[str, ...] = EARLY_WORDS
    late: tuple[str, ...] = LATE_WORDS
    unless: tuple[str, ...] = UNLESS_WORDS
    beside: tuple[str, ...] = BESIDE_WORDS
    given: frozenset[str] = frozenset()


class Recognised(NamedTuple):
    """The meaning of a title, and the words that gave it; without a meaning, `why` says why not.

    `unclear`: it speaks of a closure or a cut day, but not plainly of all of the district.
    """

    meaning: Meaning | None
    why: str
    unclear: bool = False


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


def _plain(text: str) -> str:
    return f" {' '.join(_tokens(text))} "


def _said(title: str, words: tuple[str, ...]) -> str | None:
    """The first of the words, or its plural, that a title says as whole words."""
    return next((word for word in words if any(f"{_plain(word).rstrip()}{s} " in title for s in ("", "s"))), None)


def recognise(text: str, words: Words) -> Recognised:
    """What a title means. One that says two things, or more than we understand, is no guess of ours."""
    title = _plain(text)
    certain = _said(title, words.certain)
    cuts: list[tuple[Meaning, str]] = []
    for meaning, said in (("early_release", _said(title, words.early)), ("late_start", _said(title, words.late))):
        if said is not None:
            cuts.append(("early_release" if meaning == "early_release" else "late_start", said))
    if len(cuts) + (certain is not None) > 1:
        both = " and ".join(f"“{said}”" for said in [*(said for _, said in cuts), *([certain] if certain else [])])
        return Recognised(None, f"says {both}: enter by hand what is meant", unclear=True)
    if cuts:
        return _taken(text, cuts[0][0], cuts[0][1], words)
    if certain is not None:
        return _taken(text, "closed", certain, words)
    closed, unless = _said(title, words.closed), _said(title, words.unless)
    if closed is None:
        return Recognised(None, "none of the words for a closure, an early release or a late start")
    if unless is not None:
        return Recognised(None, f"says “{closed}”, but also “{unless}”")
    return _taken(text, "closed", closed, words)


def _taken(text: str, meaning: Meaning, said: str, words: Words) -> Recognised:
    """The meaning, if nothing in the title may limit it."""
    if said not in words.given:
        if "?" in text:
            return Recognised(None, f"says “{said}”, but asks", unclear=True)
        rest = _beyond(text, words)
        if rest:
            return Recognised(None, f"says “{said}”, but also “{rest}”", unclear=True)
    return Recognised(meaning, f"says “{said}”")


def _beyond(text: str, words: Words) -> str:
    """What a title says beyond all that is understood."""
    understood = _phrases((*words.certain, *words.closed, *words.early, *words.late, *words.beside))
    partial = _phrases(PARTIAL_WORDS) - _phrases(words.beside)
    tokens = _tokens(_WHEN.sub(" ", text))
    longest = max(map(len, understood | partial), default=1)
    rest: list[str] = []
    at = 0
    while at < len(tokens):
        for length in range(min(longest, len(tokens) - at), 0, -1):
            phrase = tokens[at : at + length]
            if phrase in partial:
                rest.extend(phrase)
                break
            if phrase in understood:
                break
        else:
            length = 1
            rest.append(tokens[at])
        at += length
    return " ".join(rest)


def _phrases(words: Iterable[str]) -> set[tuple[str, ...]]:
    """Phrases and their plurals, word by word."""
    single = {_tokens(word) for word in words}
    return single | {(*phrase[:-1], f"{phrase[-1]}s") for phrase in single if phrase}


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
