"""What people read of a transition, in one sentence: of a promise's alert or of an incident."""

from collections.abc import Mapping

from schemas.alerts import (
    AT_RISK,
    BREACHED,
    CORRECTED,
    ESCALATED_50,
    ESCALATED_100,
    MET_LATE,
    RESOLVED,
)
from schemas.incidents import IncidentTransition
from schemas.transitions import Transition
from streams.incident_words import sentence

_WORDS: Mapping[str, str] = {
    AT_RISK: "A promise is at risk",
    BREACHED: "A promise is broken",
    ESCALATED_50: "A broken promise still waits, half its time over",
    ESCALATED_100: "A broken promise still waits, twice its time used",
    MET_LATE: "A broken promise was met late",
    RESOLVED: "A promise is no longer at stake",
    CORRECTED: "What was said of a promise was wrong",
}


def subject(transition: Transition) -> str:
    """Such as `A promise is broken: first reply`; of an incident, its sentence."""
    if isinstance(transition, IncidentTransition):
        return sentence(transition)
    return f"{_WORDS[transition.base]}: {transition.clock.replace('_', ' ')}"
