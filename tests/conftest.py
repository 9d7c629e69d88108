"""Fixtures that every test may ask for, and the order of tests."""

import pytest

WAITING = ("stack", "browser")

pytest_plugins = ["tests.fixtures_clickhouse", "tests.fixtures_stack"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What mostly waits first: what only computes then fills the time beside it and after."""
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in WAITING))
