"""An erased person in conversations that a merge put together: what lands is what the fold of sealed events gives."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from schemas.settings import Settings
from sinks.connection import connect
from tests.core.test_corrections import erased
from tests.golden import History, district, ms
from tests.sinks.test_audit_beside import Day

WHO, STAFF, OTHER = "5f5f5f5f5f5f5f5f", "6a6a6a6a6a6a6a6a", "7b7b7b7b7b7b7b7b"
PAIRS = (("a", "b"), ("d", "c"), ("e", "f"))


def merged() -> History:
    """In each pair the first answer and a rating are of one, other ratings of both; one pair was taken apart again."""
    history = History()
    history.configured(district())
    for name, into in PAIRS:
        for number, each in enumerate((name, into)):
            history.add("inquiry", f"2026-03-03 10:0{number}", each, person=WHO)
            history.add("reply", f"2026-03-03 11:0{number}", each, staff=STAFF)
            for rater in (WHO, OTHER):
                score, survey = 1 + len(history.events) % 10, ("after", "before")[number]
                history.add("rating", f"2026-03-03 12:0{number}", each, score=score, rater=rater, survey=survey)
        history.add("merge", "2026-03-03 13:00", name, into=into)
    history.add("unmerge", "2026-03-03 14:00", "e", into="f")
    return history


@pytest.fixture(params=["2026-03-04 08:00", "2026-10-06 08:00"], ids=["held", "departed"])
def day(clickhouse: Settings, request: pytest.FixtureRequest) -> Iterator[Day]:
    with closing(Day(clickhouse, ms(request.param))) as made:
        made.land(*merged().events)
        yield made


def test_facts_and_versions_are_what_the_sealed_events_give(day: Day, clickhouse: Settings) -> None:
    assert day.audited().differences == []
    day.land(erased(STAFF, "2026-11-01 10:00"))
    assert day.audited().differences == []
    day.land(erased(WHO, "2026-11-01 10:00"))
    assert day.audited().differences == []
    with connect(clickhouse) as client:
        stored = str(
            [client.execute(f"SELECT * FROM {t}") for t in ("events", "conversations", "conversation_versions")]
        )
        (newest,) = client.execute("SELECT max(landed_at) FROM conversation_versions FINAL")
        # They stay known since they were.
        assert newest == client.execute("SELECT min(landed_at) FROM conversation_versions FINAL")[0]
    assert OTHER in stored
    assert WHO not in stored
    assert STAFF not in stored
