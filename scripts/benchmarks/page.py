"""Time of the web page from dropping an image to the first result on the screen.

A headless Chromium, the server and its gallery share one machine. The clock starts when the file
is handed to the page and stops when the first result's image is drawn.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.arguments import parser
from scripts.benchmarks.data import image_files, open_gallery
from scripts.benchmarks.server import add_folder, served

DROPS = 15

# Milliseconds until the first result has been painted.
FIRST_RESULT = """() => new Promise((resolve) => {
  const started = performance.now();
  const look = () => {
    const image = document.querySelector("#grid:not([aria-busy]) .face img");
    if (image?.complete && image.naturalWidth) {
      requestAnimationFrame(() => resolve(performance.now() - started));
    } else requestAnimationFrame(look);
  };
  document.getElementById("file").addEventListener("change", look, { once: true });
})"""


def main(arguments: Sequence[str]) -> None:
    command = parser("page", __doc__)
    add_folder(command)
    options = command.parse_args(arguments)
    executable = shutil.which("chromium") or sys.exit("error: no chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary:
        path = options.gallery or Path(temporary) / "gallery"
        open_gallery(options.folder, path)
        files = image_files(options.folder)
        draw = random.Random(0)
        with served(path) as (address, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            times = []
            for _ in range(DROPS + 1):
                page.goto(f"http://{address}/")
                page.wait_for_selector("#start-grid img")
                page.wait_for_load_state("networkidle")
                timed = page.evaluate_handle(f"() => ({{ done: ({FIRST_RESULT})() }})")
                page.set_input_files("#file", draw.choice(files))
                times.append(page.evaluate("timed => timed.done", timed))
            browser.close()
    first, *others = times
    print(f"{DROPS} drops on {len(files):,} images: first result after")
    print(f"  median {statistics.median(others):.0f} ms, slowest {max(others):.0f} ms")
    print(f"  the very first, with cold caches: {first:.0f} ms")
