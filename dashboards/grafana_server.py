"""A Grafana server, reached with grafana-api: its folder, its data source, its dashboard.

    no connection, silence, a status of 5xx                     → Unavailable
    a token it does not know or that may not; any other "no"    → Refused
    an answer that is not Grafana's, a redirection              → Refused

A message names the server and what it said on one line; neither token nor password is ever in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from grafana_api.grafana_api import GrafanaClientError, GrafanaException, GrafanaServerError
from grafana_api.grafana_face import GrafanaFace
from pydantic import SecretStr

from dashboards.grafana import DATASOURCE, FOLDER, FOLDER_TITLE, PLUGIN, Json
from schemas.errors import CxError, Refused, Unavailable, UsageError
from schemas.settings import Settings

ANSWER_SECONDS = 15.0
LONGEST_REASON = 300
UNKNOWN_TOKEN = 401
FORBIDDEN = 403
ABSENT = 404
CHANGED = 412


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did; `version` counts the dashboard's saved versions in that Grafana, from 1."""

    url: str
    version: int
    folder_made: bool


def _parts(url: str) -> tuple[SplitResult, int | None]:
    """A Grafana's address, taken apart. Raises `UsageError`, which never repeats what may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("--url is not an address: give one such as https://grafana.example.org.") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError("--url holds a user or password: give the address alone, and a token.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError("--url must be http:// or https:// and a host, such as https://grafana.example.org/grafana.")
    return parts, port


def _token(token: SecretStr) -> str:
    value = token.get_secret_value()
    if not value:
        raise UsageError("There is no token: set CX_GRAFANA_TOKEN to one of a service account of that Grafana.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError("The token holds characters that no token has: copy it again, without spaces or line ends.")
    return value


class GrafanaServer:
    """One Grafana. Raises `UsageError` for an address or a token that cannot be one; asks nothing yet."""

    def __init__(self, url: str, token: SecretStr) -> None:
        parts, port = _parts(url)
        path = parts.path.strip("/")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.url = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{f'/{path}' if path else ''}"
        value = _token(token)
        self._secrets = [value]
        self._face = GrafanaFace(
            auth=value,
            host=host,
            port=port,
            protocol=parts.scheme,
            url_path_prefix=f"{path}/" if path else "",
            timeout=ANSWER_SECONDS,
        )
        # A redirected POST would arrive as a GET, and the token at another address.
        self._face.api.s.max_redirects = 0

    def __repr__(self) -> str:
        return f"GrafanaServer({self.url!r})"

    def data_source(self, wanted: str | None, settings: Settings, clickhouse: tuple[str, int]) -> tuple[str, bool]:
        """The uid of the data source to use, and whether it was made now.

        `wanted`: one that exists; None: ours, made if absent, for ClickHouse at host and port as Grafana reaches it.
        Raises `Unavailable` or `Refused`.
        """
        uid = wanted or DATASOURCE
        try:
            found = self._found("read data sources", self._face.api.GET, f"/datasources/uid/{uid}")
        except _Forbidden:
            # A token that may write dashboards need not be allowed to read data sources: a named one is believed.
            if wanted is None:
                raise
            return uid, False
        if found is not None:
            if found.get("type") != PLUGIN:
                raise Refused(f"The data source {uid} of {self.url} is not of the plugin {PLUGIN}: name another one.")
            return uid, False
        if wanted is not None:
            raise Refused(f"{self.url} has no data source {wanted}: see its uid in the address of its page in Grafana.")
        self._secrets.append(settings.clickhouse_password.get_secret_value())
        self._asked("make a data source", self._face.datasource.create_datasource, _new_source(settings, clickhouse))
        return uid, True

    def push(self, dashboard: Json) -> Pushed:
        """Put the dashboard into our folder, over an older version of it. Raises `Unavailable` or `Refused`."""
        folder = self._found("read folders", self._face.folder.get_folder, FOLDER)
        if folder is None:
            self._asked("make a folder", self._face.folder.create_folder, FOLDER_TITLE, FOLDER)
        envelope = {
            "dashboard": {"id": None, **dashboard},
            "folderUid": FOLDER,
            "overwrite": True,
            "message": "Pushed by cx",
        }
        answer = self._asked("write the dashboard", self._face.dashboard.update_dashboard, envelope)
        path, version = answer.get("url"), answer.get("version")
        if not isinstance(path, str) or not isinstance(version, int):
            raise self._strange()
        return Pushed(self._link(path), version, folder is None)

    def _link(self, path: str) -> str:
        """The dashboard's address; Grafana tells its path with the prefix that it knows itself to be served under."""
        parts = urlsplit(self.url)
        prefix = "" if path.startswith(f"{parts.path}/") else parts.path
        return f"{parts.scheme}://{parts.netloc}{prefix}{path}"

    def _found(self, what: str, call: Callable[..., Any], *arguments: Any) -> Json | None:
        """As `_asked`; None if there is no such thing."""
        try:
            return self._asked(what, call, *arguments)
        except _Absent:
            return None

    def _asked(self, what: str, call: Callable[..., Any], *arguments: Any) -> Json:
        """What the server answers to one request, with the library's errors turned into ours."""
        try:
            answer = call(*arguments)
        except GrafanaException as error:
            raise self._refusal(error, what) from None
        except (ValueError, TypeError):
            # The library takes apart a page that is no JSON as if it were.
            raise self._strange() from None
        except OSError as error:
            raise self._silence(error) from None
        if not isinstance(answer, dict):
            raise self._strange()
        return answer

    def _refusal(self, error: GrafanaException, what: str) -> CxError:
        said = self._said(str(error.message))
        if isinstance(error, GrafanaServerError) or not isinstance(error, GrafanaClientError):
            return Unavailable(f"Grafana at {self.url} cannot do it now: {said}.")
        if error.status_code == UNKNOWN_TOKEN:
            hint = "set CX_GRAFANA_TOKEN to a valid one of a service account"
            return Refused(f"Grafana at {self.url} does not know this token: {hint}.")
        if error.status_code == FORBIDDEN:
            return _Forbidden(
                f"Grafana at {self.url} does not let this token {what}: its service account needs the role Editor, "
                "and Admin to make the data source (--datasource names one that exists)."
            )
        if error.status_code == ABSENT:
            return _Absent(f"{self.url} knows nothing at this address when asked to {what} ({said}): is it a Grafana?")
        hint = " Delete or rename the other one." if error.status_code == CHANGED else ""
        return Refused(f"Grafana at {self.url} refused to {what}: {said}.{hint}")

    def _said(self, text: str) -> str:
        """What a server said, on one line and without our secrets."""
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "***")
        return " ".join(text.split())[:LONGEST_REASON].rstrip(".") or "no reason given"

    def _silence(self, error: OSError) -> CxError:
        answer = getattr(error, "response", None)
        if answer is not None:
            target = self._said(answer.headers.get("Location", "elsewhere"))
            return Refused(f"{self.url} leads on to {target}: give Grafana's own address as --url.")
        return Unavailable(f"Grafana at {self.url} does not answer: is it started, and the address right?")

    def _strange(self) -> Refused:
        return Refused(f"{self.url} does not answer as Grafana does: give the address under which it is opened.")


class _Forbidden(Refused):
    """The token is known and may not do it."""


class _Absent(Refused):
    """There is no such thing at the server."""


def _new_source(settings: Settings, clickhouse: tuple[str, int]) -> Json:
    host, port = clickhouse
    return {
        "uid": DATASOURCE,
        "name": DATASOURCE,
        "type": PLUGIN,
        "access": "proxy",
        "jsonData": {
            "host": host,
            "port": port,
            "protocol": "native",
            "secure": False,
            "username": settings.clickhouse_user,
            "defaultDatabase": settings.clickhouse_database,
        },
        "secureJsonData": {"password": settings.clickhouse_password.get_secret_value()},
    }
