"""Reads ground truth in the format of Revisited Oxford and Paris (Radenović et al. 2018).

A file holds `imlist` (names of the gallery's images), `qimlist` (names of the queries) and, for
each query, `gnd`: `bbx` (the region to search with, in pixels) and three lists of positions in
`imlist`: `easy`, `hard` and `junk`. The protocol decides which of them are relevant and which junk.
The benchmarks are published as pickles, which are read without running code; JSON of the same form
is read, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from cbir.arrays import Ids
from cbir.errors import CbirError
from cbir.evaluation.ground_truth import Box, GroundTruth, JudgedQuery, judged
from cbir.evaluation.references import References
from cbir.evaluation.safe_pickle import read_pickle
from cbir.evaluation.truth_file import read_json
from cbir.gallery import Gallery
from cbir.sources.paths import path_to_uri

__all__ = ["Protocol", "from_revisited"]

Protocol = Literal["easy", "medium", "hard"]

# (relevant, junk) of each protocol, as in the authors' example_evaluate.py.
_PARTS: dict[Protocol, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
_FOLDERS = ("", "jpg", "images")
_SUFFIXES = ("", ".jpg", ".jpeg", ".png")


def from_revisited(
    gallery: Gallery, file: str | Path, *, protocol: Protocol = "medium"
) -> GroundTruth:
    """Ground truth in the Revisited format: `.pkl`, or JSON.

    Queries are images of the gallery or files beside `file` (also in `jpg/` or `images/`), cropped
    by their box. Images of the gallery that are not in `imlist` are junk. Raises CbirError when
    the file is not of this format, or an image is missing.
    """
    file = Path(file)
    document = read_pickle(file) if file.suffix.lower() == ".pkl" else read_json(file)
    images, names, entries = _parts(file, document)
    references = References(gallery, file)
    ids = references.find_all(images)
    others = np.setdiff1d(np.array(list(references.by_uri.values()), dtype=np.int64), ids)
    uris = {image: uri for uri, image in references.by_uri.items()}
    relevant, junk = _PARTS[protocol]
    queries = []
    for name, entry in zip(names, entries, strict=True):
        image = _query(references, name)
        query_id = [image] if isinstance(image, int) else []
        box = _box(file, name, entry)
        queries.append(
            JudgedQuery(
                # A region has an embedding of its own: it is searched with by the file.
                image=uris[image] if isinstance(image, int) and box is not None else image,
                name=name,
                relevant=_positions(file, name, entry, relevant, ids),
                junk=np.unique(
                    np.concatenate([_positions(file, name, entry, junk, ids), others, query_id])
                ).astype(np.int64),
                box=box,
            )
        )
    return judged(queries, f"{file}, protocol {protocol}")


def _parts(file: Path, document: Any) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    parts = document if isinstance(document, dict) else {}
    lists = [parts.get(key) for key in ("imlist", "qimlist", "gnd")]
    images, names, entries = (part if isinstance(part, list) else [] for part in lists)
    entries = [entry for entry in entries if isinstance(entry, dict)]
    if not images or not names or len(names) != len(entries):
        raise CbirError(
            f"{file}: not in the Revisited format: it needs the lists imlist, qimlist and "
            "gnd, the latter two of one length"
        )
    return [str(image) for image in images], [str(name) for name in names], entries


def _query(references: References, name: str) -> int | str:
    image_id = references.find(name)
    if image_id is not None:
        return image_id
    folder = references.file.parent
    for candidate in (folder / sub / f"{name}{end}" for sub in _FOLDERS for end in _SUFFIXES):
        if candidate.is_file():
            return path_to_uri(candidate)
    raise CbirError(
        f"{references.file}: query {name} is neither in the gallery nor a file in {folder}, "
        "its jpg/ or images/; put the query images there"
    )


def _positions(file: Path, name: str, entry: Any, keys: Iterable[str], ids: Ids) -> Ids:
    """The ids of the images at the positions in these lists of an entry."""
    try:
        positions = np.array([p for key in keys for p in entry[key]], dtype=np.int64)
        if (positions < 0).any():
            raise IndexError("a position below 0")
        return cast(Ids, np.unique(ids[positions]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CbirError(
            f"{file}: query {name}: easy, hard and junk must be positions in imlist ({error})"
        ) from error


def _box(file: Path, name: str, entry: dict[str, Any]) -> Box | None:
    box = entry.get("bbx")
    if box is None:
        return None
    try:
        left, top, right, bottom = (float(edge) for edge in box)
    except (TypeError, ValueError) as error:
        raise CbirError(f"{file}: query {name}: bbx is not four numbers") from error
    if not (left < right and top < bottom):
        raise CbirError(f"{file}: query {name}: bbx {box} is empty")
    return left, top, right, bottom
