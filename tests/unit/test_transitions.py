"""Messages of `cx.alerts`, read back."""

import json

import pytest

from schemas.transitions import as_json, of_message
from tests.unit.test_messages import broken, surge


def test_what_was_written_is_read_back() -> None:
    for transition in (broken(), surge()):
        assert of_message(json.dumps(as_json(transition)).encode(), "here") == transition


@pytest.mark.parametrize("value", [None, b"", b"no json", b"[1]", b"{}", b'{"kind": "surge"}', b'"text"', b"\xff"])
def test_what_somebody_else_wrote_is_left_out_with_its_place(
    value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert of_message(value, "cx.alerts-3@7") is None
    assert "cx.alerts-3@7" in caplog.text
