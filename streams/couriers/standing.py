"""What Alertmanager has to hear: every alert that stands, again and again, and for a while those that are over. Pure.

Alertmanager forgets at its restart, and takes what is not repeated for over. Each step of an alert is one of its own
alerts, so that it is routed by `alertname`; labels never change while it stands.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from schemas.alerts import CORRECTED, ENDS
from schemas.incidents import IncidentTransition
from schemas.transitions import Transition
from schemas.vocabulary import from_ms
from streams.couriers.messages import fields

OVER_MS = 15 * 60_000
RESENDS_MISSED = 4


class _Step(NamedTuple):
    """The first transition of a step, which gives labels and start; `ended_ms`: when it was over."""

    alert: Transition
    ended_ms: int | None = None


class Standing:
    """Alerts of one or several partitions by what was read of them, from the beginning, in order."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._steps: dict[str, dict[str, _Step]] = {}
        self._changed: dict[tuple[str, str], None] = {}

    def take(self, alert: Transition, is_wanted: bool) -> None:
        """Take the next transition; an end counts whether or not anybody is told of it."""
        name = _name(alert)
        if name in ENDS or alert.transition == CORRECTED or alert.ended_at is not None:
            for step_name, step in self._steps.get(alert.key, {}).items():
                if step.ended_ms is None:
                    self._put(alert.key, step_name, step._replace(ended_ms=max(alert.at, step.alert.at)))
        elif is_wanted:
            self._put(alert.key, name, _Step(alert))

    def _put(self, key: str, name: str, step: _Step) -> None:
        self._steps.setdefault(key, {})[name] = step
        self._changed[key, name] = None

    def forget(self) -> None:
        """Begin anew."""
        self._steps.clear()
        self._changed.clear()

    def changed(self) -> list[tuple[str, str]]:
        """What changed since it was last asked."""
        found = list(self._changed)
        self._changed.clear()
        return found

    def everything(self, now_ms: int) -> list[tuple[str, str]]:
        """What has to be said again; what has been over for long is forgotten."""
        for key, steps in list(self._steps.items()):
            kept = {n: s for n, s in steps.items() if s.ended_ms is None or s.ended_ms > now_ms - OVER_MS}
            if kept:
                self._steps[key] = kept
            else:
                del self._steps[key]
        return [(key, name) for key, steps in self._steps.items() for name in steps]

    def shown(self, names: Iterable[tuple[str, str]], now_ms: int, resend_ms: int) -> list[Mapping[str, Any]]:
        """These as Alertmanager's API v2 takes them."""
        found = []
        for key, name in names:
            step = self._steps.get(key, {}).get(name)
            if step is not None:
                ends_ms = now_ms + RESENDS_MISSED * resend_ms if step.ended_ms is None else step.ended_ms
                found.append(self._shown(step.alert, name, max(ends_ms, step.alert.at)))
        return found

    def _shown(self, alert: Transition, name: str, ends_ms: int) -> Mapping[str, Any]:
        words = fields(alert, self._page)
        labels = {"alertname": f"cx_{name}", "key": alert.key, "district": alert.district, "unit": alert.unit}
        said = {"summary": f"{words['what']}, {words['where']}", "description": words["text"]}
        more = {"promise": words["promise"], "recipients": ", ".join(alert.recipients)}
        if isinstance(alert, IncidentTransition):
            labels |= {"metric": alert.metric, "about": alert.about}
            starts_ms = alert.began_at
        else:
            critical = "yes" if alert.critical else "no"
            labels |= {"clock": alert.clock, "conversation": alert.conversation, "critical": critical}
            more["owner"] = alert.owner
            starts_ms = alert.at
        return {
            "labels": {label: value for label, value in labels.items() if value},
            "annotations": said | {label: value for label, value in more.items() if value},
            "startsAt": from_ms(starts_ms).isoformat(timespec="milliseconds"),
            "endsAt": from_ms(ends_ms).isoformat(timespec="milliseconds"),
            "generatorURL": words["link"],
        }


def _name(alert: Transition) -> str:
    """What is said under one name: a step of a promise's alert, or all of an incident while it grows."""
    return alert.kind if isinstance(alert, IncidentTransition) else alert.base
