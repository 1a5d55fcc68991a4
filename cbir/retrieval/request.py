"""A search request: the queries, filters and options of a search as one value."""

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
"""Amount by which a similarity may exceed 1, as embeddings are stored in half precision."""

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
    """A search request; the library, the command line and HTTP all create one of these.

    >>> SearchRequest(["mug.jpg", 12], k=3, group_by="product").queries
    (FileQuery(path='mug.jpg'), IdQuery(id=12))

    Raises OptionError for invalid options, TypeError for a value that is no query, FilterError
    for an invalid condition.
    """

    queries: QueriesField = ()  # type: ignore[assignment]
    """The images to search with, at least one; several form one query. Images given by id are
    never hits."""
    _: KW_ONLY
    combine: Combine = "mean"
    """How several images form one query: by their `mean`, or each by itself (`best`: the
    similarity of an image is that to the nearest of them)."""
    unwanted: QueriesField = ()  # type: ignore[assignment]
    """Images that hits should not resemble. Those given by id are never hits."""
    crop: Crop | None = None
    """A region of the one image to search with: x, y, width, height in pixels of the upright
    image, or in fractions of it where none of the four exceeds 1."""
    multi_crop: bool = False
    """Also search with regions of the query, each by itself, to find images that share a part.
    The gallery must have regions."""
    where: FilterField = None  # type: ignore[assignment]
    """Only images that match: a filter, or conditions as `parse_where` takes them."""
    min_similarity: float | None = None
    """Lowest similarity of a hit."""
    matches_only: bool = False
    """Only images more similar than unrelated images are by chance (see `Hit.confidence`). Has no
    effect in a gallery that is too small to estimate this."""
    group_by: str | None = None
    """At most `max_per_group` images with the same value in this field; images without the field
    are all kept."""
    max_per_group: int = 1
    offset: int = 0
    """Number of first hits to skip. While the gallery is unchanged, pages of one search neither
    repeat nor miss an image."""
    k: int = 10
    """Number of images to find; fewer are found only if fewer meet the conditions."""
    exact: bool = False
    """Compare with every image, even if the index is approximate."""
    rerank: str | Reranker | None = None
    """A reranker, by name or already open, which reorders the first candidates; the others follow
    by similarity."""
    depth: int = DEFAULT_DEPTH
    """Number of candidates reranked by a reranker given by name; an open one has its own depth."""

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
                "regions of several images have no mean; combine them by best (--combine best)"
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
    """Create `takes_request`, typed with the options of a request as its fields declare them."""

    def decorate(
        search: Callable[[S, SearchRequest], R],
    ) -> Callable[Concatenate[S, SearchRequest | Queries, P], R]:
        @wraps(search)
        def call(self: S, query: Any, *args: P.args, **options: P.kwargs) -> R:
            if not isinstance(query, SearchRequest):
                return search(self, make(query, *args, **options))
            if options:
                raise TypeError(
                    f"a SearchRequest takes no further options ({', '.join(options)}); "
                    "dataclasses.replace changes them"
                )
            return search(self, query)

        return call  # type: ignore[return-value]

    return decorate


takes_request = _takes_request(SearchRequest)
"""Decorator: lets a method that takes a SearchRequest also take a query and its options."""
