"""A search as one value: what is searched with, for what, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_args,
)

from cbir.errors import OptionError
from cbir.filters import Filter, parse_where
from cbir.reranking import DEFAULT_DEPTH
from cbir.retrieval.combination import Combine
from cbir.retrieval.crop import Crop, crop_text
from cbir.retrieval.queries import IdQuery, Query, QueryLike, as_queries

if TYPE_CHECKING:
    from cbir.reranking import Reranker

__all__ = ["SEARCH_OPTIONS", "Queries", "SearchRequest", "takes_request"]

Queries: TypeAlias = "QueryLike | Sequence[QueryLike]"
"""One query or several, as `as_queries` takes them."""

ROUNDING = 1e-3
"""A similarity may exceed 1 by so much where embeddings are stored in half precision."""

if TYPE_CHECKING:

    class QueriesField:
        """The type of a field that takes what `as_queries` takes, and holds queries."""

        def __get__(self, request: object, owner: object) -> tuple[Query, ...]: ...
        def __set__(self, request: object, value: Queries) -> None: ...

    class FilterField:
        """The type of a field that takes a filter or conditions as text, and holds a filter."""

        def __get__(self, request: object, owner: object) -> Filter | None: ...
        def __set__(self, request: object, value: Filter | Sequence[str] | None) -> None: ...


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search. Every way to ask for one (library, command line, HTTP) makes one of these.

    >>> SearchRequest(["mug.jpg", 12], k=3, group_by="product").queries
    (FileQuery(path='mug.jpg'), IdQuery(id=12))

    Raises OptionError for options that make no sense, TypeError for a query that is none,
    FilterError for a condition that is none.
    """

    queries: QueriesField = ()  # type: ignore[assignment]
    """What is searched with, together one query: at least one. Images given by id are never
    hits."""
    _: KW_ONLY
    combine: Combine = "mean"
    """Several images: their `mean`, or each by itself (`best`: the similarity of an image is that
    to the nearest of them)."""
    unwanted: QueriesField = ()  # type: ignore[assignment]
    """Images that hits should not resemble. Those given by id are never hits."""
    crop: Crop | None = None
    """A region of the one image to search with: x, y, width, height in pixels of the upright
    image, or in fractions of it where none of the four exceeds 1."""
    multi_crop: bool = False
    """Also search with the query's own regions, each by itself: two images may share only a part.
    The gallery must have regions."""
    where: FilterField = None  # type: ignore[assignment]
    """Only images that match: a filter, or conditions as `parse_where` takes them."""
    min_similarity: float | None = None
    """Only images at least as similar."""
    matches_only: bool = False
    """Only images more similar than unrelated images are by chance (see `Hit.confidence`). In a
    gallery too small to tell, nothing is left out."""
    group_by: str | None = None
    """At most `max_per_group` images with the same value in this field; images without the field
    are all kept."""
    max_per_group: int = 1
    offset: int = 0
    """How many of the first hits to leave out. As long as the gallery stays as it is, pages of one
    search neither repeat nor skip an image."""
    k: int = 10
    """How many images to find. So many are found wherever there are so many."""
    exact: bool = False
    """Compare with every image, also where the index is approximate."""
    rerank: str | Reranker | None = None
    """A reranker, by name or open already, which puts the first candidates in a new order; the
    others follow by similarity."""
    depth: int = DEFAULT_DEPTH
    """How many candidates are reranked; a reranker that is open already has a depth of its own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "queries", as_queries(self.queries))
        object.__setattr__(self, "unwanted", as_queries(self.unwanted))
        if isinstance(self.where, (list, tuple)):
            object.__setattr__(self, "where", parse_where(self.where) if self.where else None)
        several = len(self.queries) > 1
        if not self.queries:
            raise OptionError("a query needs at least one image")
        if self.k < 1:
            raise OptionError(f"k is {self.k}; ask for at least one image")
        if self.offset < 0:
            raise OptionError(f"offset is {self.offset}; the first image is at 0")
        if self.max_per_group < 1:
            raise OptionError(
                f"max_per_group is {self.max_per_group}; keep at least one image of a group"
            )
        if self.depth < 1:
            raise OptionError(f"depth is {self.depth}; rerank at least one candidate")
        if self.combine not in get_args(Combine):
            raise OptionError(f"no way to combine {self.combine!r}; there are mean and best")
        least = self.min_similarity
        if least is not None and not (math.isfinite(least) and abs(least) <= 1 + ROUNDING):
            raise OptionError(f"min_similarity is {least}; similarities lie between -1 and 1")
        if self.crop is not None:
            object.__setattr__(self, "crop", tuple(self.crop))
            if len(self.crop) != 4:
                raise OptionError(f"crop is {self.crop}; give x, y, width and height")
            if several:
                raise OptionError(
                    "a crop is a region of one image; search with that image alone, or crop "
                    "several before you search with them"
                )
        if self.multi_crop and several and self.combine == "mean":
            raise OptionError(
                "parts of several images have no mean; combine them by best (--combine best)"
            )

    @property
    def name(self) -> str:
        """The query in a result: `a.jpg + b.jpg, not c.jpg` or `a.jpg [10,20,300,200]`."""
        name = " + ".join(map(str, self.queries))
        if self.crop is not None:
            name += f" [{crop_text(self.crop)}]"
        return name + "".join(f", not {query}" for query in self.unwanted)

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the images that are never hits."""
        queries = self.queries + self.unwanted
        return frozenset(query.id for query in queries if isinstance(query, IdQuery))


SEARCH_OPTIONS = tuple(field.name for field in fields(SearchRequest) if field.name != "queries")
"""The options of a search by name: all fields of a request but its queries."""

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")


def _takes_request(
    make: Callable[Concatenate[Queries, P], SearchRequest],
) -> Callable[
    [Callable[[S, SearchRequest], R]], Callable[Concatenate[S, SearchRequest | Queries, P], R]
]:
    """`takes_request` with the types of a request's options, which stand in its fields alone."""

    def decorate(
        search: Callable[[S, SearchRequest], R],
    ) -> Callable[Concatenate[S, SearchRequest | Queries, P], R]:
        @wraps(search)
        def call(self: S, query: Any, *args: P.args, **options: P.kwargs) -> R:
            if not isinstance(query, SearchRequest):
                return search(self, make(query, *args, **options))
            if options:
                raise TypeError(
                    f"a request has its options already, and is given {', '.join(options)}; "
                    "dataclasses.replace changes them"
                )
            return search(self, query)

        return call  # type: ignore[return-value]

    return decorate


takes_request = _takes_request(SearchRequest)
"""Let a method that takes a SearchRequest also be called with a query and the options of one."""
