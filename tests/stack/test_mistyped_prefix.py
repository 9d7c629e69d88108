"""Commands that ask Kafka for a topic that nobody made: a sentence and an exit code, and nothing is done."""

import pytest

from deploy.cli.main import main
from schemas.settings import Settings
from sinks.connection import connect
from tests.fixtures_stack import Workers
from tests.stack.test_erase import MARKER, as_environment, everything_stored, history, send

pytestmark = pytest.mark.stack

REFUSED = 5


def test_a_mistyped_prefix_is_said(
    stream: Settings, workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workers.start().wait_ready()
    send(stream, history().events)
    as_environment(stream.model_copy(update={"topic_prefix": "oth."}), monkeypatch)
    for line in ("retention", f"erase --district demo --person {MARKER}", "replay --source kafka"):
        capsys.readouterr()
        assert main(line.split()) == REFUSED
        said = capsys.readouterr()
        assert "has no such topic: " in said.err
        assert "oth.cx.events; is CX_TOPIC_PREFIX right?" in said.err
        assert said.out == ""
    assert MARKER in everything_stored(stream)
    with connect(stream) as client:
        assert client.execute("SELECT count() FROM replays") == [(0,)]
