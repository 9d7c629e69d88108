"""Golden cases that come true in hindsight: what arrives later decides as if it had always been known."""

from tests.golden import History, district

PROMISES = [{"promise": "half-a-day", "clock": "first_reply", "target": "4h"}]


def test_g23_a_rating_before_its_inquiry_is_linked() -> None:
    history = History()
    history.configured(district())
    history.add("rating", "2026-10-06 10:00", score=9)
    assert history.fact()["linked"] == 0
    history.add("inquiry", "2026-10-06 12:00")
    fact = history.fact()
    assert (fact["linked"], fact["inquiries"], len(fact["ratings"])) == (1, 1, 1)


def test_g24_a_closure_declared_late_moves_what_is_due() -> None:
    history = History()
    history.configured(district(promises=PROMISES))
    history.add("inquiry", "2026-01-20 15:30")
    assert history.fact()["verdicts"][0]["due_at"] == "2026-01-21T17:00:00.000Z"
    calendars = district().model_dump(mode="json")["calendars"]
    calendars["office"]["closed"].append("2026-01-21")
    history.configured(district(promises=PROMISES, calendars=calendars, revision=2), "2026-01-21 12:00")
    late = history.fact()
    assert late["verdicts"][0]["due_at"] == "2026-01-22T17:00:00.000Z"

    known = History()
    known.configured(district(promises=PROMISES, calendars=calendars, revision=2))
    known.add("inquiry", "2026-01-20 15:30")
    assert known.fact()["verdicts"] == late["verdicts"]
