"""The gateway's keys: one per district, of which only the SHA-256 is kept, in one JSON file `{district: digest}`."""

import hmac
import json
import os
import secrets
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.vocabulary import Code, Digest

FILE = "intake-keys.json"
KEY_BYTES = 32
_KEYS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[Code, Digest])


class KeyRing:
    """Issues and checks keys. A key issued by another process counts at once: the file is read when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._digests: dict[str, str] = {}

    @classmethod
    def of(cls, settings: Settings) -> "KeyRing":
        """The key ring that the settings name."""
        return cls(settings.intake_keys or settings.data / FILE)

    def district_of(self, key: str) -> str | None:
        """The district a key belongs to, None for a wrong one; takes equally long for every wrong key.

        Raises `EnvironmentProblem` if the file cannot be read.
        """
        self._refresh()
        given = sha256(key.encode("utf-8", "replace")).hexdigest()
        found: str | None = None
        for district, digest in self._digests.items():
            if hmac.compare_digest(digest, given):
                found = district
        return found

    def issue(self, district: str) -> str:
        """A new random key of a district; the old one is void from now on. Raises `EnvironmentProblem`."""
        self._refresh()
        key = secrets.token_urlsafe(KEY_BYTES)
        digests = {**self._digests, district: sha256(key.encode()).hexdigest()}
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(json.dumps(digests, indent=1, sort_keys=True) + "\n")
            fresh.replace(self._path)
        except OSError as error:
            raise EnvironmentProblem(f"The keys of the intake cannot be written to {self._path}: {error}") from None
        return key

    def _refresh(self) -> None:
        try:
            state = self._path.stat()
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            if stamp == self._stamp:
                return
            self._digests = _KEYS.validate_json(self._path.read_bytes())
            self._stamp = stamp
        except FileNotFoundError:
            self._digests, self._stamp = {}, None
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not {district: SHA-256 of its key}"
            raise EnvironmentProblem(f"The keys of the intake cannot be read from {self._path}: {reason}.") from None
