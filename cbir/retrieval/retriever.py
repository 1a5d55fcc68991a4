"""The retriever: searches a gallery."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cbir.catalog.metadata.filtering import unknown_field
from cbir.embedding import run_once
from cbir.errors import FilterError, GalleryError, ImageError
from cbir.gallery import Gallery
from cbir.messages import advised
from cbir.reranking import QueryImage, SharedRerankers
from cbir.reranking.reranker import rerank_by_all
from cbir.retrieval.blank import BlankImages
from cbir.retrieval.candidates import ranked
from cbir.retrieval.combination import combine_vectors
from cbir.retrieval.confidence import MATCH, is_match, scale_of
from cbir.retrieval.embed_queries import embed_queries
from cbir.retrieval.hits import FoundHits, grouped, look_up, not_blank, similar_enough
from cbir.retrieval.opened_query import OpenedQuery
from cbir.retrieval.queries import IdQuery, QueryLike, as_query
from cbir.retrieval.request import SearchRequest, takes_request
from cbir.types import SearchResult

if TYPE_CHECKING:
    from cbir.arrays import Vectors
    from cbir.config import Region
    from cbir.embedding import Embedder
    from cbir.reranking import Reranker
    from cbir.retrieval.candidates import Block
    from cbir.retrieval.confidence import Scale
    from cbir.retrieval.crop import Crop
    from cbir.types import Hit


CANDIDATES_PER_GROUPED_HIT = 20
"""Candidates fetched at first for each hit, if hits are grouped."""


class Retriever:
    """Searches one gallery for images similar to a query.

    The network is loaded by the first query that needs it; a query by id never does. A retriever
    may be used from several threads.
    """

    def __init__(self, gallery: Gallery, *, embedder: Embedder | None = None) -> None:
        """Raises SpecMismatchError when `embedder` is not of the gallery's spec."""
        self.gallery = gallery
        self.embedder = embedder or gallery.embedder()
        gallery.check_spec(self.embedder.spec, "the embedder")
        self._rerankers = SharedRerankers(gallery)

    def close(self) -> None:
        """Close the rerankers that searches have opened; the gallery stays open."""
        self._rerankers.close()

    def __enter__(self) -> Retriever:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm_up(self) -> None:
        """Open the vector index and the network in parallel, before the first query."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_once, self.embedder)
            self.gallery.index()
            running.result()

    @takes_request
    def search(self, request: SearchRequest) -> SearchResult:
        """The k images most similar to the query, the best first; fewer where there are no more.

        Takes a SearchRequest, or for short a query, or a list of queries, and the options of a
        request: `search("mug.jpg", k=5, group_by="product")`. A query is a path, a URL, an encoded
        image, a Pillow image, an id, or a value of `cbir.retrieval`, for example FileQuery.

        In a gallery with regions, a region of an image can be the hit (`Hit.region`): a detail
        finds the image it is part of.

        Raises ImageError when an image cannot be read or the crop does not lie within it,
        NotFoundError when there is no image of that id, FilterError for a field that no image has,
        GalleryError for `multi_crop` in a gallery without regions, OptionError for invalid options.
        """
        regions = self._regions() if request.multi_crop else ()
        if request.group_by is not None:
            self._check_field(request.group_by)
        with self._reranker(request) as reranker:
            return self._search(request, regions, reranker)

    def embed(self, query: QueryLike, *, crop: Crop | None = None) -> Vectors:
        """The embedding of one image or a region of it: (D,) float32, unit norm."""
        query = as_query(query)
        opened = OpenedQuery(query, self.gallery, crop=crop)
        return np.asarray(embed_queries(self.gallery, self.embedder, [query], [opened])[0])

    def query_image(self, query: QueryLike, *, crop: Crop | None = None) -> bytes | None:
        """The encoded image of a query; None for an image of the gallery that cannot be read."""
        query = as_query(query)
        try:
            return OpenedQuery(query, self.gallery, crop=crop).encoded()
        except ImageError:
            if isinstance(query, IdQuery):
                return None
            raise

    def _search(
        self, request: SearchRequest, regions: Sequence[Region], reranker: Reranker | None
    ) -> SearchResult:
        started = time.perf_counter()
        opened = self._open(request)
        vectors = self._query_vectors(request, opened, regions)
        embedded = time.perf_counter()
        blank = BlankImages(self.gallery, opened)
        depth = 0 if reranker is None else reranker.depth
        looked_up, scale = self._find(request, vectors, depth, blank)
        hits = looked_up.hits if scale is None else looked_up.with_confidence(scale, blank)
        searched = time.perf_counter()
        timings = {"embed": 1000 * (embedded - started), "search": 1000 * (searched - embedded)}
        reranked = 0
        if reranker is not None:
            reranked = min(reranker.depth, len(hits))
            hits = self._rerank(reranker, opened, vectors[:: 1 + len(regions)], hits)
            timings["rerank"] = 1000 * (time.perf_counter() - searched)
        timings["total"] = 1000 * (time.perf_counter() - started)
        page = range(request.offset + 1, request.offset + request.k + 1)
        matched = None
        if scale is not None:
            matched = looked_up.best is not None and is_match(scale.confidence(looked_up.best))
        return SearchResult(
            request.name,
            tuple(hit for hit in hits if hit.rank in page),
            timings,
            reranked,
            matched,
            () if request.where is None else self.gallery.catalog.filter_notes(request.where),
        )

    def _open(self, request: SearchRequest) -> list[OpenedQuery]:
        return [OpenedQuery(query, self.gallery, crop=request.crop) for query in request.queries]

    def _query_vectors(
        self, request: SearchRequest, opened: Sequence[OpenedQuery], regions: Sequence[Region]
    ) -> Vectors:
        """The vectors to search the index with: (V, D) float32, unit norm."""
        wanted = embed_queries(self.gallery, self.embedder, request.queries, opened, regions)
        others = [OpenedQuery(query, self.gallery) for query in request.unwanted]
        unwanted = embed_queries(self.gallery, self.embedder, request.unwanted, others)
        return combine_vectors(wanted, unwanted, "best" if regions else request.combine)

    def _find(
        self, request: SearchRequest, vectors: Vectors, depth: int, blank: Container[int]
    ) -> tuple[FoundHits, Scale | None]:
        """The hits needed for the page and for reranking, and the scale of their confidence."""
        needed = max(request.offset + request.k, depth)
        factor = 1 if request.group_by is None else CANDIDATES_PER_GROUPED_HIT
        blocks = ranked(
            self.gallery,
            vectors,
            first=factor * needed,
            without=request.ids,
            where=request.where,
            exact=request.exact,
        )
        scale = None
        if request.matches_only:
            self.gallery.image_index()  # brings it up to date, as the search will
            scale = scale_of(self.gallery, vectors)
        blocks = self._filtered(request, blocks, scale, blank)
        catalog, skip = self.gallery.catalog, range(depth, request.offset)
        hits = look_up(catalog, blocks, needed, skip=skip, blank=blank)
        return hits, scale or scale_of(self.gallery, vectors)

    def _filtered(
        self,
        request: SearchRequest,
        blocks: Iterator[Block],
        scale: Scale | None,
        blank: Container[int],
    ) -> Iterator[Block]:
        """The candidates that are similar enough, and not too many of a group."""
        bounds = [] if scale is None else [scale.threshold(MATCH)]
        if request.min_similarity is not None:
            bounds.append(request.min_similarity)
        if bounds:
            blocks = similar_enough(blocks, max(bounds))
        if scale is not None:
            blocks = not_blank(blocks, blank)
        if request.group_by is not None:
            catalog = self.gallery.catalog
            blocks = grouped(blocks, catalog, request.group_by, request.max_per_group)
        return blocks

    def _rerank(
        self,
        reranker: Reranker,
        opened: Sequence[OpenedQuery],
        vectors: Vectors,
        hits: Sequence[Hit],
    ) -> tuple[Hit, ...]:
        """Rerank hits; `vectors` are those of the queries, (N, D), or their mean, (1, D)."""
        reranked = rerank_by_all(reranker, self._query_images(opened, vectors), hits)
        ranks = (hit.rank for hit in hits)
        return tuple(replace(hit, rank=rank) for hit, rank in zip(reranked, ranks, strict=False))

    def _query_images(self, opened: Sequence[OpenedQuery], vectors: Vectors) -> list[QueryImage]:
        compared = self.gallery.project(vectors)
        if len(compared) < len(opened):  # their mean, used for all
            compared = compared.repeat(len(opened), axis=0)
        return [
            QueryImage(image.id, vector, image.read)
            for image, vector in zip(opened, compared, strict=True)
        ]

    @contextmanager
    def _reranker(self, request: SearchRequest) -> Iterator[Reranker | None]:
        """The reranker of a request; one that it names is opened once and stays open."""
        if isinstance(request.rerank, str):
            with self._rerankers.use(request.rerank, request.depth) as reranker:
                yield reranker
        else:
            yield request.rerank

    def _regions(self) -> Sequence[Region]:
        """The gallery's regions. Raises GalleryError where there are none."""
        if not self.gallery.config.regions:
            raise GalleryError(
                f"gallery {self.gallery.path} has no regions to compare with; "
                f"{advised('index', 'SOURCE', '--multi-crop', gallery=self.gallery.path)} adds them"
            )
        return self.gallery.config.regions

    def _check_field(self, field: str) -> None:
        """Raise FilterError for a field that no image has, or that holds only lists."""
        if field not in (fields := self.gallery.catalog.fields()):
            raise FilterError(unknown_field(field, fields))
        if fields[field] == {"list"}:
            raise FilterError(f"{field!r} holds lists; group by a field of single values")
