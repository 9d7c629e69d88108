"""The gateway over real HTTP on a free port, its log in memory."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from schemas.errors import EnvironmentProblem
from schemas.settings import Settings
from schemas.topics import DEFAULT_PARTITIONS, partition_of
from streams.core.admission import LARGEST_MESSAGE, admit
from streams.intake import gateway as module
from streams.intake.gateway import gateway
from streams.intake.keys import KeyRing
from streams.intake.memory import MemoryLog
from tests.unit.test_telling_ahead import until

NOW = datetime(2026, 10, 6, 15, 0, tzinfo=UTC)
Post = Callable[..., Awaitable[ClientResponse]]


def _event(event_id: str = "e1", **more: Any) -> dict[str, Any]:
    return {
        "kind": "inquiry",
        "event_id": event_id,
        "district": "demo",
        "source": "s",
        "occurred_at": "2026-10-06T14:00:00Z",
        "conversation": "c",
        "channel": "web",
        **more,
    }


class _Site:
    """A settings' key ring with one key, a log, and a way to talk to the gateway in front of them."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data=folder)
        self.key = KeyRing.of(self.settings).issue("demo")
        self.log = MemoryLog()

    def run(self, work: Callable[[Post], Awaitable[None]]) -> None:
        async def main() -> None:
            async with TestClient(TestServer(gateway(self.settings, self.log, lambda: NOW))) as client:

                async def post(content: Any, content_type: str = "application/json", **headers: str) -> ClientResponse:
                    body = io.BytesIO(content if isinstance(content, bytes) else json.dumps(content).encode())
                    sent = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type, **headers}
                    return await client.post("/v1/events", data=body, headers=sent)

                await work(post)

        asyncio.run(main())

    def answer(self, content: Any, *arguments: str, **headers: str) -> tuple[int, dict[str, Any]]:
        """Status and body of one post."""
        found: list[tuple[int, dict[str, Any]]] = []

        async def work(post: Post) -> None:
            response = await post(content, *arguments, **headers)
            found.append((response.status, await response.json()))

        self.run(work)
        return found[0]

    @property
    def published(self) -> list[dict[str, Any]]:
        """All events in the log."""
        return [event for messages in self.log.messages.values() for m in messages for event in json.loads(m)]


@pytest.fixture
def site(tmp_path: Path) -> _Site:
    return _Site(tmp_path)


def test_one_event_is_acknowledged_stamped_and_in_its_districts_partition(site: _Site) -> None:
    status, body = site.answer(_event())
    assert status == 202
    assert body == {"accepted": 1, "refused": 0, "results": [{"position": 0, "event_id": "e1", "status": "accepted"}]}
    ((partition, (message,)),) = site.log.messages.items()
    assert partition == partition_of("demo", DEFAULT_PARTITIONS)
    ((_, event),) = admit(message).events
    assert event.received_at == NOW


def test_the_clients_own_receipt_is_replaced(site: _Site) -> None:
    assert site.answer(_event(received_at="2030-01-01T00:00:00Z"))[0] == 202
    assert site.published[0]["received_at"] == "2026-10-06T15:00:00Z"


def test_array_with_bad_ones_between(site: _Site) -> None:
    array = [_event("a"), 5, _event("b", channel="pigeon"), _event("c", district="other"), _event("d"), {}]
    status, body = site.answer(array)
    assert (status, body["accepted"], body["refused"]) == (202, 2, 4)
    assert [result["position"] for result in body["results"]] == list(range(6))
    refused = {r["position"]: (r["reason"], r["field"]) for r in body["results"] if r["status"] == "refused"}
    assert refused == {
        1: ("not_an_event", ""),
        2: ("invalid_field", "channel"),
        3: ("foreign_district", "district"),
        5: ("missing_field", "kind"),
    }
    assert [event["event_id"] for event in site.published] == ["a", "d"]


def test_a_foreign_event_in_front_costs_the_others_nothing(site: _Site) -> None:
    status, body = site.answer([_event("x", district="other"), _event("a")])
    assert (status, body["accepted"]) == (202, 1)


