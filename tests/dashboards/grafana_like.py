"""A real HTTP server that answers as Grafana's API does: folders, data sources, dashboards, tokens with a role."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple, Self

Json = dict[str, Any]
ADMIN = "glsa_admin_0123456789"
EDITOR = "glsa_editor_0123456789"
VIEWER = "glsa_viewer_0123456789"
ROLES = {ADMIN: "Admin", EDITOR: "Editor", VIEWER: "Viewer"}


class Answer(NamedTuple):
    """A status and what goes with it; text is sent as a page, not as JSON."""

    status: int
    body: Json | str
    location: str = ""


class GrafanaLike:
    """One Grafana under `prefix`; `instead` answers every request when it is set."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.folders: dict[str, Json] = {}
        self.sources: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.versions: dict[str, int] = {}
        self.asked: list[str] = []
        self.instead: Answer | None = None
        grafana = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(grafana.answer("GET", self.path, self._role(), {}))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(grafana.answer("POST", self.path, self._role(), body))

            def _role(self) -> str | None:
                return ROLES.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

            def _send(self, answer: Answer) -> None:
                page = isinstance(answer.body, str)
                content = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", "text/html" if page else "application/json")
                self.send_header("Content-Length", str(len(content)))
                if answer.location:
                    self.send_header("Location", answer.location)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{prefix}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, role: str | None, body: Json) -> Answer:
        """What Grafana says to one request."""
        self.asked.append(f"{method} {path}")
        if self.instead is not None:
            return self.instead
        route = path.removeprefix(f"{self.prefix}/api")
        if role is None:
            return Answer(401, {"message": "Invalid API key"})
        if route.startswith("/datasources") and role != "Admin":
            return _denied("datasources:read")
        if method == "POST" and role == "Viewer":
            return _denied("dashboards:create")
        kind, _, uid = route.removeprefix("/").replace("datasources/uid", "datasources").partition("/")
        held = {"folders": self.folders, "datasources": self.sources}
        if method == "GET" and kind in held:
            found = held[kind].get(uid)
            return Answer(404, {"message": f"{kind} not found"}) if found is None else Answer(200, found)
        posts = {"/folders": self._folder, "/datasources": self._source, "/dashboards/db": self._dashboard}
        return posts[route](body) if method == "POST" and route in posts else Answer(404, {"message": "Not found"})

    def _folder(self, body: Json) -> Answer:
        if body["uid"] in self.folders:
            return Answer(412, {"message": "the folder has been changed by someone else", "status": "version-mismatch"})
        self.folders[body["uid"]] = body
        return Answer(200, {**body, "id": len(self.folders), "version": 1})

    def _source(self, body: Json) -> Answer:
        if body["name"] in {source["name"] for source in self.sources.values()}:
            return Answer(409, {"message": "data source with the same name already exists"})
        self.sources[body["uid"]] = body
        return Answer(200, {"datasource": {"uid": body["uid"]}, "id": 1, "message": "Datasource added"})

    def _dashboard(self, body: Json) -> Answer:
        given = body["dashboard"]
        if body["folderUid"] not in self.folders:
            return Answer(400, {"message": "folder not found", "status": "not-found"})
        if given["uid"] in self.dashboards and not body["overwrite"]:
            changed = "The dashboard has been changed by someone else"
            return Answer(412, {"message": changed, "status": "version-mismatch"})
        self.dashboards[given["uid"]] = given
        version = self.versions[given["uid"]] = self.versions.get(given["uid"], 0) + 1
        url = f"{self.prefix}/d/{given['uid']}/{given['title'].lower()}"
        return Answer(200, {"id": 1, "uid": given["uid"], "url": url, "status": "success", "version": version})


def _denied(needed: str) -> Answer:
    message = f"You'll need additional permissions to perform this action. Permissions needed: {needed}"
    return Answer(403, {"accessErrorId": "ACE0123456789", "message": message, "title": "Access denied"})
