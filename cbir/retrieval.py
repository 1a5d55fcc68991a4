"""From a query to its hits: embed the query, find its nearest neighbours, look them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from cbir.embedding import embed_views
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.images import decode_views
from cbir.sources.paths import path_to_uri
from cbir.sources.stored import read_uri
from cbir.types import Hit, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image

    from cbir.embedding import Embedder
    from cbir.storage.vectors import Vectors

Query: TypeAlias = "str | PathLike[str] | bytes | Image | int"
"""A file, an encoded image, a Pillow image, or the id of an image of the gallery."""


@dataclass(frozen=True, slots=True, eq=False)
class QueryImage:
    """A query as a reranker sees it."""

    id: int | None
    """Of an image of the gallery, whose stored descriptors then serve; None for any other."""
    embedding: Vectors
    """(D,) float32, unit norm, in the space in which the gallery's index compares."""
    read: Callable[[], bytes]
    """The encoded image. Raises ImageError."""


class Reranker(Protocol):
    """Orders the first candidates of a search anew; `cbir.reranking` has several."""

    method: str
    depth: int
    """How many candidates it judges."""

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits in a new order, each with a score; behind them all others.

        Ranks are left as they were. A candidate that cannot be judged is not an error.
        """
        ...


class Retriever:
    """Answers queries over one gallery.

    The network is loaded by the first query that needs it: a query by id never does.
    """

    def __init__(self, gallery: Gallery, *, embedder: Embedder | None = None) -> None:
        """Raises SpecMismatchError when `embedder` is not of the gallery's spec."""
        self.gallery = gallery
        self.embedder = embedder or gallery.embedder()
        gallery.check_spec(self.embedder.spec, "the embedder")

    def warm_up(self, *, network: bool = True) -> None:
        """Open the vector index and the network ahead of the first query.

        Without `network` only queries by id are fast from the start.
        """
        self.gallery.vectors()
        if network:
            crop = self.embedder.spec.preprocessing.crop
            self.embedder.embed([np.zeros((crop, crop, 3), np.uint8)])

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        exact: bool = False,
        rerank: Reranker | None = None,
    ) -> SearchResult:
        """The k images most similar to `query`, the best first; fewer in a smaller gallery.

        An image of the gallery given by its id is not among its own hits. `exact` compares with
        every image, also where the index is approximate. `rerank` has the candidates ordered
        anew, as deep as it goes, before the first k of them are taken.

        Raises ImageError when the query cannot be read, NotFoundError when there is no image of
        that id, ValueError when k < 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; ask for at least one image")
        started = time.perf_counter()
        vector = self.embed(query)
        embedded = time.perf_counter()
        own_id = query if isinstance(query, int) else None
        wanted = k if rerank is None else max(k, rerank.depth)
        candidates = self.gallery.search(vector[None], wanted + (own_id is not None), exact=exact)
        found = [
            (int(image_id), float(similarity))
            for image_id, similarity in zip(
                candidates.ids[0], candidates.similarities[0], strict=True
            )
            if image_id not in (-1, own_id)
        ][:wanted]
        searched = time.perf_counter()
        # An image removed between the search and this look-up is simply not a hit any more.
        records = self.gallery.catalog.records([image_id for image_id, _ in found])
        there = [(records[i], similarity) for i, similarity in found if i in records]
        hits = [Hit(rank, image, similarity) for rank, (image, similarity) in enumerate(there, 1)]
        timings = {"embed": 1000 * (embedded - started), "search": 1000 * (searched - embedded)}
        judged = 0
        if rerank is not None:
            began = time.perf_counter()
            judged = min(rerank.depth, len(hits))
            compared = self.gallery.project(vector[None])[0]
            image = QueryImage(own_id, compared, lambda: _read(query, self.gallery))
            reranked = rerank.rerank(image, hits)[:k]
            hits = [replace(hit, rank=rank) for rank, hit in enumerate(reranked, 1)]
            timings["rerank"] = 1000 * (time.perf_counter() - began)
        timings["total"] = 1000 * (time.perf_counter() - started)
        return SearchResult(_name(query), tuple(hits), timings, judged)

    def embed(self, query: Query) -> Vectors:
        """The embedding of a query: (D,) float32, unit norm."""
        if isinstance(query, int):
            return self.gallery.embedding(query)
        try:
            spec = self.embedder.spec
            image = decode_views(_encoded(query), spec.preprocessing, spec.views)
        except ImageError as error:
            raise type(error)(f"{_name(query)}: {error}") from error
        (vector,) = embed_views(self.embedder, [image.pixels])
        return np.asarray(vector)

    def query_image(self, query: Query) -> bytes | None:
        """The encoded image a query stands for; None when its file can no longer be read."""
        try:
            return _read(query, self.gallery)
        except ImageError:
            if isinstance(query, int):
                return None
            raise


def _read(query: Query, gallery: Gallery) -> bytes:
    """The encoded image a query stands for. Raises ImageError when it cannot be read."""
    if isinstance(query, int):
        return read_uri(gallery.image(query).uri)
    return _encoded(query)


def _encoded(query: str | PathLike[str] | bytes | Image) -> bytes:
    """A query image as an encoded file. Raises ImageError when it cannot be read."""
    if isinstance(query, bytes):
        return query
    if isinstance(query, (str, PathLike)):
        return read_uri(path_to_uri(query))
    buffer = BytesIO()
    query.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _name(query: Query) -> str:
    """How a query is called in its result."""
    if isinstance(query, int):
        return f"id:{query}"
    if isinstance(query, (str, PathLike)):
        return str(query)
    return "-"
