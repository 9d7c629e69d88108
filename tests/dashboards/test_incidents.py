"""What the page says of incidents: those that last and those that ended within a day, and the words that went out."""

from contextlib import closing
from typing import Any

from dashboards.incidents import INCIDENTS, OF_ALERTS, OF_INCIDENTS, messages
from dashboards.present import instants
from schemas.alerts import AT_RISK, BREACHED, MET_LATE, AlertTransition
from schemas.incidents import IncidentTransition
from schemas.settings import Settings
from schemas.transitions import Transition
from sinks.clickhouse import ClickHouseSink
from sinks.connection import connect
from sinks.landing import Landing, unit_rows
from streams.couriers.messages import fields
from streams.incident_words import sentence
from tests.dashboards.test_now import SAMPLE, TUESDAY

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def said(key: str, transition: str, ago_ms: int, **more: Any) -> IncidentTransition:
    """A transition of a surge of the bus dispatch, so long before ten on Tuesday."""
    at = TUESDAY - ago_ms
    ended_at = at if transition == "closed" else None
    began = more.pop("began", at)
    plain = IncidentTransition(
        SAMPLE.district,
        key,
        0,
        transition,
        0,
        at,
        "surge",
        "inquiries",
        "bus-late",
        "dispatch",
        30 * MINUTE_MS,
        began,
        ended_at,
        21.0,
        2.84,
        1,
    )
    return plain._replace(**more)


def promise(transition: str, minutes_ago: int) -> AlertTransition:
    """A transition of one promise of the bus dispatch."""
    at = TUESDAY - minutes_ago * MINUTE_MS
    began, unit = TUESDAY - HOUR_MS, "dispatch"
    numbers = (began, at, at, None, 1, 0)
    names = ("c", "first_reply", unit, unit, "bus-soon", "e")
    return AlertTransition(SAMPLE.district, "k", "promise", 0, transition, at, *names, *numbers, "", ("everybody",), ())


def ask(
    settings: Settings, told: list[IncidentTransition], alerts: tuple[AlertTransition, ...] = ()
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the panel and the messages on Tuesday at ten."""
    with closing(ClickHouseSink(settings)) as sink:
        sink.land(Landing(TUESDAY, units=unit_rows(SAMPLE, 1), incidents=told, alerts=alerts))
    parameters = {"district": SAMPLE.district, **instants(SAMPLE.model_dump_json(), TUESDAY)}
    with connect(settings) as client:
        found = {
            panel.name: [
                dict(zip([column.name for column in panel.columns], row, strict=True))
                for row in client.execute(panel.sql, parameters)
            ]
            for panel in (INCIDENTS, OF_INCIDENTS, OF_ALERTS)
        }
    return found[INCIDENTS.name], messages(found)


def test_an_incident_that_lasts_stands_first_with_what_was_told_last(clickhouse: Settings) -> None:
    began = TUESDAY - 40 * MINUTE_MS
    open_now = [
        said("a", "opened", 40 * MINUTE_MS),
        said("a", "grown", 20 * MINUTE_MS, step=2, observed=42.0, began=began),
        said("a", "grown", -5 * MINUTE_MS, step=4, observed=84.0, began=began),
    ]
    over = [said("b", "opened", 30 * MINUTE_MS, about="portal"), said("b", "closed", 10 * MINUTE_MS, about="portal")]
    over[1] = over[1]._replace(began_at=over[0].began_at)
    old = [said("c", "opened", 30 * HOUR_MS), said("c", "closed", 25 * HOUR_MS)]
    wrong = [said("d", "opened", 20 * MINUTE_MS), said("d", "corrected", 5 * MINUTE_MS)]
    rows, _ = ask(clickhouse, [*over, *wrong, *old, *open_now])
    assert [(row["state"], row["what"], row["observed"]) for row in rows] == [
        ("open", "inquiries: bus-late", 42),
        ("closed", "inquiries: portal", 21),
    ]
    assert rows[0]["unit"] == "Bus Dispatch"
    assert (rows[0]["began_at"], rows[0]["lasts_ms"], rows[0]["expected"]) == (began, 40 * MINUTE_MS, 2.8)
    assert rows[1]["lasts_ms"] == 20 * MINUTE_MS


def test_one_that_is_there_again_is_the_newest_revision(clickhouse: Settings) -> None:
    again = said("a", "opened", 10 * MINUTE_MS, revision=1, began=TUESDAY - 60 * MINUTE_MS)
    rows, _ = ask(clickhouse, [said("a", "opened", 60 * MINUTE_MS), said("a", "closed", 30 * MINUTE_MS), again])
    assert [(row["state"], row["lasts_ms"]) for row in rows] == [("open", 60 * MINUTE_MS)]


def test_silences_and_values_have_no_count(clickhouse: Settings) -> None:
    feed = said("a", "opened", HOUR_MS, kind="silence", metric="signs", about="mailbox", unit=SAMPLE.district)
    value = said("b", "opened", 2 * HOUR_MS, kind="value", metric="reply_p90", about="slow")
    rows, _ = ask(clickhouse, [feed, value])
    assert [(row["what"], row["observed"], row["expected"]) for row in rows] == [
        ("silent: mailbox", None, None),
        ("slow: reply p90", None, None),
    ]


def test_the_messages_are_those_that_receivers_get(clickhouse: Settings) -> None:
    told = [said("a", "opened", 50 * MINUTE_MS), said("a", "closed", 9 * MINUTE_MS)]
    quiet = said("b", "opened", 5 * MINUTE_MS, notify=0)
    risk, broken = (promise(transition, ago) for transition, ago in ((AT_RISK, 40), (BREACHED, 30)))
    muted = promise(MET_LATE, 20)._replace(notify=0)
    _, found = ask(clickhouse, [*told, quiet, said("c", "opened", 26 * HOUR_MS)], (risk, broken, muted))
    order: tuple[Transition, ...] = (told[1], broken, risk, told[0])
    assert [one["at"] for one in found] == [transition.at for transition in order]
    for one, transition in zip(found, order, strict=True):
        words = fields(transition, "https://cx.example/")
        assert f"{one['text']} {words['link']}" == " ".join(words["text"].split())
    assert found[1]["text"].startswith("A promise is broken: first reply, dispatch in ")
    surge = "A surge: 21 inquiries about bus-late in dispatch, where 2.8 are usual within 30 min."
    assert found[3]["text"].startswith(surge)


def test_every_transition_has_words() -> None:
    texts = {
        sentence(said("a", transition, 0, kind=kind, metric=metric))
        for kind, metric, transitions in (
            ("surge", "inquiries", ("opened", "grown", "closed", "corrected")),
            ("surge", "people", ("opened", "grown", "closed", "corrected")),
            ("silence", "signs", ("opened", "closed", "corrected")),
            ("value", "reply_p90", ("opened", "closed")),
            ("value", "satisfied", ("opened", "closed")),
        )
        for transition in transitions
    }
    assert len(texts) == 15
