"""What a demonstration leaves in the data directory so that its next start goes on: `demo.json`."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.local.state import DataDirectory, write_whole
from schemas.errors import EnvironmentProblem

FILE = "demo.json"


class Resumption(BaseModel):
    """How far a demonstration went."""

    model_config = ConfigDict(frozen=True)

    district: str
    document_digest: str
    shown_ms: int
    """What its clock showed last, ms UTC."""
    sent_ms: int
    """Every simulated event received before this instant is in the log."""
    pressed: dict[str, int] = {}
    """Days closed by a press, and the instant from which simulated staff rest on each, ms UTC."""

    @classmethod
    def read(cls, data: DataDirectory) -> Self | None:
        """The last start's, `None` if there was none that got its history in. Raises `EnvironmentProblem`."""
        path = cls._path(data)
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise EnvironmentProblem(f"{path} is damaged: `./cx demo --fresh` starts over.") from None

    def write(self, data: DataDirectory) -> None:
        """Leave it for the next start."""
        write_whole(self._path(data), self.model_dump_json(indent=1))

    @staticmethod
    def _path(data: DataDirectory) -> Path:
        return data.path / FILE
