"""The documents say what is true: pages made from code are current, links, commands and test names exist."""

import re
from pathlib import Path

import pytest

from deploy.cli.main import TABLE
from deploy.docs import PAGES, main, stale
from schemas.errors import DifferenceFound
from schemas.events import KINDS
from schemas.settings import Settings
from sinks.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
GOLDEN_CASES = 27

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Anchors of a document's headings, as they are linked to."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(path.read_text(encoding="utf-8")))
    return {heading.strip().replace(" ", "-") for heading in kept}


@each_document
def test_relative_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


@each_document
def test_commands_exist(path: Path) -> None:
    named = set(re.findall(r"\./cx ([a-z][a-z0-9-]*)", path.read_text(encoding="utf-8")))
    assert named <= TABLE.keys()


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_every_command_is_listed(name: str) -> None:
    assert set(re.findall(r"\./cx ([a-z][a-z0-9-]*)", text(name))) == TABLE.keys()


def test_pages_made_from_code_are_current() -> None:
    assert stale() == []


def test_a_page_that_is_not_current_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, page in PAGES.items():
        (tmp_path / name).write_text(page(), encoding="utf-8")
    monkeypatch.setattr("deploy.docs.FOLDER", tmp_path)
    assert stale(tmp_path) == []
    (tmp_path / "metrics.md").write_text("old", encoding="utf-8")
    assert stale(tmp_path) == ["metrics.md"]
    assert main([]) == 0
    assert stale(tmp_path) == []


def test_a_check_of_old_pages_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "missing.md", lambda: "never written")
    with pytest.raises(DifferenceFound, match=r"missing\.md"):
        main(["--check"])


def test_every_setting_has_a_meaning() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_named_anywhere_exist() -> None:
    known = {f"CX_{name.upper()}" for name in Settings.model_fields}
    for path in DOCUMENTS:
        assert set(re.findall(r"\bCX_[A-Z_]+", path.read_text(encoding="utf-8"))) <= known, path.name


def test_every_kind_of_event_is_explained() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", text("docs/events.md")))
    assert explained >= KINDS


def test_columns_of_the_glossary_exist() -> None:
    names = {name for table in TABLES for name in (table.name, *table.names)}
    for line in text("docs/glossary.md").splitlines():
        column = line.split("|")[3] if line.startswith("| ") else ""
        for named in re.findall(r"`([a-z_]+\.[a-z_]+)`", column):
            group, _, inner = named.partition(".")
            assert named in names or (group in names and inner in names), named


def defined_tests() -> set[str]:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    return set(re.findall(r"^(?:async )?def (test_\w+)", sources, re.MULTILINE))


@each_document
def test_tests_named_exist(path: Path) -> None:
    assert set(re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8"))) <= defined_tests()


@each_document
def test_files_named_exist(path: Path) -> None:
    folders = "bench|dashboards|deploy|docs|schemas|sinks|streams|tests"
    for named in re.findall(rf"`((?:{folders})/[\w./]*)`", path.read_text(encoding="utf-8")):
        assert (ROOT / named).exists(), named


def test_every_golden_case_names_a_test_or_is_not_computed_yet() -> None:
    cases = dict(re.findall(r"^\| G(\d+) \|(.+)\|$", text("docs/definitions.md"), re.MULTILINE))
    assert sorted(map(int, cases)) == list(range(1, GOLDEN_CASES + 1))
    for number, case in cases.items():
        assert "`test_" in case or "defined, not computed yet" in case, number
