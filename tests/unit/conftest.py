"""Fixtures of the tests that need no stack."""

import socket

import pytest


@pytest.fixture
def closed_port() -> int:
    """A port of the loopback address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
