"""What a district watches beside its promises: surges, silent feeds, rolling values. Parts of its document."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.vocabulary import Channel, Code

_SECONDS = {"s": 1, "m": 60, "h": 3600}
Length = Annotated[
    str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}[smh]$"), Field(description="a length: 90s, 30m or 8h")
]


def seconds(length: str) -> int:
    """A `Length` in seconds."""
    return int(length[:-1]) * _SECONDS[length[-1]]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SurgeRule(_Part):
    """When so many are too many: at least `least` within `window` or a part of it, and more than chance gives."""

    window: Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]?m|[1-6]h)$")] = Field(
        description="whole minutes: 30m or 2h, at most 6 hours"
    )
    least: Annotated[int, Field(ge=3, le=100_000)]
    usual: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = Field(
        description="what an hour brings where no comparable day is known yet; of a topic never too many anywhere"
    )

    @property
    def window_s(self) -> int:
        """The window in seconds."""
        return seconds(self.window)


class Surges(_Part):
    """Surges watched for; null: none."""

    topics: SurgeRule | None = Field(
        default=SurgeRule(window="30m", least=8, usual=3.0), description="inquiries about one topic in a unit"
    )
    posts: SurgeRule | None = Field(
        default=SurgeRule(window="2h", least=6, usual=0.5), description="distinct people under one social post"
    )


class Silences(_Part):
    """Sources whose silence is watched for: all but those `without`."""

    least: Length = Field(default="30m", description="shorter silences are none")
    without: list[Code] = Field(default=[], max_length=500, description="sources left out")

    @property
    def least_s(self) -> int:
        """The shortest silence in seconds."""
        return seconds(self.least)


LENGTHS = (
    "first_response_median",
    "first_response_p90",
    "first_response_business_median",
    "first_response_business_p90",
    "reply_median",
    "reply_p90",
    "oldest_wait",
)
SHARES = ("promises_met", "satisfied")
RATINGS = ("satisfied", "satisfaction")
FEWEST_RATINGS = 10
Metric = Literal[
    "first_response_median",
    "first_response_p90",
    "first_response_business_median",
    "first_response_business_p90",
    "reply_median",
    "reply_p90",
    "oldest_wait",
    "promises_met",
    "satisfied",
    "satisfaction",
    "open_waits",
    "inquiries",
]
Level = Length | Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class Watch(_Part):
    """A rolling value that must keep a level: beyond it for some time, an incident opens.

    A share or a score is beyond only if its 95 % interval is wholly so.
    """

    watch: Code = Field(description="name of the watch")
    metric: Metric
    window: Literal["1h", "24h", "7d", "28d"]
    above: Level | None = Field(default=None, description="beyond is more than this: a length, a number, or a share")
    below: Level | None = Field(default=None, description="or less than this")
    until: Level | None = Field(default=None, description="what ends it; empty: the level itself")
    lasting: Length = Field(default="15m", description="how long it has to be beyond before the incident opens")
    least: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=20, description="of how many values it has to be made; does not matter for waits and inquiries"
    )
    units: list[Code] = Field(default=[], description="each of these with those below it; empty: the district")
    channel: Channel | None = Field(default=None, description="empty: all channels together")

    @property
    def lasting_ms(self) -> int:
        """How long it has to be beyond, in milliseconds."""
        return seconds(self.lasting) * 1000

    @property
    def level(self) -> float:
        """The level in the metric's own unit: milliseconds, a number, or a share."""
        return _number(self.above if self.above is not None else self.below)

    @property
    def end_level(self) -> float:
        """What the value has to come back to."""
        return self.level if self.until is None else _number(self.until)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"watch {self.watch} needs one of above and below")
        for level in (self.above, self.below, self.until):
            if level is not None and isinstance(level, str) != (self.metric in LENGTHS):
                kind = "a length such as 4h" if self.metric in LENGTHS else "a number"
                raise ValueError(f"watch {self.watch}: a level of {self.metric} is {kind}")
            if self.metric in SHARES and level is not None and _number(level) > 1:
                raise ValueError(f"watch {self.watch}: {self.metric} is a share, from 0 to 1")
        if self.metric in RATINGS and (self.window != "28d" or self.channel or self.least < FEWEST_RATINGS):
            raise ValueError(f"watch {self.watch}: ratings are watched as published: 28d, all channels, 10 at least")
        if (self.end_level > self.level) if self.above is not None else (self.end_level < self.level):
            raise ValueError(f"watch {self.watch}: until lies beyond the level that opens it")
        return self


def _number(level: float | str | None) -> float:
    return seconds(level) * 1000.0 if isinstance(level, str) else float(level or 0)
