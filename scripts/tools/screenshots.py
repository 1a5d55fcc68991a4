"""The README's pictures of the page: a gallery of the example feed in a headless browser.

.venv/bin/python -m scripts.tools.screenshots GALLERY [FOLDER]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from scripts.benchmarks.server import served

SEARCH, PANEL = "page-search.jpg", "page-why.jpg"


def main() -> None:
    gallery, folder = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs")
    folder.mkdir(exist_ok=True)
    executable = shutil.which("chromium") or sys.exit("error: no chromium on the PATH")
    with served(gallery) as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        answer(page, f"http://{address}/?q=id:13&where=price%3C%3D40")
        page.hover("#grid .tile:nth-child(3)")
        save(page, folder / SEARCH)
        page.emulate_media(color_scheme="dark")
        answer(page, f"http://{address}/?q=id:30&rerank=sift")
        page.click("#grid .tile:nth-child(1) .face")
        page.click("text=show the verified matches")
        page.wait_for_selector(".matches")
        page.evaluate("document.querySelector('#panel .matches').scrollIntoView({block: 'end'})")
        save(page, folder / PANEL)
        browser.close()


def answer(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#grid:not([aria-busy]) .face img")
    page.wait_for_load_state("networkidle")


def save(page: Page, path: Path) -> None:
    page.wait_for_timeout(500)
    page.screenshot(path=path, type="jpeg", quality=82)
    print(path)


if __name__ == "__main__":
    main()
