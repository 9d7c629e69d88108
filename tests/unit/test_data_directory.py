"""The data directory: ours or not, one stack at a time, its secrets."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.identity import Identity
from deploy.local.state import (
    DataDirectory,
    StackState,
    child_environment,
    effective_settings,
    ensure_secrets,
)
from schemas.clock import Clock
from schemas.errors import EnvironmentProblem, Unavailable, UsageError
from schemas.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def test_other_peoples_files_are_left_alone(settings: Settings) -> None:
    settings.data.mkdir()
    (settings.data / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="thesis"):
        DataDirectory(settings).claim()
    with pytest.raises(UsageError, match="nothing was deleted"):
        DataDirectory(settings).purge()
    assert (settings.data / "thesis.txt").exists()


def test_a_link_is_not_purged(settings: Settings, tmp_path: Path) -> None:
    DataDirectory(settings).claim()
    link = tmp_path / "link"
    link.symlink_to(settings.data)
    with pytest.raises(UsageError):
        DataDirectory(Settings(data=link)).purge()
    assert settings.data.exists()


def test_ours_is_purged(settings: Settings) -> None:
    data = DataDirectory(settings)
    data.claim()
    data.claim()
    data.purge()
    assert not settings.data.exists()


def test_one_stack_at_a_time(settings: Settings) -> None:
    data = DataDirectory(settings)
    data.claim()
    assert data.supervisor() is None
    with data.lock():
        supervisor = data.supervisor()
        assert supervisor is not None
        assert supervisor.is_alive()
        with pytest.raises(EnvironmentProblem, match="already runs"), DataDirectory(settings).lock():
            pass
        with pytest.raises(EnvironmentProblem, match="already runs"):
            data.purge()
    assert data.supervisor() is None


def test_a_stack_has_ended_when_its_process_has(settings: Settings) -> None:
    """It lets go of the directory first; on a busy machine its end may be a while after."""
    data = DataDirectory(settings)
    data.claim()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        supervisor = Identity.of(process.pid)
        assert data.supervisor() is None
        with pytest.raises(Unavailable, match="does not stop"):
            data.wait_until_ended(supervisor, seconds=0.0)
        process.terminate()
        data.wait_until_ended(supervisor)
        assert not supervisor.is_alive()


def test_the_word_of_an_ended_supervisor_is_not_taken_for_now(settings: Settings) -> None:
    data = DataDirectory(settings)
    data.claim()
    with data.lock():
        supervisor = data.supervisor()
        assert supervisor is not None
        state = StackState(phase="ready", started_ms=0, supervisor=supervisor, children={})
        data.write(state)
        assert data.running() == state
    assert data.running() is None
    assert data.read() == state


def test_commands_go_by_the_clock_of_the_stack_that_runs(settings: Settings) -> None:
    """Whoever takes an alert on in a demonstration does it in the demonstration's time."""
    data, clock = DataDirectory(settings), Clock(1_791_290_100_000, 1_795_769_182_000, 2.5)
    data.claim()
    with data.lock():
        supervisor = data.supervisor()
        assert supervisor is not None
        data.write(StackState(phase="ready", started_ms=0, supervisor=supervisor, children={}, clock=str(clock)))
        assert effective_settings(settings).clock == clock
        own = Clock(0, 0)
        assert effective_settings(settings.model_copy(update={"clock": own})).clock == own
    assert effective_settings(settings).clock is None


def test_a_password_is_made_once_and_kept_to_its_owner(settings: Settings) -> None:
    data = DataDirectory(settings)
    data.claim()
    assert effective_settings(settings).clickhouse_password.get_secret_value() == ""
    ensure_secrets(settings)
    first = effective_settings(settings).clickhouse_password
    ensure_secrets(settings)
    assert effective_settings(settings).clickhouse_password == first
    assert len(first.get_secret_value()) > 20
    assert stat.S_IMODE((data.path / "secrets.json").stat().st_mode) == 0o600


def test_a_given_password_and_a_configured_server_are_left_as_they_are(settings: Settings) -> None:
    DataDirectory(settings).claim()
    ensure_secrets(settings)
    given = settings.model_copy(update={"clickhouse_password": SecretStr("given")})
    assert effective_settings(given).clickhouse_password.get_secret_value() == "given"
    configured = settings.model_copy(update={"clickhouse": "127.0.0.1:9000"})
    assert effective_settings(configured).clickhouse_password.get_secret_value() == ""


def test_a_child_reads_the_same_settings(settings: Settings) -> None:
    mine = settings.model_copy(update={"kafka_port": 12_345, "clickhouse_password": SecretStr("secret")})
    assert Settings.from_environment(child_environment(mine)) == mine
