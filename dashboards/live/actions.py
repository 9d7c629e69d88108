"""What a person may do to a simulated district from the page, each a real event through the log.

    POST /api/demo/{ask,answer,rate,breakdown,silence,snow-day}?district=&press=

Only with a clock of its own in force, only from the page itself (`Origin` must name this very server), only on the
simulated district. `press` is a name of the page's own, under which `/api/now` says when its numbers hold the press:

    200  acknowledged by Kafka: `said` in words, `metric` the number of the first view that moves; without `metric`
         none does, or there was nothing to act on, and `said` why
    400  a press without a name      403  from elsewhere, another district      404  no such action or district
    503  a server is away
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from aiohttp import web

from dashboards.live.page import READINGS
from dashboards.live.presses import Ask, Declared, Press, Row, Told, open_promises
from dashboards.present import instants
from schemas.calendar import never_closes
from schemas.district import District
from schemas.errors import CxError
from schemas.events import Event, Heartbeat, Inquiry, Rating, Reply
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from streams.configured import closed_on, configured
from streams.core.business_time import clock_of
from streams.core.parts import whole_name
from streams.intake.producer import Publisher, encode, publish_events
from streams.intake.silenced import SILENCE_MS
from streams.present import now_ms

SOURCE = "demo-page"
NOTHING = "There is nothing to act on now."
CLOSED = "Offices are closed today as it is: a snow day would move nothing."
NAME = re.compile(r"[0-9a-f]{8,32}")
TOPIC, DESK = "bus-late", "dispatch"
FEED = "mailbox"
CALLS = 60
WAITING = """
SELECT conversation, unit, channel FROM waits WHERE district = %(district)s AND outcome = 'open'
ORDER BY startsWith(conversation, 'demo-') DESC, opened_at DESC, conversation LIMIT 1
"""
UNRATED = """
SELECT conversation, unit, channel FROM current_conversations
WHERE district = %(district)s AND linked = 1 AND first_response_at IS NOT NULL AND empty(`ratings.score`)
ORDER BY startsWith(conversation, 'demo-') DESC, first_response_at DESC, conversation LIMIT 1
"""


class Acted(NamedTuple):
    """What was done: words, events to publish, the number of the first view that moves, and how to find them there."""

    said: str
    events: Sequence[Event] = ()
    metric: str | None = None
    press: Press | None = None


class Around(NamedTuple):
    """What an action may look at: the district, the present, its document, and the answers to questions."""

    district: str
    now_ms: int
    document: str | None
    ask: Ask

    def first(self, sql: str) -> Row | None:
        """The first row of an answer."""
        return next(iter(self.ask(sql, {})), None)

    def frame(self, conversation: str = "") -> dict[str, Any]:
        """What every event of a conversation carries."""
        name = conversation or f"demo-{self.now_ms}-{secrets.token_hex(4)}"
        at = from_ms(self.now_ms)
        common = {"district": self.district, "source": SOURCE, "occurred_at": at, "received_at": at}
        return {"event_id": f"{name}.{secrets.token_hex(6)}", "conversation": name, **common}


def _inquiry(around: Around, **fields: Any) -> Inquiry:
    unit = DESK if around.document and f'"{DESK}"' in around.document else None
    person = secrets.token_hex(8)
    asked: dict[str, Any] = {"stakeholder": "parent", "topic": TOPIC, "unit": unit, "person": person, **fields}
    return Inquiry(kind="inquiry", **asked, **around.frame())


def _ask(around: Around) -> Acted:
    asked = _inquiry(around, channel="web", inquiry_kind="question")
    metric = "asked_today"
    return Acted("A parent asked on the web why the bus is late.", [asked], metric, Told([asked], metric))


def _breakdown(around: Around) -> Acted:
    calls = [_inquiry(around, channel="phone", contact="missed_call", inquiry_kind="concern") for _ in range(CALLS)]
    said, metric = f"A bus broke down: {CALLS} calls nobody could take.", "open_waits"
    return Acted(said, calls, metric, Told(calls, metric))


def _answer(around: Around) -> Acted:
    found = around.first(WAITING)
    if found is None:
        return Acted(NOTHING)
    conversation, _ = whole_name(found["conversation"])
    fields = {"channel": found["channel"] or "email", "unit": found["unit"]}
    reply = Reply(kind="reply", **fields, **around.frame(conversation))
    metric = "answered_today"
    return Acted("A person answered the newest wait.", [reply], metric, Told([reply], metric, [found["conversation"]]))


def _rate(around: Around) -> Acted:
    found = around.first(UNRATED)
    if found is None:
        return Acted(NOTHING)
    conversation, _ = whole_name(found["conversation"])
    rating = Rating(kind="rating", score=9, **around.frame(conversation))
    said, metric = "A family that was answered gave a 9.", "ratings"
    return Acted(said, [rating], metric, Told([rating], metric, [found["conversation"]]))


def _silence(around: Around) -> Acted:
    at = from_ms(around.now_ms)
    name = f"demo-{around.now_ms}-{secrets.token_hex(4)}"
    frame: dict[str, Any] = {
        "event_id": name,
        "district": around.district,
        "source": FEED,
        "occurred_at": at,
        "received_at": at,
    }
    beat = Heartbeat(kind="heartbeat", healthy=False, **frame)
    minutes = SILENCE_MS // 60_000
    said = f"The {FEED} fell silent for {minutes} minutes of the demo's clock; soon it stands among the incidents."
    return Acted(said, [beat])


def _snow_day(around: Around) -> Acted:
    document = District.model_validate_json(around.document) if around.document else None
    if document is None or document.calendar is None:
        return Acted(NOTHING)
    now = from_ms(around.now_ms)
    today = now.astimezone(ZoneInfo(document.calendars[document.calendar].time_zone)).date()
    closing = [calendar for calendar in document.calendars.values() if not never_closes(calendar)]
    if not any(clock_of(calendar.key()).is_school_day(today) for calendar in closing):
        return Acted(CLOSED)
    event = configured(closed_on(document, [today.isoformat()]), now)
    said = "Today was declared a snow day: no promise falls due while offices are closed."
    return Acted(said, [event], "due_today", Declared(event, open_promises(around.ask)))


ACTIONS: dict[str, Callable[[Around], Acted]] = {
    "ask": _ask,
    "answer": _answer,
    "rate": _rate,
    "breakdown": _breakdown,
    "silence": _silence,
    "snow-day": _snow_day,
}


class Actions:
    """The handler; events leave through `publisher`, off the event loop's thread."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self._settings = settings
        self._publisher = publisher

    async def act(self, request: web.Request) -> web.Response:
        """`POST /api/demo/{action}`."""
        action = ACTIONS.get(request.match_info["action"])
        if action is None or self._settings.clock is None:
            return web.json_response({"error": "There is no such action here."}, status=404)
        if request.headers.get("Origin") != f"{request.scheme}://{request.headers.get('Host', '')}":
            return web.json_response({"error": "Only the page itself may do this."}, status=403)
        try:
            return await self._act(request, action)
        except CxError as error:
            return web.json_response({"error": str(error)}, status=503)

    async def _act(self, request: web.Request, action: Callable[[Around], Acted]) -> web.Response:
        readings = request.app[READINGS]
        district, name = request.query.get("district", ""), request.query.get("press", "")
        if NAME.fullmatch(name) is None:
            return web.json_response({"error": "A press has a name of 8 to 32 hexadecimal digits."}, status=400)
        if district != self._settings.simulated:
            return web.json_response({"error": "Only a simulated district may be acted on."}, status=403)
        if district not in {each["district"] for each in await readings.districts()}:
            return web.json_response({"error": "There is no district of this code here."}, status=404)
        acted = await readings.with_questions(partial(self._do, action, district))
        if acted.press is not None:
            readings.presses.add(name, district, acted.press)
        if acted.events:
            await asyncio.to_thread(self._publish, acted.events)
        told = {"metric": acted.metric} if acted.metric is not None else {}
        return web.json_response({"said": acted.said, **told})

    def _do(
        self,
        action: Callable[[Around], Acted],
        district: str,
        ask: Callable[[Mapping[str, Any], str, Mapping[str, Any]], list[Row]],
        document: Callable[[str], str | None],
    ) -> Acted:
        present_ms, newest = now_ms(self._settings), document(district)
        parameters = {"district": district, **instants(newest, present_ms)}
        return action(Around(district, present_ms, newest, partial(ask, parameters)))

    def _publish(self, events: Sequence[Event]) -> None:
        for _, written in publish_events(map(encode, events), self._publisher):
            written.result()


def action_routes(settings: Settings, publisher: Publisher) -> list[web.RouteDef]:
    """The actions' routes, to be added to the page's application."""
    return [web.post("/api/demo/{action}", Actions(settings, publisher).act)]
