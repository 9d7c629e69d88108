"""`./cx grafana` against a server that answers as Grafana does, and the file that it writes."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from dashboards.grafana import dashboard, text
from dashboards.grafana_server import GrafanaServer
from deploy.cli.main import main
from tests.dashboards.grafana_like import ADMIN, EDITOR, VIEWER, Answer, GrafanaLike

PASSWORD = "never-shown"
PLUGIN = "grafana-clickhouse-datasource"
MIDDLE = "<html>An error message of the proxy between</html>"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def grafana() -> Iterator[GrafanaLike]:
    """A Grafana in which there is nothing yet."""
    with GrafanaLike() as server:
        yield server


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `./cx grafana`: exit code, output, errors; no secret is ever in either."""
    monkeypatch.setenv("CX_DATA", str(tmp_path))
    monkeypatch.setenv("CX_CLICKHOUSE", "127.0.0.1:9000")
    monkeypatch.setenv("CX_CLICKHOUSE_PASSWORD", PASSWORD)

    def run(*arguments: str, token: str = ADMIN) -> tuple[int, str, str]:
        monkeypatch.setenv("CX_GRAFANA_TOKEN", token)
        code = main(["grafana", *arguments])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        assert not token or token not in out + err
        assert err.count("\n") <= 1
        return code, out, err

    return run


def test_a_push_makes_folder_source_and_dashboard_and_a_second_one_only_writes_over(
    grafana: GrafanaLike, run: Run
) -> None:
    code, out, _ = run("push", "--url", grafana.url, "--json")
    first = json.loads(out)
    assert code == 0
    assert first == {
        "url": f"{grafana.url}/d/cx-now/now",
        "uid": "cx-now",
        "version": 1,
        "folder": "Customer experience",
        "folder_made": True,
        "datasource": "cx-clickhouse",
        "datasource_made": True,
    }
    assert grafana.dashboards["cx-now"] == {"id": None, **dashboard()}
    made = {**grafana.folders}, {**grafana.sources}

    second = json.loads(run("push", "--url", f"{grafana.url}/", "--json")[1])
    assert second == {**first, "version": 2, "folder_made": False, "datasource_made": False}
    assert (grafana.folders, grafana.sources) == made
    assert list(grafana.dashboards) == ["cx-now"]


def test_the_source_is_that_of_the_settings_with_its_password_kept_apart(grafana: GrafanaLike, run: Run) -> None:
    _, out, _ = run("push", "--url", grafana.url, "--clickhouse", "[::1]:9440")
    (source,) = grafana.sources.values()
    assert source["type"] == PLUGIN
    assert source["secureJsonData"] == {"password": PASSWORD}
    assert source["jsonData"] == {
        "host": "::1",
        "port": 9440,
        "protocol": "native",
        "secure": False,
        "username": "default",
        "defaultDatabase": "cx",
    }
    assert "made for ClickHouse at ::1:9440" in out


def test_a_named_source_is_used_and_none_is_made(grafana: GrafanaLike, run: Run) -> None:
    grafana.sources["mine"] = {"uid": "mine", "name": "mine", "type": PLUGIN}
    code, out, _ = run("push", "--url", grafana.url, "--datasource", "mine")
    assert (code, list(grafana.sources)) == (0, ["mine"])
    assert "data source mine: there already" in out
    assert grafana.dashboards["cx-now"] == {"id": None, **dashboard("mine")}


@pytest.mark.parametrize(
    ("uid", "reason"),
    [("nowhere", "has no data source nowhere"), ("other", f"other of .* is not of the plugin {PLUGIN}")],
)
def test_a_source_that_cannot_be_used_is_refused_before_anything_is_written(
    grafana: GrafanaLike, run: Run, uid: str, reason: str
) -> None:
    grafana.sources["other"] = {"uid": "other", "name": "other", "type": "prometheus"}
    code, _, err = run("push", "--url", grafana.url, "--datasource", uid)
    assert code == 5
    assert (grafana.folders, grafana.dashboards) == ({}, {})
    assert re.search(reason, err)


def test_an_editor_needs_a_named_source(grafana: GrafanaLike, run: Run) -> None:
    code, _, err = run("push", "--url", grafana.url, token=EDITOR)
    assert (code, "--datasource names one" in err) == (5, True)
    assert run("push", "--url", grafana.url, "--datasource", "mine", token=EDITOR)[0] == 0
    assert grafana.dashboards["cx-now"] == {"id": None, **dashboard("mine")}


