"""`./cx measures --peers`: where a district stands among others, and nothing of any other."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import main
from schemas import examples

DOCUMENT = Path(examples.__file__).with_name("district.yaml")
AT = "2026-10-06T17:00:00Z"
OTHERS = [f"d{number}" for number in range(9)]


def _events(district: str, minutes: int, often: int = 30) -> list[bytes]:
    """Inquiries answered after so many minutes."""
    lines = []
    for number in range(often):
        for kind, minute in (("inquiry", 0), ("reply", minutes)):
            when = f"2026-10-0{1 + minute // 1440}T{14 + minute % 1440 // 60}:{minute % 60:02d}:00Z"
            event = {"kind": kind, "event_id": f"{kind}-{number}", "district": district, "source": "crm"}
            event |= {"occurred_at": when, "received_at": when, "conversation": f"c{number}", "channel": "email"}
            lines.append(json.dumps(event).encode() + b"\n")
    return lines


def _files(folder: Path, districts: list[str]) -> list[str]:
    """A file for each, the first answers after ten minutes, each next one after ten more, the last after a day."""
    paths = []
    for number, district in enumerate(districts):
        path = folder / f"{district}.ndjson"
        slow = 1440 if number == len(districts) - 1 else 10 * (number + 1)
        path.write_bytes(b"".join(_events(district, slow)))
        paths.append(str(path))
    return paths


def _run(monkeypatch: pytest.MonkeyPatch, lines: list[bytes], *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"".join(lines))))
    return main(["measures", "--district", str(DOCUMENT), "--at", AT, "--within", "6h", *arguments])


def _benchmark(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)["benchmark"]


def test_a_district_stands_among_its_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = _files(tmp_path, OTHERS)
    assert _run(monkeypatch, _events("riverbend", 20), "--json", "--peers", *peers) == 0
    found = _benchmark(capsys)
    first = found["lengths"]["first_response"]
    # Of ten, one is faster, one as fast beside the district itself.
    assert (first["percentile"], first["n"], first["group"]) == (20, 30, 10)
    assert first["median_ms"] == pytest.approx(20 * 60_000, rel=0.01)
    within = found["within"]
    assert (within["answered"]["hits"], within["centre"], within["group"]) == (30, 0.9, 10)
    assert within["cell"]["outside"] is False
    assert found["lengths"]["first_resolution"]["reason"] == "fewer than 30 values"


def test_the_order_of_files_and_events_that_come_twice_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = _events("riverbend", 20)
    peers = _files(tmp_path, OTHERS)
    assert _run(monkeypatch, own, "--json", "--peers", *peers) == 0
    once = _benchmark(capsys)
    everything = tmp_path / "everything.ndjson"
    everything.write_bytes(b"".join(own[::-1]))
    assert _run(monkeypatch, own[:7], "--json", "--peers", *peers[::-1], peers[0], str(everything)) == 0
    assert _benchmark(capsys) == once


def test_no_other_district_is_named_or_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = _files(tmp_path, OTHERS)
    assert _run(monkeypatch, _events("riverbend", 20), "--peers", *peers) == 0
    said = capsys.readouterr()
    lines = said.out[said.out.index("Benchmark") :].splitlines()
    first = "median 20 min 02 s, percentile 20.0 of 10 districts (lower is faster), n 30"
    assert lines[1] == f"  first response           {first}"
    assert lines[-1].startswith("  answered within T        100.0 % (88.6–100.0) of 30; inside the limits ")
    assert lines[-1].endswith("around 90.0% of 10 districts")
    assert not any(other in said.out + said.err for other in OTHERS)


def test_a_rating_of_another_district_is_in_nothing_that_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = _events("riverbend", 20)
    peers = _files(tmp_path, OTHERS)
    assert _run(monkeypatch, own, "--json", "--peers", *peers) == 0
    without = capsys.readouterr().out
    rated = json.loads(own[1]) | {"kind": "rating", "event_id": "r", "score": 1, "survey": "s", "district": "d0"}
    del rated["channel"]
    (tmp_path / "rated.ndjson").write_text(json.dumps(rated) + "\n")
    assert _run(monkeypatch, own, "--json", "--peers", *peers, str(tmp_path / "rated.ndjson")) == 0
    assert capsys.readouterr().out == without


@pytest.mark.parametrize(
    ("districts", "often", "reason"),
    [(OTHERS[1:], 30, "fewer than 10 districts"), (OTHERS, 29, "fewer than 30 values")],
)
def test_too_little_says_nothing(
    districts: list[str],
    often: int,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    peers = _files(tmp_path, districts)
    assert _run(monkeypatch, _events("riverbend", 20, often), "--json", "--peers", *peers) == 0
    found = _benchmark(capsys)
    for part in (found["lengths"]["first_response"], found["within"]):
        assert part["reason"] == reason
        assert part.get("percentile") is None
        assert part.get("cell") is None
    assert _run(monkeypatch, _events("riverbend", 20, often), "--peers", *peers) == 0
    assert f"n {often}; {reason}" in capsys.readouterr().out


def test_a_peer_s_document_decides_its_business_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = _files(tmp_path, OTHERS)
    assert _run(monkeypatch, _events("riverbend", 20), "--json", "--peers", *peers) == 0
    assert _benchmark(capsys)["lengths"]["first_response_business"]["percentile"] == 20
    document = tmp_path / "d0.yaml"
    document.write_text(
        "district: d0\ncalendar: night\ncalendars:\n  night: {time_zone: UTC, week: {thu: ['14:05-14:06']}}\n"
        "units: [{unit: d0-office, level: department}]\n"
    )
    closed = tmp_path / "d1.yml"
    closed.write_text(document.read_text().replace("d0", "d1"))
    assert _run(monkeypatch, _events("riverbend", 20), "--json", "--peers", *peers, str(document), str(closed)) == 0
    found = _benchmark(capsys)
    # The district and the second one took twenty minutes, which in that calendar are one.
    assert found["lengths"]["first_response_business"]["percentile"] == 25
    assert found["lengths"]["first_response"]["percentile"] == 20


def test_refused_events_are_named_with_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = _files(tmp_path, OTHERS)
    broken = tmp_path / "broken.ndjson"
    broken.write_bytes(b"\n{\n")
    assert _run(monkeypatch, [*_events("riverbend", 20), b"[\n"], "--peers", *peers, str(broken)) == 2
    said = capsys.readouterr()
    assert [line.split(" not_json")[0] for line in said.err.splitlines()] == ["line 61[0]:", f"{broken}: line 2[0]:"]
    assert "percentile 20.0" in said.out


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("nowhere.ndjson",), "Cannot read nowhere.ndjson: No such file or directory."),
        (("nowhere.yaml",), "Cannot read nowhere.yaml: No such file or directory."),
        ((str(DOCUMENT),), "There are 2 documents of riverbend: name one."),
        ((str(DOCUMENT.parent),), f"Cannot read {DOCUMENT.parent}: Is a directory."),
    ],
)
def test_wrong_files_are_one_sentence_before_anything_is_folded(
    names: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, [b"{\n"], "--peers", *names) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"cx: {sentence}\n")
