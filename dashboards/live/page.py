"""The built-in live page as an aiohttp application: the page itself, its two files, and the numbers as JSON.

    GET /                     the page                     GET /page.js, /first.js, /page.css, /favicon.svg
    GET /api/now?district=&after=    the first view of one district; without `district` the first one. With the
                                     `mark` of an earlier answer as `after`: as soon as something has landed since,
                                     after a second at the latest. `past`: how far the past of a demonstration
                                     has come in; null: nothing is coming in
    GET /api/below?district=         the panels below it, some seconds old at most
        404  there is no such district          503  ClickHouse is away: `error` says it in one sentence

Everybody who can reach the address may read. A request under a foreign host name is refused, so that no page from
elsewhere can read along by giving this address a name of its own (DNS rebinding).
"""

import asyncio
import ipaddress
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from yarl import URL

from dashboards.live.readings import Readings, Record
from dashboards.now import FIRST_VIEW
from dashboards.panels import BELOW
from dashboards.shown import Panel
from schemas.errors import CxError, Unavailable
from schemas.settings import Settings
from streams.intake.past import Past
from streams.metrics import WebMetrics
from streams.present import now_ms

FILES = Path(__file__).with_name("static")
STATIC = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/first.js": ("first.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
METRICS: web.AppKey[WebMetrics] = web.AppKey("metrics", WebMetrics)
SETTINGS: web.AppKey[Settings] = web.AppKey("settings", Settings)
READINGS: web.AppKey[Readings] = web.AppKey("readings", Readings)


def is_own_host(host: str, bind: str) -> bool:
    """Whether a Host header names this machine itself: the loopback, `bind`, or any number if `bind` is all of them."""
    try:
        name = URL.build(scheme="http", authority=host).host or ""
    except ValueError:
        return False
    if name.lower() in ("localhost", bind.lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or ipaddress.ip_address(bind).is_unspecified
    except ValueError:
        return False


def _guard(settings: Settings, metrics: WebMetrics) -> Middleware:
    """Around every request: the host's name, the headers, the count."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        try:
            if is_own_host(request.headers.get("Host", ""), settings.bind):
                response = await handler(request)
            else:
                text = f"This server answers only as {settings.bind} or localhost.\n"
                response = web.Response(status=421, text=text)
        except web.HTTPException as refusal:
            response = web.Response(status=refusal.status, text=f"{refusal.reason}\n", headers=_allowed(refusal))
        metrics.requests.labels(route, str(response.status)).inc()
        metrics.seconds.labels(route).observe(time.monotonic() - started)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guard


def _allowed(refusal: web.HTTPException) -> dict[str, str]:
    return {name: value for name, value in refusal.headers.items() if name == "Allow"}


async def _file(content: bytes, kind: str, _request: web.Request) -> web.Response:
    return web.Response(body=content, content_type=kind, charset="utf-8")


async def _metrics(request: web.Request) -> web.Response:
    text = generate_latest(request.app[METRICS].registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _now(request: web.Request) -> web.Response:
    after = request.query.get("after", "")
    return await _answered(request, FIRST_VIEW, lambda readings, district: readings.first_view(district, after))


async def _below(request: web.Request) -> web.Response:
    return await _answered(request, BELOW, lambda readings, district: readings.below(district))


Read = Callable[[Readings, str], Awaitable[Record]]


async def _answered(request: web.Request, panels: Sequence[Panel], read: Read) -> web.Response:
    readings = request.app[READINGS]
    try:
        districts = await readings.districts()
        wanted = request.query.get("district")
        chosen = next((each for each in districts if wanted in (None, each["district"])), None)
        if chosen is None and wanted is not None:
            return web.json_response({"error": "There is no district of this code here."}, status=404)
        past = await asyncio.to_thread(_past, request.app[SETTINGS], chosen)
        found = {} if chosen is None else await read(readings, chosen["district"])
    except CxError as error:
        wait = error.retry_after if isinstance(error, Unavailable) else 1.0
        headers = {"Retry-After": str(math.ceil(wait))}
        return web.json_response({"error": str(error)}, status=503, headers=headers)
    settings = request.app[SETTINGS]
    clock = None if settings.clock is None else {"speed": settings.clock.speed}
    around: dict[str, Any] = {"now_ms": now_ms(settings), "clock": clock, "simulated": settings.simulated}
    around |= {"districts": districts, "district": chosen, "past": past}
    return web.json_response({**around, **found, "panels": _explained(panels, found.get("panels", {}))})


def _past(settings: Settings, chosen: Record | None) -> Record | None:
    """How far the past of a demonstration has come in, if it is this district's."""
    if settings.simulated is None or (chosen is not None and chosen["district"] != settings.simulated):
        return None
    past = Past.read(settings)
    return None if past is None else past.model_dump()


def _explained(panels: Sequence[Panel], rows: Record) -> dict[str, Any]:
    """Rows with their texts, so that each text stands in one place only."""
    return {
        panel.name: {
            "title": panel.title,
            "meaning": panel.meaning,
            "columns": [asdict(column) for column in panel.columns],
            "rows": rows.get(panel.name, []),
        }
        for panel in panels
    }


def live(settings: Settings, metrics: WebMetrics | None = None) -> web.Application:
    """The application; other routes may be added to it. Its connections close with it."""
    metrics = metrics or WebMetrics(CollectorRegistry())
    application = web.Application(middlewares=[_guard(settings, metrics)])
    application[METRICS] = metrics
    application[SETTINGS] = settings

    async def reading(app: web.Application) -> Any:
        app[READINGS] = Readings(settings, metrics)
        yield
        await app[READINGS].close()

    application.cleanup_ctx.append(reading)
    for path, (name, kind) in STATIC.items():
        application.router.add_get(path, partial(_file, (FILES / name).read_bytes(), kind))
    application.router.add_get("/api/now", _now)
    application.router.add_get("/api/below", _below)
    application.router.add_get("/metrics", _metrics)
    return application
