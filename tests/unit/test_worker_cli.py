"""`./cx worker` that cannot work: a sentence and an exit code, before anything begins."""

from pathlib import Path

import pytest

from deploy.cli.main import main


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "one", ""])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["worker", f"--metrics-port={port}"])
    assert ended.value.code == 2
    assert "a port is a number from 1 to 65535" in capsys.readouterr().err


def test_a_kafka_that_is_away_is_said(
    tmp_path: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CX_DATA", str(tmp_path))
    monkeypatch.setenv("CX_KAFKA", f"127.0.0.1:{closed_port}")
    assert main(["worker"]) == 4
    assert capsys.readouterr().err.startswith(f"cx: Kafka at 127.0.0.1:{closed_port} does not answer")
