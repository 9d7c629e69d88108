"""What a district watches beside its promises: surges, silent feeds, rolling values. Parts of its document."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.vocabulary import Code

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
    """When so many are too many: within `window`, at least `least`, and more than chance gives by what is usual."""

    window: Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]?m|[1-6]h)$")] = Field(
        description="whole minutes: 30m or 2h, at most 6 hours"
    )
    least: Annotated[int, Field(ge=3, le=100_000)]
    usual: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = Field(
        description="what an hour usually brings where no comparable day is known yet"
    )

    @property
    def window_s(self) -> int:
        """The window in seconds."""
        return seconds(self.window)


class Surges(_Part):
    """Surges watched for; null: none."""

    topics: SurgeRule | None = Field(
        default=SurgeRule(window="30m", least=20, usual=3.0), description="inquiries about one topic in a unit"
    )
    posts: SurgeRule | None = Field(
        default=SurgeRule(window="2h", least=15, usual=0.5), description="distinct people under one social post"
    )


class Silences(_Part):
    """Sources whose silence is watched for: all but those `without`."""

    least: Length = Field(default="30m", description="shorter silences are none")
    without: list[Code] = Field(default=[], max_length=500, description="sources left out")

    @property
    def least_s(self) -> int:
        """The shortest silence in seconds."""
        return seconds(self.least)
