"""Recall, precision and speed of `cbir duplicates`: on known copies, on sets without, and large.

Copies are of photographs, and of drawn pages, packs, signs, screens and tickets of which others
differ in their print only.

Recall is of pairs: a copy and its original in one group, and all pairs of a photograph's versions.
Precision is of pairs, too: of all that share a group, those of one photograph.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from cbir.descriptors import ensure_descriptors
from cbir.gallery import Gallery
from cbir.similarity.tiny import SIDE, TINY_BYTES
from cbir.types import DescriptorRow
from scripts.benchmarks.arguments import parser
from scripts.benchmarks.measuring import run_cbir
from scripts.benchmarks.recommend import fill
from scripts.examples.copies import ALTERATIONS, write_copies
from scripts.examples.lookalikes import COPIES, SETS, write_lookalikes

FIRST_STYLE = 200
"""The drawn styles from here on: thresholds were chosen on others."""

PLANTED = 0.02
"""Share of the images of the large gallery that are copies of others."""


def main(arguments: Sequence[str]) -> None:
    command = parser("duplicates", __doc__)
    command.add_argument("photographs", type=Path, help="a folder of different photographs")
    command.add_argument("--distinct", type=Path, action="append", default=[], metavar="FOLDER",
                         help="images none of which is a copy, as of the same things, "
                              "photographed again: whatever is found there is listed")  # fmt: skip
    command.add_argument("--no-verify", action="store_true")
    command.add_argument("--styles", type=int, default=3, metavar="N",
                         help="draw pages, packs, signs, screens and tickets in so many styles, "
                              "which look alike when small; 0: none")  # fmt: skip
    command.add_argument("--scale", type=int, metavar="IMAGES",
                         help="the time and memory of a gallery this large, instead")  # fmt: skip
    command.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = command.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.scale:
            figures = large(options.photographs, folder, options.scale)
        else:
            modes = {"plain": []} if options.no_verify else {"plain": [], "verified": ["--verify"]}
            figures = copies(options.photographs, folder, modes)
            figures["drawn"] = {
                name: drawn(kinds, folder / name, options.styles, modes)
                for name, kinds in (SETS if options.styles else {}).items()
            }
            figures["distinct"] = {
                str(path): distinct(path, folder / f"distinct-{number}", modes)
                for number, path in enumerate(options.distinct)
            }
    if options.json:
        print(json.dumps(figures, indent=2))
    elif options.scale:
        print_large(figures)
    else:
        print_copies(figures)


def copies(photographs: Path, folder: Path, modes: dict[str, list[str]]) -> dict[str, Any]:
    """Recall by alteration and precision, in each mode."""
    groups = write_copies(photographs, folder / "copies")
    index(folder / "copies", folder / "gallery")
    return {
        "photographs": len(groups),
        "modes": {
            name: judged(groups, timed(folder / "gallery", options))
            for name, options in modes.items()
        },
    }


def drawn(
    kinds: Iterable[str], folder: Path, styles: int, modes: dict[str, list[str]]
) -> dict[str, Any]:
    """Recall and precision among drawn pictures that look alike when small, in each mode."""
    groups = write_lookalikes(folder / "drawn", kinds, range(FIRST_STYLE, FIRST_STYLE + styles), 4)
    index(folder / "drawn", folder / "gallery")
    figures: dict[str, Any] = {"pictures": len(groups)}
    for name, options in modes.items():
        figures[name] = judged(groups, timed(folder / "gallery", options), COPIES)
    return figures


def judged(
    groups: dict[str, list[tuple[str, Path]]],
    run: dict[str, Any],
    alterations: Collection[str] = tuple(ALTERATIONS),
) -> dict[str, Any]:
    """Recall and precision of what was found, of groups of an original and its copies."""
    own = {str(file): name for name, files in groups.items() for _, file in files}
    found = [[image["uri"] for image in members(group)] for group in run["found"]["groups"]]
    number = {uri: i for i, uris in enumerate(found) for uri in uris}
    right = Counter[str]()
    for (_, original), *others in groups.values():
        for alteration, file in others:
            together = number.get(str(file), -1) == number.get(str(original), -2)
            right[alteration] += together
    pairs = sum(comb(len(uris), 2) for uris in found)
    true_pairs = sum(
        comb(count, 2) for uris in found for count in Counter(own[uri] for uri in uris).values()
    )
    all_pairs = sum(comb(len(files), 2) for files in groups.values())
    return {
        "recall": {name: right[name] / len(groups) for name in alterations},
        "recall_original_copy": right.total() / (len(groups) * len(alterations)),
        "recall_all_pairs": true_pairs / all_pairs,
        "precision": true_pairs / pairs if pairs else 1.0,
        "wrong_pairs": pairs - true_pairs,
        "alike": len(run["found"]["alike"]),
        "verified_pairs": run["found"]["verified_pairs"],
        "seconds": run["seconds"],
    }


def distinct(photographs: Path, gallery: Path, modes: dict[str, list[str]]) -> dict[str, Any]:
    """Number of false duplicates among images without copies, in each mode."""
    index(photographs, gallery)
    figures: dict[str, Any] = {}
    for name, options in modes.items():
        run = timed(gallery, options)
        groups = run["found"]["groups"]
        names = [[Path(image["uri"]).name for image in members(group)] for group in groups]
        figures[name] = {"images": run["found"]["images"], "groups": names}
        figures[name]["seconds"] = run["seconds"]
    return figures


def large(photographs: Path, folder: Path, count: int) -> dict[str, Any]:
    """Seconds and memory over `count` images made of real embeddings and pictures."""
    index(photographs, folder / "real")
    with Gallery.open(folder / "real") as real:
        ensure_descriptors(real.catalog, "phash")
        vectors, spec = real.catalog.sample(20_000), real.spec
        ids = [record.id for record, _ in real.catalog.scan()]
        stored = real.catalog.descriptors(ids, "phash").values()
    tiny = np.stack([np.frombuffer(data, np.uint8) for data in stored])
    with Gallery.create(folder / "large", spec) as gallery:
        fill(gallery.catalog, count, vectors)
        planted = describe(gallery, count, tiny)
    run = timed(folder / "large", [])
    groups = run["found"]["groups"]
    together = {frozenset(image["id"] for image in members(group)) for group in groups}
    of_image = {i: ids for ids in together for i in ids}
    # Their pictures are mixed in the catalogue alone: without a file to read, all is unproven.
    alike = {frozenset(i["id"] for i in pair["images"]) for pair in run["found"]["alike"]}
    hits = sum(b in of_image.get(a, ()) or {a, b} in alike for a, b in planted)
    return {
        "images": count,
        "seconds": run["seconds"],
        "cpu_seconds": run["cpu_seconds"],
        "peak_mb": run["peak_mb"],
        "planted": len(planted),
        "planted_found": hits,
        "pairs_in_groups": sum(comb(len(ids), 2) for ids in together),
    }


def describe(gallery: Gallery, count: int, real: np.ndarray) -> list[tuple[int, int]]:
    """Store a picture for every image, mixed from two real ones; returns the copies' ids."""
    rng = np.random.default_rng(1)
    planted: list[tuple[int, int]] = []
    for start in range(0, count, 5000):
        size = min(5000, count - start)
        share = rng.uniform(0.3, 0.7, (size, 1)).astype(np.float32)
        one, other = real[rng.integers(0, len(real), (2, size))].astype(np.float32)
        mixed = share * one + (1 - share) * other[:, ::-1]
        # Shifted at random: two mixtures of the same pictures are then no copies of one another.
        mixed[:, : SIDE * SIDE] = shifted(mixed[:, : SIDE * SIDE], rng)
        order = rng.permutation(size)
        places, twins = order[: int(PLANTED * size)], order[-int(PLANTED * size) :]
        mixed[places] = mixed[twins]
        planted += zip((start + places + 1).tolist(), (start + twins + 1).tolist(), strict=True)
        mixed += rng.normal(0, 3, (size, TINY_BYTES)).astype(np.float32)
        rows = [
            DescriptorRow(start + i + 1, (start + i).to_bytes(16, "big"), data.tobytes())
            for i, data in enumerate(np.clip(mixed, 0, 255).astype(np.uint8))
        ]
        gallery.catalog.write_descriptors("phash", rows)
    return planted


