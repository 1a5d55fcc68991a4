"""Data for benchmarks: photographs of a folder, drawn pictures, rows of synthetic galleries."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cbir.arrays import Vectors, normalised
from cbir.catalog.rows import ImageRow
from cbir.config import EmbeddingSpec, Preprocessing
from cbir.types import ImageVersion

PICTURES_PER_FOLDER = 1000


def photographs(data: Path, count: int) -> list[Path]:
    """`count` JPEG files spread evenly over the folder, repeated if it has fewer."""
    files = sorted(p for p in data.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        sys.exit(f"{data}: no photographs; name a folder of JPEG files")
    places = np.linspace(0, len(files) - 1, count) if count < len(files) else np.arange(count)
    return [files[int(place) % len(files)] for place in places]


def image_files(folder: Path) -> list[Path]:
    """All images of a folder, of any format that cbir reads."""
    from cbir.images import IMAGE_SUFFIXES

    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)


def labelled_sets(data: Path, names: Sequence[str]) -> list[str]:
    """The sets named, or every folder of `data` that has a labels.csv (path, label)."""
    return list(names) or sorted(path.parent.name for path in data.glob("*/labels.csv"))


def link(files: Sequence[Path], folder: Path) -> Path:
    """A folder with these files under numbered names: hard links, which are plain files."""
    if not folder.exists():
        folder.mkdir()
        for number, file in enumerate(files):
            name = folder / f"{number:06}{file.suffix}"
            try:
                name.hardlink_to(file.resolve())
            except OSError:  # on another disk, or too many of one file
                name.symlink_to(file.resolve())
    return folder


def draw_pictures(folder: Path, start: int, end: int) -> None:
    """PNG files of 8 × 8 pixels that all differ, one for each number."""
    from PIL import Image

    for number in range(start, end):
        part = folder / str(number // PICTURES_PER_FOLDER)
        if number % PICTURES_PER_FOLDER == 0 or number == start:
            part.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        (part / f"{number:07}.png").write_bytes(encoded.getvalue())


def random_weights(backbone: str, folder: Path) -> str:
    """A checkpoint of random weights if the network's are not installed; else ''."""
    from cbir.embedding import find_backbone, weights_present

    found = find_backbone(backbone)
    if weights_present(found):
        return ""
    import torch

    from cbir.embedding.pytorch.architecture import build_architecture

    torch.manual_seed(0)
    path = folder / f"{backbone}.pth"
    torch.save(build_architecture(found, found.preprocessing.crop).net.state_dict(), path)
    return str(path)


def open_gallery(folder: Path, path: Path) -> None:
    """Create a gallery of a folder's images with the default backbone, unless it exists."""
    from cbir import Gallery, index_images, resolve_spec

    if not path.exists():
        with Gallery.create(path, resolve_spec()[0]) as gallery:
            index_images(folder, gallery)


def made_up_spec(dim: int) -> EmbeddingSpec:
    """The spec of a gallery whose embeddings come from no network."""
    return EmbeddingSpec("benchmark", "none", "none", dim, Preprocessing(32, 32))


def random_vectors(rng: np.random.Generator, count: int, dim: int) -> Vectors:
    """Unit vectors in random directions, (count, dim)."""
    return normalised(rng.normal(size=(count, dim)).astype(np.float32))


def made_up_row(
    number: int, embedding: np.ndarray, metadata: Mapping[str, Any] | None = None
) -> ImageRow:
    """A row of the catalogue for an image that does not exist; every number is another image."""
    path = made_up_path(number)
    return ImageRow(
        key=path,
        uri=path,
        name=f"{number}.jpg",
        version=ImageVersion(10_000 + number, number),
        content_hash=number.to_bytes(16, "big"),
        width=640,
        height=480,
        metadata=dict(metadata or {}),
        embedding=embedding,
    )


def made_up_path(number: int) -> str:
    return f"/shop/images/{number // 1000}/{number}.jpg"
