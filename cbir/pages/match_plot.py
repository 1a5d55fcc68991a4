"""Why a hit was verified: query and hit beside each other, their matches drawn as lines."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, get_args

import numpy as np

from cbir.errors import ImageError
from cbir.images import open_rgb
from cbir.similarity import Method, draw_matches, extract, match, places_of, verify
from cbir.sources.stored import read_uri

if TYPE_CHECKING:
    from cbir.types import Hit

PLOT_SIDE = 640
"""Longer side of each of the two images, in pixels."""


def match_plot(query: bytes, hit: Hit) -> bytes | None:
    """A JPEG of both images with their verified matches; None where there is nothing to draw.

    The hit must have been reranked by keypoints, and its file must still be readable.
    """
    evidence = hit.rerank
    if evidence is None or not evidence.inliers or evidence.method not in get_args(Method):
        return None
    method: Method = "orb" if evidence.method == "orb" else "sift"
    try:
        left = open_rgb(query, max_side=PLOT_SIDE)
        right = open_rgb(read_uri(hit.image.uri), max_side=PLOT_SIDE)
    except ImageError:
        return None
    a, b = (extract(np.asarray(image, np.uint8), method) for image in (left, right))
    found = verify(a, b, match(a, b))
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
