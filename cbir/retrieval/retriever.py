"""Answers queries over a gallery."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.catalog.metadata.filtering import unknown_field
from cbir.embedding import embed_views, run_once
from cbir.errors import FilterError, GalleryError, ImageError, NotFoundError, OptionError
from cbir.gallery import Gallery
from cbir.images import DecodeOptions, decode_image
from cbir.retrieval.candidates import ranked
from cbir.retrieval.confidence import MATCH, is_match, scale_of
from cbir.retrieval.hits import grouped, look_up, similar_enough
from cbir.retrieval.query import (
    Combine,
    Crop,
    Query,
    as_images,
    combined,
    encoded,
    name_of,
    name_of_all,
)
from cbir.types import SearchResult

if TYPE_CHECKING:
    from cbir.arrays import Vectors
    from cbir.config import Region
    from cbir.embedding import Embedder
    from cbir.filters import Filter
    from cbir.reranking import QueryImage, Reranker


SEVERAL_GROUPS = 20
"""So many times as many candidates are looked at first where hits are grouped."""


class Retriever:
    """Answers queries over one gallery.

    The network is loaded by the first query that needs it: a query by id never does.
    """

    def __init__(self, gallery: Gallery, *, embedder: Embedder | None = None) -> None:
        """Raises SpecMismatchError when `embedder` is not of the gallery's spec."""
        self.gallery = gallery
        self.embedder = embedder or gallery.embedder()
        gallery.check_spec(self.embedder.spec, "the embedder")

    def warm_up(self) -> None:
        """Open the vector index and the network, side by side, ahead of the first query."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_once, self.embedder)
            self.gallery.index()
            running.result()

    def search(
        self,
        query: Query | Sequence[Query],
        *,
        k: int = 10,
        offset: int = 0,
        where: Filter | None = None,
        unwanted: Sequence[Query] = (),
        combine: Combine = "mean",
        crop: Crop | None = None,
        multi_crop: bool = False,
        min_similarity: float | None = None,
        matches_only: bool = False,
        group_by: str | None = None,
        max_per_group: int = 1,
        exact: bool = False,
        rerank: Reranker | None = None,
    ) -> SearchResult:
        """The k images most similar to `query`, the best first; fewer where there are no more.

        `query` is one image or a list of them, one query together: their `mean`, or each by
        itself (`best`: an image is as similar as it is to the nearest of them). `unwanted` images
        push it away from what they show. Images of the gallery given by id are never hits.
        `crop` (x, y, width, height) asks with a region of the image, in pixels of the upright
        image, or in fractions of it where none of the four exceeds 1.

        In a gallery with regions, a hit may be one by a part of it (`Hit.region`): a detail finds
        its whole. `multi_crop` asks with the query's own regions, too, each by itself: what two
        images have in common may be a part of both.

        `where` admits only images that match, `min_similarity` only those as similar or more,
        `matches_only` those that are more similar than unrelated images are by chance (see
        `Hit.confidence`; in a gallery too small to say, it leaves out none).
        With `group_by`, no more than `max_per_group` images have the same value in that field;
        images without it are all kept. k images come back wherever there are so many.

        `offset` leaves out the first ones: as long as the gallery stays as it is, pages of one
        query neither repeat nor skip an image. `exact` compares with every image, also where the
        index is approximate. `rerank` has the first candidates ordered anew, as deep as it goes;
        behind them the others follow by similarity.

        Raises ImageError when an image cannot be read or the region does not lie within it,
        NotFoundError when there is no image of that id, FilterError for a field that no image
        has, GalleryError for `multi_crop` in a gallery without regions, OptionError for options
        that make no sense.
        """
        wanted = as_images(query)
        _check(wanted, k, offset, combine, crop, max_per_group)
        parts = self._parts(wanted, combine) if multi_crop else ()
        if group_by is not None:
            self._check_field(group_by)
        started = time.perf_counter()
        vectors = self._embed(wanted, crop, parts)
        towards = combined(vectors, self._embed(unwanted), "best" if parts else combine)
        embedded = time.perf_counter()
        needed = offset + k if rerank is None else max(offset + k, rerank.depth)
        blocks = ranked(
            self.gallery,
            towards,
            first=needed if group_by is None else SEVERAL_GROUPS * needed,
            without={one for one in (*wanted, *unwanted) if isinstance(one, int)},
            where=where,
            exact=exact,
        )
        scale = None
        if matches_only:
            self.gallery.image_index()  # up to date, as the search itself will find it
            scale = scale_of(self.gallery, towards)
            if scale is not None:
                least = scale.reached(MATCH)
                min_similarity = least if min_similarity is None else max(least, min_similarity)
        if min_similarity is not None:
            blocks = similar_enough(blocks, min_similarity)
        if group_by is not None:
            blocks = grouped(blocks, self.gallery.catalog, group_by, max_per_group)
        hits = look_up(self.gallery.catalog, blocks, needed)
        scale = scale or scale_of(self.gallery, towards)
        if scale is not None:
            hits = [replace(hit, confidence=scale.confidence(hit.similarity)) for hit in hits]
        searched = time.perf_counter()
        timings = {"embed": 1000 * (embedded - started), "search": 1000 * (searched - embedded)}
        judged = 0
        if rerank is not None:
            from cbir.reranking.reranker import rerank_by_all

            judged = min(rerank.depth, len(hits))
            hits = rerank_by_all(
                rerank, self._query_images(wanted, towards[:: 1 + len(parts)], crop), hits
            )
            timings["rerank"] = 1000 * (time.perf_counter() - searched)
            hits = [replace(hit, rank=rank) for rank, hit in enumerate(hits, 1)]
        timings["total"] = 1000 * (time.perf_counter() - started)
        return SearchResult(
            name_of_all(wanted, unwanted, crop=crop),
            tuple(hits[offset : offset + k]),
            timings,
            judged,
            None if scale is None else any(is_match(hit) for hit in hits),
        )

    def embed(self, query: Query, *, crop: Crop | None = None) -> Vectors:
        """The embedding of one image or a region of it: (D,) float32, unit norm."""
        return np.asarray(self._embed([query], crop)[0])

    def query_image(self, query: Query, *, crop: Crop | None = None) -> bytes | None:
        """The encoded image a query stands for; None when its file can no longer be read."""
        try:
            return encoded(query, self.gallery, crop=crop)
        except ImageError:
            if isinstance(query, int):
                return None
            raise

    def _embed(
        self, images: Sequence[Query], crop: Crop | None = None, parts: Sequence[Region] = ()
    ) -> Vectors:
        """(N · (1 + P), D) float32 unit rows: each image, then its parts.

        Whole images of the gallery have theirs already.
        """
        empty = np.empty((0, self.gallery.spec.dim), np.float32)
        if not images:
            return empty
        rows: dict[int, Vectors] = {}
        stored = [one for one in images if isinstance(one, int)] if crop is None else []
        found = self.gallery.catalog.embeddings(stored) if stored else {}
        if missing := [one for one in stored if one not in found]:
            raise NotFoundError(f"no image {missing[0]}", gallery=self.gallery.path)
        for place, one in enumerate(images):
            if crop is None and isinstance(one, int):
                own = self.gallery.catalog.region_embeddings(one) if parts else empty
                if len(own) == len(parts):
                    rows[place] = np.vstack([found[one], own])
        others = [place for place in range(len(images)) if place not in rows]
        seen = [view for place in others for view in self._views(images[place], crop, parts)]
        fresh = np.split(embed_views(self.embedder, seen), len(others)) if others else []
        rows.update(zip(others, fresh, strict=True))
        return np.concatenate([empty, *(rows[place] for place in range(len(images)))])

    def _views(self, query: Query, crop: Crop | None, parts: Sequence[Region]) -> Any:
        try:
            spec = self.embedder.spec
            data = encoded(query, self.gallery, crop=crop)
            options = DecodeOptions(spec.preprocessing, spec.views, tuple(parts))
            return decode_image(data, options).pixels
        except ImageError as error:
            raise type(error)(f"{name_of(query)}: {error}") from error

    def _parts(self, wanted: Sequence[Query], combine: Combine) -> Sequence[Region]:
        """The regions that are asked with. Raises GalleryError in a gallery without any."""
        if not self.gallery.config.regions:
            raise GalleryError(
                f"gallery {self.gallery.path} has no regions to compare with; "
                "'cbir index SOURCE --multi-crop' adds them"
            )
        if len(wanted) > 1 and combine == "mean":
            raise OptionError("parts of several images have no mean; combine them by best")
        return self.gallery.config.regions

    def _query_images(
        self, wanted: Sequence[Query], towards: Vectors, crop: Crop | None
    ) -> list[QueryImage]:
        """The wanted images for a reranker; one of the gallery is known to it if it is whole."""
        from cbir.reranking import QueryImage

        compared = self.gallery.project(towards)
        if len(compared) < len(wanted):  # one for all of them: their mean
            compared = compared.repeat(len(wanted), axis=0)
        return [
            QueryImage(
                one if isinstance(one, int) and crop is None else None,
                vector,
                partial(encoded, one, self.gallery, crop=crop),
            )
            for one, vector in zip(wanted, compared, strict=True)
        ]

    def _check_field(self, field: str) -> None:
        """Raise FilterError for a field that no image has, or that holds lists alone."""
        if field not in (known := self.gallery.catalog.fields()):
            raise FilterError(unknown_field(field, known))
        if known[field] == {"list"}:
            raise FilterError(f"{field!r} holds lists; group by a field of single values")


def _check(
    wanted: Sequence[Query],
    k: int,
    offset: int,
    combine: Combine,
    crop: Crop | None,
    max_per_group: int,
) -> None:
    if k < 1:
        raise OptionError(f"k is {k}; ask for at least one image")
    if offset < 0:
        raise OptionError(f"offset is {offset}; the first image is at 0")
    if max_per_group < 1:
        raise OptionError(f"max_per_group is {max_per_group}; keep at least one image of a group")
    if combine not in ("mean", "best"):
        raise OptionError(f"no way to combine {combine!r}; there are mean and best")
    if crop is not None and len(wanted) > 1:
        raise OptionError("a crop is a region of one image; crop several before you ask with them")
