"""`POST /v1/events`: events over HTTP, answered only when Kafka has acknowledged them.

The key in `Authorization: Bearer …` decides the district. The body is one event, an array (`application/json`) or one
event a line (`application/x-ndjson`). `received_at` is always stamped here; what the client wrote there is replaced.

    202  at least one accepted and acknowledged; `results` has a verdict on each item
    401  no key, or a wrong one           403  every event is of another district than the key's
    413  more than 8 MB                   415  neither of the two content types
    422  none accepted                    503  Kafka or the keys are away: send the same again after `Retry-After`

Sending the same again is always safe: an event id counts once. Nothing of a body is logged.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any

from aiohttp import web

from schemas.errors import CxError, EnvironmentProblem, Refused, Unavailable
from schemas.settings import Settings
from streams import present
from streams.core.admission import LARGEST_MESSAGE
from streams.intake.keys import KeyRing
from streams.intake.producer import DELIVERY_SECONDS, Publisher, publish_events
from streams.intake.receiving import Received, receive

CONTENT_TYPES = {"application/json": False, "application/x-ndjson": True}
RETRY_SECONDS = 5.0
ACKNOWLEDGE_SECONDS = DELIVERY_SECONDS + 1
_BEARER = "bearer "


def _answer(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": message}, status=status, headers=headers)


def _away(error: CxError) -> web.Response:
    wait = error.retry_after if isinstance(error, Unavailable) else RETRY_SECONDS
    return _answer(503, str(error), {"Retry-After": str(max(1, ceil(wait)))})


class Gateway:
    """The handlers; `publisher` is used from other threads than the event loop's."""

    def __init__(self, keys: KeyRing, publisher: Publisher, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._publisher = publisher
        self._now = now

    async def health(self, _request: web.Request) -> web.Response:
        """`GET /healthz`: this process answers; says nothing of Kafka."""
        return web.json_response({"status": "ok"})

    async def events(self, request: web.Request) -> web.Response:
        """`POST /v1/events`."""
        try:
            district = self._district(request)
        except EnvironmentProblem as problem:
            return _away(problem)
        if district is None:
            message = "Send the district's key: Authorization: Bearer KEY. `./cx district key DISTRICT` makes one."
            return _answer(401, message, {"WWW-Authenticate": "Bearer"})
        lines = CONTENT_TYPES.get(request.content_type)
        if lines is None:
            return _answer(415, f"Send Content-Type {' or '.join(CONTENT_TYPES)}.")
        body = await _read(request)
        if body is None:
            return _answer(413, f"A body holds at most {LARGEST_MESSAGE} bytes; send smaller arrays.")
        received = await asyncio.to_thread(receive, body, lines, district, self._now())
        if not received.events:
            return _verdicts(received, 403 if received.reasons == {"foreign_district"} else 422)
        try:
            await self._publish(received)
        except (Unavailable, TimeoutError) as error:
            known = error if isinstance(error, Unavailable) else Unavailable("Kafka does not acknowledge in time.")
            return _away(known)
        except Refused as error:
            return _answer(502, str(error))
        return _verdicts(received, 202)

    def _district(self, request: web.Request) -> str | None:
        given = request.headers.get("Authorization", "")
        if given[: len(_BEARER)].lower() != _BEARER:
            return None
        return self._keys.district_of(given[len(_BEARER) :].strip())

    async def _publish(self, received: Received) -> None:
        """Write and wait for every acknowledgement, none of it on the event loop's thread."""
        sent = await asyncio.to_thread(publish_events, received.events, self._publisher)
        waiting = asyncio.gather(*(asyncio.wrap_future(future) for _, future in sent))
        await asyncio.wait_for(waiting, ACKNOWLEDGE_SECONDS)


async def _read(request: web.Request) -> bytes | None:
    """The body, None if it is larger than a message may be; holds whatever limit the outer application has."""
    if (request.content_length or 0) > LARGEST_MESSAGE:
        return None
    body = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > LARGEST_MESSAGE:
            return None
    return bytes(body)


def _verdicts(received: Received, status: int) -> web.Response:
    accepted = sum(result["status"] == "accepted" for result in received.results)
    content: dict[str, Any] = {
        "accepted": accepted,
        "refused": len(received.results) - accepted,
        "results": received.results,
    }
    return web.json_response(content, status=status)


def routes(settings: Settings, publisher: Publisher, now: Callable[[], datetime] | None = None) -> list[web.RouteDef]:
    """The gateway's routes, to be added to another application."""
    handlers = Gateway(KeyRing.of(settings), publisher, now or partial(present.now, settings))
    return [web.post("/v1/events", handlers.events), web.get("/healthz", handlers.health)]


def gateway(settings: Settings, publisher: Publisher, now: Callable[[], datetime] | None = None) -> web.Application:
    """The gateway as an application of its own; `now` is the clock that stamps `received_at`."""
    application = web.Application(client_max_size=LARGEST_MESSAGE)
    application.add_routes(routes(settings, publisher, now))
    return application
