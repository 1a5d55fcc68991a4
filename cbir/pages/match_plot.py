"""Why a hit was verified: query and hit beside each other, their matches drawn as lines."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, get_args

import numpy as np

from cbir.errors import ImageError
from cbir.images import open_rgb
from cbir.similarity import Method, draw_matches, extract, match, places_of, verify
from cbir.sources.reading import read_uri

if TYPE_CHECKING:
    from cbir.types import Hit

PLOT_SIDE = 640
"""Longer side of each of the two images, in pixels."""


def match_plot(queries: Sequence[bytes], hit: Hit) -> bytes | None:
    """A JPEG of query and hit with their verified matches; None where there is nothing to draw.

    Of several query images the one that shares most with the hit is drawn. The hit must have been
    reranked by keypoints, and its file must still be readable.
    """
    evidence = hit.rerank
    if evidence is None or not evidence.inliers or evidence.method not in get_args(Method):
        return None
    method: Method = "orb" if evidence.method == "orb" else "sift"
    try:
        images = [open_rgb(query, max_side=PLOT_SIDE) for query in queries]
        right = open_rgb(read_uri(hit.image.uri), max_side=PLOT_SIDE)
    except ImageError:
        return None
    b = extract(np.asarray(right, np.uint8), method)
    pairs = [(image, extract(np.asarray(image, np.uint8), method)) for image in images]
    verified = [(left, a, verify(a, b, match(a, b))) for left, a in pairs]
    left, a, found = max(verified, key=lambda each: each[2].inliers)
    plot = draw_matches(
        left,
        right,
        places_of(a, b, found),
        names=("query", hit.image.name),
        caption=f"{found.inliers} of {found.tentative} matches fit one view",
    )
    encoded = BytesIO()
    plot.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()
