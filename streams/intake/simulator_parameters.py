"""What a simulated district does, declared: the model of `simulation.yaml`, which explains every part."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from schemas.calendar import Weekday
from schemas.document import MisplacedError, Place, load, parse
from schemas.vocabulary import Channel, Code, Generation, InquiryKind, LanguageTag, Stakeholder, Theme

DEFAULTS = Path(__file__).with_name("simulation.yaml")
HOURS = 24

Share = Annotated[float, Field(ge=0, le=1, description="probability")]
Factor = Annotated[float, Field(gt=0, le=1000, description="multiplies; 1 changes nothing")]
Weight = Annotated[float, Field(ge=0, description="relative; the weights of a mix need not add up to anything")]
Positive = Annotated[float, Field(gt=0, le=10_000_000)]
Level = Annotated[float, Field(ge=1, le=10, description="mean score")]
Points = Annotated[float, Field(ge=-9, le=9, description="added to a mean score")]
MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


def _checked_moment(moment: str) -> str:
    """The moment, if there is such a day in every year, or in the year it names."""
    datetime.fromisoformat(moment if moment[4] == "-" else f"2001-{moment}")
    return moment


Moment = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$"),
    AfterValidator(_checked_moment),
    Field(description="MM-DDTHH:MM, every year, or YYYY-MM-DDTHH:MM, once; local time"),
]
Mix = dict[Channel, Weight]
Hours = Annotated[list[Weight], Field(min_length=HOURS, max_length=HOURS, description="weight of each local hour")]
Feed = Literal["phone", "email", "web", "social", "in_person", "survey"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Volume(_Part):
    """How many conversations start, and when."""

    inquiries_per_school_day: Positive
    out_of_session: Share
    closed_day: Share
    schools_closed: Share = Field(description="of the topics for schools on days no school is open")
    weekdays: dict[Weekday, Factor]
    hours: dict[Channel, Hours]


class Channels(_Part):
    """Which way people ask, on days the district is open and on others."""

    open: Mix
    closed: Mix
    platforms: dict[Code, Weight]


class Source(_Part):
    """A system that reports events: how long they are on their way."""

    source: Code
    delay_seconds: Annotated[float, Field(ge=0, le=86_400)]
    late: Share
    late_hours: Annotated[float, Field(ge=0, le=2_000)]


class Arrival(_Part):
    """What the way to the intake does to events."""

    duplicated: Share
    duplicate_minutes: Positive
    heartbeat_minutes: Annotated[int, Field(ge=1, le=1440)]
    sources: dict[Feed, Source]


class People(_Part):
    """Who asks and who answers."""

    families: Annotated[int, Field(ge=1, le=10_000_000)]
    staff: Annotated[int, Field(ge=1, le=1_000_000)]
    staff_per_unit: Annotated[int, Field(ge=1, le=1_000)]
    stakeholders: dict[Stakeholder, Weight]
    generation_stated: Share
    generations: dict[Generation, Weight]
    languages: dict[LanguageTag, Weight]
    kinds: dict[InquiryKind, Weight]


class Season(_Part):
    """Part of a year in which a topic is asked about more, or less; both days are included."""

    first: MonthDay
    last: MonthDay
    factor: Annotated[float, Field(ge=0, le=1000)]


class Topic(_Part):
    """What people ask about, and who should answer it."""

    topic: Code
    to: Code = Field(description="unit that should answer; `schools`: any school; `anyone`: any unit")
    weight: Weight
    seasons: list[Season] = []
    channels: Mix | None = Field(default=None, description="instead of the mix of open days")
    stakeholders: dict[Stakeholder, Weight] | None = None
    kinds: dict[InquiryKind, Weight] | None = None
    visit: bool = Field(default=False, description="asks for a campus visit")


class Speed(_Part):
    """How fast replies come, in the answering unit's business time."""

    reply_minutes: dict[Channel, Positive]
    spread: Annotated[float, Field(ge=0, le=3, description="sigma of the log-normal length")]
    urgent: dict[Literal["high", "critical"], Factor]
    handoff_minutes: Positive
    resolve_minutes: Positive
    queue_seconds: Positive


class Manner(_Part):
    """How one unit, and the teams under it, differ from the average."""

    speed: Factor = Field(default=1.0, description="multiplies reply times: 2 is twice as slow")
    courtesy: Points = 0.0


class Spread(_Part):
    """How units differ that `units` does not name, and districts of one run."""

    speed: Annotated[float, Field(ge=0, le=2, description="sigma of the log of the speed factor")]
    courtesy: Annotated[float, Field(ge=0, le=4, description="standard deviation in points")]


class Habits(_Part):
    """Probabilities of what happens in one conversation."""

    unit_named: Share
    misrouted: Share
    wrong_handoff: Share
    bounced_back: Share
    answered_live: dict[Literal["phone", "in_person"], Share]
    voicemail: Share
    redial: Share
    withheld_number: Share
    nameless_walk_in: Share
    acknowledged: dict[Channel, Share]
    bot: dict[Channel, Share]
    note: Share
    undelivered: Share
    extra_reply: Share
    out_of_office: Share
    never_answered: Share
    closed_silently: Share
    withdrawn: Share
    follow_up: Share
    another_question: Share
    resolved: Share
    thanks: Share
    thanks_corrected: Share
    reopened: Share
    repeated: Share
    merged: Share
    spam: Share
    staff_opened: Share
    outbound: Share
    outbound_answered: Share
    urgent: Share
    critical: Share
    visit_offered: Share
    visit_refused: Share


