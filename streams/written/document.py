"""A district's document as written into the `District` that is published."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from schemas.calendar import Calendar
from schemas.district import District
from schemas.document import Place, Source, load, reasons
from schemas.errors import DocumentError
from streams.written.calendars import Resolver
from streams.written.forms import WrittenCalendar
from streams.written.public_holidays import Years

_DATES = re.compile(r"([0-9]{4})-[0-9]{2}-[0-9]{2}(?:/([0-9]{4})-[0-9]{2}-[0-9]{2})?")
_STANDS_IN = {"time_zone": "UTC"}
_OWN = "calendar"
Content = dict[str, Any]


def read_document(text: str, name: str = "document") -> District:
    """One YAML document as a district, calendars resolved into dates.

    Raises `DocumentError` with line, field and reason of every problem.
    """
    source = load(text, name)
    if not isinstance(source.content, dict) or not isinstance(source.content.get("calendars", {}), dict):
        return source.validated(District)
    content, places = _named(source.content)
    named = {name: raw for name, raw in content["calendars"].items() if isinstance(name, str)}
    published, problems = _resolved(named, places, years_named(source.content))
    try:
        # A calendar that is wrong must not hide what else is: another stands in for it.
        calendars = {each: published.get(each, _STANDS_IN) for each in content["calendars"]}
        district = District.model_validate(content | {"calendars": calendars})
    except ValidationError as error:
        problems += [(_where(place, places), why) for place, why in reasons(error)]
    if problems:
        raise DocumentError([source.problem(place, why) for place, why in problems])
    return district


def read_calendar(text: str, name: str = "calendar") -> Calendar:
    """One YAML document as a calendar that extends nothing. Raises `DocumentError` like `read_document`."""
    source: Source = load(text, name)
    published, problems = _resolved({_OWN: source.content}, {_OWN: ()}, years_named(source.content))
    if not problems:
        try:
            return Calendar.model_validate(published[_OWN])
        except ValidationError as error:
            problems = reasons(error)
    raise DocumentError([source.problem(place, why) for place, why in problems])


def written_schema() -> dict[str, Any]:
    """JSON Schema of a district's document as written: the published one, with written calendars, inline ones too."""
    schema = District.model_json_schema(ref_template="#/$defs/{model}")
    calendar = WrittenCalendar.model_json_schema(ref_template="#/$defs/{model}")
    definitions = schema["$defs"] | calendar.pop("$defs") | {"WrittenCalendar": calendar}
    del definitions["Calendar"]
    reference = {"$ref": "#/$defs/WrittenCalendar"}
    named = schema["properties"]["calendars"]
    named["patternProperties"] = dict.fromkeys(named["patternProperties"], reference)
    for part in (schema, definitions["Unit"]):
        part["properties"]["calendar"]["anyOf"].append(reference)
    return schema | {"$defs": definitions}


def years_named(content: Any) -> Years | None:
    """First and last year among all dates in a document; None if it has no date."""
    years = [int(year) for text in _texts(content) for year in _years_of(text)]
    return (min(years), max(years)) if years else None


def _years_of(text: str) -> list[str]:
    found = _DATES.fullmatch(text)
    return [year for year in found.groups() if year] if found else []


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for each in content:
            yield from _texts(each)
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _texts(key)
            yield from _texts(value)


def _resolved(
    calendars: Mapping[str, Any], places: Mapping[str, Place], years: Years | None
) -> tuple[dict[str, Any], list[tuple[Place, str]]]:
    problems: list[tuple[Place, str]] = []
    written: dict[str, WrittenCalendar] = {}
    for name, raw in calendars.items():
        try:
            written[name] = WrittenCalendar.model_validate(raw)
        except ValidationError as error:
            problems += [((*places[name], *place), why) for place, why in reasons(error)]
    wrong = calendars.keys() - written.keys()
    # What extends a wrong calendar cannot be judged: the wrong one is named already.
    sound = {name: each for name, each in written.items() if not _rests_on(name, written, wrong)}
    resolver = Resolver(sound, places, years)
    published: dict[str, Any] = dict(resolver.published())
    return published, problems + resolver.problems


def _rests_on(name: str, written: Mapping[str, WrittenCalendar], wrong: set[str]) -> bool:
    seen: set[str] = set()
    while name in written and name not in seen:
        seen.add(name)
        name = written[name].extends or ""
    return name in wrong


def _named(content: Content) -> tuple[Content, dict[str, Place]]:
    """The content with every inline calendar under a name of its own, and each calendar's place as written."""
    calendars: dict[str, Any] = dict(content.get("calendars", {}))
    places: dict[str, Place] = {str(name): ("calendars", str(name)) for name in calendars}
    renamed = _with_names(content, None, (), (calendars, places))
    return renamed | {"calendars": calendars}, places


def _with_names(
    node: Content, above: str | None, place: Place, found: tuple[dict[str, Any], dict[str, Place]]
) -> Content:
    """A district or unit with its inline calendar named; one that extends nothing extends the calendar above it."""
    calendars, places = found
    own = node.get("calendar")
    if isinstance(own, dict):
        name = _free_name(node.get("unit") or node.get("district"), calendars)
        calendars[name] = {"extends": above} | own if above is not None else own
        places[name] = (*place, "calendar")
        node = node | {"calendar": name}
        own = name
    inherited = own if isinstance(own, str) else above
    units = node.get("units")
    if not isinstance(units, list):
        return node
    below = [
        _with_names(unit, inherited, (*place, "units", index), found) if isinstance(unit, dict) else unit
        for index, unit in enumerate(units)
    ]
    return node | {"units": below}


def _free_name(code: object, taken: Mapping[str, Any]) -> str:
    name = code[:56] if isinstance(code, str) else "own"
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _where(place: Place, places: Mapping[str, Place]) -> Place:
    """The place as written of something wrong in the resolved document."""
    if len(place) > 1 and place[0] == "calendars" and str(place[1]) in places:
        return (*places[str(place[1])], *place[2:])
    return place
