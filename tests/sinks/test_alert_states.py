"""`./cx alerts ls` on the real engine: each alert by its newest transition, and what people did about it."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from deploy.cli.main import main
from deploy.local.machine import free_ports
from schemas.alerts import AlertTransition
from schemas.events import canonical
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from sinks.alerts import OVER, STANDING, Alerts, WantedAlerts
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing, Place, event_row
from streams.core.packed import digest_of
from streams.present import wall_ms
from tests.golden import History
from tests.sinks.samples import NOW_MS, alert, everything, incident

USAGE, UNAVAILABLE = 2, 4
HOUR_MS = 3_600_000
Said = Callable[..., tuple[int, list[dict[str, Any]]]]


def told() -> list[AlertTransition]:
    """One at risk and then broken, one corrected that is at risk again, one over, one muted and released."""
    quiet = alert("e", "k4", "breached")._replace(muted="quiet", notify=0)
    return [
        alert("d", "k1", "breached"),
        alert("d", "k1", "at_risk")._replace(at=NOW_MS - 5),
        alert("d", "k2", "breached"),
        alert("d", "k2", "corrected")._replace(at=NOW_MS + 1),
        alert("d", "k2", "at_risk", 1)._replace(at=NOW_MS + 2),
        alert("d", "k3", "breached"),
        alert("d", "k3", "met_late"),
        quiet,
        quiet.released(NOW_MS + 9),
    ]


def land(settings: Settings, *events: dict[str, Any], now_ms: int = 0) -> None:
    """The alerts, and these events of the district `d`, each with how many ms before `now_ms` it happened."""
    history, rows = History(), []
    for number, each in enumerate(events):
        ago = each.pop("ago")
        moment = {name: from_ms(now_ms - ago).isoformat() for name in ("occurred_at", "received_at")}
        history.add(each.pop("kind"), "2026-10-06 10:00", "", **{"event_id": f"x{number}"} | moment | each)
    for offset, event in enumerate(history.events):
        content = canonical(event)
        rows.append(event_row(event, content, digest_of(content), Place("cx.events", 0, offset))._replace(district="d"))
    with closing(ClickHouseSink(settings)) as sink:
        sink.land(Landing(NOW_MS, alerts=told(), events=rows))


def iso(at_ms: int) -> str:
    return from_ms(at_ms).isoformat()


@pytest.fixture
def store(clickhouse: Settings) -> Iterator[Alerts]:
    with closing(Alerts(clickhouse)) as made:
        yield made


def states(store: Alerts, **wanted: Any) -> dict[str, str]:
    return {each.key: each.transition for each in store.states(WantedAlerts(wall_ms(), **wanted))}


def test_each_alert_is_shown_once_by_its_newest_transition(store: Alerts, clickhouse: Settings) -> None:
    land(clickhouse)
    assert states(store) == {"k1": "breached", "k2": "at_risk", "k4": "breached_released"}
    assert states(store, state=OVER) == {"k3": "met_late"}
    assert states(store, state=None, keys=("k3", "k4")) == {"k3": "met_late", "k4": "breached_released"}
    assert states(store, district="e") == {"k4": "breached_released"}
    assert states(store, unit="south").keys() == states(store, unit="north").keys() == states(store).keys()
    assert states(store, unit="east") == {}
    assert states(store, since_ms=NOW_MS + 2) == {"k2": "at_risk", "k4": "breached_released"}
    (one,) = store.states(WantedAlerts(wall_ms(), ("k2",)))
    assert (one.revision, one.at, one.owner, one.recipients) == (1, NOW_MS + 2, "south", ("lead", "cabinet"))
    assert WantedAlerts(0).state == STANDING


def test_the_last_word_on_who_took_it_on_counts(store: Alerts, clickhouse: Settings) -> None:
    ack, now_ms = {"kind": "alert_acknowledged", "alert": "k1"}, wall_ms()
    land(
        clickhouse,
        ack | {"ago": 9_000, "who": "first", "until": iso(now_ms + HOUR_MS)},
        ack | {"ago": 5_000, "who": "second"},
        ack | {"ago": 8_000, "alert": "k2", "who": "gone", "until": iso(now_ms - 1_000)},
        ack | {"ago": 5_000, "alert": "k4"},
        now_ms=now_ms,
    )
    found = {one.key: (one.acknowledged, one.acknowledged_until) for one in store.states(WantedAlerts(now_ms))}
    # The last event is of the district `d`, the alert of another.
    assert found == {"k1": ("second", None), "k2": ("", None), "k4": ("", None)}
    before = {one.key: one.acknowledged for one in store.states(WantedAlerts(now_ms - 7_000))}
    assert before == {"k1": "first", "k2": "gone", "k4": ""}


def test_what_is_silenced_now_is_listed(store: Alerts, clickhouse: Settings) -> None:
    silence, now_ms = {"kind": "alert_silenced", "who": "ops", "why": "planned-work"}, wall_ms()
    land(
        clickhouse,
        silence | {"ago": 9_000, "unit": "buses", "until": iso(now_ms + HOUR_MS)},
        silence | {"ago": 9_000, "unit": "desk", "until": iso(now_ms + HOUR_MS)},
        silence | {"ago": 5_000, "unit": "desk", "until": iso(now_ms - 4_000)},
        silence | {"ago": 5_000, "until": iso(now_ms + 2 * HOUR_MS), "clock": "resolution"},
        now_ms=now_ms,
    )
    found = store.silences(now_ms, "d")
    assert [(each.unit, each.clock, each.who, each.why) for each in found] == [
        ("buses", "", "ops", "planned-work"),
        ("", "resolution", "ops", "planned-work"),
    ]
    assert store.silences(now_ms, "e") == []
    assert len(store.silences(now_ms)) == 2


@pytest.fixture
def alerts(clickhouse: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """`./cx alerts` on the test's database: its exit code and JSON lines."""
    assert clickhouse.clickhouse is not None
    monkeypatch.setenv("CX_CLICKHOUSE", clickhouse.clickhouse)
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", clickhouse.clickhouse_password.get_secret_value())
    monkeypatch.setenv("CX_CLICKHOUSE_DATABASE", clickhouse.clickhouse_database)

    def run(*line: str) -> tuple[int, list[dict[str, Any]]]:
        code = main(["alerts", *line, "--json"])
        return code, [json.loads(text) for text in capsys.readouterr().out.splitlines()]

    return run


