"""The sample of images that settings are tried on, with its ground truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

import numpy as np
import numpy.typing as npt

from cbir.arrays import Vectors
from cbir.catalog.rows import ImageRow
from cbir.errors import CbirError, ImageError
from cbir.evaluation.alteration import altered
from cbir.evaluation.metrics import average_precision
from cbir.evaluation.tuning.trial import Scores
from cbir.images import open_rgb
from cbir.sources import SourceImage, distinct, open_source
from cbir.sources.reading import content_hash

__all__ = ["Sample", "draw"]

ALTERED_SIDE = 1024
"""Longer side in pixels of the image that is altered."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A sample of images, and their groups: images of one group should find each other."""

    images: tuple[SourceImage, ...]
    groups: npt.NDArray[np.int64]
    """(N,) number of the group of each image."""
    label: str | None
    """The metadata column that gives the groups; None if queries are altered versions."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def versions(self) -> int:
        """Versions embedded per image: 2 if an altered version is the query, else 1."""
        return 2 if self.label is None else 1

    def read(self, number: int) -> list[bytes]:
        """The encoded image, and its altered version if queries are such. Raises ImageError."""
        data = self.images[number].read()
        return [data, self.altered(data)] if self.label is None else [data]

    def altered(self, data: bytes) -> bytes:
        """The version of an encoded image that should find it. Raises ImageError."""
        return altered(open_rgb(data, max_side=ALTERED_SIDE), seed=len(data))

    def readable(self, progress: Callable[[int], None]) -> Sample:
        """The sample without images that cannot be read. Raises CbirError if too few are left."""
        readable = []
        for number in range(len(self)):
            readable += [number] if self._is_image(number) else []
            progress(number + 1)
        if len(readable) < 2:
            raise CbirError("no two images of the sample can be read; try another source")
        return Sample(tuple(self.images[i] for i in readable), self.groups[readable], self.label)

    def _is_image(self, number: int) -> bool:
        try:
            open_rgb(self.images[number].read(), max_side=ALTERED_SIDE)
        except ImageError:
            return False
        return True

    def score(self, vectors: Vectors) -> Scores:
        """Score unit vectors (N, versions, D); the last version of each image is a query."""
        gallery, queries = vectors[:, 0], vectors[:, -1]
        similarities = queries @ gallery.T
        if self.label is not None:
            np.fill_diagonal(similarities, -np.inf)
        precisions, firsts = [], []
        for query, row in enumerate(similarities):
            order = np.argsort(-row, kind="stable")[: len(row) - (self.label is not None)]
            relevant = self.groups[order] == self.groups[query]
            if not relevant.any():  # the others of its group could not be read
                continue
            precisions.append(average_precision(relevant))
            firsts.append(bool(relevant[0]))
        if not precisions:
            raise CbirError("no two images of one label can be read; try another source")
        return Scores(np.array(precisions), np.array(firsts))

    def rows(self, embeddings: Vectors) -> list[ImageRow]:
        """The sample as rows of a gallery, with embeddings (N, D). Raises ImageError."""
        rows = []
        for image, embedding in zip(self.images, embeddings, strict=True):
            data = image.read()
            width, height = open_rgb(data, max_side=ALTERED_SIDE).size
            rows.append(
                ImageRow(
                    key=image.identity,
                    uri=image.uri,
                    name=image.name,
                    version=image.version,
                    content_hash=content_hash(data),
                    width=width,
                    height=height,
                    metadata=image.metadata,
                    embedding=embedding,
                )
            )
        return rows


def draw(source: str | PathLike[str], label: str | None, count: int) -> Sample:
    """Draw about `count` images of a source: of groups if there are labels, else any.

    Raises SourceError for a source that cannot be read, CbirError when no label is on two images.
    """
    images = [image for image in distinct(open_source(source)) if isinstance(image, SourceImage)]
    rng = np.random.default_rng(0)
    if label is None:
        chosen = sorted(rng.permutation(len(images))[:count])
        return Sample(tuple(images[i] for i in chosen), np.arange(len(chosen)), None)
    by_label: defaultdict[str, list[SourceImage]] = defaultdict(list)
    for image in images:
        if image.metadata.get(label) not in (None, ""):
            by_label[str(image.metadata[label])].append(image)
    groups = [group for group in by_label.values() if len(group) > 1]
    if not groups:
        raise CbirError(f"no two images have the same {label!r}; name another column with --label")
    # A few images of many groups tell more than all images of a few.
    per_group = max(2, -(-count // len(groups)))
    drawn = [groups[i] for i in rng.permutation(len(groups))[: max(1, count // 2)]]
    parts = [[group[i] for i in sorted(rng.permutation(len(group))[:per_group])] for group in drawn]
    return Sample(
        tuple(image for part in parts for image in part),
        np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        label,
    )
