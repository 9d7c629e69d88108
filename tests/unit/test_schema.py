"""`./cx schema`, and the proof that no event has room for a sentence."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import main
from deploy.cli.schema import fact_schema, models, schema_of
from schemas import examples
from schemas.events import KINDS, MESSAGE
from schemas.facts import CONVERSATION, as_json
from schemas.vocabulary import Label
from streams.offline import fold_events

CONSTRAINTS = ("pattern", "enum", "const", "format")
_LABEL_PATTERN = Label.__metadata__[0].pattern  # type: ignore[attr-defined]


def _strings(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a string with its place, keys of open objects included."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _strings(item, f"{place}/{index}")
    elif isinstance(node, dict):
        if node.get("type") == "string":
            yield place, node
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            named = "patternProperties" in node or "propertyNames" in node
            yield f"{place}/keys", {"pattern": "named"} if named else {}
        if not node.keys() & {"type", "$ref", "anyOf", "oneOf", "enum", "const"} and place.rsplit("/", 2)[-2:-1] == [
            "properties"
        ]:
            yield place, {}
        for key, value in node.items():
            yield from _strings(value, f"{place}/{key}")


def test_no_free_text_anywhere_but_in_labels() -> None:
    schema = MESSAGE.json_schema()
    found = list(_strings(schema))
    assert len(found) > 100
    for place, node in found:
        assert any(word in node for word in CONSTRAINTS), f"{place} could hold a sentence"


def test_labels_occur_in_the_configuration_only() -> None:
    places = [place for place, node in _strings(MESSAGE.json_schema()) if node.get("pattern") == _LABEL_PATTERN]
    assert places
    owners = {place.split("/")[2] for place in places}
    assert owners == {"District", "Unit", "Item"}


def test_every_pattern_but_the_labels_refuses_two_words() -> None:
    patterns = {node["pattern"] for _, node in _strings(MESSAGE.json_schema()) if "pattern" in node} - {_LABEL_PATTERN}
    assert patterns
    assert not [pattern for pattern in patterns if re.search(pattern, "two words")]


def test_models_are_those_of_the_union() -> None:
    assert set(models()) == KINDS
    for kind in KINDS:
        assert schema_of(kind)["properties"]["kind"]["const"] == kind


@pytest.mark.parametrize("arguments", [[], ["inquiry"], ["--district"], ["--facts"]])
def test_command_prints_json_schema(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_unknown_kind_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()
    monkeypatch.setattr("sys.stderr", said)
    assert main(["schema", "inquirey"]) == 2
    assert "did you mean `inquiry`?" in said.getvalue()


def test_fact_schema_has_the_keys_of_a_folded_row() -> None:
    message = (Path(examples.__file__).parent / "array_conversation.json").read_bytes()
    row = as_json(next(fold_events([message], None, lambda _: None)))
    schema = fact_schema()
    assert list(schema["properties"]) == list(row)
    assert row["waits"][0].keys() == schema["properties"]["waits"]["items"]["properties"].keys()
    assert len(CONVERSATION) >= len(row)
