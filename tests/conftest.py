"""Fixtures that every test may ask for, and the order of tests."""

import pytest

pytest_plugins = ["tests.fixtures_clickhouse", "tests.fixtures_stack"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the stack first: they mostly wait, and what only computes then fills the time beside and after them."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)
