"""What stands on `cx.alerts`: transitions of promises' alerts and of incidents, told apart by their `kind`."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from schemas import alerts, incidents
from schemas.alerts import AlertTransition
from schemas.incidents import IncidentTransition

Transition = AlertTransition | IncidentTransition

log = logging.getLogger("cx.transitions")


def as_json(transition: Transition) -> dict[str, Any]:
    """A transition as an object: instants in ISO 8601, with its idempotency key."""
    if isinstance(transition, IncidentTransition):
        return incidents.as_json(transition)
    return alerts.as_json(transition)


def from_json(shown: Mapping[str, Any]) -> Transition:
    """The transition that `as_json` shows as this object. Raises `KeyError` or `ValueError` for anything else."""
    if shown.get("kind") in incidents.INCIDENTS:
        return incidents.from_json(shown)
    return alerts.from_json(shown)


def of_message(value: bytes | None, place: str) -> Transition | None:
    """The transition that a message of `cx.alerts` holds; None, with a line in the log, if somebody else wrote it."""
    try:
        return from_json(json.loads(value or b""))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s is no transition of an alert and is left out: %s", place, type(error).__name__)
        return None
