"""A section at the end of a page, made by a measurement, in place of the one before."""

from pathlib import Path


def put(page: Path, heading: str, text: str) -> None:
    """Replace everything from a heading on; `text` begins with it."""
    before, _, _ = page.read_text(encoding="utf-8").partition(heading)
    page.write_text(f"{before.rstrip()}\n\n{text}", encoding="utf-8")
