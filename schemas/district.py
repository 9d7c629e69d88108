"""A district's configuration: units as a tree, calendars, promises, routing, goals, rollout, alerts."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.calendar import Calendar, Day
from schemas.document import MisplacedError, Place
from schemas.vocabulary import UNROUTED, Channel, Code, Label, Priority, PromiseClock, Stakeholder
from schemas.watches import Silences, Surges, Watch

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


def milliseconds(target: str) -> int:
    """Milliseconds of a length such as 90s, 30m or 8h."""
    return int(target[:-1]) * _SECONDS[target[-1]] * 1000


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
        return milliseconds(self.target)


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


class Chain(_Part):
    """Whom the alerts of some units are told, step by step; the first chain whose units fit applies.

    Who was told of a step is told of its end and of its correction too.
    """

    chain: Code = Field(description="name of the chain")
    units: list[Code] = Field(default=[], description="these units and all below them; empty: any")
    at_risk: list[Code] = Field(default=[], max_length=50, description="recipients when a promise is at risk")
    breached: list[Code] = Field(default=[], max_length=50, description="recipients when it is broken")
    escalated_50: list[Code] = Field(default=[], max_length=50, description="recipients half a target later")
    escalated_100: list[Code] = Field(default=[], max_length=50, description="recipients a whole target later")

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if not (self.at_risk or self.breached or self.escalated_50 or self.escalated_100):
            raise ValueError(f"chain {self.chain} tells nobody: name recipients for at least one step")
        return self

    def recipients(self, step: str) -> tuple[str, ...]:
        """Whom it tells of one of `schemas.alerts.STEPS`, each once."""
        return tuple(dict.fromkeys(getattr(self, step)))


class Alerts(_Part):
    """Whom a district tells of its alerts, and when not."""

    quiet_hours: bool = Field(default=True, description="a closed calendar mutes all but critical until it opens")
    daily_budget: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=25, description="alerts a day that a recipient gets one by one; more are grouped, none is dropped"
    )
    chains: list[Chain] = Field(default=[], max_length=500, description="none fits: everybody is told")


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
    alerts: Alerts = Alerts()
    surges: Surges = Surges()
    silences: Silences | None = Silences()
    watches: list[Watch] = Field(default=[], max_length=200)

    def walk(self) -> Iterator[tuple[Unit, str]]:
        """Every unit with the code of the unit above it; the district's own code stands at the top."""
        for unit in self.units:
            yield from unit.walk(self.district)

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        if _depth(self.units) > DEEPEST:
            raise MisplacedError([(("units",), f"units are nested more than {DEEPEST} levels deep")])
        problems = [*self._wrong_units(), *self._unknown_references()]
        if problems:
            raise MisplacedError(problems)
        return self

    def _wrong_units(self) -> Iterator[tuple[Place, str]]:
        """Units named twice or within themselves, and calendars that do not exist."""
        if self.calendar is not None and self.calendar not in self.calendars:
            yield ("calendar",), missing("calendar", self.calendar, self.calendars)
        seen: set[str] = set()
        for unit, place, above in _placed(self.units, ("units",), (self.district,)):
            if unit.unit in above:
                circle = " > ".join((*above[above.index(unit.unit) :], unit.unit))
                yield (*place, "unit"), f"unit {unit.unit} is its own ancestor: {circle}"
            elif unit.unit == UNROUTED:
                yield (*place, "unit"), f"{UNROUTED} is where inquiries without a unit go; name the unit otherwise"
            elif unit.unit in seen:
                yield (*place, "unit"), f"unit {unit.unit} is named twice"
            seen.add(unit.unit)
            if unit.calendar is not None and unit.calendar not in self.calendars:
                yield (*place, "calendar"), missing("calendar", unit.calendar, self.calendars)

    def _unknown_references(self) -> Iterator[tuple[Place, str]]:
        known = {self.district, UNROUTED, *(unit.unit for unit, _ in self.walk())}
        named: Counter[tuple[str, str]] = Counter()
        for index, promise in enumerate(self.promises):
            named[promise.promise, promise.clock] += 1
            if named[promise.promise, promise.clock] == 2:
                yield ("promises", index), f"{promise.promise} is named twice for {promise.clock}"
        watches: set[str] = set()
        for index, watch in enumerate(self.watches):
            if watch.watch in watches:
                yield ("watches", index), f"watch {watch.watch} is named twice"
            watches.add(watch.watch)
        chains = Counter[str]()
        for index, chain in enumerate(self.alerts.chains):
            chains[chain.chain] += 1
            if chains[chain.chain] == 2:
                yield ("alerts", "chains", index, "chain"), f"chain {chain.chain} is named twice"
        for place, code in self._units_named():
            if code not in known:
                yield place, missing("unit", code, known - {UNROUTED})

    def _units_named(self) -> Iterator[tuple[Place, str]]:
        for index, promise in enumerate(self.promises):
            yield from ((("promises", index, "units", at), code) for at, code in enumerate(promise.units))
        for index, watch in enumerate(self.watches):
            yield from ((("watches", index, "units", at), code) for at, code in enumerate(watch.units))
        yield from ((("routing", index, "unit"), route.unit) for index, route in enumerate(self.routing))
        yield from ((("goals", index, "unit"), goal.unit) for index, goal in enumerate(self.goals) if goal.unit)
        for index, chain in enumerate(self.alerts.chains):
            yield from ((("alerts", "chains", index, "units", at), code) for at, code in enumerate(chain.units))
        for index, wave in enumerate(self.rollout):
            yield from ((("rollout", index, "units", at), code) for at, code in enumerate(wave.units))


def missing(what: str, code: str, known: Iterable[str]) -> str:
    """That a code names nothing, with the nearest one that does."""
    near = difflib.get_close_matches(code, known, n=1)
    return f"{what} {code} does not exist" + (f"; did you mean {near[0]}?" if near else "")


def _placed(units: list[Unit], place: Place, above: tuple[str, ...]) -> Iterator[tuple[Unit, Place, tuple[str, ...]]]:
    """Every unit with its place in the document and the codes of all units above it."""
    for index, unit in enumerate(units):
        yield unit, (*place, index), above
        yield from _placed(unit.units, (*place, index, "units"), (*above, unit.unit))
