"""YAML documents into models, with problems that name the line and the field."""

import re
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from schemas.errors import DocumentError

DEEPEST_PLACE = 64
MOST_PLACES = 200_000
Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars only: `2026-11-26`, `no` and `12:30` stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("bool", r"^(true|false)$", "tf"),
    ("int", r"^-?(0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
    ("null", r"^(null|~|)$", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _lines(node: yaml.Node, place: Place, found: dict[Place, int], problems: list[str]) -> None:
    found[place] = node.start_mark.line + 1
    if len(place) > DEEPEST_PLACE or len(found) > MOST_PLACES:
        where = f"line {node.start_mark.line + 1}, {_spelled(place[:4])}"
        raise DocumentError([f"{where}: too deep or too large; does a part contain itself by an alias?"])
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _lines(child, (*place, index), found, problems)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, child in node.value:
            name = str(key.value)
            if name in keys:
                problems.append(f"line {key.start_mark.line + 1}, {_spelled((*place, name))}: named twice")
            keys.add(name)
            _lines(child, (*place, name), found, problems)
            found[(*place, name)] = key.start_mark.line + 1


def _spelled(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "document"


def _line_of(place: Place, lines: dict[Place, int]) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


class MisplacedError(ValueError):
    """What a validator of a whole model finds, each with its own place below the model."""

    def __init__(self, problems: list[tuple[Place, str]]) -> None:
        super().__init__("; ".join(f"{_spelled(place)}: {why}" for place, why in problems))
        self.problems = problems


def reasons(error: ValidationError) -> list[tuple[Place, str]]:
    """Place and reason of every problem in a validation error, without the offending values."""
    found: list[tuple[Place, str]] = []
    for each in error.errors(include_url=False, include_input=False):
        place = tuple(part for part in each["loc"] if part != "[key]")
        cause = each.get("ctx", {}).get("error")
        if isinstance(cause, MisplacedError):
            found += ((place + below, why) for below, why in cause.problems)
        else:
            found.append((place, each["msg"].removeprefix("Value error, ")))
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """A YAML document's content, and the line of every place in it."""

    name: str
    content: Any
    lines: dict[Place, int]

    def problem(self, place: Place, why: str) -> str:
        """One problem as a person reads it: document, line, field, reason."""
        return f"{self.name}: line {_line_of(place, self.lines)}, {_spelled(place)}: {why}"

    def validated(self, model: type[Model]) -> Model:
        """The content as a model. Raises `DocumentError`, a line and field for every problem."""
        try:
            return model.model_validate(self.content)
        except ValidationError as error:
            raise DocumentError([self.problem(place, why) for place, why in reasons(error)]) from None


def load(text: str, name: str = "document") -> Source:
    """Read one YAML document. Raises `DocumentError` if it is none, is empty, or names a field twice."""
    lines: dict[Place, int] = {}
    problems: list[str] = []
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise DocumentError(["the document is empty"])
        _lines(node, (), lines, problems)
        content: Any = loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "document"
        what = getattr(error, "problem", None) or type(error).__name__
        raise DocumentError([f"{name}: {where}: not YAML: {what}"]) from None
    except DocumentError as error:
        raise DocumentError([f"{name}: {problem}" for problem in error.problems]) from None
    if problems:
        raise DocumentError([f"{name}: {problem}" for problem in problems])
    return Source(name, content, lines)


def parse(text: str, model: type[Model], name: str = "document") -> Model:
    """Read one YAML document into `model`. Raises `DocumentError`, a line and field for every problem."""
    return load(text, name).validated(model)