def test_a_viewer_may_not_write(grafana: GrafanaLike, run: Run) -> None:
    code, _, err = run("push", "--url", grafana.url, "--datasource", "mine", token=VIEWER)
    assert (code, "does not let this token make a folder" in err) == (5, True)


def test_an_unknown_token_is_one_sentence(grafana: GrafanaLike, run: Run) -> None:
    code, _, err = run("push", "--url", grafana.url, token="glsa_wrong")
    assert (code, "does not know this token" in err) == (5, True)
    assert len(grafana.asked) == 1


def test_a_token_on_the_command_line_counts_more(grafana: GrafanaLike, run: Run) -> None:
    assert run("push", "--url", grafana.url, "--token", ADMIN, token="glsa_wrong")[0] == 0


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (Answer(412, {"message": "A dashboard of this name\nexists"}), 5, "A dashboard of this name exists"),
        (Answer(400, {"message": f"Bad {ADMIN}"}), 5, "Bad ***"),
        (Answer(503, {"message": "Starting."}), 4, "cannot do it now: Server Error 503: Starting."),
        (Answer(200, "<html>Sign in</html>"), 5, "does not answer as Grafana does"),
        (Answer(502, MIDDLE), 5, "does not answer as Grafana does"),
        (Answer(302, {}, location="https://grafana.example.org/login"), 5, "leads on to https://grafana.example.org/"),
    ],
    ids=["412", "400", "503", "page", "proxy", "redirect"],
)
def test_what_grafana_says_is_one_sentence(
    grafana: GrafanaLike, run: Run, answer: Answer, code: int, said: str
) -> None:
    grafana.instead = answer
    found, out, err = run("push", "--url", grafana.url)
    assert (found, out) == (code, "")
    assert said in err


def test_a_server_of_another_kind_is_told_from_grafana(grafana: GrafanaLike, run: Run) -> None:
    grafana.instead = Answer(404, "<html>There is no such page</html>")
    code, _, err = run("push", "--url", grafana.url)
    assert (code, "is it a Grafana?" in err) == (5, True)


def test_nobody_there_is_unavailable(run: Run) -> None:
    with GrafanaLike() as gone:
        url = gone.url
    code, _, err = run("push", "--url", url)
    assert (code, f"Grafana at {url} does not answer" in err) == (4, True)


@pytest.mark.parametrize("prefix", ["", "/tools/grafana"])
def test_a_path_is_part_of_the_address(run: Run, prefix: str) -> None:
    with GrafanaLike(prefix) as server:
        code, out, _ = run("push", "--url", server.url)
        assert (code, out.splitlines()[0]) == (0, f"{server.url}/d/cx-now/now")
        assert {asked.split()[1].startswith(f"{prefix}/api/") for asked in server.asked} == {True}


@pytest.mark.parametrize(
    ("url", "token", "reason"),
    [
        ("grafana.example.org", ADMIN, "must be http"),
        ("http://user:never-shown@127.0.0.1", ADMIN, "holds a user"),
        ("http://127.0.0.1:99999", ADMIN, "is not an address"),
        ("http://127.0.0.1/?orgId=2", ADMIN, "must be http"),
        ("http://127.0.0.1", "", "There is no token"),
        ("http://127.0.0.1", "two words", "characters that no token has"),
    ],
)
def test_a_wrong_request_asks_nobody(run: Run, url: str, token: str, reason: str) -> None:
    code, _, err = run("push", "--url", url, token=token)
    assert (code, reason in err) == (2, True)


def test_a_server_shows_no_token() -> None:
    server = GrafanaServer("https://[::1]:3000/grafana/", SecretStr(ADMIN))
    assert repr(server) == "GrafanaServer('https://[::1]:3000/grafana')"


def test_the_file_is_written_whole_for_the_source_named(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert run("export", "--out", str(folder), "--datasource", "mine")[0] == 0
    assert (folder / "now.json").read_text(encoding="utf-8") == text("mine")
    assert [path.name for path in folder.iterdir()] == ["now.json"]


def test_a_folder_that_cannot_be_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = run("export", "--out", str(tmp_path / "file"))
    assert (code, "cannot be written" in err) == (3, True)
