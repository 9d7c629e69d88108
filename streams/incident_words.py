"""An incident's transition in one sentence: what, where, how much against what is usual."""

from collections.abc import Mapping

from schemas.incidents import (
    CLOSED,
    CORRECTED,
    GROWN,
    INQUIRIES,
    OPENED,
    SILENCE,
    SURGE,
    VALUE,
    IncidentTransition,
)
from schemas.watches import LENGTHS, SHARES

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_WORDS: Mapping[tuple[str, str], str] = {
    (SURGE, OPENED): "A surge",
    (SURGE, GROWN): "A surge has grown",
    (SURGE, CLOSED): "A surge is over",
    (SURGE, CORRECTED): "There was no surge after all",
    (SILENCE, OPENED): "A feed is silent",
    (SILENCE, CLOSED): "A silent feed is back",
    (SILENCE, CORRECTED): "A feed was not silent after all",
    (VALUE, OPENED): "A value is beyond its level",
    (VALUE, CLOSED): "A value is back at its level",
}


def sentence(one: IncidentTransition) -> str:
    """Such as `A surge: 42 inquiries about bus-late in dispatch, where 3 are usual within 30 min`."""
    said = _WORDS[one.kind, one.transition]
    if one.kind == SILENCE:
        return f"{said}: {one.about}, last heard of {_length((one.ended_at or one.at) - one.began_at)} before"
    if one.kind == VALUE:
        name = one.metric.replace("_", " ")
        return f"{said}: {name} of {one.unit} is {_value(one, one.observed)}, watched at {_value(one, one.expected)}"
    whose = f"inquiries about {one.about or 'no topic'}" if one.metric == INQUIRIES else f"people under {one.about}"
    usual = f"{one.expected:.1f}" if one.expected < 10 else f"{one.expected:.0f}"
    return f"{said}: {one.observed:.0f} {whose} in {one.unit}, where {usual} are usual within {_length(one.window_ms)}"


def _length(value_ms: float) -> str:
    hours, rest = divmod(round(value_ms), _HOUR_MS)
    minutes = rest // _MINUTE_MS
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes or not hours))


def _value(one: IncidentTransition, value: float) -> str:
    if one.metric in LENGTHS:
        return _length(value)
    return f"{value:.0%}" if one.metric in SHARES else f"{value:.1f}".removesuffix(".0")
