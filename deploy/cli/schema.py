"""`./cx schema`: JSON Schema of what flows in and of what lands."""

import argparse
import difflib
import json
import sys
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from deploy.cli.command import Command
from schemas.errors import UsageError
from schemas.events import MESSAGE, Admitted
from schemas.facts import CONVERSATION, Column
from streams.written.document import written_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "pattern": r"^[A-Za-z0-9._:/-]{0,128}$"}
_FACT_TYPES: Mapping[str, dict[str, Any]] = {
    "DateTime64(3, 'UTC')": {"type": "string", "format": "date-time"},
    "LowCardinality(String)": _TEXT,
    "String": _TEXT,
    "Int64": {"type": "integer"},
    "UInt8": {"type": "integer", "minimum": 0, "maximum": 255},
    "UInt16": {"type": "integer", "minimum": 0, "maximum": 65_535},
    "UInt32": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295},
    "UInt64": {"type": "integer", "minimum": 0},
}


def models() -> dict[str, type[BaseModel]]:
    """The model of every kind of event, by kind."""
    return {get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(get_args(Admitted)[0])}


def _fact_value(kind: str, meaning: str) -> dict[str, Any]:
    if kind.startswith("Nullable("):
        return {"anyOf": [_FACT_TYPES[kind[len("Nullable(") : -1]], {"type": "null"}], "description": meaning}
    return {**_FACT_TYPES[kind], "description": meaning}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def fact_schema(columns: tuple[Column, ...] = CONVERSATION) -> dict[str, Any]:
    """JSON Schema of one line of `./cx fold`, made from the columns of the table."""
    flat: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for column in columns:
        group, _, name = column.name.partition(".")
        if name:
            inner = column.type[len("Array(") : -1]
            groups.setdefault(group, {})[name] = _fact_value(inner, column.meaning)
            flat[group] = {"type": "array", "items": _object(groups[group])}
        else:
            flat[group] = _fact_value(column.type, column.meaning)
    return {"title": "Facts of one conversation", **_object(flat)} | {"required": list(flat)}


def schema_of(kind: str | None) -> dict[str, Any]:
    """JSON Schema of one kind of event, of a whole message without a kind. Raises `UsageError` for an unknown kind."""
    if kind is None:
        return MESSAGE.json_schema()
    known = models()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "there are " + ", ".join(sorted(known)) + "."
        raise UsageError(f"There is no kind of event `{kind}`: {hint}")
    return known[kind].model_json_schema()


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", nargs="?", metavar="KIND", help="one kind of event; without it, everything a message may hold"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--district", action="store_true", help="a district's document as people write it")
    other.add_argument("--facts", action="store_true", help="one row of facts, as ./cx fold writes it")


def _run(args: argparse.Namespace) -> int:
    if args.kind is not None and (args.district or args.facts):
        raise UsageError("Give a kind of event, or --district, or --facts; not two of them.")
    if args.district:
        schema = written_schema()
    elif args.facts:
        schema = fact_schema()
    else:
        schema = schema_of(args.kind)
    sys.stdout.write(json.dumps({"$schema": DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n")
    return 0


COMMANDS = {
    "schema": Command(
        "Prints JSON Schema: of a message (an event or an array of one district's events), of one kind of event, "
        "of a district's document, or of a row of facts.",
        _configure,
        _run,
    )
}
