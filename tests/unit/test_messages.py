"""What people read of an alert: what, where, how long, which promise, where to look."""

import json
from typing import Any

import pytest

from schemas.alerts import TRANSITIONS, AlertTransition
from schemas.incidents import IncidentTransition
from schemas.receivers import FIELDS
from streams.couriers.messages import body, fields, group_key, how_long, idempotency_key, shown
from tests.sinks.samples import NOW_MS, alert

PAGE = "https://cx.example/"
TEMPLATE = '{"title": "${what} (${where})", "lines": ["${text}"], "key": "${key}"}'


def broken(key: str = "k1", transition: str = "breached") -> AlertTransition:
    started = NOW_MS - (4 * 60 + 10) * 60_000
    return alert("riverbend", key, transition)._replace(started_at=started, due_at=NOW_MS - 60_000)


@pytest.mark.parametrize(
    ("length_ms", "words"),
    [
        (0, "0 s"),
        (45_999, "45 s"),
        (60_000, "1 min 0 s"),
        (15_000_000, "4 h 10 min"),
        (183_600_000, "2 d 3 h"),
        (-5, "0 s"),
    ],
)
def test_lengths_are_said_in_their_two_largest_parts(length_ms: int, words: str) -> None:
    assert how_long(length_ms) == words


def test_a_message_says_what_where_how_long_which_promise_and_where_to_look() -> None:
    words = fields(broken(), PAGE)
    assert words["what"] == "A promise is broken: first reply"
    assert words["where"] == "south in riverbend"
    assert words["how_long"].startswith("4 h 10 min since 2025-10-0")
    assert words["promise"].startswith("reply, due 2025-")
    assert words["link"] == "https://cx.example/?district=riverbend"
    for part in ("what", "where", "how_long", "promise", "link", "conversation"):
        assert words[part] in words["text"]
    assert set(words) == set(FIELDS)


def test_every_transition_has_words_of_its_own_and_a_release_those_of_what_it_tells() -> None:
    said = {each: fields(broken(transition=each), PAGE)["what"] for each in TRANSITIONS}
    assert len(set(said.values())) == len(TRANSITIONS) // 2
    assert said["breached_released"] == said["breached"]
    assert fields(broken()._replace(critical=1), PAGE)["what"].startswith("Critical. ")


def surge(transition: str = "opened", **more: Any) -> IncidentTransition:
    began_ms = NOW_MS - 20 * 60_000
    about = ("surge", "inquiries", "bus-late", "dispatch", 30 * 60_000)
    one = IncidentTransition("riverbend", "i1", 0, transition, 0, NOW_MS, *about, began_ms, None, 42.0, 3.0, notify=1)
    return one._replace(recipients=("lead",), **more)


def test_an_incident_is_said_in_the_same_fields() -> None:
    words = fields(surge(), PAGE)
    assert words["what"].startswith("A surge: 42 inquiries about bus-late in dispatch")
    assert (words["where"], words["promise"], words["conversation"]) == ("dispatch in riverbend", "", "")
    assert words["how_long"].startswith("20 min 0 s since ")
    assert words["link"] in words["text"]
    assert set(words) == set(FIELDS)
    told = json.loads(body("json", [surge("grown", step=4, observed=170.0)], PAGE))
    assert (told["idempotency_key"], told["open_ms"], told["observed"]) == ("i1-0-grown-4", 20 * 60_000, 170.0)
    mixed = json.loads(body("json", [broken(), surge()], PAGE))
    assert [each["key"] for each in mixed["alerts"]] == ["k1", "i1"]


def test_a_webhook_gets_all_of_it_as_json() -> None:
    told = json.loads(body("json", [broken()], PAGE))
    assert (told["conversation"], told["unit"], told["promise"]) == ("c1", "north", "reply")
    assert (told["idempotency_key"], told["open_ms"]) == ("k1-0-breached", (4 * 60 + 10) * 60_000)
    assert told["recipients"] == ["lead", "cabinet"]
    assert told["link"].endswith("district=riverbend")


def test_slack_gets_a_text_and_a_template_its_fields_whatever_is_in_them() -> None:
    odd = broken()._replace(promise='a "quoted"\\promise')
    assert json.loads(body("slack", [odd], PAGE))["text"] == fields(odd, PAGE)["text"]
    told = json.loads(body(TEMPLATE, [odd], PAGE))
    assert told == {"title": "A promise is broken: first reply (south in riverbend)"} | {
        "lines": [fields(odd, PAGE)["text"]],
        "key": "k1",
    }


def test_many_alerts_are_one_message_with_every_key() -> None:
    many = [broken(f"k{number}") for number in range(60)]
    told = json.loads(body("json", many, PAGE))
    assert [each["key"] for each in told["alerts"]] == [each.key for each in many]
    assert told["idempotency_key"] == group_key(many) == idempotency_key(many) == shown(many, PAGE)["key"]
    assert told["what"] == "60 alerts, more than a day's share"
    assert "and 10 more" in told["text"]
    assert json.loads(body("slack", many, PAGE))["text"] == told["text"]
    assert group_key(many) != group_key(many[:-1])
    assert idempotency_key(many[:1]) == "k0-0-breached"
