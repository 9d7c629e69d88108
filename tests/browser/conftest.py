"""What every browser test needs."""

import os

import pytest

from tests.browser.chromium import chromium_path


@pytest.fixture(autouse=True, scope="session")
def _browser_is_there() -> None:
    """Skip without a browser, but never where all tests must run."""
    if chromium_path() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed, and CI must run the browser's tests")
        pytest.skip("chromium is not installed: apt-get install chromium")
