"""`cbir info`: a gallery's images, settings, sources and metadata fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cbir.cli.gallery import describe_whitening, remark_counts, summary
from cbir.cli.options import DEFAULT_GALLERY, GalleryOption, JsonOption
from cbir.messages import advised, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir.gallery import Gallery
    from cbir.metadata import FieldSummary

EXAMPLES_SHOWN = 3
SOURCES_SHOWN = 5
NOTES_SHOWN = 10


def register(app: typer.Typer) -> None:
    app.command()(info)


def info(
    gallery: GalleryOption = DEFAULT_GALLERY,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the images that could not be read.")
    ] = False,
    remarks: Annotated[
        bool,
        typer.Option("--remarks", help="List images that are damaged, blank, or camera RAW."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show a gallery's images, settings, sources and metadata fields."""
    from dataclasses import asdict

    from cbir.cli.console import out, print_json, printable
    from cbir.gallery import Gallery
    from cbir.sources.paths import uri_to_path

    with Gallery.open(gallery) as opened:
        failures = opened.catalog.failures()
        if json:
            print_json(
                {
                    "gallery": str(opened.path),
                    "catalog_url": opened.catalog.url,
                    "images": opened.count(),
                    "failed": [asdict(failure) for failure in failures],
                    "remarks": [asdict(remark) for remark in opened.catalog.remarks()],
                    "bytes": _bytes(opened.path),
                    "fingerprint": opened.spec.fingerprint,
                    "index": opened.config.index,
                    **opened.config.to_json()["spec"],
                    "weights_from": opened.config.weights_from,
                    "whitening": opened.config.to_json()["whitening"],
                    "calibration": opened.config.calibration,
                    "regions": opened.config.regions,
                    "ground": opened.config.ground,
                    "without_regions": _without_regions(opened),
                    "sources": opened.catalog.indexed_sources(),
                    "descriptors": opened.catalog.descriptor_counts(),
                    "dismissed": len(opened.catalog.dismissed()),
                    "fields": [asdict(field) for field in opened.catalog.field_summaries()],
                    "notes": [str(each) for each in opened.catalog.number_coverage()],
                }
            )
            return
        console = out()
        if failed:
            for failure in failures:
                console.print(f"{printable(failure.uri)}: {printable(failure.reason)}")
            if not failures:
                console.print("no image failed")
            return
        if remarks:
            remarked = opened.catalog.remarks()
            for remark in remarked:
                console.print(f"{printable(remark.uri)}: {printable(remark.text)}")
            if not remarked:
                console.print("no remarks")
            return
        spec, listing = opened.spec, command("info", "--failed", gallery=gallery)
        console.print(summary(opened))
        lines = {
            "weights": f"{opened.config.weights_from} ({spec.weights[:19]})"
            if opened.config.weights_from
            else "none",
            "pooling": spec.pooling,
            "input": f"{spec.preprocessing.crop} px, {' + '.join(spec.views)}"
            + (", mirrored, too" if spec.flip else ""),
            "numbers": "as the processor prefers"
            if opened.config.calibration is None
            else f"int8, calibrated on the gallery's images ({opened.config.calibration})",
            "compared": describe_whitening(opened.config.whitening)
            if opened.config.whitening
            else "plain",
            "regions": _regions(opened),
            "prepared": _prepared(opened),
            "dismissed": _pairs(len(opened.catalog.dismissed())),
            **_elsewhere(opened),
            "on disk": f"{_bytes(opened.path) / 1e6:,.1f} MB",
            "failed": f"{len(failures):,}" + (f" ({listing} lists them)" if failures else ""),
        }
        if counts := opened.catalog.remark_counts():
            listing = command("info", "--remarks", gallery=gallery)
            lines["remarks"] = f"{remark_counts(counts)} ({listing} lists them)"
        sources = opened.catalog.indexed_sources()
        for name, value in lines.items():
            console.print(f"{name:<9} {printable(value)}")
        for source, column in list(sources.items())[:SOURCES_SHOWN]:
            identifier = f", identified by {column}" if column else ""
            console.print(f"{'source':<9} {printable(uri_to_path(source) + identifier)}")
        if len(sources) > SOURCES_SHOWN:
            console.print(f"{'source':<9} and {len(sources) - SOURCES_SHOWN:,} more")
        _print_fields(opened.catalog.field_summaries())
        for coverage in opened.catalog.number_coverage()[:NOTES_SHOWN]:
            console.print(printable(str(coverage)), style="dim")


def _elsewhere(gallery: Gallery) -> dict[str, str]:
    """Where the catalogue lies, if not in the gallery's folder."""
    from cbir.config import CATALOG_FILE

    in_folder = (gallery.path / CATALOG_FILE).is_file()
    return {} if in_folder else {"catalogue": gallery.catalog.place}


def _without_regions(gallery: Gallery) -> int:
    """Number of images whose regions are not embedded, in a gallery with regions."""
    return len(gallery.catalog.without_regions()) if gallery.config.regions else 0


def _regions(gallery: Gallery) -> str:
    """`9 in each image`, for people."""
    if not gallery.config.regions:
        return "none"
    missing = _without_regions(gallery)
    adds = advised("index", "SOURCE", gallery=gallery.path)
    lack = f"; {missing:,} images lack them, {adds} embeds them" if missing else ""
    return f"{len(gallery.config.regions)} in each image{lack}"


def _prepared(gallery: Gallery) -> str:
    """`phash 331, sift 50`: the number of images with descriptors, by method."""
    counts = gallery.catalog.descriptor_counts()
    return ", ".join(f"{method} {count:,}" for method, count in counts.items()) or "nothing"


def _pairs(count: int) -> str:
    """`2 pairs`: the number of pairs marked as no duplicates."""
    return f"{count:,} pair{'' if count == 1 else 's'}"


def _print_fields(fields: Sequence[FieldSummary]) -> None:
    """Print a line per metadata field, for use in `cbir search --where`."""
    from cbir.cli.console import print_columns, printable

    if fields:
        rows = [
            (printable(f.name), f.type, f"{f.count:,}", printable(_examples(f))) for f in fields
        ]
        print_columns(("field", "type", "values", "such as"), rows, align="<<><")


def _examples(field: FieldSummary) -> str:
    """`9 to 49.5`, or `bag, shoes, …`."""
    if field.type == "boolean":
        return ", ".join("true" if value else "false" for value in field.examples)
    shown = [f"{v:g}" if isinstance(v, float) else _short(v) for v in field.examples]
    if field.type in ("number", "date"):
        return " to ".join(shown)
    return ", ".join([*shown[:EXAMPLES_SHOWN], *["…"] * (len(shown) > EXAMPLES_SHOWN)])


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
