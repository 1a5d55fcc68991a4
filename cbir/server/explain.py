"""Computes the verified matches between a query and a hit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbir.descriptors import Descriptor, descriptors_of, open_descriptor
from cbir.gallery import Gallery
from cbir.images import open_rgb
from cbir.retrieval import Crop, as_query
from cbir.retrieval.opened_query import OpenedQuery
from cbir.server.problem import Problem
from cbir.server.schemas.search import MatchesResponse
from cbir.similarity import LocalFeatures, match, verify
from cbir.similarity.verification import CHANCE_INLIERS, places_of

__all__ = ["explain"]

Places = npt.NDArray[np.float32]


def explain(
    gallery: Gallery, query: int | bytes, image_id: int, method: str, *, crop: Crop | None = None
) -> MatchesResponse:
    """The verified matches between a query, or a region of it, and an image of the gallery.

    Raises NotFoundError for an unknown image, ImageError for a query that is not an image.
    """
    gallery.image(image_id)
    kind: Descriptor[LocalFeatures] = open_descriptor(method)
    hit_features = _stored(gallery, kind, image_id)
    if isinstance(query, int):
        gallery.image(query)
        query_features = _stored(gallery, kind, query)
    else:
        query_features = kind.describe(OpenedQuery(as_query(query), gallery, crop=crop).read())
    verified = verify(query_features, hit_features, match(query_features, hit_features))
    places = places_of(query_features, hit_features, verified)
    if crop is not None and isinstance(query, bytes):
        places = _in_whole(places, query, crop)
    return MatchesResponse(
        method=method,
        tentative=verified.tentative,
        inliers=verified.inliers,
        likely=verified.inliers >= CHANCE_INLIERS,
        spread=verified.spread,
        places=places.round(5).tolist(),
    )


def _stored(gallery: Gallery, kind: Descriptor[LocalFeatures], image_id: int) -> LocalFeatures:
    result = descriptors_of(gallery.catalog, kind, [image_id])
    if image_id in result.failed:
        raise Problem(404, f"image {image_id} {result.failed[image_id]}")
    return result.decoded[image_id]


def _in_whole(places: Places, query: bytes, crop: Crop) -> Places:
    """Convert positions in a region to positions in the whole image, as shares of its sides."""
    x, y, width, height = crop
    if max(crop) > 1:
        image = open_rgb(query)
        x, width = x / image.width, width / image.width
        y, height = y / image.height, height / image.height
    moved: Places = places.copy()
    moved[:, :2] = places[:, :2] * (width, height) + (x, y)
    return moved
