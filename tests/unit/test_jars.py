"""Kafka's jars are the locked ones, or they are not used."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.local.download import fetch_all
from deploy.local.jars import LOCK, Jar, locked_jars
from deploy.local.machine import free_ports
from schemas.errors import EnvironmentProblem

CONTENT = b"class files"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository of our own, set in jgo's configuration."""
    folder = tmp_path / "repository"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    configure(tmp_path, server.server_address[1], monkeypatch)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def configure(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jgo ask only this port of the loopback address."""
    configuration = folder / "jgo.conf"
    configuration.write_text(f"[repositories]\ncentral = http://127.0.0.1:{port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))


def jar(folder: Path, content: bytes = CONTENT) -> Jar:
    """A locked jar whose lock wants this content."""
    return Jar("org.example.some", "thing", "1.2", "", hashlib.sha256(content).hexdigest(), folder)


def publish(repository: Path, content: bytes = CONTENT) -> None:
    path = jar(repository).path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_a_missing_or_broken_jar_is_downloaded(repository: Path, tmp_path: Path) -> None:
    publish(repository)
    wanted, said = jar(tmp_path / "cache"), list[str]()
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(CONTENT[:4])
    assert not wanted.is_there()
    fetch_all([wanted], said.append)
    assert wanted.is_there()
    assert "MB, once only" in said[0]


def test_a_jar_with_another_hash_is_refused_and_removed(repository: Path, tmp_path: Path) -> None:
    publish(repository, b"somebody else's")
    wanted = jar(tmp_path / "cache")
    with pytest.raises(EnvironmentProblem, match="hash differs"):
        fetch_all([wanted], lambda _: None)
    assert not wanted.path.exists()


def test_an_unreachable_repository_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, free_ports(1)[0], monkeypatch)
    with pytest.raises(EnvironmentProblem, match="cannot be reached") as raised:
        fetch_all([jar(tmp_path / "cache")], lambda _: None)
    assert "127.0.0.1" not in str(raised.value)


def test_the_lock_pins_every_jar_and_names_no_host(tmp_path: Path) -> None:
    jars = locked_jars(tmp_path)
    assert {"kafka_2.13", "kafka-clients", "log4j-core"} <= {each.artifact for each in jars}
    assert {each.version for each in jars if each.group == "org.apache.kafka"} == {"4.4.0"}
    assert all(len(each.sha256) == 64 for each in jars)
    assert "://" not in LOCK.read_text()
