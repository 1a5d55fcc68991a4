"""Draws the verified matches of a query and a hit as lines between the two images."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from cbir.descriptors import DESCRIPTORS, Descriptor, open_descriptor
from cbir.errors import ImageError
from cbir.images import open_rgb
from cbir.reranking import RERANKERS
from cbir.similarity import LocalFeatures, draw_matches, match, places_of, verify
from cbir.sources.reading import read_uri

if TYPE_CHECKING:
    from cbir.types import Hit

PLOT_SIDE = 640
"""Longer side of each of the two images, in pixels."""


def match_plot(queries: Sequence[bytes], hit: Hit) -> bytes | None:
    """A JPEG of query and hit with their verified matches; None where there is nothing to draw.

    Of several query images, the one with the most inliers is drawn. The hit must have been
    reranked by keypoints, and its file must still be readable.
    """
    evidence = hit.rerank
    if evidence is None or not evidence.inliers:
        return None
    features = _local_features(evidence.method)
    if features is None:
        return None
    try:
        images = [open_rgb(query, max_side=PLOT_SIDE) for query in queries]
        right = open_rgb(read_uri(hit.image.uri), max_side=PLOT_SIDE)
    except ImageError:
        return None
    b = features.extract(np.asarray(right, np.uint8))
    pairs = [(image, features.extract(np.asarray(image, np.uint8))) for image in images]
    verified = [(left, a, verify(a, b, match(a, b))) for left, a in pairs]
    left, a, best = max(verified, key=lambda candidate: candidate[2].inliers)
    plot = draw_matches(
        left,
        right,
        places_of(a, b, best),
        names=("query", hit.image.name),
        caption=f"{best.inliers} of {best.tentative} matches fit one view",
    )
    encoded = BytesIO()
    plot.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def _local_features(method: str) -> Descriptor[LocalFeatures] | None:
    """The local features that a reranker compares; None where it compares something else."""
    name = RERANKERS[method].descriptor if method in RERANKERS else None
    if name is None or not DESCRIPTORS[name].local_features:
        return None
    return open_descriptor(name)