def shifted(greys: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey pictures (N, SIDE²), each shifted cyclically by another number of pixels."""
    along = np.arange(SIDE)
    down, right = rng.integers(0, SIDE, (2, len(greys), 1))
    rows, columns = (along + down) % SIDE, (along + right) % SIDE
    planes = greys.reshape(-1, SIDE, SIDE)
    moved = planes[np.arange(len(greys))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return np.asarray(moved.reshape(greys.shape))


def index(source: Path, gallery: Path) -> None:
    run_cbir("index", source, "-g", gallery)


def timed(gallery: Path, options: list[str]) -> dict[str, Any]:
    """The result of `cbir duplicates`, its seconds, and its memory in MB."""
    run = run_cbir("duplicates", "-g", gallery, "--json", *options)
    return {
        "found": json.loads(run.output),
        "seconds": round(run.seconds, 1),
        "cpu_seconds": round(run.cpu_seconds, 1),
        "peak_mb": round(run.peak_mb),
    }


def members(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [group["keeper"], *group["others"]]


def print_copies(figures: dict[str, Any]) -> None:
    modes = figures["modes"]
    print(f"{figures['photographs']} photographs, {len(ALTERATIONS)} altered versions of each")
    print(f"{'recall':<24}" + "".join(f"{name:>10}" for name in modes))
    for name in ALTERATIONS:
        print(f"{name:<24}" + "".join(f"{mode['recall'][name]:>10.3f}" for mode in modes.values()))
    for key, shown in (
        ("recall_original_copy", "all, with the original"),
        ("recall_all_pairs", "all pairs of versions"),
        ("precision", "precision of pairs"),
    ):
        print(f"{shown:<24}" + "".join(f"{mode[key]:>10.4f}" for mode in modes.values()))
    print(f"{'seconds':<24}" + "".join(f"{mode['seconds']:>10.1f}" for mode in modes.values()))
    print_drawn(figures)
    for path, by_mode in figures["distinct"].items():
        for name, found in by_mode.items():
            print(
                f"{path}, {name}: {len(found['groups'])} groups among {found['images']:,} images, "
                f"{found['seconds']:.1f} s"
            )
            for names in found["groups"]:
                print(f"  {', '.join(names)}")


def print_drawn(figures: dict[str, Any]) -> None:
    """The table of the documentation: photographs, then what is drawn."""
    modes = list(figures["modes"])
    rows = {"photographs": {"pictures": figures["photographs"], **figures["modes"]}}
    print(f"| | pictures | {' | '.join(f'{mode}: recall; precision; wrong' for mode in modes)} |")
    print(f"|---|---|{'---|' * len(modes)}")
    for name, row in (rows | figures["drawn"]).items():
        cells = [
            f"{row[mode]['recall_original_copy']:.3f}; {row[mode]['precision']:.3f}; "
            f"{row[mode]['wrong_pairs']}"
            for mode in modes
        ]
        print(f"| {name} | {row['pictures']} | {' | '.join(cells)} |")


def print_large(figures: dict[str, Any]) -> None:
    print(
        f"{figures['images']:,} images: {figures['seconds']:.1f} s ({figures['cpu_seconds']:.1f} s "
        f"of CPU), {figures['peak_mb']:,} MB at most; of {figures['planted']:,} planted copies "
        f"{figures['planted_found']:,} found, {figures['pairs_in_groups']:,} pairs in groups"
    )
