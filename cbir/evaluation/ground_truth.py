"""Ground truth: for each query, the relevant images of the gallery, and junk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir.errors import CbirError
from cbir.gallery import Gallery
from cbir.images import open_rgb
from cbir.retrieval import IdQuery, ImageQuery, Query, as_query
from cbir.sources.paths import uri_to_path
from cbir.sources.reading import read_uri

if TYPE_CHECKING:
    from cbir.arrays import Ids

__all__ = ["Box", "GroundTruth", "JudgedQuery", "from_labels", "judged"]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the upright image."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedQuery:
    """A query with its relevant and its junk images; all other images are irrelevant."""

    image: int | str
    """The id of an image of the gallery, or the URI of a file."""
    name: str
    """Display name."""
    relevant: Ids
    """(R,) ids of the relevant images. Queries of one group may share the array."""
    junk: Ids
    """(J,) ids removed from a ranking before it is evaluated, even if they are `relevant`."""
    label: str | None = None
    """The group a query belongs to, if there are groups."""
    box: Box | None = None
    """The region of the image to search with; None for all of it."""

    @property
    def total(self) -> int:
        """Number of relevant images."""
        return int(np.setdiff1d(self.relevant, self.junk).size)

    def as_query(self) -> Query:
        """The query to search with. Raises ImageError when the image of a box cannot be read."""
        if isinstance(self.image, int):
            return IdQuery(self.image)
        if self.box is None:
            return as_query(uri_to_path(self.image))
        left, top, right, bottom = (round(edge) for edge in self.box)
        return ImageQuery(open_rgb(read_uri(self.image)).crop((left, top, right, bottom)))


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Queries with their relevant images; each has at least one."""

    queries: tuple[JudgedQuery, ...]
    left_out: int = 0
    """Number of queries without a relevant image in the gallery: no metric is defined for them."""


def judged(queries: list[JudgedQuery], what: str) -> GroundTruth:
    """A ground truth without queries that have no relevant image. Raises CbirError if none is left.

    `what` names the ground truth in the error.
    """
    answerable = tuple(query for query in queries if query.total)
    if not answerable:
        raise CbirError(f"{what}: none of {len(queries):,} queries has a relevant image")
    return GroundTruth(answerable, len(queries) - len(answerable))


def from_labels(
    gallery: Gallery, column: str, *, queries: Mapping[str, str] | None = None
) -> GroundTruth:
    """Ground truth from labels: every image is a query for the others with its value of `column`.

    `queries` restricts the queries, not the relevant images: with `{"split": "test"}` the images
    whose split is test are queries. Images without a label are never relevant. Raises CbirError
    when no image has such a column or such a value, or each label belongs to one image only.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    labelled: list[tuple[int, str, str]] = []
    columns: set[str] = set()
    for record, _ in gallery.catalog.scan():
        columns.update(record.metadata)
        label = record.metadata.get(column)
        if label in (None, ""):
            continue
        groups[str(label)].append(record.id)
        if all(str(record.metadata.get(key)) == value for key, value in (queries or {}).items()):
            labelled.append((record.id, record.name, str(label)))
    what = f"{gallery.path}, {column}"
    if not groups:
        raise CbirError(
            f"{what}: no image has such a label (columns: {', '.join(sorted(columns)) or 'none'})"
        )
    if not labelled:
        wanted = ", ".join(f"{key}={value}" for key, value in (queries or {}).items())
        raise CbirError(f"{what}: no labelled image has {wanted}; leave it out, or correct it")
    relevant = {label: np.array(ids, dtype=np.int64) for label, ids in groups.items()}
    return judged(
        [
            JudgedQuery(image, name, relevant[label], np.array([image], dtype=np.int64), label)
            for image, name, label in labelled
        ],
        what,
    )
