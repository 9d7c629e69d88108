"""Parameters in which every number is another one, so that nothing fits the declaration by luck."""

from typing import Any

from streams.intake.simulator_parameters import Parameters
from tests.simulated import DECLARED

NEVER, RARE = 0.005, 0.1
HARDLY, SELDOM, OFTEN = 20.0, 4.0, 0.5
HOURS = "hours"
OWN: dict[str, dict[str, Any]] = {
    "volume": {"inquiries_per_school_day": 450.0, "out_of_session": 0.8, "closed_day": 0.3, "schools_closed": 0.6},
    "channels": {
        "open": {"phone": 28.0, "email": 21.0, "web": 22.0, "social": 14.0, "in_person": 15.0},
        "closed": {"phone": 22.0, "email": 26.0, "web": 23.0, "social": 29.0},
    },
    "arrival": {"duplicate_minutes": 90.0, "heartbeat_minutes": 240},
    "people": {"families": 15_000, "staff": 3_000, "staff_per_unit": 3},
    "habits": {"visit_offered": 0.45, "visit_refused": 0.3},
    "ratings": {
        "mean": 6.0,
        "offered": 0.9,
        "given": 0.75,
        "days": 3.0,
        "per_doubling": 0.6,
        "per_handoff": 1.5,
        "trust": 0.6,
        "pillars": {"courtesy": -0.3, "communication": 0.7, "responsiveness": 0.5, "environment": -0.5},
    },
    "between_units": {"speed": 0.12, "courtesy": 1.0},
    "speed": {"spread": 0.6},
}


def altered(part: Any, number: int = 0, name: str = "") -> Any:
    """A part with every number replaced: shares halved, or more where they are rare; the rest up and down."""
    if isinstance(part, dict):
        return {key: altered(value, place, str(key)) for place, (key, value) in enumerate(part.items())}
    if isinstance(part, list):
        return [altered(value, place, HOURS if isinstance(value, float) else "") for place, value in enumerate(part)]
    if not isinstance(part, float):
        return part
    if name == HOURS:
        return part / 2 + 2.3 + number % 3
    if name == "weight":
        return part / 2 + 3.3
    if name == "factor" and part < 1:
        return 10 * part
    if part <= 1:
        return part * (HARDLY if 0 < part < NEVER else SELDOM if abs(part) < RARE else OFTEN)
    return part * (1.8 if number % 2 else 0.6)


def altered_parameters() -> Parameters:
    """The declaration with other numbers everywhere; dated things are left alone."""
    content = DECLARED.model_dump()
    changed = {
        name: altered(part) for name, part in content.items() if name not in ("trainings", "rollout", "incidents")
    }
    for name, own in OWN.items():
        changed[name] |= own
    return Parameters.model_validate(content | changed)
