"""Index a gallery of photographs and search it, as a newcomer would. See `scripts/demo`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from cbir import Gallery, Retriever, write_contact_sheet
from cbir.pages.contact_sheet import Sheet
from scripts.examples.photographs import write_demo_gallery

GALLERIES = Path("index_data")
HITS = 11
"""On the contact sheet: as many as every photograph has other views."""


def main() -> None:
    serve = "--serve" in sys.argv[1:]
    folders = [argument for argument in sys.argv[1:] if argument != "--serve"]
    if folders:
        folder = Path(folders[0])
        gallery = GALLERIES / f"demo-{folder.name}"
        run("index", str(folder), "--gallery", str(gallery), allowed=(0, 3))
    else:
        manifest = write_demo_gallery(GALLERIES / "demo-photographs")
        gallery = GALLERIES / "demo"
        run("index", str(manifest), "--gallery", str(gallery))
        query = manifest.parent / "chelsea" / "dark.jpg"
        run("search", str(query), "-k", "5", "--gallery", str(gallery))
        run("evaluate", "--label", "photograph", "-k", "1", "-k", "10", "--gallery", str(gallery))
    sheet = show(gallery)
    print(f"contact sheet: {sheet}")
    print(f"next: .venv/bin/cbir search PHOTO --gallery {gallery}")
    if serve:
        run("serve", "--gallery", str(gallery), allowed=(0, 130))
    else:
        print(f"the page: .venv/bin/cbir serve --gallery {gallery}, or 'scripts/demo --serve'")


def run(*arguments: str, allowed: tuple[int, ...] = (0,)) -> None:
    """One command of cbir's, shown before it runs."""
    print(f"$ cbir {shlex.join(arguments)}", flush=True)
    code = subprocess.run([Path(sys.executable).with_name("cbir"), *arguments]).returncode
    if code not in allowed:
        sys.exit(code)
    print(flush=True)


def show(path: Path) -> Path:
    """Search for a dozen images of the gallery and write the answers as a contact sheet."""
    with Gallery.open(path) as gallery:
        images = [record for record, _ in gallery.catalog.scan()]
        if not images:
            sys.exit("error: no image could be indexed")
        retriever = Retriever(gallery)
        sheets = []
        for image in images[:: max(1, len(images) // 12)][:12]:
            result = retriever.search(image.id, k=HITS)
            sheets.append(Sheet(result, retriever.query_image(image.id), note=image.name))
        write_contact_sheet(path / "contact_sheet.html", sheets, title=f"{path}: what looks alike")
    return path / "contact_sheet.html"


if __name__ == "__main__":
    main()
