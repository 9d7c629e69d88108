"""A district's configuration: units as a tree, calendars, promises, routing, goals, rollout."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.calendar import Calendar, Day
from schemas.vocabulary import UNROUTED, Channel, Code, Label, Priority, PromiseClock, Stakeholder

Level = Literal["school", "department", "team"]
Target = Annotated[
    str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}[smh]$"), Field(description="a length: 90s, 30m or 8h")
]


def _existing(day: str) -> str:
    # A year without 29 February: a school year starts on a day that every year has.
    date.fromisoformat(f"2023-{day}")
    return day


MonthDay = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[0-9]{2}$"), AfterValidator(_existing)]
DEEPEST = 12
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Unit(_Part):
    """A school, department or team; what it leaves out it inherits from the unit above."""

    unit: Code
    level: Level
    label: Label | None = None
    calendar: Code | None = Field(default=None, description="name of one of `calendars`")
    units: list["Unit"] = Field(default=[], max_length=2_000)

    def walk(self, parent: str) -> Iterator[tuple["Unit", str]]:
        """This unit and all below it, each with the code of the unit above."""
        yield self, parent
        for child in self.units:
            yield from child.walk(self.unit)


def _depth(units: list[Unit]) -> int:
    return 1 + max(_depth(unit.units) for unit in units) if units else 0


class Promise(_Part):
    """A service promise (SLA); the first one of a clock whose conditions all hold applies."""

    promise: Code = Field(description="name of the policy")
    clock: PromiseClock
    target: Target
    hours: Literal["business", "calendar"] = "business"
    units: list[Code] = Field(default=[], description="these units and all below them; empty: any")
    topics: list[Code] = Field(default=[], description="empty: any")
    channels: list[Channel] = Field(default=[], description="empty: any")
    priorities: list[Priority] = Field(default=[], description="empty: any")

    @property
    def target_ms(self) -> int:
        """The target in milliseconds."""
        return int(self.target[:-1]) * _SECONDS[self.target[-1]] * 1000


class Route(_Part):
    """Where an inquiry without a unit goes; the first route whose conditions all hold applies."""

    unit: Code
    topics: list[Code] = []
    channels: list[Channel] = []
    touch_points: list[Code] = []
    stakeholders: list[Stakeholder] = []


class Goal(_Part):
    """A strategic-plan goal: a linear way from baseline to target."""

    goal: Code
    metric: Code
    unit: Code | None = None
    baseline: Annotated[float, Field(allow_inf_nan=False)]
    target: Annotated[float, Field(allow_inf_nan=False)]
    starts: Day
    ends: Day

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.ends <= self.starts:
            raise ValueError(f"goal {self.goal} ends before it starts")
        return self


class Wave(_Part):
    """One stage of a rollout."""

    wave: Code
    starts: Day
    units: list[Code] = Field(min_length=1)


class Item(_Part):
    """A rating item the district added or relabelled."""

    item: Code
    label: Label


class District(_Part):
    """One district's configuration, one YAML document, one `district_configured` event."""

    district: Code
    revision: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    label: Label | None = None
    school_year_starts: MonthDay = "07-01"
    calendar: Code | None = Field(default=None, description="calendar of the district itself; empty: always open, UTC")
    calendars: dict[Code, Calendar] = {}
    units: list[Unit] = Field(default=[], max_length=5_000)
    promises: list[Promise] = Field(default=[], max_length=500)
    routing: list[Route] = Field(default=[], max_length=500)
    goals: list[Goal] = Field(default=[], max_length=200)
    rollout: list[Wave] = Field(default=[], max_length=100)
    items: list[Item] = Field(default=[], max_length=24)

    def walk(self) -> Iterator[tuple[Unit, str]]:
        """Every unit with the code of the unit above it; the district's own code stands at the top."""
        for unit in self.units:
            yield from unit.walk(self.district)

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        if _depth(self.units) > DEEPEST:
            raise ValueError(f"units are nested more than {DEEPEST} levels deep")
        problems = list(self._unknown_references())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_references(self) -> Iterator[str]:
        seen = {self.district, UNROUTED}
        if self.calendar is not None and self.calendar not in self.calendars:
            yield f"calendar: {self.calendar} is not one of calendars"
        for unit, parent in self.walk():
            if unit.unit in seen:
                yield f"unit {unit.unit} under {parent} is named twice or is its own ancestor"
            seen.add(unit.unit)
            if unit.calendar is not None and unit.calendar not in self.calendars:
                yield f"unit {unit.unit}: calendar {unit.calendar} is not one of calendars"
        named = Counter((promise.promise, promise.clock) for promise in self.promises)
        yield from (f"promises: {name} is named twice for {clock}" for (name, clock), n in named.items() if n > 1)
        for index, promise in enumerate(self.promises):
            yield from (f"promises[{index}]: unit {code} does not exist" for code in promise.units if code not in seen)
        for index, route in enumerate(self.routing):
            if route.unit not in seen:
                yield f"routing[{index}]: unit {route.unit} does not exist"
        for index, goal in enumerate(self.goals):
            if goal.unit is not None and goal.unit not in seen:
                yield f"goals[{index}]: unit {goal.unit} does not exist"
        for index, wave in enumerate(self.rollout):
            yield from (f"rollout[{index}]: unit {code} does not exist" for code in wave.units if code not in seen)
