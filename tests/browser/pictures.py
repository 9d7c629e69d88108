"""Pictures of the running live page for the documentation.

python -m tests.browser.pictures --url http://127.0.0.1:18080/ --out docs/images
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.browser.chromium import DARK, LIGHT, PHONE, WHOLE, Chromium, View

# View and greatest height; a picture ends below a whole row.
PICTURES: dict[str, tuple[View, int]] = {
    "live-light": (LIGHT, 1400),
    "live-dark": (DARK, 1400),
    "live-phone": (PHONE, 1900),
}
BOTTOMS = "[...document.querySelectorAll('tbody tr')].map(row => row.getBoundingClientRect().bottom)"


async def take(url: str) -> dict[str, bytes]:
    """One picture of the page for each view, as PNG by name."""
    pictures = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with Chromium.started(Path(folder)) as browser:
            for name, (view, height) in PICTURES.items():
                async with browser.page(url, view) as page:
                    await page.until(WHOLE)
                    whole_rows = await page.value(f"Math.floor(Math.max(...{BOTTOMS}.filter(b => b <= {height})))")
                    pictures[name] = await page.picture(whole_rows)
    return pictures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:18080/", help="address of the running live page")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, content in asyncio.run(take(arguments.url)).items():
        (arguments.out / f"{name}.png").write_bytes(content)


if __name__ == "__main__":
    main()
