"""The Faust app as it is made for a worker."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from streams.app import WithoutTables, make_app


def test_a_start_does_not_wait_for_tables_that_nobody_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def slept(_self: Any, _seconds: float) -> None:
        done.append("slept")

    async def updated(_self: Any) -> None:
        done.append("updated")

    class Recovery:
        async def start(self) -> None:
            done.append("started")

    async def story() -> None:
        manager = make_app(Settings(data=tmp_path)).tables
        assert isinstance(manager, WithoutTables)
        monkeypatch.setattr(WithoutTables, "sleep", slept)
        monkeypatch.setattr(WithoutTables, "_update_channels", updated)
        monkeypatch.setattr(manager, "_recovery", Recovery())
        await manager.on_start()

    asyncio.run(story())
    assert done == ["updated", "started"]