class Ratings(_Part):
    """What people say afterwards."""

    mean: Level
    extreme: Share = Field(description="share that says 1 or 10, without moving the mean")
    per_doubling: Annotated[
        float, Field(ge=0, le=4, description="points lost each time the wait doubles, up to three times")
    ]
    per_handoff: Annotated[float, Field(ge=0, le=4, description="points lost by a hand-off")]
    offered: Share
    given: Share
    edited: Share
    late: Share
    days: Positive = Field(description="mean days from the offer to the rating")
    pillars_given: Share
    pillars: dict[Literal["courtesy", "communication", "responsiveness", "environment"], Points]
    trust_given: Share
    trust: Points
    answered_given: Share


class Training(_Part):
    """Staff are trained at a moment; what changes for these units afterwards, if anything."""

    training: Code
    theme: Theme
    at: Moment
    units: list[Code] = Field(min_length=1)
    participants: Annotated[int, Field(ge=0, le=1_000_000)]
    speed: Factor = 1.0
    courtesy: Points = 0.0
    lasts_days: Annotated[int, Field(ge=1, le=4_000)] = 365


class Rollout(_Part):
    """What changes for the units of a wave of the district's `rollout` from its day on."""

    speed: Factor
    courtesy: Points


class _Incident(_Part):
    at: Moment


class Burst(_Incident):
    """Many ask about one thing at once: a breakdown, or one social post that spreads."""

    kind: Literal["breakdown", "post"]
    minutes: Positive
    inquiries: Annotated[int, Field(ge=1, le=1_000_000)]
    peak: Share = Field(description="part of the time after which most come")
    topic: Code
    channels: Mix
    slowdown: Factor = Field(default=1.0, description="of the units concerned, for twice the time")


class Silence(_Incident):
    """A source says nothing; what it held back arrives when it is over."""

    kind: Literal["silence"]
    minutes: Positive
    feed: Feed


class SnowDay(_Incident):
    """Offices and schools stay closed on a day; the district's document says so from `at` on, in time or late."""

    kind: Literal["snow_day"]
    days_late: Annotated[int, Field(ge=0, le=60, description="0: declared on the day itself")] = 0
    inquiries: Annotated[int, Field(ge=0, le=1_000_000)]
    topic: Code


Incident = Annotated[Burst | Silence | SnowDay, Field(discriminator="kind")]


class Parameters(_Part):
    """The whole declaration."""

    volume: Volume
    channels: Channels
    arrival: Arrival
    people: People
    topics: list[Topic] = Field(min_length=1, max_length=500)
    speed: Speed
    units: dict[Code, Manner]
    between_units: Spread
    between_districts: Spread
    habits: Habits
    ratings: Ratings
    trainings: list[Training]
    rollout: Rollout
    incidents: list[Incident]

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        """Every mix has something in it, and every incident's topic is declared."""
        channels = {"phone", "email", "web", "social", "in_person"}
        complete: list[tuple[Place, set[str]]] = [
            (("volume", "hours"), channels - set(self.volume.hours)),
            (("speed", "reply_minutes"), channels - set(self.speed.reply_minutes)),
            (("arrival", "sources"), (channels | {"survey"}) - set(self.arrival.sources)),
        ]
        problems = [(place, f"{', '.join(sorted(missing))} is missing") for place, missing in complete if missing]
        problems += [(place, "no weight is above zero") for place, mix in self._mixes() if not any(mix)]
        known = {topic.topic for topic in self.topics}
        for number, incident in enumerate(self.incidents):
            if not isinstance(incident, Silence) and incident.topic not in known:
                problems.append((("incidents", number, "topic"), f"{incident.topic} is not one of topics"))
        if problems:
            raise MisplacedError(problems)
        return self

    def _mixes(self) -> list[tuple[Place, list[float]]]:
        mixes: list[tuple[Place, dict[Any, float] | None]] = [
            (("channels", "open"), dict(self.channels.open)),
            (("channels", "closed"), dict(self.channels.closed)),
            (("channels", "platforms"), dict(self.channels.platforms)),
            (("people", "stakeholders"), dict(self.people.stakeholders)),
            (("people", "generations"), dict(self.people.generations)),
            (("people", "languages"), dict(self.people.languages)),
            (("people", "kinds"), dict(self.people.kinds)),
            (("topics",), {topic.topic: topic.weight for topic in self.topics}),
        ]
        for number, topic in enumerate(self.topics):
            mixes.append((("topics", number, "channels"), _optional(topic.channels)))
            mixes.append((("topics", number, "stakeholders"), _optional(topic.stakeholders)))
            mixes.append((("topics", number, "kinds"), _optional(topic.kinds)))
        found = [(place, list(mix.values())) for place, mix in mixes if mix is not None]
        for channel, hours in self.volume.hours.items():
            found.append((("volume", "hours", channel), hours))
        return found


def _optional(mix: dict[Any, float] | None) -> dict[Any, float] | None:
    return None if mix is None else dict(mix)


def default_parameters() -> Parameters:
    """The declaration that comes with the program."""
    return parse(DEFAULTS.read_text(encoding="utf-8"), Parameters, DEFAULTS.name)


def read_parameters(text: str, name: str) -> Parameters:
    """A declaration over the default one, field by field. Raises `DocumentError` with line and field."""
    given = load(text, name)
    usual = load(DEFAULTS.read_text(encoding="utf-8"), DEFAULTS.name)
    return replace(given, content=_over(usual.content, given.content, Parameters)).validated(Parameters)


def _over(usual: Any, given: Any, model: type[BaseModel]) -> Any:
    """What is given of a model, and the rest as usual. A list or a mix is one value: it is given as a whole."""
    if not isinstance(given, dict):
        return given
    merged = {**usual, **given}
    for name in given.keys() & model.model_fields.keys():
        part = model.model_fields[name].annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            merged[name] = _over(usual[name], given[name], part)
    return merged
