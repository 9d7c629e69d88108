"""What Alertmanager is told of what stands and of what is over."""

from typing import Any

from schemas.transitions import Transition
from schemas.vocabulary import from_ms
from streams.couriers.standing import OVER_MS, Standing
from tests.sinks.samples import NOW_MS, alert
from tests.unit.test_messages import surge

RESEND_MS = 60_000
LATER_MS = NOW_MS + 1_000


def told(standing: Standing, now_ms: int = LATER_MS) -> dict[str, dict[str, Any]]:
    """Everything that is said at an instant, by name."""
    return {
        each["labels"]["alertname"]: dict(each)
        for each in standing.shown(standing.everything(now_ms), now_ms, RESEND_MS)
    }


def iso(at_ms: int) -> str:
    return from_ms(at_ms).isoformat(timespec="milliseconds")


def taken(*alerts: Transition) -> Standing:
    standing = Standing("https://cx.example/")
    for each in alerts:
        standing.take(each, bool(each.notify))
    return standing


def test_each_step_is_an_alert_of_its_own_whose_labels_never_change() -> None:
    standing = taken(alert("d", "k1", "at_risk"), alert("d", "k1", "breached")._replace(owner="elsewhere"))
    found = told(standing)
    assert found.keys() == {"cx_at_risk", "cx_breached"}
    labels = found["cx_breached"]["labels"]
    assert labels == found["cx_at_risk"]["labels"] | {"alertname": "cx_breached"}
    assert labels == {
        "alertname": "cx_breached",
        "key": "k1",
        "district": "d",
        "unit": "north",
        "clock": "first_reply",
        "conversation": "c1",
        "critical": "no",
    }
    assert found["cx_breached"]["annotations"]["owner"] == "elsewhere"
    assert found["cx_breached"]["startsAt"] == iso(NOW_MS)
    assert found["cx_breached"]["endsAt"] == iso(LATER_MS + 4 * RESEND_MS)


def test_what_is_over_is_said_for_a_while_and_then_forgotten() -> None:
    end = alert("d", "k1", "met_late")._replace(at=NOW_MS + 500, notify=0, muted="quiet")
    standing = taken(alert("d", "k1", "at_risk"), alert("d", "k1", "breached"), end)
    assert {name: each["endsAt"] for name, each in told(standing).items()} == {
        "cx_at_risk": iso(NOW_MS + 500),
        "cx_breached": iso(NOW_MS + 500),
    }
    assert told(standing, NOW_MS + 500 + OVER_MS) == {}


def test_what_nobody_is_told_is_not_said() -> None:
    silent = alert("d", "k1", "breached")._replace(notify=0, muted="silenced")
    assert told(taken(silent, alert("d", "k1", "met_late")._replace(notify=0))) == {}


def test_what_was_muted_and_is_released_is_said_under_the_step_it_tells() -> None:
    quiet = alert("d", "k1", "breached")._replace(notify=0, muted="quiet")
    assert told(taken(quiet, quiet.released(NOW_MS + 700)._replace(notify=1)))["cx_breached"]["startsAt"] == iso(
        NOW_MS + 700
    )


def test_what_is_said_again_after_a_correction_stands_again() -> None:
    first, again = alert("d", "k1", "breached"), alert("d", "k1", "breached", 1)._replace(at=NOW_MS + 900)
    standing = taken(first, alert("d", "k1", "corrected"), again)
    assert told(standing)["cx_breached"]["endsAt"] == iso(LATER_MS + 4 * RESEND_MS)
    assert told(standing)["cx_breached"]["startsAt"] == iso(NOW_MS + 900)


def test_what_changed_is_told_once_and_everything_again_when_asked() -> None:
    standing = taken(alert("d", "k1", "breached"), alert("d", "k2", "breached"))
    assert len(standing.changed()) == 2
    assert standing.changed() == []
    standing.take(alert("d", "k1", "resolved"), True)
    assert standing.changed() == [("k1", "breached")]
    assert len(standing.everything(LATER_MS)) == 2
    standing.forget()
    assert standing.everything(LATER_MS) == []


def test_an_incident_is_one_alert_while_it_grows_and_ends_with_its_end() -> None:
    opened = surge()
    standing = taken(opened)
    before = told(standing)["cx_surge"]
    standing.take(surge("grown", step=2, observed=84.0, at=NOW_MS + 500), True)
    grown = told(standing)["cx_surge"]
    assert told(standing).keys() == {"cx_surge"}
    assert (grown["labels"], grown["startsAt"]) == (before["labels"], before["startsAt"])
    assert grown["labels"] == {
        "alertname": "cx_surge",
        "key": "i1",
        "district": "riverbend",
        "unit": "dispatch",
        "metric": "inquiries",
        "about": "bus-late",
    }
    assert "84 inquiries" in grown["annotations"]["summary"]
    standing.take(surge("closed", ended_at=NOW_MS + 5_000, at=NOW_MS + 5_000), True)
    assert told(standing, NOW_MS + 6_000)["cx_surge"]["endsAt"] == iso(NOW_MS + 5_000)
    again = taken(opened)
    again.take(surge("corrected", at=NOW_MS + 700), False)
    assert told(again)["cx_surge"]["endsAt"] == iso(NOW_MS + 700)
