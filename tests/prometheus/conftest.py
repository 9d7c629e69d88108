"""What every test with Prometheus' own programs needs."""

import os
import shutil

import pytest


@pytest.fixture(autouse=True)
def _programs_are_there(request: pytest.FixtureRequest) -> None:
    """Skip marked tests without the programs, but never where all tests must run."""
    if request.node.get_closest_marker("prometheus") is None:
        return
    missing = [name for name in ("promtool", "prometheus-alertmanager") if shutil.which(name) is None]
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing[0]} is not installed, and CI must run the tests with it")
        pytest.skip(f"{missing[0]} is not installed: apt-get install prometheus prometheus-alertmanager")