def test_the_command_shows_what_stands(alerts: Said, clickhouse: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    now_ms = wall_ms()
    silence = {"kind": "alert_silenced", "who": "ops", "why": "planned-work", "until": iso(now_ms + HOUR_MS), "ago": 1}
    land(clickhouse, {"kind": "alert_acknowledged", "alert": "k1", "ago": 9, "who": "lead"}, silence, now_ms=now_ms)
    code, found = alerts("ls")
    assert (code, [each["key"] for each in found]) == (0, ["k4", "k2", "k1"])
    assert (found[2]["acknowledged"], found[2]["critical"], found[2]["at"]) == (
        "lead",
        False,
        from_ms(NOW_MS).isoformat(),
    )
    assert [each["key"] for each in alerts("ls", "--state", "all", "--since", "2026-01-01")[1]] == []
    assert [each["key"] for each in alerts("ls", "k3")[1]] == ["k3"]
    assert [each["who"] for each in alerts("ls", "--silences")[1]] == ["ops"]
    for line in (["ls"], ["ls", "--silences"]):
        assert main(["alerts", *line]) == 0
    shown = capsys.readouterr().out
    assert "k1" in shown
    assert "planned-work" in shown.replace("\n", "")


def test_incidents_are_shown_once_by_their_newest_transition(
    alerts: Said, clickhouse: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    again = [incident("d", "i3", "corrected"), incident("d", "i3", revision=1)._replace(at=NOW_MS + 1)]
    grown = [incident("d", "i1"), *(incident("d", "i1", "grown", step=step) for step in (4, 2))]
    over = [incident("e", "i2"), incident("e", "i2", "closed")._replace(at=NOW_MS + 2)]
    with closing(ClickHouseSink(clickhouse)) as sink:
        sink.land(Landing(NOW_MS, incidents=[*grown, *over, *again]))

    def listed(*line: str) -> list[tuple[str, str, int]]:
        return [(each["key"], each["transition"], each["step"]) for each in alerts("ls", "--incidents", *line)[1]]

    assert listed() == [("i3", "opened", 0), ("i1", "grown", 4)]
    assert listed("--state", "over") == listed("i2") == [("i2", "closed", 0)]
    assert listed("--unit", "north", "--state", "all", "--district", "d") == listed()
    assert listed("--unit", "south") == listed("--since", "2030-01-01") == []
    assert main(["alerts", "ls", "--incidents"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("i1", "i3", "surge", "bus-late"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["ack", "k9", "--who", "ops"], "There is no alert k9"),
        (["ack", "k1", "--who", "Anna Smith"], "Anna Smith is no code"),
        (["ack", "k 1", "--who", "ops"], "k 1 is no alert's key"),
        (["ack", "k1", "--who", "ops", "--for", "soon"], "soon is no length"),
        (["silence", "--district", "d", "--who", "ops", "--why", "x"], "Say how long"),
        (["silence", "--district", "d", "--who", "ops", "--why", "a b", "--for", "1h"], "a b is no code"),
        (
            ["silence", "--district", "d", "--unit", "nort", "--who", "ops", "--why", "x", "--for", "1h"],
            "In d unit nort does not exist; did you mean north?",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    line: list[str], said: str, alerts: Said, clickhouse: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    land(clickhouse)
    with closing(ClickHouseSink(clickhouse)) as sink:
        sink.land(everything())
    assert main(["alerts", *line]) == USAGE
    assert said in capsys.readouterr().err
    assert alerts("ls")[0] == 0


@pytest.mark.parametrize(
    "line",
    [
        ["ack", "k1", "i1"],
        ["silence", "--district", "d", "--clock", "inquiries", "--why", "x", "--for", "1h"],
        ["silence", "--district", "d", "--clock", "first_response_p90", "--why", "x", "--for", "1h"],
    ],
)
def test_alerts_and_incidents_can_be_muted_and_taken_on_and_kafka_away_is_said(
    line: list[str], alerts: Said, clickhouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(clickhouse)
    with closing(ClickHouseSink(clickhouse)) as sink:
        sink.land(Landing(NOW_MS, incidents=[incident("d", "i1")]))
    (port,) = free_ports(1)
    monkeypatch.setenv("CX_KAFKA", f"127.0.0.1:{port}")
    assert alerts(*line, "--who", "ops")[0] == UNAVAILABLE
