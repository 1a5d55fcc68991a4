"""Embeddings of query images: read from the gallery, or computed by the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cbir.embedding import embed_views
from cbir.errors import ImageError, NotFoundError
from cbir.retrieval.queries import EmbeddedQuery

if TYPE_CHECKING:
    from cbir.arrays import Pixels, Vectors
    from cbir.config import Region
    from cbir.embedding import Embedder
    from cbir.gallery import Gallery
    from cbir.retrieval.opened_query import OpenedQuery
    from cbir.retrieval.queries import Query

__all__ = ["embed_queries"]


def embed_queries(
    gallery: Gallery,
    embedder: Embedder,
    queries: Sequence[Query],
    opened: Sequence[OpenedQuery],
    regions: Sequence[Region] = (),
) -> Vectors:
    """Embed N queries, each with R regions: (N · (1 + R), D) float32, L2 = 1, whole image first.

    Stored embeddings are read; all other images go through the network together. Raises
    ImageError, NotFoundError for an id that the gallery does not have.
    """
    empty = np.empty((0, gallery.spec.dim), np.float32)
    vectors = _stored(gallery, opened, regions)
    if not regions:
        for place, (query, image) in enumerate(zip(queries, opened, strict=True)):
            if isinstance(query, EmbeddedQuery) and image.crop is None:
                vectors[place] = query.embedding[None]
    missing = [place for place in range(len(opened)) if place not in vectors]
    if missing:
        views = [part for place in missing for part in _views(opened[place], embedder, regions)]
        fresh = np.split(embed_views(embedder, views), len(missing))
        vectors.update(zip(missing, fresh, strict=True))
    return np.concatenate([empty, *(vectors[place] for place in range(len(opened)))])


def _stored(
    gallery: Gallery, opened: Sequence[OpenedQuery], regions: Sequence[Region]
) -> dict[int, Vectors]:
    """Stored embeddings (1 + R, D) by position, of queries that are whole images of the gallery."""
    ids = {place: image.id for place, image in enumerate(opened) if image.id is not None}
    if not ids:
        return {}
    stored = gallery.catalog.embeddings(list(ids.values()))
    if missing := [image_id for image_id in ids.values() if image_id not in stored]:
        raise NotFoundError(f"no image {missing[0]}", gallery=gallery.path)
    vectors = {}
    for place, image_id in ids.items():
        whole = stored[image_id][None]
        parts = gallery.catalog.region_embeddings(image_id) if regions else whole[:0]
        if len(parts) == len(regions):  # else its regions are not embedded yet
            vectors[place] = np.vstack([whole, parts])
    return vectors


def _views(image: OpenedQuery, embedder: Embedder, regions: Sequence[Region]) -> Pixels:
    """Pixels to embed, (1 + R, V, crop, crop, 3). Raises ImageError that names the query."""
    try:
        return image.views(embedder.spec, regions)
    except ImageError as error:
        raise type(error)(f"{image.query}: {error}") from error
