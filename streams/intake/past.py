"""How far the past of a demonstration has come in: written by who brings it in, read by who shows it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import EnvironmentProblem
from schemas.settings import Settings

FILE = "demo-past.json"


class Past(BaseModel):
    """`days` of a district: events `sent` so far, and once all are, how many there are and have `landed`."""

    model_config = ConfigDict(frozen=True)

    district: str
    days: int
    sent: int = 0
    landed: int = 0
    total: int | None = None

    @classmethod
    def read(cls, settings: Settings) -> Self | None:
        """What is written in the data directory; None: nothing is coming in. Raises `EnvironmentProblem`."""
        path = cls._path(settings)
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise EnvironmentProblem(f"{path} is damaged: delete it, or `./cx demo --fresh` starts over.") from None

    def write(self, settings: Settings) -> None:
        """Say it to whoever reads; a reader sees the old or the new, never a part."""
        path = self._path(settings)
        fresh = path.with_name(f"{FILE}.new")
        fresh.write_text(self.model_dump_json())
        fresh.replace(path)

    @classmethod
    def forget(cls, settings: Settings) -> None:
        """It is all there."""
        cls._path(settings).unlink(missing_ok=True)

    @staticmethod
    def _path(settings: Settings) -> Path:
        return settings.data / FILE
