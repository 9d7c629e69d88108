"""A record of a table as an object of JSON, and back: instants in ms are ISO 8601 there."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.facts import Column
from schemas.vocabulary import from_ms, to_ms


def as_object(columns: Sequence[Column], record: Iterable[Any]) -> dict[str, Any]:
    """The values of a record by the names of its columns. Raises `ValueError` unless there are as many."""
    return {column.name: _shown(column, value) for column, value in zip(columns, record, strict=True)}


def _shown(column: Column, value: Any) -> Any:
    is_instant = isinstance(value, int) and "DateTime64" in column.type
    return from_ms(value).isoformat(timespec="milliseconds") if is_instant else value


def of_object(columns: Sequence[Column], shown: Mapping[str, Any]) -> list[Any]:
    """The values of a record that `as_object` shows so. Raises `KeyError` or `ValueError` for anything else."""
    return [_read(column, shown[column.name]) for column in columns]


def _read(column: Column, value: Any) -> Any:
    is_instant = "DateTime64" in column.type and value is not None
    return to_ms(datetime.fromisoformat(value)) if is_instant else value
