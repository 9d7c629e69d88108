"""What a person may write for a calendar: everything a published one has, and what is resolved into it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.calendar import Blocks, Closure, Day, TimeZone, Weekday
from schemas.vocabulary import Code

FIRST_YEAR, LAST_YEAR = 1970, 2199
MOST_YEARS = 60

Time = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
Week = dict[Weekday, Blocks]
Dates = Annotated[list[Closure], Field(min_length=1, max_length=400)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=120)]


def _all_as_none(value: object) -> object:
    return None if value == "all" else value


Names = Annotated[
    Annotated[list[_Name], Field(min_length=1, max_length=100)] | None,
    BeforeValidator(_all_as_none, json_schema_input_type=Literal["all"] | list[str]),
]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EarlyRelease(_Form):
    """Dates on which the unit closes early: each block of the day is cut at `until`."""

    dates: Dates = Field(description="dates or inclusive ranges")
    weekdays: list[Weekday] = Field(default=[], description="only these days of the ranges; empty: any")
    until: Time


class LateStart(_Form):
    """Dates on which the unit opens late: each block of the day is cut at `from`."""

    dates: Dates = Field(description="dates or inclusive ranges")
    weekdays: list[Weekday] = Field(default=[], description="only these days of the ranges; empty: any")
    starts: Time = Field(alias="from")


class Season(_Form):
    """Ranges with a week of their own, such as summer hours; closures stay closed."""

    dates: Dates = Field(description="dates or inclusive ranges")
    week: Week = Field(description="a day not named is closed")


class PublicHolidays(_Form):
    """Public holidays by name, as the `holidays` package dates them; each closes its whole day."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = Field(description="ISO 3166 code: US")
    subdivision: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 -]{1,40}$")] | None = Field(
        default=None, description="state or province: TX; empty: nation-wide holidays"
    )
    names: Names = Field(default=None, description="names, or `all`")
    unless: list[_Name] = Field(default=[], max_length=100, alias="except", description="names that do not close")
    observed: bool = Field(default=True, description="also the weekday on which one at a weekend is observed")
    categories: list[Code] = Field(default=["public"], min_length=1, max_length=10)
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(_[A-Z]{2})?$")] | None = Field(
        default=None, description="language of the names; absent: en_US where there is one, else the country's own"
    )
    first: Year | None = Field(default=None, alias="from", description="absent: the first year the document names")
    last: Year | None = Field(default=None, alias="to", description="absent: the last year the document names")


class WrittenCalendar(_Form):
    """A calendar as written: own entries go before those of the calendar it extends, date by date."""

    extends: Code | None = Field(default=None, description="name of the calendar this one starts from")
    time_zone: TimeZone | None = Field(default=None, description="IANA name; absent: that of the extended calendar")
    week: Week = Field(default={}, description="open blocks by weekday; [] closes an inherited day")
    seasons: list[Season] = Field(default=[], max_length=50)
    closed: list[Closure] = Field(default=[], max_length=2_000, description="dates or inclusive ranges")
    holidays: PublicHolidays | None = None
    reopened: list[Closure] = Field(default=[], max_length=400, description="closed dates that are ordinary after all")
    days: dict[Day, Blocks] = Field(default={}, max_length=4_000, description="one date's own blocks; [] closes it")
    early_release: list[EarlyRelease] = Field(default=[], max_length=400)
    late_start: list[LateStart] = Field(default=[], max_length=400)

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing that must be resolved."""
        return self.model_fields_set <= {"time_zone", "week", "closed", "days"}

    @model_validator(mode="after")
    def _has_a_zone(self) -> Self:
        if self.time_zone is None and self.extends is None:
            raise ValueError("time_zone: missing, and there is no calendar above to take it from")
        return self
