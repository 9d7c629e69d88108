"""Public holidays by name as dates, from the `holidays` package."""

import difflib
from collections.abc import Iterable, Iterator
from datetime import date

import holidays

from schemas.document import Place
from streams.written.forms import MOST_YEARS, PublicHolidays

PREFERRED_LANGUAGE = "en_US"
Problem = tuple[Place, str]
Years = tuple[int, int]


def dates_of_holidays(asked: PublicHolidays, named: Years | None) -> tuple[list[date], list[Problem]]:
    """The dates that close, and what is wrong; `named` are the first and last year the rest of the document names."""
    problems = list(_unsupported(asked))
    first = asked.first if asked.first is not None else named[0] if named else None
    last = asked.last if asked.last is not None else named[1] if named else None
    if first is None or last is None:
        problems.append(((), "no date of the document says which years are meant: give `from` and `to`"))
    elif last < first:
        problems.append((("to",), f"the years {first} to {last} end before they start"))
    elif last - first >= MOST_YEARS:
        problems.append((("to",), f"the years {first} to {last} are more than {MOST_YEARS}"))
    elif not problems:
        found = _found(asked, range(first, last + 1))
        problems = list(_unknown_names(asked, found, (first, last)))
        wanted = _folded(asked.names) if asked.names is not None else None
        unwanted = _folded(asked.unless)
        dates = {
            day for day, name in found if (wanted is None or _is_one(name, wanted)) and not _is_one(name, unwanted)
        }
        return sorted(dates), problems
    return [], problems


def _unsupported(asked: PublicHolidays) -> Iterator[Problem]:
    countries = holidays.list_supported_countries()
    if asked.country not in countries:
        yield ("country",), f"no holidays are known for {asked.country}{_near(asked.country, countries)}"
        return
    if asked.subdivision is not None and asked.subdivision not in countries[asked.country]:
        subdivisions = countries[asked.country]
        hint = f": there are {', '.join(subdivisions)}" if subdivisions else ": it has none"
        yield ("subdivision",), f"{asked.country} has no subdivision {asked.subdivision}{hint}"
        return
    entity = holidays.country_holidays(asked.country, subdiv=asked.subdivision)
    for index, category in enumerate(asked.categories):
        if category not in entity.supported_categories:
            known = ", ".join(sorted(entity.supported_categories))
            yield ("categories", index), f"{asked.country} has no category {category}: there are {known}"
    if asked.language is not None and asked.language not in entity.supported_languages:
        known = ", ".join(sorted(entity.supported_languages)) or "only its own"
        yield ("language",), f"{asked.country} has no names in {asked.language}: there are {known}"


def _found(asked: PublicHolidays, years: range) -> list[tuple[date, str]]:
    """Every holiday of the years with its name; a date with two names comes twice."""
    entity = holidays.country_holidays(asked.country)
    # Left to itself the package takes the language of the process: another machine, other names.
    own = PREFERRED_LANGUAGE if PREFERRED_LANGUAGE in entity.supported_languages else entity.default_language
    calendar = holidays.country_holidays(
        asked.country,
        subdiv=asked.subdivision,
        years=years,
        expand=False,
        observed=asked.observed,
        language=asked.language or own,
        categories=asked.categories,
    )
    return [(day, name) for day in sorted(calendar) if day.year in years for name in calendar.get_list(day)]


def _bare(name: str) -> str:
    """`Independence Day (observed)` is Independence Day."""
    return name.split(" (")[0] if name.endswith(")") else name


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}


def _is_one(name: str, wanted: set[str]) -> bool:
    return name.casefold() in wanted or _bare(name).casefold() in wanted


def _unknown_names(asked: PublicHolidays, found: list[tuple[date, str]], years: Years) -> Iterator[Problem]:
    known = {name for _, full in found for name in (full, _bare(full))}
    folded = _folded(known)
    where = asked.country if asked.subdivision is None else f"{asked.country}-{asked.subdivision}"
    for field, names in (("names", asked.names or []), ("except", asked.unless)):
        for index, name in enumerate(names):
            if name.casefold() not in folded:
                why = f"{where} has no holiday {name} from {years[0]} to {years[1]}{_near(name, known)}"
                yield (field, index), why


def _near(name: str, known: Iterable[str]) -> str:
    by_folded = {each.casefold(): each for each in sorted(known, reverse=True)}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(by_folded[each] for each in near)}?" if near else ""
