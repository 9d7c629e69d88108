"""The golden events of `schemas/examples`: each valid, every kind shown, arrays too."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import examples
from schemas.events import EVENT, KINDS, MESSAGE, Event, canonical
from streams.core.admission import admit

FOLDER = Path(examples.__file__).parent
FILES = sorted(FOLDER.glob("*.json"))


def _events(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_bytes())
    return content if isinstance(content, list) else [content]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_example_is_a_valid_message_and_is_admitted(path: Path) -> None:
    payload = path.read_bytes()
    MESSAGE.validate_json(payload)
    admission = admit(payload)
    assert admission.refused == []
    assert admission.newer == []
    assert len(admission.events) == len(_events(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_example_is_named_by_its_kind(path: Path) -> None:
    content = json.loads(path.read_bytes())
    expected = "array" if isinstance(content, list) else content["kind"]
    assert path.stem.startswith(expected)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_canonical_content_survives_reading_it_again(path: Path) -> None:
    for _, event in admit(path.read_bytes()).events:
        assert canonical(_again(event)) == canonical(event)


def _again(event: Event) -> Event:
    content = json.loads(canonical(event)) | {"received_at": "2026-12-31T00:00:00Z"}
    return EVENT.validate_json(json.dumps(content))


def test_every_kind_has_an_example_and_arrays_have_one() -> None:
    shown = {path.stem: json.loads(path.read_bytes()) for path in FILES}
    assert {content["kind"] for content in shown.values() if isinstance(content, dict)} == KINDS
    assert any(isinstance(content, list) for content in shown.values())


def test_every_field_of_the_conversation_events_is_shown() -> None:
    used: set[tuple[str, str]] = set()
    for path in FILES:
        used.update((event["kind"], name) for event in _events(path) for name in event)
    schema = EVENT.json_schema()
    for kind, reference in schema["discriminator"]["mapping"].items():
        properties = schema["$defs"][reference.rsplit("/", 1)[1]]["properties"]
        own = set(properties) - {"schema_version", "touch_point"}
        assert {name for k, name in used if k == kind} >= own, kind