def test_lines_have_a_verdict_each(site: _Site) -> None:
    lines = b"\n".join([json.dumps(_event("a")).encode(), b"{oops", b"", json.dumps(_event("b")).encode()])
    status, body = site.answer(lines, "application/x-ndjson")
    assert status == 202
    assert [result["status"] for result in body["results"]] == ["accepted", "refused", "accepted"]
    assert body["results"][1]["reason"] == "not_json"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" ", "empty"),
        (b"no", "not_json"),
        (b"\xff", "not_json"),
        (b"[" * 50_000, "not_json"),
        ([], "empty"),
        (_event(occurred_at="2026-10-06T15:06:00Z"), "future_time"),
        (_event(occurred_at="2026-10-06T14:00:00"), "invalid_field"),
        (_event(event_id="\x00"), "invalid_field"),
        ([_event(str(i)) for i in range(20_001)], "too_large"),
    ],
    ids=["empty", "text", "not_utf8", "deep", "empty_array", "future", "naive", "null_byte", "too_many"],
)
def test_nothing_acceptable_is_422_and_publishes_nothing(site: _Site, content: Any, reason: str) -> None:
    status, body = site.answer(content)
    assert (status, body["accepted"]) == (422, 0)
    assert {result["reason"] for result in body["results"]} == {reason}
    assert body["refused"] == len(body["results"]) == (len(content) if isinstance(content, list) and content else 1)
    assert site.published == []


def test_an_event_id_that_is_none_is_not_repeated(site: _Site) -> None:
    _, body = site.answer(_event("jane.doe@example.org"))
    assert body["results"][0]["event_id"] is None
    assert "jane" not in json.dumps(body)


def test_only_foreign_events_are_403(site: _Site) -> None:
    assert site.answer([_event(district="other")])[0] == 403


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer é"])
def test_no_key_or_a_wrong_one_is_401(site: _Site, given: str) -> None:
    status, body = site.answer(_event(), Authorization=given)
    assert status == 401
    assert "Bearer" in body["error"]
    assert site.published == []


def test_a_new_key_counts_at_once_and_voids_the_old_one(site: _Site) -> None:
    async def work(post: Post) -> None:
        assert (await post(_event())).status == 202
        fresh = KeyRing.of(site.settings).issue("demo")
        assert (await post(_event())).status == 401
        assert (await post(_event(), Authorization=f"Bearer {fresh}")).status == 202

    site.run(work)


def test_a_damaged_key_file_is_said_and_nobody_gets_in(site: _Site) -> None:
    path = site.settings.data / "intake-keys.json"
    path.write_text('{"demo": "short"}')
    status, body = site.answer(_event())
    assert status == 503
    assert str(path) in body["error"]
    with pytest.raises(EnvironmentProblem):
        KeyRing.of(site.settings).issue("other")


def test_other_content_types_are_415(site: _Site) -> None:
    assert site.answer(_event(), "text/plain")[0] == 415


@pytest.mark.parametrize("size", [LARGEST_MESSAGE + 1, 10_000_000])
def test_more_than_8_megabytes_are_413(site: _Site, size: int) -> None:
    assert site.answer(b" " * size)[0] == 413


def test_a_body_that_hides_its_length_is_413_too(site: _Site) -> None:
    async def chunks() -> Any:
        for _ in range(9):
            yield b" " * 1_000_000

    async def main() -> int:
        async with TestClient(TestServer(gateway(site.settings, site.log))) as client:
            headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"}
            return (await client.post("/v1/events", data=chunks(), headers=headers)).status

    assert asyncio.run(main()) == 413


def test_kafka_away_is_503_with_retry_after(site: _Site) -> None:
    site.log.away = True

    async def work(post: Post) -> None:
        response = await post(_event())
        assert response.status == 503
        assert int(response.headers["Retry-After"]) >= 1

    site.run(work)


def test_no_acknowledgement_is_503_and_blocks_nobody_else(site: _Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.log.silent = True

    async def main() -> None:
        async with TestClient(TestServer(gateway(site.settings, site.log, lambda: NOW))) as client:
            headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"}

            def post() -> "asyncio.Task[ClientResponse]":
                sent = client.post("/v1/events", data=json.dumps(_event()), headers=headers)
                return asyncio.get_running_loop().create_task(sent)

            hanging = post()
            await until(lambda: bool(site.log.messages))
            assert (await client.get("/healthz")).status == 200
            assert not hanging.done()
            hanging.cancel()
            monkeypatch.setattr(module, "ACKNOWLEDGE_SECONDS", 0.05)
            assert (await post()).status == 503

    asyncio.run(main())


def test_nothing_personal_is_logged(site: _Site, caplog: pytest.LogCaptureFixture) -> None:
    person = "ab" * 16
    with caplog.at_level("DEBUG"):
        site.answer([_event(person=person), _event("e2", person="not hex " + person)])
    assert person not in caplog.text
    assert site.key not in caplog.text
