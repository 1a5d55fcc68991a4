"""Images of one flat colour: similar to everything of that colour, and a match of none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cbir.gallery import Gallery
    from cbir.retrieval.opened_query import OpenedQuery

__all__ = ["BlankImages"]


class BlankImages:
    """The ids whose similarity to a query means nothing: all, if the query itself is blank.

    They are read when first needed, which is after the search has brought the index up to date.
    """

    def __init__(self, gallery: Gallery, queries: Sequence[OpenedQuery]) -> None:
        self._gallery = gallery
        self._queries = queries

    def __contains__(self, image_id: object) -> bool:
        return self._all or image_id in self._gallery.blank_ids()

    @cached_property
    def _all(self) -> bool:
        queries = self._queries
        return bool(queries) and all(query.is_blank or self._is_blank(query) for query in queries)

    def _is_blank(self, query: OpenedQuery) -> bool:
        return query.id is not None and query.id in self._gallery.blank_ids()
